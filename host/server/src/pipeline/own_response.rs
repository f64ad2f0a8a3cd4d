//! Responses of the server itself, and responses to HEAD.

use crate::body::Content;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// The response to HEAD, with the length of the response to GET where that is known. hyper removes bodies in HTTP/1
/// only.
pub(super) fn without_content(response: Response<Content>) -> Response<Content> {
    let (mut parts, content) = response.into_parts();
    if let Content::Whole(page) = &content {
        parts.headers.entry(CONTENT_LENGTH).or_insert(page.len().into());
    }
    Response::from_parts(parts, Content::Empty)
}

/// Whether the server is up.
pub(super) fn health(draining: bool) -> Response<Content> {
    let (status, text) = if draining { (503, "draining\n") } else { (200, "ok\n") };
    let mut response = Response::new(Content::Whole(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The response to `OPTIONS *`, which asks the server itself.
pub(super) fn no_content() -> Response<Content> {
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
