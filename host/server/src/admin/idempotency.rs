//! A request that comes again with the same `Idempotency-Key` gets the same answer, and is done once.

use super::extract::Asking;
use super::problem::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use elias_platform::name::Digest;
use elias_platform::store::Remembered;
use elias_platform::{Code, Error, Platform};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};

/// The header with the key (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 128;
/// Bytes of a body that is remembered, or compared.
const BODY_BYTES_MAX: usize = 2 << 20;

/// Keeps the answers to POST requests that have a key. Those of tokens are not: they have a secret in them.
pub(super) async fn remember(
    State(platform): State<Platform>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let keyed = *request.method() == Method::POST && !request.uri().path().ends_with("/tokens");
    let Some(key) = request.headers().get(KEY).filter(|_| keyed) else { return Ok(next.run(request).await) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    let key = key
        .ok_or_else(|| Error::new(Code::BadInput, format!("Idempotency-Key: 1 to {KEY_BYTES_MAX} characters")))?
        .to_owned();
    let (mut parts, body) = request.into_parts();
    let Asking(session) = Asking::from_request_parts(&mut parts, &platform).await?;
    let body = to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Error::new(Code::TooLarge, "the body has more than 2 MiB, or broke off"))?;
    let told = format!("{} {} {}\n", session.principal.name, parts.method, parts.uri.path());
    let asked = Digest::of(&[told.as_bytes(), &body].concat()).to_string();
    let tenant = session.principal.tenant.clone();
    if let Some(answer) = platform.store().read(&tenant).await?.remembered(&key, &asked).await? {
        return Ok(replay(answer));
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    // What failed by the host's fault may go well the next time.
    if parts.status.as_u16() < 500
        && let Ok(text) = std::str::from_utf8(&body)
    {
        let mut scope = platform.store().write(&tenant).await?;
        let answer = Remembered { status: parts.status.as_u16(), body: text.to_owned() };
        scope.remember(&key, &asked, &answer).await?;
        scope.commit().await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(answer: Remembered) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let media_type = if status.is_success() { "application/json" } else { "application/problem+json" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
