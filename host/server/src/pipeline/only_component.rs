//! The step of a request in which the only component of a server responds, or the gateway in its place.

use super::{component, json_transform, whole_body};
use crate::body::{Content, ReceivedBody};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use crate::features::assets::{self, FileStore};
use crate::features::live_reload;
use crate::features::response_transform::RouteResponseTransform;
use crate::local_gateway::LocalGateway;
use crate::source::CurrentComponent;
use elias_gateway::{Client, LocalReply};
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
    parts.extensions.clear(); // hyper's own, such as the upgrade that we do not offer
    let client = Client { ip: exchange.client_address(&parts.headers), has_body: !body.is_end_stream() };
    let body = ReceivedBody::Arriving(exchange.receive(body));
    let called = CalledComponent { app, current, address: client.ip };
    match &current.gateway {
        None => called.respond(exchange, parts, body).await,
        Some(gateway) => respond_by_rules(exchange, gateway, client, called, parts, body).await,
    }
}

/// The component responds, or its gateway, by the rules of the request's route.
async fn respond_by_rules(
    exchange: &mut Exchange,
    gateway: &LocalGateway,
    client: Client,
    called: CalledComponent<'_>,
    mut parts: Parts,
    body: ReceivedBody,
) -> Result<Response<Content>, Failure> {
    let (rules, mut admitted) = match gateway.route(&parts, client) {
        Ok(routed) => routed,
        Err(LocalReply::Response(response)) => return Ok(response.map(|()| Content::Empty)),
        Err(refused) => return Err(refused.into()),
    };
    let (asset, checks_body) = (admitted.asset.take(), admitted.checks_body);
    let transform = RouteResponseTransform::new(Arc::clone(&rules), admitted);
    exchange.response_transform = Some(Box::new(transform));
    if let Some(asset) = asset {
        return assets::respond(FileStore::Project(gateway), asset).await;
    }
    let body = match checks_body {
        true => ReceivedBody::Whole(whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?),
        false => body,
    };
    let Some(transform) = rules.response_transform() else { return called.respond(exchange, parts, body).await };
    transform.adapt_request(&mut parts.headers);
    let is_head = parts.method == Method::HEAD;
    let response = called.respond(exchange, parts, body).await?;
    json_transform::apply(exchange, transform, response, None, is_head).await
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
