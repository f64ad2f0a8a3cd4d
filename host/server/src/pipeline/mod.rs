//! The steps of a request, in their order. This file is the one place that says it; each step is a function elsewhere.
//!
//! 1. The headers are checked, which says who responds ([`check`]). The request is counted for its host and address.
//! 2. The server itself, a service worker that takes a WebSocket, the admin API, the only component or a component of
//!    the platform responds. For the platform:
//!    trace context, the rules of the route, the limit of the service, a static file, the body's schema, the
//!    idempotency key, the response cache, and at last the component, with retries; its response is mirrored, buffered
//!    for its client and stored.
//! 3. A failure becomes a problem document; the route's headers and compression are added; HEAD loses its content.
//!
//! These are named steps and not layers of `tower`, since they share one [`Exchange`]. A step borrows it while it
//! waits; the future of a `tower::Service` has to own all that it works on, so each layer would box a future for each
//! request and hand the exchange on.

mod admin_api;
mod attempt;
mod check;
mod component;
mod idempotent;
mod own_response;
mod websocket;
mod whole_body;

use crate::body::Content;
use crate::connection::Connection;
use crate::error_page::{self, Audience};
use crate::exchange::{Exchange, ResponseBody};
use crate::failure::{Failure, Refusal};
use crate::features::response_cache::{self, CacheLookup, ResponseVariance, RevalidationContext};
use crate::features::response_transform::RouteResponseTransform;
use crate::features::{assets, live_reload, trigger_control};
use crate::headers::HostCache;
use crate::source::{CurrentComponent, Ingress, Reader};
use attempt::{Attempt, is_idempotent};
use bytes::Bytes;
use check::Target;
use elias_gateway::{Client, LocalReply, TraceContext};
use elias_host::{Caller, ErrorCode, ExecutionHandle};
use elias_platform::{Platform, RequestGuard, RoutedRequest};
use futures::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use idempotent::ExecutionContext;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

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
            let (parts, body) = request.into_parts();
            let request = Request::from_parts(parts, exchange.receive(body));
            Ok(trigger_control::respond(server.ingress.triggers(), request).await)
        }
        Target::ServerOptions => Ok(own_response::no_content()),
        Target::WebSocket(key) => websocket::respond(exchange, key, request).await,
        Target::Component => {
            let response = async {
                match &server.ingress {
                    Ingress::Component(_) => component_responds(exchange, current, request).await,
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

/// The only component of a server responds.
async fn component_responds(
    exchange: &mut Exchange,
    current: &CurrentComponent,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let app = current.app.as_ref().ok_or(Refusal::NoComponent)?;
    let running = ExecutionHandle::new();
    exchange.enter(&running, None).await?;
    // In development a page reloads when another component is served.
    let reloads = exchange.config().dev.then(|| request.headers().clone());
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear(); // hyper's own, such as the upgrade that we do not offer
    let client_address = Some(exchange.client_address(&parts.headers));
    parts.extensions.insert(running);
    parts.extensions.insert(Arc::new(Caller { client_address, ..Caller::default() }));
    let body = exchange.receive(body);
    let response = component::fetch(exchange, app, Request::from_parts(parts, body)).await?;
    Ok(match reloads {
        Some(request) => live_reload::add_script(&request, response, current),
        None => response,
    })
}

/// A service of the platform responds, or the gateway in its place.
async fn platform_responds(
    exchange: &mut Exchange,
    platform: &Platform,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear(); // hyper's own, such as the upgrade that we do not offer

    // The trace goes on under a span of this host, which the component and the access log get.
    let trace = TraceContext::continued(&parts.headers, rand::random());
    trace.apply(&mut parts.headers);
    exchange.note(|record| record.trace = Some(trace));

    // From here on the body has its bounds and its clock, whoever reads it or leaves it.
    let client = Client { ip: exchange.client_address(&parts.headers), has_body: !body.is_end_stream() };
    let body = exchange.receive(body);

    // The rules of its route: rate limits, credentials, CORS, validation of the headers.
    let RoutedRequest { service, rules, mut admitted } = match platform.serving().route(&parts, client).await {
        Ok(routed) => routed,
        Err(LocalReply::Response(response)) => return Ok(response.map(|()| Content::Empty)),
        Err(refused) => return Err(refused.into()),
    };
    exchange.count_for(&service)?;
    let (asset, identity, checks_body) = (admitted.asset.take(), admitted.identity.clone(), admitted.checks_body);
    let key = admitted.idempotency.take();
    let identified = identity.is_some();
    let caching = rules.cache().map(|rules| (rules, ResponseVariance { vary: admitted.vary().to_vec(), identified }));
    let transform = RouteResponseTransform::new(Arc::clone(&rules), admitted);
    exchange.response_transform = Some(Box::new(transform));

    // A static file.
    if let Some(asset) = asset {
        platform.serving().may_send(&service).await?;
        exchange.served_by_host = Some(service);
        return assets::respond(platform, asset).await;
    }

    // The component once for each idempotency key, which belongs to one body.
    let caller = attempt::caller(identity.as_deref(), client.ip);
    if let Some(key) = key {
        let bytes = match checks_body {
            true => whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?,
            false => whole_body::read_keyed(exchange, body).await?,
        };
        let context = ExecutionContext { platform: platform.clone(), service, identity, caller, ip: client.ip };
        return idempotent::respond(exchange, context, key, parts, bytes).await;
    }

    // The component, where the request has a body or may not be repeated.
    let identified_by = identity.as_deref();
    let attempt = Attempt { platform, service: &service, caller: &caller, identity: identified_by, ip: client.ip };
    if checks_body {
        let bytes = whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?;
        return attempt.execute(exchange, Request::from_parts(parts, Full::new(bytes))).await;
    }
    if client.has_body || !is_idempotent(&parts.method) {
        return attempt.execute(exchange, Request::from_parts(parts, body)).await;
    }
    drop(body); // it is empty

    // The response cache.
    let only_if_cached = caching.as_ref().is_some_and(|(rules, _)| rules.is_only_if_cached(&parts));
    let CacheLookup { response: cached, writer } = match caching {
        Some((rules, variance)) => response_cache::look_up(platform, &service, rules, &parts, variance).await,
        None => CacheLookup::default(),
    };
    if let Some(response) = cached {
        platform.serving().may_send(&service).await?;
        if let Some(writer) = writer {
            let (platform, service, identity) = (platform.clone(), Arc::clone(&service), identity.clone());
            let context = RevalidationContext { platform, service, identity, caller: caller.clone(), ip: client.ip };
            let server = Arc::clone(&exchange.connection.server);
            let revalidation = response_cache::revalidate(server, context, writer);
            exchange.connection.server.spawn_in_background(revalidation);
        }
        exchange.served_by_host = Some(service);
        return Ok(response);
    }
    if only_if_cached {
        return Err(elias_gateway::Refusal::new(elias_gateway::Code::NotCached).into());
    }

    // The component, with retries; its response is stored where it may be.
    let response = attempt.execute_with_retries(exchange, parts, Empty::<Bytes>::new()).await?;
    let release = exchange.guard().map(RequestGuard::release);
    Ok(match writer {
        Some(writer) => writer.store(release, response),
        None => response,
    })
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
