//! Connecting, through a stream that refuses messages longer than a result may be, for the driver would keep a whole
//! row in memory before anyone could count it, and that hears what the server reports of the session.

use super::tls::{ServerStream, Tls};
use super::watch::{SessionParameters, Watcher};
use deadpool_postgres::ClientWrapper;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, Config, NoTls};

/// Bytes that a message may have beyond a result's.
const HEADROOM: u64 = 64 << 10;

/// How long a cancellation may take to reach the server.
const CANCEL: Duration = Duration::from_secs(2);

/// Makes connections of one role.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) timeout: Duration,
    pub(super) message_bytes: u64,
    /// Connections that were closed because of a message that was too long.
    pub(super) exceeded: Arc<AtomicU64>,
}

/// A connection, and the state of its session.
pub(super) struct Session {
    client: ClientWrapper,
    reported: Arc<SessionParameters>,
    /// The session's settings once it was set up.
    pub(super) settings: String,
    /// When they were last found to be so.
    pub(super) checked: Instant,
}

impl Session {
    /// Whether the server says that the session is still the role's own, and reads strings as it did.
    pub(super) fn is_unchanged(&self) -> bool {
        self.reported.is_unchanged()
    }

    /// The server's reports about the session, also while a transaction has the rest of it.
    pub(super) fn reported(&self) -> Arc<SessionParameters> {
        Arc::clone(&self.reported)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Session(..)")
    }
}

impl Deref for Session {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.client
    }
}

impl Connector {
    /// A connection, which has `timeout` to reach the server.
    pub(super) async fn connect(&self) -> Result<Session, tokio_postgres::Error> {
        let reported = Arc::new(SessionParameters::new(self.config.get_user().unwrap_or_default()));
        let stream = match tokio::time::timeout(self.timeout, self.stream()).await {
            Ok(Ok(stream)) => self.limited(stream, Some(&reported)),
            // The driver's error for a server that hangs up.
            _ => self.limited(Box::new(tokio::io::empty()), None),
        };
        let (client, connection) = self.config.connect_raw(stream, NoTls).await?;
        let task = tokio::spawn(async move {
            if let Err(failed) = connection.await {
                let why = super::error::error(&failed);
                tracing::warn!(sqlstate = why.sqlstate, "PostgreSQL closed a connection: {}", why.message);
            }
        });
        let client = ClientWrapper::new(client, task);
        Ok(Session { client, reported, settings: String::new(), checked: Instant::now() })
    }

    /// Stops what a connection is doing.
    pub(super) async fn cancel(&self, token: &CancelToken) {
        let cancelling = async {
            if let Ok(stream) = self.stream().await {
                let _ = token.cancel_query_raw(stream, NoTls).await;
            }
        };
        let _ = tokio::time::timeout(CANCEL, cancelling).await;
    }

    /// The first host that can be reached, by TLS if that is asked for. What the driver gets is protected already: it
    /// could not tell how long messages are in what is encrypted.
    async fn stream(&self) -> io::Result<Box<dyn Stream>> {
        let ports = self.config.get_ports();
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let stream: io::Result<Box<dyn Stream>> = match host {
                Host::Tcp(host) => self.tcp(host, port).await,
                Host::Unix(folder) => UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))
                    .await
                    .map(|stream| Box::new(stream) as Box<dyn Stream>),
            };
            match stream {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn tcp(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let connect = async |tls: &Tls| {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok::<Box<dyn Stream>, io::Error>(match tls.start(stream, host).await? {
                ServerStream::Plain(stream) => Box::new(stream),
                ServerStream::Protected(stream) => stream,
            })
        };
        match connect(&self.tls).await {
            Err(_) if self.tls.may_do_without() => connect(&Tls::disabled()).await,
            stream => stream,
        }
    }

    fn limited(&self, stream: Box<dyn Stream>, reported: Option<&Arc<SessionParameters>>) -> LimitedStream {
        LimitedStream {
            stream,
            header: [0; 5],
            header_read: 0,
            body_left: 0,
            most: self.message_bytes.saturating_add(HEADROOM),
            exceeded: Arc::clone(&self.exceeded),
            watcher: reported.map(|reported| Watcher::new(Arc::clone(reported))),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream of PostgreSQL's messages: a byte, four of the length of what follows with themselves, and that.
struct LimitedStream {
    stream: Box<dyn Stream>,
    header: [u8; 5],
    header_read: usize,
    body_left: u64,
    most: u64,
    exceeded: Arc<AtomicU64>,
    watcher: Option<Watcher>,
}

impl LimitedStream {
    /// Follows what was read. False if a message is too long.
    fn follow(&mut self, mut read: &[u8]) -> bool {
        while !read.is_empty() {
            if self.body_left > 0 {
                let taken = read.len().min(usize::try_from(self.body_left).unwrap_or(usize::MAX));
                self.body_left -= taken as u64;
                if let Some(watcher) = &mut self.watcher {
                    watcher.body(&read[..taken], self.body_left == 0);
                }
                read = &read[taken..];
                continue;
            }
            self.header[self.header_read] = read[0];
            self.header_read += 1;
            read = &read[1..];
            if self.header_read == self.header.len() {
                let [kind, a, b, c, d] = self.header;
                let length = u64::from(u32::from_be_bytes([a, b, c, d]));
                if length > self.most {
                    return false;
                }
                self.body_left = length.saturating_sub(4);
                self.header_read = 0;
                if let Some(watcher) = &mut self.watcher {
                    watcher.message(kind);
                }
            }
        }
        true
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.follow(&buffer.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        self.exceeded.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long")))
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
