//! Requests with an idempotency key: which of them runs, and the response that is sent again. The store decides, so
//! that only one of the hosts on it runs the request.

use crate::platform::Platform;
use crate::serving::{IdempotencyOutcome, Service};
use bytes::Bytes;
use elias_api::Result;
use elias_gateway::{Code, IdempotencyKey, Identity, Refusal};
use elias_names::Digest;
use elias_store::{IdempotentRequest, KeyState, Store, StoredReply};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, DATE, RETRY_AFTER, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request, response};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// The longest response that is stored: bytes of its headers and its body.
pub const REPLY_BYTES_MAX: usize = 256 << 10;

/// The headers with credentials of callers whom the gateway does not know.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, HeaderName::from_static("x-api-key")];

/// Says that a response was sent before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How much longer a key is held than its request may run: until its response is stored.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Of so many responses that are stored, one is followed by a look for those of its tenant that are too many: counting
/// them takes longer than storing one.
const RESPONSES_PER_EVICTION: u32 = 32;

/// A request with an idempotency key.
pub struct KeyedRequest {
    store: Store,
    service: Arc<Service>,
    request: IdempotentRequest,
    ttl: Duration,
}

/// The response to a request that is not to run.
pub enum KnownReply {
    /// That of the first request with its key.
    Replay(Response<Bytes>),
    /// The first one runs, is another request, or had a response that was not stored.
    Refusal(Refusal),
}

impl KnownReply {
    /// Its name in the metrics and the access log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.outcome().as_str()
    }

    fn outcome(&self) -> IdempotencyOutcome {
        match self {
            Self::Replay(_) => IdempotencyOutcome::Replayed,
            Self::Refusal(refusal) if refusal.code() == Code::IdempotencyKeyReused => IdempotencyOutcome::Mismatch,
            Self::Refusal(_) => IdempotencyOutcome::Conflict,
        }
    }
}

impl KeyedRequest {
    /// A request to a service. A caller whom the gateway knows has a key space of its own. For others the credentials
    /// that the component may read are part of the fingerprint, so that nobody gets the response to another caller's
    /// request, and so are the headers `from_middleware`, which may identify the caller.
    #[must_use]
    pub fn new(
        platform: &Platform,
        service: &Arc<Service>,
        key: IdempotencyKey,
        request: &request::Parts,
        body: &[u8],
        identity: Option<&Identity>,
        from_middleware: &[HeaderName],
    ) -> Self {
        let IdempotencyKey { key, ttl } = key;
        let target = request.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut fingerprint = format!("{} {target}\n{}\n", request.method, Digest::of(body)).into_bytes();
        let caller = match identity {
            Some(identity) => {
                let issuer = identity.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
                let caller = format!("{}\n{issuer}\n{}", identity.method.as_str(), identity.subject);
                Digest::of(caller.as_bytes()).to_string()
            }
            None => {
                add_headers(&mut fingerprint, &request.headers, &CREDENTIALS);
                add_headers(&mut fingerprint, &request.headers, from_middleware);
                String::new()
            }
        };
        let request = IdempotentRequest {
            service: service.id.clone(),
            caller,
            key,
            fingerprint: Digest::of(&fingerprint).to_string(),
            claim: Ulid::new().to_string(),
        };
        Self { store: platform.store().clone(), service: Arc::clone(service), request, ttl }
    }

    /// The stored response to the request. `None` if its key is free: then it may be [claimed](Self::claim).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn look_up(&self) -> Result<Option<KnownReply>> {
        let state = self.store.read(&self.request.service.tenant).await?.idempotency_key_state(&self.request).await?;
        let reply = match state {
            KeyState::Free => return Ok(None),
            KeyState::InProgress => in_progress(),
            KeyState::Mismatch => refusal(Code::IdempotencyKeyReused, "A new request needs a new key."),
            KeyState::ReplyNotStored => refusal(
                Code::IdempotencyReplyNotStored,
                "The request is not executed again. A new one needs a new key.",
            ),
            KeyState::Replied(reply) => KnownReply::Replay(replay(reply)),
        };
        self.service.meter.count_idempotency(reply.outcome());
        Ok(Some(reply))
    }

    /// Takes the key before the request runs, which it may do for as long as `deadline`; the response if somebody else
    /// has taken it.
    ///
    /// # Errors
    /// `store-unavailable`: the request must not run.
    pub async fn claim(&self, deadline: Duration) -> Result<Option<KnownReply>> {
        let mut scope = self.store.write(&self.request.service.tenant).await?;
        let is_claimed = scope.claim_idempotency_key(&self.request, deadline.saturating_add(LEASE_MARGIN)).await?;
        scope.commit().await?;
        if is_claimed {
            self.service.meter.count_idempotency(IdempotencyOutcome::Executed);
            return Ok(None);
        }
        match self.look_up().await? {
            Some(known) => Ok(Some(known)),
            // It was released in between: to look again and again might never end.
            None => Ok(Some(in_progress())),
        }
    }

    /// The request has this response: it is stored, without its body if that is `None` or too large. Gives the key back
    /// if the response asks the client to try again: 5xx, 408, 425 and 429.
    pub async fn end(&self, response: &response::Parts, body: Option<&Bytes>) {
        if asks_for_retry(response.status) {
            return self.release().await;
        }
        let headers = stored_headers(response);
        let header_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let body = body.filter(|body| header_bytes + body.len() <= REPLY_BYTES_MAX);
        let status = response.status.as_u16();
        let reply = body.map(|body| StoredReply { status, headers, body: body.to_vec() });
        let stored = async {
            let mut scope = self.store.write(&self.request.service.tenant).await?;
            let is_stored = scope.store_reply(&self.request, status, reply.as_ref(), self.ttl).await?;
            scope.commit().await.map(|()| is_stored)
        };
        // It has run: that the response cannot be stored does not undo it.
        match stored.await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                service = %self.request.service,
                "a request with an idempotency key took longer than its lease; its response is not stored"
            ),
            Err(error) => tracing::warn!(
                service = %self.request.service,
                %error,
                "the response to a request with an idempotency key cannot be stored"
            ),
        }
        if rand::random::<u32>().is_multiple_of(RESPONSES_PER_EVICTION)
            && let Err(error) = self.evict().await
        {
            let service = &self.request.service;
            tracing::warn!(%service, %error, "old requests with idempotency keys cannot be deleted");
        }
    }

    /// Deletes the tenant's oldest requests if it has too many. In a transaction of its own: if it fails, the response
    /// that was just stored stays.
    async fn evict(&self) -> Result<()> {
        let mut scope = self.store.write(&self.request.service.tenant).await?;
        scope.evict_idempotent_requests().await?;
        Ok(scope.commit().await?)
    }

    /// Releases the key: the request has no response, and can be sent again.
    pub async fn release(&self) {
        let released = async {
            let mut scope = self.store.write(&self.request.service.tenant).await?;
            scope.release_idempotency_key(&self.request).await?;
            scope.commit().await
        };
        if let Err(error) = released.await {
            let service = &self.request.service;
            tracing::warn!(%service, %error, "an idempotency key cannot be given back: it is held to its lease's end");
        }
    }
}

/// Adds headers by which a component may know its caller to a request's fingerprint.
fn add_headers(fingerprint: &mut Vec<u8>, headers: &HeaderMap, names: &[HeaderName]) {
    for name in names {
        for value in headers.get_all(name) {
            fingerprint.extend_from_slice(value.as_bytes());
            fingerprint.push(b'\n');
        }
        fingerprint.push(b'\n');
    }
}

fn in_progress() -> KnownReply {
    let refusal = Refusal::new(Code::IdempotencyConflict).with_detail("Send the request again later.");
    KnownReply::Refusal(refusal.with_header(RETRY_AFTER, HeaderValue::from_static("1")))
}

fn refusal(code: Code, detail: &'static str) -> KnownReply {
    KnownReply::Refusal(Refusal::new(code).with_detail(detail))
}

/// Whether a response asks the client to send the request again.
fn asks_for_retry(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The headers of a response that are sent again. A cookie is for whoever sent the first request; the server sets the
/// length and the date.
fn stored_headers(response: &response::Parts) -> Vec<(String, String)> {
    let is_stored = |name: &HeaderName| ![SET_COOKIE, CONTENT_LENGTH, DATE].contains(name);
    let headers = response.headers.iter().filter(|(name, _)| is_stored(name));
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// The response as it was sent before.
fn replay(reply: StoredReply) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        let bytes: Vec<u8> = value.chars().filter_map(|character| u8::try_from(character).ok()).collect();
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(&bytes)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;

    #[test]
    fn a_response_is_replayed_with_its_headers_but_for_those_of_one_client() {
        let mut response = Response::builder().status(201);
        for (name, value) in [("x-part", "a"), ("x-part", "b"), ("set-cookie", "a=b"), ("content-length", "2")] {
            response = response.header(name, value);
        }
        let latin = HeaderValue::from_bytes(b"text/plain; name=\xe4").expect("a value");
        let (parts, ()) = response.header(CONTENT_TYPE, latin.clone()).body(()).expect("a response").into_parts();
        let reply = StoredReply { status: 201, headers: stored_headers(&parts), body: b"ok".to_vec() };
        let replayed = replay(reply);
        assert_eq!((replayed.status(), replayed.body().as_ref()), (StatusCode::CREATED, b"ok".as_slice()));
        let headers = replayed.headers();
        assert_eq!(headers.get_all("x-part").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((&headers[CONTENT_TYPE], &headers[REPLAYED]), (&latin, &HeaderValue::from_static("true")));
        assert!(!headers.contains_key(SET_COOKIE) && !headers.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn a_request_with_other_credentials_is_another() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let headers =
                headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let mut fingerprint = Vec::new();
            add_headers(&mut fingerprint, &headers.collect(), &CREDENTIALS);
            fingerprint
        };
        assert_eq!(of(&[("x-request-id", "1")]), of(&[]));
        let mut all = vec![of(&[])];
        for name in ["authorization", "cookie", "x-api-key"] {
            all.extend([of(&[(name, "a")]), of(&[(name, "b")])]);
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    }

    #[test]
    fn a_response_that_asks_for_another_try_is_not_stored() {
        for (status, wanted) in [(200, false), (404, false), (409, false), (408, true), (429, true), (503, true)] {
            assert_eq!(asks_for_retry(StatusCode::from_u16(status).expect("a status")), wanted, "{status}");
        }
    }
}
