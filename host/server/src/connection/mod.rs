//! One connection: its clocks, and the state that its requests share.

mod io;
mod stream_stall;
mod websocket;

pub(crate) use io::Io;
pub(crate) use stream_stall::{BodyPoll, StreamExecutor, note_body_poll};
pub(crate) use websocket::{AcceptedSocket, CountSent, EXPIRED, expired};

use crate::body::UnreadBody;
use crate::config::milliseconds;
use crate::failure::Refusal;
use crate::limits::CONNECTION_STALLED_MAX;
use crate::state::ServerState;
use elias_delivery::supervision::{Resource, ResourceUsage};
use futures::task::AtomicWaker;
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a connection that was told to end may take for its last frames.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of an unread body up to which hyper may read them with the headers, and go on with the connection.
const DISCARDED_BYTES_MAX: u64 = 4 << 10;

/// Executions that may begin on an HTTP/2 connection before the client has read anything of others.
const UNREAD_STREAMS_MAX: usize = 16;
/// After so long one more may begin all the same, as those before it may have nothing to be read yet.
const UNREAD_PAUSE: Duration = Duration::from_millis(100);

/// The state that the socket, the requests and the clocks of one connection share.
///
/// HTTP/2 polls requests on other threads than the connection, hence the atomics.
pub(crate) struct Connection {
    /// The server.
    pub(crate) server: Arc<ServerState>,
    /// Whether the connection was made while the server was already draining.
    pub(crate) late: bool,
    /// The address at the other end.
    pub(crate) peer: IpAddr,
    /// The usage of that address.
    pub(crate) address: Arc<ResourceUsage>,
    /// The usage of this connection.
    pub(crate) usage: Arc<ResourceUsage>,
    /// Whether it is one too many of its address.
    pub(crate) over_share: bool,
    /// Executions of an HTTP/2 connection that may begin before the client has read anything of others.
    unread: Arc<Semaphore>,
    /// How many more, for it has read.
    trusted: AtomicU32,
    /// Held by the request that begins next beyond these.
    pace: tokio::sync::Mutex<()>,
    opened: Instant,
    requests: AtomicU32,
    idle_since_ms: AtomicU64,
    /// Whether bytes have come that do not belong to a known request.
    receiving: AtomicBool,
    /// Whether the first request has come.
    known: AtomicBool,
    http2: AtomicBool,
    /// Of requests whose bodies were left unread.
    pub(crate) unread_body: Arc<UnreadBody>,
    reset: AtomicBool,
    /// Streams abandoned by the client, less those that it saw through.
    abandoned: AtomicU32,
    order: AtomicU8,
    task: AtomicWaker,
    /// The WebSocket that the connection becomes once its response is out.
    websocket: Mutex<Option<AcceptedSocket>>,
}

/// The state that the server demands of a connection: to go on ([`OPEN`]), to end after its requests, or to end now.
const OPEN: u8 = 0;
const DRAIN: u8 = 1;
const CUT: u8 = 2;

impl Connection {
    pub(crate) fn new(
        server: Arc<ServerState>,
        peer: IpAddr,
        address: Arc<ResourceUsage>,
        over_share: bool,
        late: bool,
    ) -> Self {
        Self {
            server,
            late,
            peer,
            address,
            usage: Arc::default(),
            over_share,
            unread: Arc::new(Semaphore::new(UNREAD_STREAMS_MAX)),
            trusted: AtomicU32::new(0),
            pace: tokio::sync::Mutex::default(),
            opened: Instant::now(),
            requests: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            receiving: AtomicBool::new(false),
            known: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            unread_body: Arc::default(),
            reset: AtomicBool::new(false),
            abandoned: AtomicU32::new(0),
            order: AtomicU8::new(OPEN),
            task: AtomicWaker::new(),
            websocket: Mutex::new(None),
        }
    }

    /// A request has begun.
    pub(crate) fn begin(&self, http2: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.receiving.store(false, Relaxed);
        if !self.known.load(Relaxed) {
            self.http2.store(http2, Relaxed);
            self.known.store(true, Relaxed);
        }
    }

    /// A request has ended; `responded` tells whether its client waited for the response.
    pub(crate) fn end(&self, responded: bool) {
        if self.requests.fetch_sub(1, Relaxed) == 1 {
            let idle_since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.idle_since_ms.store(idle_since, Relaxed);
        }
        if self.http2.load(Relaxed) {
            self.count_abandoned(responded);
        }
    }

    /// Ends a connection that opens streams only to abandon them, each of which costs the server a start.
    fn count_abandoned(&self, responded: bool) {
        if responded {
            // Losing a race loses one point of credit, no more.
            let count = self.abandoned.load(Relaxed);
            self.abandoned.store(count.saturating_sub(1), Relaxed);
        } else if self.abandoned.fetch_add(1, Relaxed) >= self.server.config.http2_resets {
            self.order(CUT);
        }
    }

    /// Lets an execution begin on an HTTP/2 connection; what is given is to be dropped when its client has read
    /// something.
    ///
    /// A client that opens no flow-control window leaves each of its streams with an execution that has written all it
    /// can and keeps its memory. So only some begin at once; the others follow as soon as those are read or have ended,
    /// or a little later if they have nothing to be read yet. While some wait for the client to read, no more begin.
    ///
    /// # Errors
    /// [`Refusal::ConnectionStalled`] if that is so for as long as a request may wait.
    pub(crate) async fn may_begin(&self) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        if let Ok(permit) = Arc::clone(&self.unread).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let most = milliseconds(self.server.config.queue_timeout_ms);
        timeout(most, self.next_begins()).await.map_err(|_| Refusal::ConnectionStalled)
    }

    /// A client that reads is trusted with more: each response of which it has read something lets another execution
    /// begin at once.
    pub(crate) fn has_read(&self) {
        let most = self.server.config.http2_streams;
        if self.trusted.fetch_add(1, Relaxed) < most {
            self.unread.add_permits(1);
        } else {
            self.trusted.fetch_sub(1, Relaxed);
        }
    }

    /// Waits, one request after the other, until another execution may begin.
    async fn next_begins(&self) -> Option<OwnedSemaphorePermit> {
        let _turn = self.pace.lock().await;
        loop {
            match timeout(UNREAD_PAUSE, Arc::clone(&self.unread).acquire_owned()).await {
                Ok(permit) => return permit.ok(),
                Err(_) if self.usage.of(Resource::StalledExecutions) < CONNECTION_STALLED_MAX => return None,
                Err(_) => {}
            }
        }
    }

    /// Bytes have come.
    pub(crate) fn received(&self) {
        self.receiving.store(true, Relaxed);
    }

    /// Whether the client still sends a request's body that is not being read.
    pub(crate) fn has_unread_body(&self) -> bool {
        self.unread_body.bytes() > 0
    }

    /// Whether hyper closes the connection after the response, since there is more of a request's body than it reads
    /// and throws away. The client has to be told, or its next request is lost.
    pub(crate) fn closes(&self) -> bool {
        self.unread_body.bytes() > DISCARDED_BYTES_MAX
    }

    /// The connection must not end as if its last response were whole.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Relaxed);
    }

    pub(crate) fn must_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Lets the requests in flight end, then the connection.
    pub(crate) fn drain(&self) {
        self.order(DRAIN);
    }

    /// Ends the connection now.
    pub(crate) fn cut(&self) {
        self.order(CUT);
    }

    /// Has the connection go on as a WebSocket.
    pub(crate) fn upgrade(&self, socket: AcceptedSocket) {
        *self.websocket.lock() = Some(socket);
    }

    /// The WebSocket as which the connection goes on once its protocol has ended.
    pub(crate) fn take_websocket(&self) -> Option<AcceptedSocket> {
        self.websocket.lock().take()
    }

    /// Resolves when the connection is to end after what is under way, or now. Only the task of the connection waits.
    async fn is_told_to_end(&self) {
        self.wait_for_order(DRAIN).await;
    }

    /// Resolves when the connection is to end now. Likewise.
    async fn is_cut(&self) {
        self.wait_for_order(CUT).await;
    }

    async fn wait_for_order(&self, least: u8) {
        poll_fn(|cx| {
            self.task.register(cx.waker());
            if self.order.load(Relaxed) >= least { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn order(&self, order: u8) {
        self.order.fetch_max(order, Relaxed);
        self.task.wake();
    }

    /// Since when a header section is under way. HTTP/2 mixes them with other frames: there only the first is timed.
    fn is_reading_head(&self) -> bool {
        match self.known.load(Relaxed) {
            false => true,
            true => self.receiving.load(Relaxed) && self.requests.load(Relaxed) == 0 && !self.http2.load(Relaxed),
        }
    }

    fn idle_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.idle_since_ms.load(Relaxed))
    }
}

/// Serves a connection to its end: `http` is its protocol, `shared` what its requests know of each other.
pub(crate) async fn serve(mut http: Pin<&mut impl GracefulConnection>, shared: &Connection) {
    let config = &shared.server.config;
    let head_timeout = milliseconds(config.head_timeout_ms);
    let idle_timeout = milliseconds(config.idle_timeout_ms);

    let mut told = false; // to end when it can
    let mut head_since = Some(shared.opened);
    let mut clock = pin!(sleep_until(shared.opened + head_timeout.min(idle_timeout)));
    // Not a select!: this is polled for each request, and looks at a few atomics only.
    poll_fn(|cx| {
        shared.task.register(cx.waker());
        match shared.order.load(Relaxed) {
            CUT => return Poll::Ready(()),
            DRAIN if !told => {
                told = true;
                http.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        loop {
            // Errors on the wire are the client's affair, and their requests' log lines have them.
            if http.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !shared.is_reading_head() {
                head_since = None;
            } else if head_since.is_none() {
                let now = Instant::now();
                head_since = Some(now);
                if now + head_timeout < clock.deadline() {
                    clock.as_mut().reset(now + head_timeout);
                }
            }
            // The clock is not set anew for each request. It rings when something could be due, and else is set again.
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let due = match head_since {
                Some(since) => since + head_timeout,
                None if shared.requests.load(Relaxed) > 0 => now + idle_timeout,
                None => shared.idle_since() + idle_timeout,
            };
            if due > now {
                clock.as_mut().reset(due);
            } else if head_since.is_some() || told {
                return Poll::Ready(());
            } else {
                told = true;
                http.as_mut().graceful_shutdown();
                clock.as_mut().reset(now + GOODBYE);
            }
        }
    })
    .await;
}
