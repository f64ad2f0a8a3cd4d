//! A connection that became a WebSocket: what goes between its client and a service worker (RFC 6455).

use super::Connection;
use crate::config::milliseconds;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use elias_host::SocketContent;
use elias_local_workers::{SocketClose, SocketConnection, SocketFrame};
use futures::SinkExt;
use http_body::SizeHint;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use yawc::close::CloseCode;
use yawc::streaming::Streaming;
use yawc::{Frame, HttpStream, OpCode, UpgradeFut, WebSocketError};

/// How long a client may take for its part of the closing handshake.
const CLOSING: Duration = Duration::from_secs(5);

/// The most bytes of the payload of a control frame (RFC 6455, 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// The status codes that the server itself gives (RFC 6455, 7.4.1).
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL_ERROR: u16 = 1002;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const NONE: u16 = 1005;
    pub(super) const ABNORMAL: u16 = 1006;
    pub(super) const INVALID_DATA: u16 = 1007;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_LARGE: u16 = 1009;
}

/// Told of the bytes of a message that is sent.
pub(crate) type CountSent = Box<dyn Fn(u64) + Send + Sync>;

/// A WebSocket that a worker has, and that the client is about to have.
pub(crate) struct AcceptedSocket {
    /// Gives the client's end once the response has left.
    pub(crate) upgrade: UpgradeFut,
    /// The worker's end.
    pub(crate) worker: SocketConnection,
    /// For whom its bytes count.
    pub(crate) count_sent: Option<CountSent>,
    /// When the credentials expire with which it was opened.
    pub(crate) expires: Option<Instant>,
}

/// How a worker is told that the credentials of its client have expired: the code, and the reason.
pub(crate) const EXPIRED: (u16, &str) = (code::POLICY, "the credentials have expired");

/// Waits until credentials have expired; for ever if they do not.
pub(crate) async fn expired(expires: Option<Instant>) {
    match expires {
        Some(expires) => sleep_until(expires).await,
        None => std::future::pending().await,
    }
}

impl AcceptedSocket {
    /// Serves it to its end. When the server shuts down, it is closed with 1001.
    pub(crate) async fn serve(self, connection: &Connection) {
        let Self { upgrade, mut worker, count_sent, expires } = self;
        // The client may have left: then the worker is told when its end is dropped.
        let Ok(upgraded) = upgrade.await else { return };
        let bytes_max = worker.limits().message_bytes;
        let stream = upgraded.into_streaming();
        let client = Client { stream, bytes_max, partial: None, is_heard: false, count_sent };
        let close = tokio::select! {
            () = connection.is_cut() => close(code::ABNORMAL, ""),
            close = exchange(client, &mut worker, connection, expires) => close,
        };
        let told = worker.closed(close.code, &close.reason);
        // The worker is stopped after the connections, and is to know before.
        if connection.server.is_draining() {
            tokio::select! {
                () = connection.is_cut() => {}
                () = told => {}
            }
        }
    }
}

/// Something that happened.
enum Event {
    /// The worker sent something.
    Sent(Option<SocketFrame>),
    /// The client sent something.
    Received(Result<Received, WebSocketError>),
    /// It is time to ask whether the client is there.
    Tick,
    /// The server shuts down.
    Ends,
    /// The client's credentials have expired.
    Expired,
}

/// What a client sent.
enum Received {
    Message(SocketContent),
    /// It closed the socket.
    Close(SocketClose),
    /// It broke the protocol, or a bound: the socket is to be closed with this.
    Fault(SocketClose),
}

/// Passes messages on until the socket is closed. Gives how, as the worker is to be told.
async fn exchange(
    mut client: Client,
    worker: &mut SocketConnection,
    connection: &Connection,
    expires: Option<Instant>,
) -> SocketClose {
    let config = &connection.server.config;
    let period = milliseconds(config.websocket_ping_interval_ms);
    let idle = milliseconds(config.websocket_idle_timeout_ms);
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_asked = false;
    let mut last_message = Instant::now();
    let mut expired = pin!(expired(expires));
    loop {
        let event = tokio::select! {
            () = connection.is_told_to_end() => Event::Ends,
            () = &mut expired => Event::Expired,
            frame = worker.next() => Event::Sent(frame),
            received = client.next(), if worker.takes_message() => Event::Received(received),
            _ = ticks.tick() => Event::Tick,
        };
        let sent = match event {
            Event::Received(Ok(Received::Message(content))) => {
                last_message = Instant::now();
                worker.message(content);
                Ok(())
            }
            Event::Received(Ok(Received::Close(close))) => {
                client.answer_close().await;
                return close;
            }
            Event::Received(Ok(Received::Fault(fault))) => return client.close(fault).await,
            Event::Received(Err(error)) => {
                // What the client still sends is read and thrown away, or it might lose the close frame.
                connection.unread_body.leave(SizeHint::default());
                client.answer_close().await;
                return lost(&error);
            }
            Event::Sent(Some(SocketFrame::Close(close))) => return client.close(close).await,
            Event::Sent(Some(SocketFrame::Text(text))) => {
                last_message = Instant::now();
                client.send(Frame::text(text)).await
            }
            Event::Sent(Some(SocketFrame::Bytes(bytes))) => {
                last_message = Instant::now();
                client.send(Frame::binary(bytes)).await
            }
            // It comes after a close, which was handled.
            Event::Sent(None) => return close(code::ABNORMAL, ""),
            Event::Ends => return client.close(close(code::GOING_AWAY, "the server is shutting down")).await,
            Event::Expired => return client.close(close(EXPIRED.0, EXPIRED.1)).await,
            Event::Tick if last_message.elapsed() >= idle => {
                return client.close(close(code::GOING_AWAY, "no message for too long")).await;
            }
            // While the worker has too much to do, the client is not read.
            Event::Tick if std::mem::take(&mut client.is_heard) || !worker.takes_message() => {
                is_asked = false;
                Ok(())
            }
            Event::Tick if is_asked => return close(code::ABNORMAL, "the client does not respond"),
            Event::Tick => {
                is_asked = true;
                client.stream.send(Frame::ping(Bytes::new())).await
            }
        };
        if let Err(error) = sent {
            return lost(&error);
        }
    }
}

/// A client's end.
struct Client {
    stream: Streaming<HttpStream>,
    /// Bytes of a message at most.
    bytes_max: usize,
    /// The message of which only the first fragments have come.
    partial: Option<(OpCode, BytesMut)>,
    /// Whether a frame has come since this was last asked.
    is_heard: bool,
    count_sent: Option<CountSent>,
}

impl Client {
    /// What the client sends next. Pings are answered. Nothing is lost if this is dropped while it waits.
    async fn next(&mut self) -> Result<Received, WebSocketError> {
        loop {
            let frame = self.next_frame().await?;
            self.is_heard = true;
            if frame.opcode().is_control() && frame.payload().len() > CONTROL_BYTES_MAX {
                return Ok(Received::Fault(close(code::PROTOCOL_ERROR, "a control frame is too large")));
            }
            if frame.opcode() == OpCode::Close {
                let (code, reason) = (frame.close_code(), frame.close_reason()?.unwrap_or_default());
                return Ok(Received::Close(close(code.map_or(code::NONE, u16::from), reason)));
            }
            if frame.opcode().is_control() {
                continue;
            }
            if let Some(received) = self.take(frame) {
                return Ok(received);
            }
        }
    }

    /// The next frame. The pongs to pings before it are sent first: a client that does not read them is not read
    /// either, or they would wait for it without bound.
    async fn next_frame(&mut self) -> Result<Frame, WebSocketError> {
        poll_fn(|context| self.stream.poll_ready_unpin(context)).await?;
        self.stream.next_frame().await
    }

    /// Sends a message.
    async fn send(&mut self, frame: Frame) -> Result<(), WebSocketError> {
        if let Some(count_sent) = &self.count_sent {
            count_sent(frame.payload().len() as u64);
        }
        self.stream.send(frame).await
    }

    /// Takes a data frame; gives the message that it ends.
    fn take(&mut self, frame: Frame) -> Option<Received> {
        let (opcode, is_last, payload) = frame.into_parts();
        let (opcode, payload) = match (opcode, self.partial.take()) {
            (OpCode::Continuation, None) => {
                return Some(Received::Fault(close(code::PROTOCOL_ERROR, "there is no message to continue")));
            }
            (OpCode::Continuation, Some((opcode, mut partial))) => {
                if partial.len() + payload.len() > self.bytes_max {
                    return Some(Received::Fault(close(code::TOO_LARGE, "the message is too large")));
                }
                partial.extend_from_slice(&payload);
                if !is_last {
                    self.partial = Some((opcode, partial));
                    return None;
                }
                (opcode, partial.freeze())
            }
            (_, Some(_)) => {
                return Some(Received::Fault(close(code::PROTOCOL_ERROR, "the message before has not ended")));
            }
            (opcode, None) if !is_last => {
                self.partial = Some((opcode, BytesMut::from(&payload[..])));
                return None;
            }
            (opcode, None) => (opcode, payload),
        };
        Some(if opcode == OpCode::Text {
            match String::from_utf8(payload.into()) {
                Ok(text) => Received::Message(SocketContent::Text(text)),
                Err(_) => Received::Fault(close(code::INVALID_DATA, "the text is not UTF-8")),
            }
        } else {
            Received::Message(SocketContent::Bytes(STANDARD.encode(&payload)))
        })
    }

    /// Sends the close frame that answers the client's, or one that was queued for a fault of its, and ends.
    async fn answer_close(mut self) {
        let ending = async {
            // Nothing is read any more: this sends what is queued.
            let _ = self.stream.next_frame().await;
            let _ = self.stream.close().await;
        };
        // A client that takes nothing is cut.
        let _ = timeout(CLOSING, ending).await;
    }

    /// Closes the socket, and waits for the client's answer. Gives how it was closed.
    async fn close(mut self, close: SocketClose) -> SocketClose {
        let ending = async {
            let frame = Frame::close(CloseCode::from(close.code), &close.reason);
            if self.stream.send(frame).await.is_ok() {
                // Messages that are under way are nobody's any more.
                while self.next_frame().await.is_ok_and(|frame| frame.opcode() != OpCode::Close) {}
                let _ = self.stream.close().await;
            }
        };
        // A client that takes nothing is cut.
        let _ = timeout(CLOSING, ending).await;
        close
    }
}

fn close(code: u16, reason: &str) -> SocketClose {
    SocketClose { code, reason: reason.to_owned() }
}

/// How a worker is told that a connection failed. The client was told the code.
fn lost(error: &WebSocketError) -> SocketClose {
    match error {
        WebSocketError::FrameTooLarge => close(code::TOO_LARGE, "the message is too large"),
        WebSocketError::InvalidUTF8 => close(code::INVALID_DATA, "the text is not UTF-8"),
        WebSocketError::InvalidOpCode(_) => close(code::UNSUPPORTED, "the kind of frame is not known"),
        error if error.is_protocol_error() => close(code::PROTOCOL_ERROR, "the client broke the protocol"),
        _ => close(code::ABNORMAL, ""),
    }
}
