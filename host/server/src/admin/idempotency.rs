//! Idempotency keys: a POST that is repeated with the same `Idempotency-Key` gets the same response, and is executed
//! once.

use super::databases;
use super::extract::Authenticated;
use super::problem::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use elias_api::{Code, Error};
use elias_names::Digest;
use elias_platform::Platform;
use elias_store::StoredResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The header with the key (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that a response was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 128;
/// Bytes of a body that is remembered, or compared.
const BODY_BYTES_MAX: usize = 2 << 20;

/// The requests with a key that are under way: one with the same key waits, and then gets the same response.
#[derive(Clone, Default)]
pub(super) struct KeyedRequests(Arc<parking_lot::Mutex<HashMap<String, Arc<Mutex<()>>>>>);

impl KeyedRequests {
    async fn turn(&self, key: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.0.lock(); // the map is whole after every operation
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(all.entry(key).or_default())
        };
        lock.lock_owned().await
    }
}

/// Keeps the responses to POST requests that have a key. Two are not kept: those of tokens have a secret in them, and
/// those of databases the data of a component.
pub(super) async fn remember(
    State((platform, under_way)): State<(Platform, KeyedRequests)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let keyed = *request.method() == Method::POST && !path.ends_with("/tokens") && !path.ends_with(databases::QUERY);
    let Some(key) = request.headers().get(KEY).filter(|_| keyed) else { return unkeyed(request, next).await };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    let key = key.ok_or_else(|| {
        Error::new(Code::BadInput, format!("`Idempotency-Key` must have 1 to {KEY_BYTES_MAX} characters"))
    })?;
    let key = key.to_owned();
    // A client that leaves does not end what it began: it may ask for the response with the same key.
    let done = tokio::spawn(async move { once(&platform, &under_way, key, request, next).await });
    done.await.unwrap_or_else(|panic| Err(Error::new(Code::Internal, format!("the request failed: {panic}")).into()))
}

/// A change without a key: a client that leaves in its midst does not leave it half done. Uploads end with their
/// client.
async fn unkeyed(request: Request, next: Next) -> Result<Response, Problem> {
    let changes = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if !changes || request.uri().path().contains("/artifacts/") {
        return Ok(next.run(request).await);
    }
    let done = tokio::spawn(async move { next.run(request).await }).await;
    done.map_err(|panic| Error::new(Code::Internal, format!("the request failed: {panic}")).into())
}

async fn once(
    platform: &Platform,
    under_way: &KeyedRequests,
    key: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let Authenticated(session) = Authenticated::from_request_parts(&mut parts, platform).await?;
    let body = to_bytes(body, BODY_BYTES_MAX).await;
    let body =
        body.map_err(|_| Error::new(Code::TooLarge, "the body must have at most 2 MiB, and must be complete"))?;
    let told =
        format!("{} {} {}\n{}", session.principal.name, parts.method, parts.uri.path(), attributes(&parts.headers));
    let asked = Digest::of(&[told.as_bytes(), &body].concat()).to_string();
    let tenant = session.principal.tenant.clone();
    let _turn = under_way.turn(format!("{tenant} {key}")).await;
    let known = async { platform.store().read(&tenant).await?.remembered(&key, &asked).await };
    match known.await {
        Ok(Some(remembered)) => return Ok(replay(remembered)),
        Ok(None) => {}
        // A route that needs the store says so itself; a rollback does without.
        Err(error) if error.code() == Code::StoreUnavailable => {}
        Err(error) => return Err(error.into()),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    // A request that failed by the host's fault may go well the next time.
    if parts.status.as_u16() < 500
        && let Ok(text) = std::str::from_utf8(&body)
    {
        let remembered = StoredResponse { status: parts.status.as_u16(), body: text.to_owned() };
        let kept = async {
            let mut scope = platform.store().write(&tenant).await?;
            scope.remember(&key, &asked, &remembered).await?;
            scope.commit().await
        };
        // It is done: that it cannot be remembered does not undo it.
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the response to a request with an idempotency key cannot be stored");
        }
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The attributes of an event in binary mode, which are a part of what is asked for and stand in headers.
fn attributes(headers: &HeaderMap) -> String {
    let attributes = headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-"));
    let mut lines: Vec<_> = attributes.map(|(name, value)| format!("{name}: {value:?}\n")).collect();
    lines.sort_unstable(); // a client that asks again may send them in another order
    lines.concat()
}

fn replay(remembered: StoredResponse) -> Response {
    let status = StatusCode::from_u16(remembered.status).unwrap_or(StatusCode::OK);
    let mut response = (status, remembered.body).into_response();
    let media_type = if status.is_success() { "application/json" } else { "application/problem+json" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
