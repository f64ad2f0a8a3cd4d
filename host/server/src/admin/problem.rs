//! Error responses of the admin API: problem documents (RFC 9457).

use super::security::RefusalCode;
use axum::Json;
use axum::response::{IntoResponse, Response};
use elias_api::{Code, Error};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// The media type of a [`ProblemDocument`].
pub(super) const PROBLEM: &str = "application/problem+json";

/// The description of the error response of an operation in the OpenAPI document, such as
/// `refused!(404 "not-found", 412 "stale")`.
///
/// The response stands under `default`, not under each status: the codes that all operations share have statuses too,
/// and would make every list ten responses longer.
macro_rules! refused {
    () => {
        "The request was refused with one of the common codes (see the description of this API)."
    };
    ($($status:literal $code:literal),+ $(,)?) => {
        concat!(
            "The request was refused: ",
            $("`", $code, "` (", $status, "), ",)+
            "or one of the common codes (see the description of this API)."
        )
    };
}
pub(super) use refused;

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Error);

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ProblemDocument {
    /// The problem type: `urn:elias:error:CODE`.
    r#type: String,
    /// The title of the error code, for people.
    title: String,
    /// The HTTP status code of the response.
    status: u16,
    /// The error code, such as `not-found`. It is stable across releases.
    code: String,
    /// The explanation of this error, and how to correct it.
    detail: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<elias_store::Error> for Problem {
    fn from(error: elias_store::Error) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.0.code();
        // Messages of the store or the disk are for the operator.
        let internal = matches!(code, Code::Internal | Code::StoreUnavailable | Code::StorageFailed);
        if internal {
            tracing::warn!(%code, error = %self.0, "a request to the admin API failed");
        }
        let document = ProblemDocument {
            r#type: format!("urn:elias:error:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.to_string(),
            detail: if internal { code.title().to_owned() } else { self.0.to_string() },
        };
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(document)).into_response();
        response.extensions_mut().insert(RefusalCode(code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if matches!(code, Code::RateLimited) || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if matches!(code, Code::Unauthenticated | Code::TokenExpired) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
