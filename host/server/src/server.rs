//! Accepts connections, and drains them at shutdown.

use crate::config::{HEAD_FIELDS_ON_STACK, ServerConfig, milliseconds};
use crate::connection::{self, Connection, Io, StreamExecutor};
use crate::pipeline::RequestHandler;
use crate::source::Ingress;
use crate::state::ServerState;
use elias_delivery::supervision::Resource;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use parking_lot::{Mutex, MutexGuard};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// How long to wait before accepting again after the system refused: out of file descriptors, as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections that are cut may take to give back what they hold.
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// Connections of an address beyond its share that are told so; the others are closed.
const OVER_SHARE_MAX: u64 = 32;
/// An HTTP/1 connection's buffer is at least this large, for the sake of bodies.
const BUFFER_BYTES_MIN: usize = 64 << 10;

/// A server that listens, and serves once it is [run](Server::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    inner: Arc<Inner>,
}

/// A server and its connections.
struct Inner {
    state: Arc<ServerState>,
    http: auto::Builder<StreamExecutor>,
    /// The connections that a drain waits for.
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Rings when the last of them is gone.
    empty: Notify,
}

elias_contract::error_codes! {
    /// Why a server does not listen.
    #[derive(Debug, thiserror::Error)]
    pub enum ServeError {
        /// Another program listens there.
        #[error("the address {0} is already in use")]
        AddressInUse(String) => "address-in-use",
        /// No address, or none of this machine.
        #[error("cannot listen on `{0}`: {1}")]
        AddressInvalid(String, io::Error) => "address-invalid",
        /// The system does not allow it, as for ports below 1024.
        #[error("not allowed to listen on {0}")]
        NotAllowed(String) => "address-not-allowed",
        /// Another failure of the system.
        #[error("cannot listen on {0}: {1}")]
        Listen(String, io::Error) => "listen",
    }
}

impl ServeError {
    fn new(address: &str, error: io::Error) -> Self {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, InvalidInput, PermissionDenied};
        let address = address.to_owned();
        match error.kind() {
            AddrInUse => Self::AddressInUse(address),
            PermissionDenied => Self::NotAllowed(address),
            AddrNotAvailable | InvalidInput => Self::AddressInvalid(address, error),
            _ => Self::Listen(address, error),
        }
    }
}

/// The result of draining a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections whose requests had not ended at the drain's deadline, and were cut.
    pub cut: usize,
}

impl Server {
    /// Listens on the configured address. Clients can connect from now on; they are served by [`run`](Self::run).
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn bind(config: ServerConfig, ingress: impl Into<Ingress>) -> Result<Self, ServeError> {
        let failed = |error| ServeError::new(&config.listen, error);
        let unknown = |error| ServeError::AddressInvalid(config.listen.clone(), error);
        let addresses: Vec<_> = tokio::net::lookup_host(&config.listen).await.map_err(unknown)?.collect();
        let listener = TcpListener::bind(&*addresses).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let http = http(&config);
        let state = Arc::new(ServerState::new(config, ingress.into(), address));
        let inner = Inner { state, http, open: Mutex::default(), empty: Notify::new() };
        Ok(Self { listener, address, inner: Arc::new(inner) })
    }

    /// The address that the server listens on, with the port that the system chose if it was asked for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then lets the requests in flight end, no longer than the drain's timeout.
    ///
    /// While it drains, idle connections are closed, and new ones get 503 so that a load balancer looks elsewhere.
    /// Dropping this future stops accepting at once and leaves open connections to the runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> DrainReport {
        let config = &self.inner.state.config;
        let accept = async {
            let permits = Arc::new(Semaphore::new((config.connections.max(1) as usize).min(Semaphore::MAX_PERMITS)));
            for id in 0_u64.. {
                // The permit first: a connection for which there is none stays in the kernel's queue.
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                let (stream, peer) = accept(&self.listener).await;
                Inner::spawn(&self.inner, id, stream, peer.ip(), permit);
            }
        };
        let mut accept = pin!(accept);
        tokio::select! {
            () = &mut accept => {}
            () = shutdown => {}
        }
        self.inner.drain(accept).await
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock() // the map is whole after every operation
    }

    fn spawn(inner: &Arc<Self>, id: u64, stream: TcpStream, peer: IpAddr, permit: OwnedSemaphorePermit) {
        let state = &inner.state;
        let address = state.addresses.usage(peer);
        let most = match state.config.forwarded_hops {
            0 => state.config.connections_per_address.into(),
            _ => u64::MAX,
        };
        let reservation = address.reserve(Resource::Connections, 1, most);
        let mut over_share = None;
        if reservation.is_none() {
            // It is told so by a response, as long as there are few of these.
            over_share = address.reserve(Resource::Connections, 1, most.saturating_add(OVER_SHARE_MAX));
            if over_share.is_none() {
                return;
            }
        }
        let counted = state.usage.reserve(Resource::Connections, 1, u64::MAX);
        // Responses are small and written whole: Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(Arc::clone(state), peer, address, over_share.is_some(), state.is_draining());
        let connection = Arc::new(connection);
        let entry = (!connection.late).then(|| OpenConnection::new(Arc::clone(inner), id, Arc::clone(&connection)));
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            inner.serve(stream, connection).await;
            drop((entry, permit, reservation, over_share, counted));
        });
    }

    /// Serves a connection to its end.
    async fn serve(&self, stream: TcpStream, connection: Arc<Connection>) {
        let write_timeout = milliseconds(self.state.config.write_timeout_ms);
        let io = Io::new(stream, Arc::clone(&connection), write_timeout);
        let handler = RefCell::new(RequestHandler::new(Arc::clone(&connection)));
        let service = service_fn(move |request| handler.borrow_mut().handle(request));
        {
            let http = pin!(self.http.serve_connection_with_upgrades(io, service));
            connection::serve(http, &connection).await;
        }
        // It is counted and drained as the connection that it was.
        if let Some(socket) = connection.take_websocket() {
            socket.serve(&connection).await;
        }
    }

    async fn drain(&self, mut accept: Pin<&mut impl Future<Output = ()>>) -> DrainReport {
        self.state.begin_drain();
        let open: Vec<_> = self.open().values().cloned().collect();
        open.iter().for_each(|connection| connection.drain());
        drop(open);
        let deadline = Instant::now() + milliseconds(self.state.config.drain_timeout_ms);
        tokio::select! {
            () = &mut accept => {}
            () = self.wait_until_idle() => return DrainReport { cut: 0 },
            () = sleep_until(deadline) => {}
        }
        let open: Vec<_> = self.open().values().cloned().collect();
        open.iter().for_each(|connection| connection.cut());
        // A component that is cancelled still writes its line into the log.
        let _ = tokio::time::timeout(CUT_PAUSE, self.wait_until_empty()).await;
        DrainReport { cut: open.len() }
    }

    /// No connection is open, and nothing goes on in the background.
    async fn wait_until_idle(&self) {
        self.wait_until_empty().await;
        self.state.wait_for_background().await;
    }

    async fn wait_until_empty(&self) {
        loop {
            let rung = self.empty.notified();
            if self.open().is_empty() {
                return;
            }
            rung.await;
        }
    }
}

/// An open connection's entry in the list of those that a drain waits for; leaves it even when the connection panics.
struct OpenConnection {
    inner: Arc<Inner>,
    id: u64,
}

impl OpenConnection {
    fn new(inner: Arc<Inner>, id: u64, connection: Arc<Connection>) -> Self {
        inner.open().insert(id, connection);
        Self { inner, id }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut open = self.inner.open();
        open.remove(&self.id);
        if open.is_empty() {
            self.inner.empty.notify_waiters();
        }
    }
}

/// The next connection; what the system refuses in between is not the server's end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client left before it was accepted.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The protocol settings.
fn http(config: &ServerConfig) -> auto::Builder<StreamExecutor> {
    let ping = milliseconds(config.http2_ping_interval_ms);
    let resets = config.http2_resets as usize;
    let mut http = auto::Builder::new(StreamExecutor { timeout: milliseconds(config.write_timeout_ms) });
    let mut http1 = http.http1();
    http1
        .timer(TokioTimer::new())
        // hyper's clock starts with the end of the last response, so that it would also end idle connections, and costs
        // a timer a request. `connection` has one of its own that tells the two apart.
        .header_read_timeout(None)
        // A header section that does not fit ends here; `pipeline::check` measures those that do.
        .max_buf_size(BUFFER_BYTES_MIN.max(config.head_bytes as usize))
        // A client that closes its half while it waits for a response has left: the guest is cancelled.
        .half_close(false);
    if config.head_fields != HEAD_FIELDS_ON_STACK {
        http1.max_headers(config.head_fields as usize);
    }
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ping)
        .keep_alive_timeout(ping)
        .max_concurrent_streams(config.http2_streams)
        .max_header_list_size(config.head_bytes)
        .max_pending_accept_reset_streams(resets)
        .max_local_error_reset_streams(resets)
        // One connection can make the server hold these, and a send buffer a stream.
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10);
    http
}
