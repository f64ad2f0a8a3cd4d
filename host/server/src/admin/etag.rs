//! Responses that have a record's revision as their ETag, which `If-Match` of a change is compared with.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Serialize;

/// The record as JSON, with its revision as the ETag.
pub(super) fn with_etag(revision: u64, record: impl Serialize) -> Response {
    ([(ETAG, format!("\"{revision}\""))], Json(record)).into_response()
}
