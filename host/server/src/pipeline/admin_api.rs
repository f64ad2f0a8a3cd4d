//! The admin API, and the console of a development server, which respond in place of a component.

use crate::admin::PeerAddress;
use crate::body::Content;
use crate::browser::{self, RequestAuthority};
use crate::exchange::Exchange;
use axum::Router;
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::ServiceExt;

/// Sets the extensions of a request to its client's address and the host that it is for, and nothing else.
pub(super) fn insert_client(exchange: &Exchange, parts: &mut Parts) {
    parts.extensions.clear();
    parts.extensions.insert(PeerAddress(exchange.client_address(&parts.headers)));
    parts.extensions.insert(RequestAuthority(parts.uri.authority().cloned()));
}

/// The admin API responds, or another router.
pub(super) async fn respond(exchange: &mut Exchange, router: &Router, request: Request<Incoming>) -> Response<Content> {
    let (mut parts, body) = request.into_parts();
    insert_client(exchange, &mut parts);
    let body = exchange.receive(body);
    let request = Request::from_parts(parts, axum::body::Body::new(body));
    let response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (mut parts, body) = response.into_parts();
    browser::harden(&mut parts.headers);
    let content = match body.size_hint().exact() {
        // A complete body is sent with its length.
        Some(_) => Content::Whole(body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()),
        None => {
            let chunks = body.into_data_stream().filter_map(async |chunk| chunk.ok());
            let type_ = parts.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
            match type_ {
                // Whoever follows a log would else hold up the server's end. A backup is let through whole.
                Some(type_) if type_.starts_with(b"text/event-stream") => {
                    Content::stream(chunks.take_until(exchange.connection.server.drains()).map(Ok))
                }
                _ => Content::stream(chunks.map(Ok)),
            }
        }
    };
    Response::from_parts(parts, content)
}
