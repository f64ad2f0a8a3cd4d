//! The step of a request by which a service worker takes a WebSocket (RFC 6455, 4.2): the handshake. The worker has its
//! turn for it first, so that a client which it refuses gets a response of HTTP.

use crate::body::Content;
use crate::connection::{AcceptedSocket, CountSent};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use crate::source::Ingress;
use elias_api::Code;
use elias_gateway::worker::{SocketHandshake, SocketTarget};
use elias_gateway::{Identity, Rules};
use elias_host::{ErrorCode, SocketKind, SocketRequest};
use elias_local_workers::{CallError, CallErrorCode, Cause, RunningWorkers, SocketConnection};
use elias_platform::{ANSWER_WAIT, NotAdmitted, Platform, Service};
use elias_workers::WorkerKey;
use http::header::{
    HeaderName, ORIGIN, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout};
use yawc::{HttpWebSocket, Options};

/// Where the workers of a single project take sockets, beside its routes: `/workers/{class}/{name}`.
const PATH: &str = "/workers/";

/// Bytes of a message below which it is not worth its compression.
const COMPRESSED_BYTES_MIN: usize = 128;

/// Fields that concern the connection alone.
const OF_HANDSHAKE: [HeaderName; 4] =
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL];

/// The worker that a request for a WebSocket is for; none where routes say it.
///
/// # Errors
/// No workers take sockets here; or the request is no handshake.
pub(super) fn worker_of<B>(exchange: &Exchange, request: &mut Request<B>) -> Result<Option<WorkerKey>, Refusal> {
    match &exchange.connection.server.ingress {
        Ingress::Component(_) if exchange.connection.server.ingress.workers().is_some() => {}
        Ingress::Component(_) | Ingress::Admin(_) => return Err(Refusal::UpgradeNotSupported),
        Ingress::Platform(_) => {
            request.extensions_mut().insert(SocketHandshake);
            return Ok(None);
        }
    }
    let Some(rest) = request.uri().path().strip_prefix(PATH) else {
        request.extensions_mut().insert(SocketHandshake);
        return Ok(None);
    };
    let (class, name) = rest.split_once('/').ok_or(Refusal::SocketNotFound)?;
    let decode =
        |text| percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| Refusal::SocketNotFound);
    let key = WorkerKey::new(decode(class)?, decode(name)?);
    if name.contains('/') || key.problem().is_some() {
        return Err(Refusal::SocketNotFound);
    }
    check_handshake(request.method(), request.version(), request.headers())?;
    Ok(Some(key))
}

/// Checks the fields of the handshake.
fn check_handshake(method: &Method, version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    // HTTP/2 has another handshake (RFC 8441), which is not offered.
    if *method != Method::GET || version != Version::HTTP_11 || !headers.contains_key(SEC_WEBSOCKET_KEY) {
        return Err(Refusal::SocketHandshake);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::SocketVersion);
    }
    Ok(())
}

/// Opens a socket of a worker, and has the connection go on as a WebSocket.
///
/// # Errors
/// The page that asks is of another origin; or the worker refuses the socket.
pub(super) async fn respond(
    exchange: &mut Exchange,
    key: WorkerKey,
    mut request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Refusal::SocketHandshake)?;
    let (parts, _) = request.into_parts();
    open_locally(exchange, key, false, parts, upgrade).await
}

/// Opens a socket of a worker of a server without a platform, to which its route leads, likewise. `is_allowed`: whether
/// the route allows the origin of the request.
///
/// # Errors
/// As of [`respond`]; and the request is no handshake.
pub(super) async fn respond_by_local_route(
    exchange: &mut Exchange,
    (target, is_allowed): (SocketTarget, bool),
    parts: Parts,
    Handshake(upgrade): Handshake,
) -> Result<Response<Content>, Failure> {
    let upgrade = upgrade.ok_or(Refusal::SocketHandshake)?;
    check_handshake(&parts.method, parts.version, &parts.headers)?;
    open_locally(exchange, WorkerKey::new(target.class, target.name), is_allowed, parts, upgrade).await
}

async fn open_locally(
    exchange: &mut Exchange,
    key: WorkerKey,
    is_allowed: bool,
    parts: Parts,
    upgrade: OnUpgrade,
) -> Result<Response<Content>, Failure> {
    let workers = exchange.connection.server.ingress.workers().cloned().ok_or(Refusal::UpgradeNotSupported)?;
    if !is_allowed && !is_origin_allowed(&parts, exchange.config().dev) {
        return Err(Refusal::SocketOrigin.into());
    }
    let protocol = agreed_protocol(&parts.headers);
    let request = socket_request(&parts, protocol.as_ref(), SocketKind::WebSocket);
    let worker = open_socket(&workers, key, request).await?;
    let accepted = AcceptedConnection { worker, count_sent: None, expires: None };
    accept(exchange, parts, upgrade, protocol, accepted)
}

/// Opens a socket of a worker of a server without a platform.
///
/// # Errors
/// The worker refuses the socket, or cannot take it, or has not taken it within [`ANSWER_WAIT`].
pub(super) async fn open_socket(
    workers: &RunningWorkers,
    key: WorkerKey,
    request: SocketRequest,
) -> Result<SocketConnection, Refusal> {
    opened(workers.open_socket(key, request, Cause::default()), ANSWER_WAIT).await
}

/// The socket that a worker opens, if it does so within this time.
async fn opened<S>(opening: impl Future<Output = Result<S, CallError>>, wait: Duration) -> Result<S, Refusal> {
    match timeout(wait, opening).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => {
            tracing::debug!("a socket is refused: {}", error.message);
            Err(refusal(error.code))
        }
        Err(_) => {
            tracing::debug!("a socket is refused: onOpen has not ended within {} s", wait.as_secs());
            Err(Refusal::SocketUnavailable)
        }
    }
}

/// What a request that asks for a WebSocket, and is led by routes, has of its connection.
pub(super) struct Handshake(Option<OnUpgrade>);

impl Handshake {
    /// Takes it out of a request, of which nothing of the server's own is left but the mark for the rules of its route.
    pub(super) fn take(parts: &mut Parts) -> Option<Self> {
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let mark = parts.extensions.remove::<SocketHandshake>();
        parts.extensions.clear();
        parts.extensions.insert(mark?);
        Some(Self(upgrade))
    }
}

/// A socket as the route of a platform leads to it.
pub(super) struct RoutedSocket {
    pub(super) target: SocketTarget,
    /// Whether the route allows the origin of the request.
    pub(super) is_origin_allowed: bool,
    /// When the caller's credentials expire.
    pub(super) expires: Option<Instant>,
}

/// When the credentials of a caller expire, by the clock of connections; none if they do not, or much later than any
/// connection lasts.
pub(super) fn expiry(rules: &Rules, identity: Option<&Identity>) -> Option<Instant> {
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(rules.expires_at(identity?)?))?;
    Instant::now().checked_add(expires.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Opens a socket of a worker of a platform's service, to which its route leads, likewise.
///
/// # Errors
/// As of [`respond`]; and the request is no handshake.
pub(super) async fn respond_routed(
    exchange: &mut Exchange,
    (platform, service): (&Platform, &Arc<Service>),
    RoutedSocket { target, is_origin_allowed: is_allowed, expires }: RoutedSocket,
    parts: Parts,
    Handshake(upgrade): Handshake,
) -> Result<Response<Content>, Failure> {
    let upgrade = upgrade.ok_or(Refusal::SocketHandshake)?;
    check_handshake(&parts.method, parts.version, &parts.headers)?;
    if !is_allowed && !is_origin_allowed(&parts, false) {
        return Err(Refusal::SocketOrigin.into());
    }
    let protocol = agreed_protocol(&parts.headers);
    let traceparent = parts.headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = socket_request(&parts, protocol.as_ref(), SocketKind::WebSocket);
    let opened = platform.open_worker_socket(service, target, request, traceparent);
    let worker = opened.await.map_err(failure)?;
    exchange.served_by_host = Some(Arc::clone(service));
    let (platform, service) = (platform.clone(), Arc::clone(service));
    let count_sent: CountSent = Box::new(move |bytes| {
        platform.serving().book_sent(&service, bytes);
        platform.serving().sent(&service, bytes);
    });
    let accepted = AcceptedConnection { worker, count_sent: Some(count_sent), expires };
    accept(exchange, parts, upgrade, protocol, accepted)
}

/// The worker's end of a socket, and what the connection needs of whoever opened it.
struct AcceptedConnection {
    worker: SocketConnection,
    count_sent: Option<CountSent>,
    expires: Option<Instant>,
}

/// Accepts the handshake, after which the connection goes on as a WebSocket.
fn accept(
    exchange: &Exchange,
    parts: Parts,
    upgrade: OnUpgrade,
    protocol: Option<HeaderValue>,
    AcceptedConnection { worker, count_sent, expires }: AcceptedConnection,
) -> Result<Response<Content>, Failure> {
    let mut request = Request::from_parts(parts, ());
    request.extensions_mut().insert(upgrade);
    let options = options(&worker).with_deflate_pool(exchange.connection.server.deflate_pool.clone());
    let (response, upgrade) =
        HttpWebSocket::upgrade_with_options(&mut request, options).map_err(|_| Refusal::SocketHandshake)?;
    exchange.connection.upgrade(AcceptedSocket { upgrade, worker, count_sent, expires });
    let mut response = response.map(|_| Content::Empty);
    if let Some(protocol) = protocol {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// How the client's messages are read.
fn options(worker: &SocketConnection) -> Options {
    // Both bounds are the first number of bytes that is too large.
    let bytes = worker.limits().message_bytes + 1;
    Options::default()
        .with_limits(bytes, bytes)
        .with_low_latency_compression()
        .with_compression_threshold(COMPRESSED_BYTES_MIN)
}

/// Why there is no socket.
fn refusal(code: CallErrorCode) -> Refusal {
    match code {
        CallErrorCode::Exception => Refusal::SocketRefused,
        CallErrorCode::NotFound | CallErrorCode::Invalid => Refusal::SocketNotFound,
        CallErrorCode::MailboxFull | CallErrorCode::QuotaExceeded => Refusal::SocketLimit,
        CallErrorCode::TooLarge => Refusal::Host(ErrorCode::RequestTooLarge),
        CallErrorCode::Failed | CallErrorCode::Unavailable => Refusal::SocketUnavailable,
    }
}

/// Why there is no socket on a platform, as the client is told it.
pub(super) fn failure(refused: NotAdmitted) -> Failure {
    let refusal = match refused.error.code() {
        Code::WorkerException => Refusal::SocketRefused,
        // Or another version of the component serves than the one whose routes these are.
        Code::NotFound | Code::BadInput => Refusal::SocketNotFound,
        Code::MailboxFull => Refusal::SocketLimit,
        Code::WorkerFailed | Code::WorkersUnavailable | Code::AnswerTimeout => Refusal::SocketUnavailable,
        _ => return refused.into(),
    };
    tracing::debug!(error = %refused.error, "a WebSocket is refused");
    refusal.into()
}

/// Whether the page that asks may have the socket, as browsers say whose it is: that of this host, and in development
/// one of this machine. Cookies go with a WebSocket to another origin, and no preflight is asked before.
fn is_origin_allowed(parts: &Parts, dev: bool) -> bool {
    let mut origins = parts.headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    if origins.next().is_some() {
        return false;
    }
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let Some(origin) = origin else { return false };
    if parts.uri.authority().is_some_and(|authority| authority.as_str() == origin) {
        return true;
    }
    let host = origin.parse::<Authority>().ok();
    dev && host.is_some_and(|origin| matches!(origin.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// The subprotocol: the first that the client offers. A browser ends a connection for which it offered some and got
/// none; a worker that does not speak it throws in `onOpen`.
fn agreed_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').map(str::trim).find(|protocol| !protocol.is_empty())?;
    HeaderValue::from_str(first).ok()
}

/// The request, as the worker gets it.
pub(super) fn socket_request(parts: &Parts, protocol: Option<&HeaderValue>, kind: SocketKind) -> SocketRequest {
    // Bytes beyond ASCII are characters of the same number, as in `fetch` (isomorphic decode).
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
    let headers = parts.headers.iter().filter(|(name, _)| !OF_HANDSHAKE.contains(name));
    SocketRequest {
        url: parts.uri.to_string(),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        protocol: protocol.map(text).unwrap_or_default(),
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_handshake_is_that_of_rfc_6455() {
        let valid = [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13")];
        let check = |method, version, fields: &[_]| check_handshake(&method, version, &headers(fields));
        assert_eq!(check(Method::GET, Version::HTTP_11, &valid), Ok(()));
        assert_eq!(check(Method::POST, Version::HTTP_11, &valid), Err(Refusal::SocketHandshake));
        assert_eq!(check(Method::GET, Version::HTTP_10, &valid), Err(Refusal::SocketHandshake));
        assert_eq!(check(Method::GET, Version::HTTP_11, &valid[1..]), Err(Refusal::SocketHandshake));
        assert_eq!(check(Method::GET, Version::HTTP_11, &valid[..1]), Err(Refusal::SocketVersion));
        let old = [valid[0], ("sec-websocket-version", "8")];
        assert_eq!(check(Method::GET, Version::HTTP_11, &old), Err(Refusal::SocketVersion));
    }

    #[test]
    fn pages_of_other_origins_get_no_socket() {
        let request = |origins: &mut dyn Iterator<Item = &'static str>| {
            let mut request = Request::get("http://shop.test:8787/");
            for origin in origins {
                request = request.header(ORIGIN, origin);
            }
            request.body(()).expect("a request").into_parts().0
        };
        for (origin, in_production, in_development) in [
            (None, true, true),
            (Some("http://shop.test:8787"), true, true),
            (Some("https://shop.test:8787"), true, true),
            (Some("http://shop.test"), false, false),
            (Some("http://other.test:8787"), false, false),
            (Some("null"), false, false),
            (Some("http://localhost:5173"), false, true),
            (Some("http://127.0.0.1:5173"), false, true),
            (Some("http://localhost.evil.test"), false, false),
        ] {
            let parts = request(&mut origin.into_iter());
            let allowed = [false, true].map(|dev| is_origin_allowed(&parts, dev));
            assert_eq!(allowed, [in_production, in_development], "{origin:?}");
        }
        assert!(!is_origin_allowed(&request(&mut ["http://shop.test:8787", "http://other.test"].into_iter()), true));
    }

    #[test]
    fn the_first_subprotocol_that_is_offered_is_agreed_on() {
        let agreed = |offered| agreed_protocol(&headers(&[("sec-websocket-protocol", offered)]));
        assert_eq!(agreed("chat.2, chat.1"), Some(HeaderValue::from_static("chat.2")));
        assert_eq!(agreed(" ,"), None);
        assert_eq!(agreed_protocol(&HeaderMap::new()), None);
    }

    #[test]
    fn a_worker_gets_the_request_without_the_handshake() {
        let request = Request::get("http://shop.test/workers/Room/a?name=ada")
            .header("cookie", "a=b")
            .header("x-name", HeaderValue::from_bytes(b"\xe9").expect("a value"))
            .header("sec-websocket-key", "x")
            .header("sec-websocket-protocol", "chat")
            .body(())
            .expect("a request");
        let request =
            socket_request(&request.into_parts().0, Some(&HeaderValue::from_static("chat")), SocketKind::WebSocket);
        assert_eq!(request.url, "http://shop.test/workers/Room/a?name=ada");
        let headers = [("cookie", "a=b"), ("x-name", "\u{e9}")];
        assert_eq!(request.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(request.protocol, "chat");
    }

    #[test]
    fn the_worker_says_why_there_is_no_socket() {
        for (code, refused) in [
            (CallErrorCode::Exception, Refusal::SocketRefused),
            (CallErrorCode::NotFound, Refusal::SocketNotFound),
            (CallErrorCode::MailboxFull, Refusal::SocketLimit),
            (CallErrorCode::Unavailable, Refusal::SocketUnavailable),
        ] {
            assert_eq!(refusal(code), refused);
        }
    }

    #[tokio::test]
    async fn a_worker_that_does_not_open_a_socket_in_time_has_none() {
        let waits = std::future::pending::<Result<(), CallError>>();
        assert_eq!(opened(waits, Duration::ZERO).await, Err(Refusal::SocketUnavailable));
        assert_eq!(opened(std::future::ready(Ok(1)), ANSWER_WAIT).await, Ok(1));
    }
}
