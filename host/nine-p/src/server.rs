//! Listening on Unix sockets and on TCP, with TLS or on loopback.

use crate::addresses::{AddressPermit, Addresses};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::session::Session;
use futures::future::join_all;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long to wait before accepting again after the system refused: out of file descriptors, as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a server listens: `unix:/run/elias/9p` or `tcp:127.0.0.1:564`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket, which only the user of the server can connect to.
    Unix(PathBuf),
    /// An address and a port.
    Tcp(String),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            _ => Err("must be unix:/PATH or tcp:ADDRESS:PORT".to_owned()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refused.
    #[error("cannot listen on {0}: {1}")]
    Io(String, io::Error),
    /// TCP that others could read: tokens would be sent over the network as they are.
    #[error("{0} is not a loopback address, and 9P sends tokens as they are: TLS is needed")]
    PlainTcp(String),
    /// The certificate or its key cannot be used.
    #[error("{}: {reason}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificate of a server, and its key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads a chain of certificates and a private key from PEM files.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ListenError> {
        let failed = |file: &Path, reason: String| ListenError::Certificate { file: file.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(certificate, error.to_string()))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| failed(certificate, error.to_string()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A socket that listens.
enum Socket {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener, Option<Tls>),
}

/// The file of a Unix socket, which goes with it.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A server that listens, and serves once it is [run](Server::run).
pub struct Server {
    sockets: Vec<Socket>,
    namespace: Arc<dyn Namespace>,
    limits: Limits,
}

impl Server {
    /// Listens; clients can connect from now on. TCP is with TLS if there is a certificate.
    ///
    /// # Errors
    /// [`ListenError::PlainTcp`] for an address beyond loopback without a certificate; [`ListenError::Io`].
    pub async fn bind(
        endpoints: &[Endpoint],
        tls: Option<&Tls>,
        namespace: Arc<dyn Namespace>,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let mut sockets = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let failed = |error| ListenError::Io(endpoint.to_string(), error);
            sockets.push(match endpoint {
                Endpoint::Unix(path) => bind_unix(path).map_err(failed)?,
                Endpoint::Tcp(address) => {
                    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(address).await.map_err(failed)?.collect();
                    if tls.is_none() && !addresses.iter().all(|address| address.ip().is_loopback()) {
                        return Err(ListenError::PlainTcp(address.clone()));
                    }
                    Socket::Tcp(TcpListener::bind(&*addresses).await.map_err(failed)?, tls.cloned())
                }
            });
        }
        Ok(Self { sockets, namespace, limits })
    }

    /// Where it listens, with the ports that the system chose.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |socket: &Socket| match socket {
            Socket::Unix(_, file) => Some(Endpoint::Unix(file.0.clone())),
            Socket::Tcp(listener, _) => listener.local_addr().ok().map(|address| Endpoint::Tcp(address.to_string())),
        };
        self.sockets.iter().filter_map(endpoint).collect()
    }

    /// Serves until `shutdown` is ready; connections end then, since 9P has no way to ask clients to leave.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { sockets, namespace, limits } = self;
        // Each socket has one in hand while it waits for the next connection.
        let connections = limits.connections.saturating_add(sockets.len()).saturating_sub(1);
        let permits = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        let addresses = Addresses::new(limits.connections_per_address);
        let accept = sockets.iter().map(|socket| accept_all(socket, &namespace, &limits, &permits, &addresses));
        let accept = join_all(accept);
        tokio::select! {
            _ = accept => {}
            () = shutdown => {}
        }
    }
}

/// Accepts connections for ever. Those that are open end with it.
async fn accept_all(
    socket: &Socket,
    namespace: &Arc<dyn Namespace>,
    limits: &Limits,
    permits: &Arc<Semaphore>,
    addresses: &Addresses,
) {
    let mut connections = JoinSet::new();
    loop {
        // The permit first: a connection for which there is none stays in the kernel's queue.
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return };
        let (namespace, limits) = (Arc::clone(namespace), limits.clone());
        let accepted = match socket {
            Socket::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
                connections.spawn(serve(stream, namespace, limits, "unix".to_owned(), (permit, None)));
            }),
            Socket::Tcp(listener, tls) => listener.accept().await.map(|(stream, peer)| {
                let Some(of_address) = addresses.take(peer.ip()) else {
                    tracing::debug!(%peer, "a 9P connection is closed, for its address has as many as it may");
                    return;
                };
                // Messages are small, and each is waited for.
                let _ = stream.set_nodelay(true);
                let (permits, shown) = ((permit, Some(of_address)), peer.ip().to_string());
                let Some(Tls(acceptor)) = tls.clone() else {
                    connections.spawn(serve(stream, namespace, limits, shown, permits));
                    return;
                };
                connections.spawn(async move {
                    match tokio::time::timeout(limits.attach_timeout, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => serve(stream, namespace, limits, shown, permits).await,
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "a 9P connection has no TLS"),
                        Err(_) => tracing::debug!(%peer, "a 9P connection took too long for TLS"),
                    }
                });
            }),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "no 9P connection can be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    namespace: Arc<dyn Namespace>,
    limits: Limits,
    peer: String,
    permits: (OwnedSemaphorePermit, Option<AddressPermit>),
) {
    let session = Session::new(stream, namespace, limits, peer.clone());
    if let Err(error) = session.run().await {
        tracing::debug!(%peer, %error, "a 9P connection was ended");
    }
    drop(permits);
}

/// Listens on a Unix socket, in place of one that a process left behind. Only the user can connect.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    let file = SocketFile(path.to_owned());
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(Socket::Unix(listener, file))
}

/// Whether a path is a socket on which nobody listens.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::{Errno, FileError, FileResult};
    use crate::namespace::{AttachRequest, Node};
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    /// Lets nobody in.
    struct Closed;

    impl Namespace for Closed {
        fn attach<'a>(&'a self, _: AttachRequest<'a>) -> BoxFuture<'a, FileResult<Arc<dyn Node>>> {
            std::future::ready(Err(FileError::new(Errno::AccessDenied, "nobody"))).boxed()
        }
    }

    async fn bind(endpoint: Endpoint) -> Result<Server, ListenError> {
        Server::bind(&[endpoint], None, Arc::new(Closed), Limits::default()).await
    }

    #[test]
    fn endpoints_are_read_and_shown() {
        for text in ["unix:/run/9p", "tcp:127.0.0.1:564", "tcp:[::1]:0"] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), text);
        }
        for text in ["", "/run/9p", "unix:9p", "tcp:564", "udp:127.0.0.1:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn plain_tcp_is_for_loopback() {
        let refused = bind(Endpoint::Tcp("0.0.0.0:0".to_owned())).await.err().expect("it is refused");
        assert!(matches!(refused, ListenError::PlainTcp(_)), "{refused}");
        let server = bind(Endpoint::Tcp("127.0.0.1:0".to_owned())).await.expect("it listens");
        assert!(matches!(&*server.endpoints(), [Endpoint::Tcp(address)] if !address.ends_with(":0")));
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("9p");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let server = bind(Endpoint::Unix(path.clone())).await.expect("nobody listened");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind(Endpoint::Unix(path.clone())).await, Err(ListenError::Io(..))), "it is in use");
        drop(server);
        assert!(!path.exists(), "it goes with the server");
        std::fs::write(&path, "a file").expect("written");
        assert!(bind(Endpoint::Unix(path.clone())).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "a file", "no file is removed");
    }

    #[tokio::test]
    async fn further_connections_wait_until_one_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("9p");
        let limits = Limits { connections: 1, ..Limits::default() };
        let server = Server::bind(&[Endpoint::Unix(path.clone())], None, Arc::new(Closed), limits).await;
        let running = tokio::spawn(server.expect("it listens").run(std::future::pending()));
        let version = b"\x13\0\0\0\x64\xff\xff\0\x20\0\0\x06\x009P2000";
        let mut first = UnixStream::connect(&path).await.expect("connected");
        first.write_all(version).await.expect("written");
        let mut answer = [0; 19];
        first.read_exact(&mut answer).await.expect("served");
        let mut second = UnixStream::connect(&path).await.expect("in the queue");
        second.write_all(version).await.expect("in the queue");
        first.write_all(version).await.expect("written");
        first.read_exact(&mut answer).await.expect("the server goes on");
        assert!(second.read_exact(&mut answer).now_or_never().is_none(), "it is not served yet");
        drop(first);
        second.read_exact(&mut answer).await.expect("served now");
        running.abort();
    }
}
