//! Live reload, in development only: pages that the component sends to a browser get a script at their end, which listens for
//! what the server serves. After an exchange it loads the page again; while the newest version cannot be served it shows why.
//!
//! The events are server-sent (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): each is a JSON object with
//! `version`, the digest of what is served or null, and `problem`, why the newest is not or null.

use crate::response_body::Content;
use crate::server::Inner;
use crate::source::Current;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::sync::watch;

/// Path of the script.
const SCRIPT_PATH: &str = "/__elias/live.js";
/// Path of the events.
const EVENTS_PATH: &str = "/__elias/events";
const SCRIPT: &str = include_str!("live.js");

/// A resource of live reload, which the server itself serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveResource {
    Script,
    Events,
}

/// The resource of live reload that a request is for, if any.
pub(crate) fn requested_resource<B>(request: &Request<B>) -> Option<LiveResource> {
    match request.uri().path() {
        _ if request.method() != Method::GET => None,
        SCRIPT_PATH => Some(LiveResource::Script),
        EVENTS_PATH => Some(LiveResource::Events),
        _ => None,
    }
}

/// The response with a resource of live reload.
pub(crate) fn respond(resource: LiveResource, server: &Inner) -> Response<Content> {
    let (media_type, content) = match resource {
        LiveResource::Script => {
            ("text/javascript; charset=utf-8", Content::Page(Bytes::from_static(SCRIPT.as_bytes())))
        }
        LiveResource::Events => ("text/event-stream", Content::Events(events(server))),
    };
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is served, now and after every change, until the server drains.
fn events(server: &Inner) -> BoxStream<'static, Bytes> {
    let mut changes = server.ingress.changes();
    changes.mark_changed();
    let next = |mut changes: watch::Receiver<Current>| async move {
        changes.changed().await.ok()?;
        let event = event(&changes.borrow_and_update());
        Some((event, changes))
    };
    futures::stream::unfold(changes, next).take_until(server.drains()).boxed()
}

fn event(current: &Current) -> Bytes {
    let version = current.app.as_ref().map(|app| app.digest().to_owned());
    format!("data: {}\n\n", serde_json::json!({ "version": version, "problem": current.reason.as_deref() })).into()
}

/// Puts the script at the end of a page on its way to a browser. What is compressed, or is not a page, stays as it is.
pub(crate) fn follow_page(
    request: &HeaderMap,
    headers: &mut HeaderMap,
    content: Content,
    current: &Current,
) -> Content {
    let text_of = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
    };
    let navigates = match text_of(request, "sec-fetch-dest").as_str() {
        "" => text_of(request, "accept").contains("text/html"),
        destination => destination == "document",
    };
    let page = text_of(headers, CONTENT_TYPE.as_str()).starts_with("text/html");
    match content {
        Content::Guest(body) if navigates && page && !headers.contains_key(CONTENT_ENCODING) => {
            headers.remove(CONTENT_LENGTH);
            headers.remove(ETAG);
            Content::GuestPage { body, end: Some(tag(current).into()) }
        }
        other => other,
    }
}

/// What a page ends with, the server's own too: the script, and the version that made the page.
pub(crate) fn tag(current: &Current) -> String {
    let version = current.app.as_ref().map_or("", |app| app.digest());
    format!("<script src=\"{SCRIPT_PATH}\" data-version=\"{version}\"></script>")
}
