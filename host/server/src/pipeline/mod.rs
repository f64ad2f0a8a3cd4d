//! The steps of a request, in their order. Only this file defines the order; each step is a function of another file.
//!
//! 1. The headers are checked, which says who responds ([`check`]). The request is counted for its host and address.
//! 2. The server itself, the admin API, the only component or a component of the platform responds. A service worker
//!    may take a WebSocket in the component's place. For the platform: trace context, the rules of the route, the limit
//!    of the service, the middleware of the route and the rate limits by what they set, a WebSocket or a stream of
//!    events, a static file, the body's schema, a service worker, the idempotency key, the response cache, and at last
//!    the component, with retries; its response is mirrored, buffered for its client, stored and transformed.
//! 3. A failure becomes a problem document; the route's headers and compression are added; HEAD loses its content.
//!
//! These are named steps and not layers of `tower`, since they share one [`Exchange`]. A step borrows it while it
//! waits; the future of a `tower::Service` has to own all that it works on, so each layer would box a future for each
//! request and hand the exchange on.

mod admin_api;
mod attempt;
mod check;
mod component;
mod event_stream;
mod idempotent;
mod json_transform;
mod middleware;
mod only_component;
mod own_response;
mod service;
mod websocket;
mod whole_body;
mod worker;

use crate::body::{Content, ReceivedBody};
use crate::browser;
use crate::connection::Connection;
use crate::error_page::{self, Audience};
use crate::exchange::{Exchange, ResponseBody};
use crate::failure::{Failure, Refusal};
use crate::features::assets::{self, FileStore};
use crate::features::response_cache::ResponseVariance;
use crate::features::response_transform::RouteResponseTransform;
use crate::features::{live_reload, trigger_control};
use crate::headers::HostCache;
use crate::source::{CurrentComponent, Ingress, Reader};
use attempt::Attempt;
use check::Target;
use elias_gateway::worker::RequestTarget;
use elias_gateway::{CacheRules, Client, LocalReply, MiddlewareRules, TraceContext};
use elias_host::ErrorCode;
use elias_platform::{Platform, RoutedRequest};
use futures::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use middleware::MiddlewareOutcome;
use service::RouteContext;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use websocket::{Handshake, RoutedSocket};

/// Responds to the requests of one connection.
pub(crate) struct RequestHandler {
    connection: Arc<Connection>,
    component: Reader,
    hosts: HostCache,
}

impl RequestHandler {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        let component = connection.server.ingress.reader();
        Self { connection, component, hosts: HostCache::default() }
    }

    /// Responds to one request: the three steps above.
    pub(crate) fn handle(
        &mut self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<> {
        let current = self.component.current().clone();
        let mut exchange = Exchange::begin(Arc::clone(&self.connection), &request);
        let target = match check::target(&exchange, &mut self.hosts, &mut request) {
            Ok(target @ (Target::Component | Target::WebSocket(_))) => exchange.count().map(|()| target),
            other => other,
        };
        let audience = Audience::of(exchange.config().dev, request.headers());
        let is_head = request.method() == Method::HEAD;
        async move {
            let outcome = match target {
                Ok(target) => respond(&mut exchange, target, &current, request).await,
                Err(refusal) => Err(refusal.into()),
            };
            Ok(finish(exchange, outcome, audience, &current, is_head))
        }
    }
}

/// The second step: whoever the request is for responds.
async fn respond(
    exchange: &mut Exchange,
    target: Target,
    current: &CurrentComponent,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let server = Arc::clone(&exchange.connection.server);
    match target {
        Target::Health => {
            exchange.skip_log(); // probes would drown the rest
            Ok(own_response::health(server.is_draining()))
        }
        Target::LiveReload(resource) => {
            exchange.skip_log();
            Ok(live_reload::respond(resource, &server))
        }
        Target::Trigger => {
            exchange.skip_log();
            let (mut parts, body) = request.into_parts();
            admin_api::insert_client(exchange, &mut parts);
            let request = Request::from_parts(parts, exchange.receive(body));
            Ok(trigger_control::respond(server.ingress.triggers(), request).await)
        }
        Target::Development => {
            exchange.skip_log();
            Ok(match &server.development {
                Some(development) => admin_api::respond(exchange, development.router(), request).await,
                None => own_response::no_content(),
            })
        }
        Target::ServerOptions => Ok(own_response::no_content()),
        Target::WebSocket(key) => websocket::respond(exchange, key, request).await,
        Target::Component => {
            let response = async {
                match &server.ingress {
                    Ingress::Component(_) => only_component::respond(exchange, current, request).await,
                    Ingress::Platform(platform) => platform_responds(exchange, platform, request).await,
                    Ingress::Admin(router) => Ok(admin_api::respond(exchange, router, request).await),
                }
            };
            // The panic hook has printed where and why.
            AssertUnwindSafe(response)
                .catch_unwind()
                .await
                .unwrap_or(Err(Failure::Refused(Refusal::Host(ErrorCode::Internal))))
        }
    }
}

/// A service of the platform responds, or the gateway in its place.
async fn platform_responds(
    exchange: &mut Exchange,
    platform: &Platform,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let (mut parts, body) = request.into_parts();
    let handshake = Handshake::take(&mut parts);

    // The trace goes on under a span of this host, which the component and the access log get.
    let trace = TraceContext::continued(&parts.headers, rand::random());
    trace.apply(&mut parts.headers);
    parts.extensions.insert(trace);
    exchange.note(|record| record.trace = Some(trace));

    // From here on the body has its bounds and its clock, whoever reads it or leaves it.
    let client = Client { ip: exchange.client_address(&parts.headers), has_body: !body.is_end_stream() };
    let body = ReceivedBody::Arriving(exchange.receive(body));

    // The rules of its route: rate limits, credentials, CORS, validation of the headers.
    let RoutedRequest { service, rules, mut admitted } = match platform.serving().route(&parts, client).await {
        Ok(routed) => routed,
        Err(LocalReply::Response(response)) => return Ok(response.map(|()| Content::Empty)),
        Err(refused) => return Err(refused.into()),
    };
    exchange.count_for(&service)?;
    rules.remove_reserved_headers(&mut parts);
    let (asset, identity, checks_body) = (admitted.asset.take(), admitted.identity.clone(), admitted.checks_body);
    let (key, target) = (admitted.idempotency.take(), std::mem::take(&mut admitted.target));
    let is_origin_allowed = admitted.is_origin_allowed();
    let expires = websocket::expiry(&rules, identity.as_deref());
    if handshake.is_some() && !matches!(target, RequestTarget::Socket(_)) {
        return Err(Refusal::UpgradeNotSupported.into());
    }
    let is_named = |middleware: &Arc<MiddlewareRules>| middleware.set_headers().next().is_some();
    let identified = identity.is_some() || rules.middleware().is_some_and(is_named);
    let variance =
        |rules: &Arc<CacheRules>| (Arc::clone(rules), ResponseVariance { vary: admitted.vary().to_vec(), identified });
    let caching = rules.cache().map(variance);
    let transform = RouteResponseTransform::new(Arc::clone(&rules), admitted);
    exchange.response_transform = Some(Box::new(transform));
    let (caller, identified_by) = (attempt::caller(identity.as_deref(), client.ip), identity.as_deref());
    let attempt = Attempt { platform, service: &service, caller: &caller, identity: identified_by, ip: client.ip };

    // Its middleware, each of which may respond.
    let body = match middleware::run(exchange, &attempt, &rules, &mut parts, body).await? {
        MiddlewareOutcome::Proceed(body) => body,
        MiddlewareOutcome::Respond(response) => return Ok(response),
    };
    platform.serving().limit_after_middleware(&rules, &parts.headers, client)?;

    // A service worker, which takes a WebSocket, sends a stream of events, or responds in the component's place.
    let worker = match (target, handshake) {
        (RequestTarget::Socket(target), Some(handshake)) => {
            let socket = RoutedSocket { target, is_origin_allowed, expires };
            return websocket::respond_routed(exchange, (platform, &service), socket, parts, handshake).await;
        }
        (RequestTarget::EventStream(target), _) => {
            return event_stream::respond_routed(exchange, (platform, &service), target, &parts, expires).await;
        }
        (RequestTarget::Worker(request), _) => Some(request),
        (RequestTarget::Component | RequestTarget::Socket(_), _) => None,
    };

    // A static file.
    if let Some(asset) = asset {
        platform.serving().may_send(&service).await?;
        exchange.served_by_host = Some(Arc::clone(&service));
        return assets::respond(FileStore::Platform(platform), asset).await;
    }

    // The service, and the transformation of its response.
    let (has_body, is_head) = (client.has_body, parts.method == Method::HEAD);
    let context =
        RouteContext { rules: &rules, identity: identity.as_ref(), checks_body, has_body, worker, key, caching };
    let Some(transform) = rules.response_transform() else {
        return service::respond(exchange, &attempt, context, parts, body).await;
    };
    transform.adapt_request(&mut parts.headers);
    let response = service::respond(exchange, &attempt, context, parts, body).await?;
    json_transform::apply(exchange, transform, response, Some(service.tenant()), is_head).await
}

/// The third step: every response gets what it needs on its way to the client.
fn finish(
    mut exchange: Exchange,
    outcome: Result<Response<Content>, Failure>,
    audience: Audience,
    current: &CurrentComponent,
    is_head: bool,
) -> Response<ResponseBody> {
    let mut response = outcome.unwrap_or_else(|failure| {
        exchange.note_failure(&failure);
        error_page::render(&failure, audience, current)
    });
    if let Some(transform) = exchange.response_transform.take() {
        response = transform.apply(response);
    }
    if !exchange.connection.server.ingress.is_admin() {
        browser::withhold_set_cookies(response.headers_mut());
    }
    if is_head {
        response = own_response::without_content(response);
    }
    let connection = &exchange.connection;
    if connection.over_share && exchange.is_http2() {
        connection.drain();
    }
    if (connection.late || connection.over_share || connection.closes()) && !exchange.is_http2() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    ResponseBody::respond(exchange, response)
}
