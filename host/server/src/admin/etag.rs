//! Responses whose ETag is a record's revision. A change compares it with `If-Match`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use serde::Serialize;

/// The record as JSON, with its revision as the ETag.
pub(super) fn with_etag(revision: u64, record: impl Serialize) -> Response {
    ([(ETAG, format!("\"{revision}\""))], Json(record)).into_response()
}
