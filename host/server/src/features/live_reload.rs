//! Live reload, in development only: pages that the component sends to a browser get a script at their end, which
//! listens for what the server serves. After an exchange it loads the page again; while the newest version cannot be
//! served it shows why.
//!
//! The events are server-sent (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): each is a JSON object
//! with `version`, the digest of what is served or null, and `problem`, why the newest is not or null.

use crate::body::{ComponentBody, Content};
use crate::source::CurrentComponent;
use crate::state::ServerState;
use bytes::Bytes;
use elias_host::Error;
use futures::stream::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

/// Path of the script.
const SCRIPT_PATH: &str = "/__elias/live.js";
/// Path of the events.
const EVENTS_PATH: &str = "/__elias/events";
const SCRIPT: &str = include_str!("live_reload.js");

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
pub(crate) fn respond(resource: LiveResource, server: &ServerState) -> Response<Content> {
    let (media_type, content) = match resource {
        LiveResource::Script => {
            ("text/javascript; charset=utf-8", Content::Whole(Bytes::from_static(SCRIPT.as_bytes())))
        }
        LiveResource::Events => ("text/event-stream", Content::stream(events(server).map(Ok))),
    };
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The stream of versions, now and after every change, until the server drains.
fn events(server: &ServerState) -> impl Stream<Item = Bytes> + Send + use<> {
    let mut changes = server.ingress.changes();
    changes.mark_changed();
    let next = |mut changes: watch::Receiver<CurrentComponent>| async move {
        changes.changed().await.ok()?;
        let event = event(&changes.borrow_and_update());
        Some((event, changes))
    };
    futures::stream::unfold(changes, next).take_until(server.drains())
}

fn event(current: &CurrentComponent) -> Bytes {
    let version = current.app.as_ref().map(|app| app.digest().to_owned());
    format!("data: {}\n\n", serde_json::json!({ "version": version, "problem": current.reason.as_deref() })).into()
}

/// Puts the script at the end of a page on its way to a browser. What is compressed, or is not a page, stays as it is.
pub(crate) fn add_script(
    request: &HeaderMap,
    response: Response<Content>,
    current: &CurrentComponent,
) -> Response<Content> {
    let text_of = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
    };
    let navigates = match text_of(request, "sec-fetch-dest").as_str() {
        "" => text_of(request, "accept").contains("text/html"),
        destination => destination == "document",
    };
    let (mut parts, content) = response.into_parts();
    let page = text_of(&parts.headers, CONTENT_TYPE.as_str()).starts_with("text/html");
    let content = match content {
        Content::Component(body) if navigates && page && !parts.headers.contains_key(CONTENT_ENCODING) => {
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.remove(ETAG);
            Content::boxed(PageWithScript { body, script: Some(script_tag(current).into()) })
        }
        other => other,
    };
    Response::from_parts(parts, content)
}

/// The end of a page, the server's own too: the script, and the version that made the page.
pub(crate) fn script_tag(current: &CurrentComponent) -> String {
    let version = current.app.as_ref().map_or("", |app| app.digest());
    format!("<script src=\"{SCRIPT_PATH}\" data-version=\"{version}\"></script>")
}

/// A component's page with the script at its end. Trailers are left out.
struct PageWithScript {
    body: ComponentBody,
    script: Option<Bytes>,
}

impl Body for PageWithScript {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            _ => Poll::Ready(self.script.take().map(|script| Ok(Frame::data(script)))),
        }
    }
}
