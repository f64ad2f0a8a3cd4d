//! Extractors of the admin API, with refusals that are problem documents.

use super::problem::Problem;
use super::security::SessionSlot;
use crate::browser::{self, SESSION_COOKIE};
use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use elias_api::{Code, Error};
use elias_names::TenantId;
use elias_platform::{Platform, Session};
use elias_store::PAGE_ROWS_MAX;
use elias_triggers::event::{self, Event};
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;

/// The address of the client, in a request's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) IpAddr);

/// The session of the request's bearer token, or without one of the browser's cookie.
pub(crate) struct Authenticated(pub(crate) Session);

impl FromRequestParts<Platform> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self, Problem> {
        // A middleware may have authenticated the request already.
        if let Some(session) = parts.extensions.get::<Session>() {
            return Ok(Self(session.clone()));
        }
        let needed = || {
            Error::new(
                Code::Unauthenticated,
                "send a token: `Authorization: Bearer elias_...` (elias login, elias tokens create)",
            )
        };
        let address = client_address(parts);
        let mut values = parts.headers.get_all(AUTHORIZATION).iter();
        let session = match (values.next(), values.next()) {
            (Some(value), None) => {
                let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
                platform.authenticate(token.ok_or_else(needed)?.trim(), address).await?
            }
            (Some(_), Some(_)) => return Err(needed().into()),
            (None, _) => {
                let cookie = browser::cookie(&parts.headers, SESSION_COOKIE).ok_or_else(needed)?;
                browser::check_origin(parts, platform)?;
                platform.authenticate_session(cookie, address).await?
            }
        };
        if let Some(slot) = parts.extensions.get::<SessionSlot>() {
            slot.fill(&session);
        }
        parts.extensions.insert(session.clone());
        Ok(Self(session))
    }
}

/// The address of a request's client, for the audit trail.
pub(crate) fn client_address(parts: &Parts) -> String {
    parts.extensions.get::<PeerAddress>().map_or_else(|| "unknown".to_owned(), |peer| peer.0.to_string())
}

/// The parameters of the path.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|error: PathRejection| bad_input(&error.body_text()))
    }
}

/// The parameters of the query.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error: QueryRejection| bad_input(&error.body_text()))
    }
}

/// The body.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read_body(request, state).await?;
        // serde would take an array for an object with its members in order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(bad_input("the body must be a JSON object"));
        }
        Json::from_bytes(&bytes)
            .map(|Json(json)| Self(json))
            .map_err(|error: JsonRejection| bad_input(&error.body_text()))
    }
}

/// The header of an event in binary mode that says so.
const SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");

/// The events of the body, by the HTTP protocol binding of CloudEvents 1.0.
pub(crate) struct ApiEvents(pub(crate) Vec<Event>);

impl<S: Send + Sync> FromRequest<S> for ApiEvents {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut headers = request.headers().clone();
        let bytes = read_body(request, state).await?;
        // Many senders say JSON and no more: without attributes in headers, the body is in the JSON format.
        if !headers.contains_key(SPEC_VERSION) && headers.get(CONTENT_TYPE).is_some_and(is_json) {
            let is_batch = bytes.trim_ascii_start().first() == Some(&b'[');
            let media_type = if is_batch { event::BATCH_CONTENT_TYPE } else { event::CONTENT_TYPE };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        event::read_http(&headers, &bytes).map(Self).map_err(|error| bad_input(&error.to_string()))
    }
}

fn is_json(media_type: &HeaderValue) -> bool {
    let essence = media_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error: BytesRejection| {
        if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::from(Error::new(Code::TooLarge, "the body must have at most 2 MiB"));
        }
        bad_input(&error.body_text())
    })
}

/// The trace context of the request (W3C), for the executions that it causes; the platform checks it.
pub(super) struct Traceparent(pub(super) Option<String>);

impl FromRequestParts<Platform> for Traceparent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Platform) -> Result<Self, Infallible> {
        let value = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        Ok(Self(value.map(str::to_owned)))
    }
}

/// The revision in `If-Match`, if there is one.
pub(super) struct IfMatch(pub(super) Option<u64>);

impl FromRequestParts<Platform> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Platform) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let revision = value.to_str().ok().and_then(|value| value.trim_matches('"').parse().ok());
        revision
            .map(|revision| Self(Some(revision)))
            .ok_or_else(|| bad_input("`If-Match` must be an `ETag` of this API"))
    }
}

/// The page of a list to return.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The value of `next` in the previous page; absent for the first page.
    pub(super) after: Option<String>,
    /// The maximum number of items: 1 to 1,000; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: u32,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { after: None, limit: 100 }
    }
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        if (1..=PAGE_ROWS_MAX).contains(&self.limit) {
            return Ok(self.limit);
        }
        Err(bad_input(&format!("`limit` must be between 1 and {PAGE_ROWS_MAX}")))
    }

    pub(crate) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// The number of the last item of the previous page, where items are numbered.
    pub(super) fn after_number(&self) -> Result<Option<u32>, Problem> {
        let number = self.after.as_deref().map(str::parse).transpose();
        number.map_err(|_| bad_input("`after` must be the value of `next` of the previous page"))
    }
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// The value for `after` to get the next page; null for the last page.
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` items, of which `key` is where the next goes on.
    pub(crate) fn new(items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let next = (items.len() >= limit as usize).then(|| items.last().map(key)).flatten();
        Self { items, next }
    }
}

impl<T> Page<T> {
    /// The page of a whole list, in the order of `key`.
    pub(crate) fn of_list(mut items: Vec<T>, page: &PageQuery, key: impl Fn(&T) -> String) -> Result<Self, Problem> {
        let limit = page.limit()?;
        items.retain(|item| key(item).as_str() > page.after());
        items.sort_by_cached_key(&key);
        items.truncate(limit as usize);
        Ok(Self::new(items, limit, key))
    }

    /// The page of a whole list that is in its order. `key` names an item; a page after one that is not there any more
    /// is empty.
    pub(crate) fn of_ordered(items: Vec<T>, page: &PageQuery, key: impl Fn(&T) -> String) -> Result<Self, Problem> {
        let limit = page.limit()?;
        let begin = match &page.after {
            None => 0,
            Some(after) => items.iter().position(|item| key(item) == *after).map_or(items.len(), |at| at + 1),
        };
        let items = items.into_iter().skip(begin).take(limit as usize).collect();
        Ok(Self::new(items, limit, key))
    }
}

/// A page of a list whose items refer to identities, with the names of these.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct NamedPage<T> {
    /// The items.
    items: Vec<T>,
    /// The value for `after` to get the next page; null for the last page.
    next: Option<String>,
    /// The names of the tokens and users in the items: a map from id to name.
    names: BTreeMap<String, String>,
}

impl<T> Page<T> {
    /// The page with the names of those who did what is in it; `by` says who.
    pub(super) async fn named(
        self,
        platform: &Platform,
        tenant: &TenantId,
        by: impl Fn(&T) -> &str,
    ) -> Result<NamedPage<T>, Problem> {
        let ids: BTreeSet<String> = self.items.iter().map(|item| by(item).to_owned()).collect();
        let names = platform.actor_names(tenant, &ids).await?;
        Ok(NamedPage { items: self.items, next: self.next, names })
    }
}

pub(crate) fn bad_input(message: &str) -> Problem {
    Error::new(Code::BadInput, message).into()
}
