//! Connecting, through a stream that refuses messages longer than a result may be: the driver would keep a whole row in
//! memory before anyone could count it.

use super::error::error;
use deadpool_postgres::Connect;
use futures::future::BoxFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

/// Bytes that a message may have beyond a result's.
const HEADROOM: u64 = 64 << 10;

/// How long a cancellation may take to reach the server.
const CANCEL: Duration = Duration::from_secs(2);

/// Makes connections, each with a session's settings.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: Config,
    pub(super) timeout: Duration,
    pub(super) message_bytes: u64,
    /// Connections that were closed because of a message that was too long.
    pub(super) exceeded: Arc<AtomicU64>,
    /// What every connection begins with.
    pub(super) session: String,
}

impl Connector {
    /// A connection of the URL's own role, which has `timeout` to reach the server.
    pub(super) async fn plain(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let stream = match tokio::time::timeout(self.timeout, self.stream()).await {
            Ok(Ok(stream)) => stream,
            // The driver's error for a server that hangs up.
            _ => self.limited(Box::new(tokio::io::empty())),
        };
        let (client, connection) = self.config.connect_raw(stream, NoTls).await?;
        let task = tokio::spawn(async move {
            if let Err(failed) = connection.await {
                let why = error(&failed);
                tracing::warn!(sqlstate = why.sqlstate, "a connection to PostgreSQL has ended: {}", why.message);
            }
        });
        Ok((client, task))
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

    async fn stream(&self) -> io::Result<Limited> {
        let ports = self.config.get_ports();
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let stream: io::Result<Box<dyn Stream>> = match host {
                Host::Tcp(host) => TcpStream::connect((host.as_str(), port)).await.and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                }),
                Host::Unix(folder) => UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))
                    .await
                    .map(|stream| Box::new(stream) as Box<dyn Stream>),
            };
            match stream {
                Ok(stream) => return Ok(self.limited(stream)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn limited(&self, stream: Box<dyn Stream>) -> Limited {
        Limited {
            stream,
            header: [0; 5],
            header_read: 0,
            body_left: 0,
            most: self.message_bytes.saturating_add(HEADROOM),
            exceeded: Arc::clone(&self.exceeded),
        }
    }
}

impl Connect for Connector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            let (client, task) = self.plain().await?;
            client.batch_execute(&self.session).await?;
            Ok((client, task))
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream of PostgreSQL's messages: a byte, four of the length of what follows with themselves, and that.
struct Limited {
    stream: Box<dyn Stream>,
    header: [u8; 5],
    header_read: usize,
    body_left: u64,
    most: u64,
    exceeded: Arc<AtomicU64>,
}

impl Limited {
    /// Follows what was read. False if a message is too long.
    fn follow(&mut self, mut read: &[u8]) -> bool {
        while !read.is_empty() {
            if self.body_left > 0 {
                let taken = read.len().min(usize::try_from(self.body_left).unwrap_or(usize::MAX));
                self.body_left -= taken as u64;
                read = &read[taken..];
                continue;
            }
            self.header[self.header_read] = read[0];
            self.header_read += 1;
            read = &read[1..];
            if self.header_read == self.header.len() {
                let [_, a, b, c, d] = self.header;
                let length = u64::from(u32::from_be_bytes([a, b, c, d]));
                if length > self.most {
                    return false;
                }
                self.body_left = length.saturating_sub(4);
                self.header_read = 0;
            }
        }
        true
    }
}

impl AsyncRead for Limited {
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

impl AsyncWrite for Limited {
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
