//! The step of a request in which the only component of a server responds, or the gateway in its place.

use super::websocket::{self, Handshake};
use super::{component, event_stream, json_transform, whole_body, worker};
use crate::body::{Content, ReceivedBody};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use crate::features::assets::{self, FileStore};
use crate::features::live_reload;
use crate::features::response_transform::RouteResponseTransform;
use crate::local_gateway::LocalGateway;
use crate::source::CurrentComponent;
use elias_gateway::worker::{RequestTarget, WorkerRequest};
use elias_gateway::{Client, LocalReply, Rules};
use elias_host::{App, Caller, ExecutionHandle};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;

/// The only component responds.
///
/// # Errors
/// There is none yet, its gateway refuses the request, or it fails.
pub(super) async fn respond(
    exchange: &mut Exchange,
    current: &CurrentComponent,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let app = current.app.as_ref().ok_or(Refusal::NoComponent)?;
    let (mut parts, body) = request.into_parts();
    let handshake = Handshake::take(&mut parts);
    let client = Client { ip: exchange.client_address(&parts.headers), has_body: !body.is_end_stream() };
    let body = ReceivedBody::Arriving(exchange.receive(body));
    let called = CalledComponent { app, current, address: client.ip };
    match &current.gateway {
        None if handshake.is_some() => Err(Refusal::UpgradeNotSupported.into()),
        None => called.respond(exchange, parts, body).await,
        Some(gateway) => respond_by_rules(exchange, (gateway, client), called, handshake, parts, body).await,
    }
}

/// The component responds, or its gateway, by the rules of the request's route.
async fn respond_by_rules(
    exchange: &mut Exchange,
    (gateway, client): (&LocalGateway, Client),
    called: CalledComponent<'_>,
    handshake: Option<Handshake>,
    mut parts: Parts,
    body: ReceivedBody,
) -> Result<Response<Content>, Failure> {
    let (rules, mut admitted) = match gateway.route(&parts, client) {
        Ok(routed) => routed,
        Err(LocalReply::Response(response)) => return Ok(response.map(|()| Content::Empty)),
        Err(refused) => return Err(refused.into()),
    };
    let (asset, checks_body) = (admitted.asset.take(), admitted.checks_body);
    let (target, is_origin_allowed) = (std::mem::take(&mut admitted.target), admitted.is_origin_allowed());
    if handshake.is_some() && !matches!(target, RequestTarget::Socket(_)) {
        return Err(Refusal::UpgradeNotSupported.into());
    }
    let transform = RouteResponseTransform::new(Arc::clone(&rules), admitted);
    exchange.response_transform = Some(Box::new(transform));
    let worker = match (target, handshake) {
        (RequestTarget::Socket(target), Some(handshake)) => {
            return websocket::respond_by_local_route(exchange, (target, is_origin_allowed), parts, handshake).await;
        }
        (RequestTarget::EventStream(target), _) => {
            let workers = exchange.connection.server.ingress.workers().cloned().ok_or(Refusal::Unavailable)?;
            return event_stream::respond_locally(exchange, &workers, target, &parts).await;
        }
        (RequestTarget::Worker(request), _) => Some(request),
        (RequestTarget::Component | RequestTarget::Socket(_), _) => None,
    };
    if let Some(asset) = asset {
        return assets::respond(FileStore::Project(gateway), asset).await;
    }
    let context = RouteContext { rules: &rules, checks_body, worker };
    let Some(transform) = rules.response_transform() else {
        return context.respond(exchange, &called, parts, body).await;
    };
    transform.adapt_request(&mut parts.headers);
    let is_head = parts.method == Method::HEAD;
    let response = context.respond(exchange, &called, parts, body).await?;
    json_transform::apply(exchange, transform, response, None, is_head).await
}

/// What the rules of a route say beside a request's headers.
struct RouteContext<'a> {
    rules: &'a Rules,
    /// Whether the schema of the route is for the body.
    checks_body: bool,
    /// The service worker that responds in the component's place.
    worker: Option<WorkerRequest>,
}

impl RouteContext<'_> {
    async fn respond(
        self,
        exchange: &mut Exchange,
        called: &CalledComponent<'_>,
        parts: Parts,
        body: ReceivedBody,
    ) -> Result<Response<Content>, Failure> {
        let Self { rules, checks_body, worker } = self;
        if let Some(request) = worker {
            let workers = exchange.connection.server.ingress.workers().cloned().ok_or(Refusal::Unavailable)?;
            let bytes = worker::read_body(exchange, (rules, checks_body), &request, body).await?;
            return worker::respond_locally(&workers, request, &bytes).await;
        }
        let body = match checks_body {
            true => ReceivedBody::Whole(whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?),
            false => body,
        };
        called.respond(exchange, parts, body).await
    }
}

/// The component, as a request finds it.
struct CalledComponent<'a> {
    app: &'a App,
    current: &'a CurrentComponent,
    /// The address of the client.
    address: IpAddr,
}

impl CalledComponent<'_> {
    async fn respond(
        &self,
        exchange: &mut Exchange,
        mut parts: Parts,
        body: ReceivedBody,
    ) -> Result<Response<Content>, Failure> {
        let running = ExecutionHandle::new();
        exchange.enter(&running, None).await?;
        // In development a page reloads when another component is served.
        let reloads = exchange.config().dev.then(|| parts.headers.clone());
        parts.extensions.insert(running);
        parts.extensions.insert(Arc::new(Caller { client_address: Some(self.address), ..Caller::default() }));
        let response = component::fetch(exchange, self.app, Request::from_parts(parts, body)).await?;
        Ok(match reloads {
            Some(request) => live_reload::add_script(&request, response, self.current),
            None => response,
        })
    }
}
