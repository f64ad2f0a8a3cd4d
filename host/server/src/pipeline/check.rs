//! The checks of a request's headers.

use super::websocket;
use crate::browser;
use crate::development;
use crate::exchange::Exchange;
use crate::failure::Refusal;
use crate::features::live_reload::{self, LiveResource};
use crate::features::trigger_control;
use crate::headers::{HostCache, absolute_uri, asks_for_websocket, join_cookies, strip_hop_by_hop};
use elias_host::ErrorCode;
use elias_workers::WorkerKey;
use http::{Method, Request};
use http_body::Body;

/// The source of the response to a request.
pub(super) enum Target {
    /// A component, or the admin API.
    Component,
    /// The server: whether it is up.
    Health,
    /// The server, in development.
    LiveReload(LiveResource),
    /// The server, in development: it runs a trigger by hand.
    Trigger,
    /// The server, in development: its console.
    Development,
    /// A service worker, which takes a WebSocket.
    WebSocket(WorkerKey),
    /// The server: `OPTIONS *` asks what it itself can do.
    ServerOptions,
}

/// Checks the headers of a request, changes them into those that the component gets, and decides who responds.
///
/// # Errors
/// The server does not pass the request on.
pub(super) fn target<B: Body>(
    exchange: &Exchange,
    hosts: &mut HostCache,
    request: &mut Request<B>,
) -> Result<Target, Refusal> {
    let config = exchange.config();
    if !config.health_path.is_empty() && request.uri().path() == config.health_path {
        return Ok(Target::Health);
    }
    if exchange.connection.late {
        return Err(Refusal::Draining);
    }
    if exchange.connection.over_share {
        return Err(Refusal::AddressConnections);
    }
    if config.dev
        && let Some(resource) = live_reload::requested_resource(request)
    {
        return Ok(Target::LiveReload(resource));
    }
    if request.method() == Method::CONNECT {
        return Err(Refusal::NotImplemented);
    }
    let socket_of = match asks_for_websocket(request.headers()) {
        true => websocket::worker_of(exchange, request)?,
        false => None,
    };
    let uri = request.uri();
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if authority.saturating_add(path) > config.uri_bytes as usize {
        return Err(Refusal::UriTooLong);
    }
    // hyper's own caps are coarser: the buffer's size in HTTP/1, no count in HTTP/2.
    let headers = request.headers();
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    if headers.len() > config.head_fields as usize || fields + authority + path > config.head_bytes as usize {
        return Err(Refusal::HeadersTooLarge);
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Ok(Target::ServerOptions);
    }
    let mut uri = std::mem::take(request.uri_mut());
    absolute_uri(&mut uri, request.version(), request.headers(), hosts)?;
    *request.uri_mut() = uri;
    if request.body().size_hint().lower() > config.request_bytes {
        exchange.connection.unread_body.leave(request.body().size_hint());
        return Err(Refusal::Host(ErrorCode::RequestTooLarge));
    }
    strip_hop_by_hop(request.headers_mut());
    join_cookies(request.headers_mut());
    if config.dev && trigger_control::is_requested(request) {
        return Ok(Target::Trigger);
    }
    if exchange.connection.server.development.is_some() && development::is_requested(request) {
        return Ok(Target::Development);
    }
    if !exchange.connection.server.ingress.is_admin() {
        browser::withhold_cookies(request.headers_mut());
    }
    Ok(socket_of.map_or(Target::Component, Target::WebSocket))
}
