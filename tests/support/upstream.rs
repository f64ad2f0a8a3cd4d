//! Another server, for components that send requests.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Semaphore};
use tokio_rustls::TlsAcceptor;

/// A server on a free port of the loopback address; it ends with the test's runtime.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
}

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_millis(200);
/// How many requests to `/together` are waited for.
pub const TOGETHER: usize = 10;

struct State {
    /// Requests to `/never`.
    never_started: AtomicUsize,
    /// Requests to `/never` whose client left.
    cut: AtomicUsize,
    together: Barrier,
    /// Requests to `/held`.
    held: AtomicUsize,
    /// Open once they are to be responded to.
    released: Semaphore,
    /// Requests to `/count`.
    counted: AtomicUsize,
    /// The `idempotency-key` of each POST to `/keys`, or `none`.
    keys: Mutex<Vec<String>>,
}

impl Upstream {
    /// Starts one. It answers: `/slow` after 200 ms; `/together` once [`TOGETHER`] ask for it at the same time; `/held`
    /// once they were [released](Self::release); `/never` never; `/never-started` with how many requests to `/never`
    /// there were; `/count` with how many requests to it there were; `/keys` with how many of its requests were POSTs;
    /// `/version` with the protocol; `/echo` with the request's body, its `content-type`, and its `x-encoding` as
    /// `content-encoding`; `/headers` with its headers as JSON; `/endless` with chunks as fast as they are read;
    /// `/to/URL` with a redirect; `/bomb` with a gzip that is a thousand times its size; anything else with its path.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// Starts one that speaks TLS, for `localhost`, and HTTP/2 with those who can; gives the certificate of its
    /// authority, as PEM.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start_tls() -> (Self, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der());
        let mut config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.expect("a key"))
            .expect("they belong together");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        (Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await, cert.pem())
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            never_started: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            together: Barrier::new(TOGETHER),
            held: AtomicUsize::new(0),
            released: Semaphore::new(0),
            counted: AtomicUsize::new(0),
            keys: Mutex::default(),
        });
        let of_server = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&of_server), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that leaves, or does not like the certificate, is an error here, and what some tests
                    // are about.
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(server.serve_connection(TokioIo::new(stream), service).await);
                            }
                        }
                    }
                });
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests to `/held` there were.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.held.load(Ordering::SeqCst)
    }

    /// The `idempotency-key` of each POST to `/keys` so far, or `none`.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Responds to the requests to `/held`, those that wait and those that come.
    pub fn release(&self) {
        self.state.released.close();
    }

    /// How many requests to `/never` were given up by the client.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.state.cut.load(Ordering::SeqCst)
    }
}

/// Counts a request whose client left: hyper drops what answers it.
struct CutOnDrop(Arc<State>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut.fetch_add(1, Ordering::SeqCst);
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut response = Response::new(whole(path.clone()));
    match path.as_str() {
        "/slow" => tokio::time::sleep(SLOW).await,
        "/together" => {
            state.together.wait().await;
        }
        "/held" => {
            state.held.fetch_add(1, Ordering::SeqCst);
            let _closed = state.released.acquire().await;
        }
        "/never" => {
            state.never_started.fetch_add(1, Ordering::SeqCst);
            let _counted = CutOnDrop(state);
            std::future::pending::<()>().await;
        }
        "/never-started" => {
            *response.body_mut() = whole(state.never_started.load(Ordering::SeqCst).to_string());
        }
        "/count" => *response.body_mut() = whole((state.counted.fetch_add(1, Ordering::SeqCst) + 1).to_string()),
        "/keys" => {
            let mut keys = state.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if request.method() == http::Method::POST {
                let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
                keys.push(key.unwrap_or("none").to_owned());
            }
            *response.body_mut() = whole(keys.len().to_string());
        }
        "/version" => *response.body_mut() = whole(format!("{:?}", request.version())),
        "/echo" => {
            if let Some(kind) = request.headers().get("content-type") {
                response.headers_mut().insert("content-type", kind.clone());
            }
            if let Some(coding) = request.headers().get("x-encoding") {
                response.headers_mut().insert("content-encoding", coding.clone());
            }
            *response.body_mut() = request.into_body().boxed();
        }
        "/headers" => {
            let headers: serde_json::Map<String, serde_json::Value> = request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
                .collect();
            *response.body_mut() = whole(serde_json::Value::from(headers).to_string());
        }
        "/endless" => {
            let chunk = Bytes::from(vec![b'x'; 64 << 10]);
            let chunks = futures::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            *response.body_mut() = BodyExt::boxed(StreamBody::new(chunks).map_err(no_error));
        }
        "/bomb" => {
            response.headers_mut().insert("content-encoding", http::HeaderValue::from_static("gzip"));
            *response.body_mut() = whole(gzip_of_zeros());
        }
        _ => {
            if let Some(target) = path.strip_prefix("/to/") {
                *response.status_mut() = StatusCode::FOUND;
                if let Ok(target) = target.parse() {
                    response.headers_mut().insert("location", target);
                }
            }
        }
    }
    Ok(response)
}

fn no_error(never: Infallible) -> hyper::Error {
    match never {}
}

/// A gzip file of 8 MiB of zeros, some 8 KiB long, by the system's `gzip`.
fn gzip_of_zeros() -> Vec<u8> {
    let output = std::process::Command::new("sh").args(["-c", "head -c 8388608 /dev/zero | gzip"]).output();
    output.expect("gzip is there").stdout
}
