//! A request's way through a platform: the rules of its route, admission to its service, the component, and back.

use crate::admin::PeerAddress;
use crate::asset;
use crate::cached::{self, CacheLookup, ResponseVariance, RevalidationContext};
use crate::compress::compress;
use crate::config::{ServerConfig, milliseconds};
use crate::error_page::Failure;
use crate::exchange::{Exchange, ask};
use crate::refusal::Refusal;
use crate::request_body::RequestBody;
use crate::response_body::Content;
use crate::shadow::{Copied, Shadowing};
use axum::Router;
use bytes::Bytes;
use elias_gateway::{AdmittedRequest, Client, Identity, LocalReply, Rules, TraceContext};
use elias_host::{Caller, ErrorCode};
use elias_platform::Service;
use elias_platform::{NotAdmitted, Platform, Ticket};
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// Adds the headers and the compression of a request's route to its response, be it the component's or an error.
pub(crate) struct RouteResponseTransform {
    rules: Arc<Rules>,
    admitted: AdmittedRequest,
}

impl RouteResponseTransform {
    /// Adds the route's headers to the response, and compresses the body if the route's rules say so.
    pub(crate) fn apply(&self, response: Response<Content>) -> Response<Content> {
        let (mut parts, content) = response.into_parts();
        let coding = self.rules.finish(&self.admitted, &mut parts, content.bytes());
        let content = match coding {
            Some(coding) => compress(content, coding),
            None => content,
        };
        Response::from_parts(parts, content)
    }
}

impl From<LocalReply> for Failure {
    fn from(stop: LocalReply) -> Self {
        match stop {
            LocalReply::Refusal(refusal) => Self::Gateway(Box::new(refusal)),
            // `call` answers with it.
            LocalReply::Response(_) => Self::Refused(Refusal::Internal),
        }
    }
}

impl From<NotAdmitted> for Failure {
    fn from(refused: NotAdmitted) -> Self {
        tracing::debug!(error = %refused.error, "a request was not admitted");
        Self::NotAdmitted(Box::new(refused))
    }
}

/// Has a platform answer.
pub(crate) async fn call(
    exchange: &mut Exchange,
    platform: &Platform,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear(); // hyper's own, such as the upgrade that we do not offer
    TraceContext::continued(&parts.headers, rand::random()).apply(&mut parts.headers);
    let ip = address(&parts.headers, exchange.shared.peer, exchange.shared.server.config.forwarded_hops);
    let client = Client { ip, has_body: !body.is_end_stream() };
    // From here on the body has its bounds and its clock, whoever reads it or leaves it.
    let body = exchange.receive(body);
    let passage = match platform.pass(&parts, client).await {
        Ok(passage) => passage,
        Err(LocalReply::Response(response)) => return Ok(response.map(|()| Content::Empty)),
        Err(refused) => return Err(refused.into()),
    };
    let (service, rules, mut admitted) = (passage.service, passage.rules, passage.admitted);
    let (asset, identity, checks_body) = (admitted.asset.take(), admitted.identity.clone(), admitted.checks_body);
    exchange.count_for(&service)?;
    let identified = identity.is_some();
    let caching = rules.cache().map(|rules| (rules, ResponseVariance { vary: admitted.vary().to_vec(), identified }));
    exchange.response_transform = Some(Box::new(RouteResponseTransform { rules: Arc::clone(&rules), admitted }));
    if let Some(asset) = asset {
        platform.may_send(&service).await?;
        exchange.instead_of = Some(service);
        return asset::answer(platform, asset).await;
    }
    let bytes_max = rules.max_body_bytes();
    let body = if checks_body {
        // One byte more, so that the rules see that there are too many.
        let read = Limited::new(body, bytes_max + 1).collect();
        let in_time = tokio::time::timeout(whole_body_time(bytes_max, &exchange.shared.server.config), read);
        let whole = match in_time.await.map_err(|_| Refusal::RequestTimeout)? {
            Ok(read) => read.to_bytes(),
            Err(_) => match exchange.fault() {
                Some(fault) => return Err(fault.into()),
                None => vec![0; bytes_max + 1].into(),
            },
        };
        let Some(transform) = &exchange.response_transform else { return Err(Refusal::Internal.into()) };
        rules.check_body(&transform.admitted, &whole).map_err(|refusal| Failure::Gateway(Box::new(refusal)))?;
        Sent::Whole(whole)
    } else {
        Sent::Streamed(body)
    };
    let caller = caller(identity.as_deref(), ip);
    let mut attempt = Attempt { platform, service: &service, caller: &caller, identity: identity.as_deref(), ip };
    let body = match body {
        Sent::Whole(bytes) => return attempt.ask(exchange, Request::from_parts(parts, Full::new(bytes))).await,
        Sent::Streamed(body) if client.has_body || !is_idempotent(&parts.method) => {
            return attempt.ask(exchange, Request::from_parts(parts, body)).await;
        }
        Sent::Streamed(_) => Empty::<Bytes>::new(),
    };
    let only_if_cached = caching.as_ref().is_some_and(|(rules, _)| rules.is_only_if_cached(&parts));
    let CacheLookup { response: cached_response, writer } = match caching {
        Some((rules, variance)) => cached::look_up(platform, &service, rules, &parts, variance).await,
        None => CacheLookup::default(),
    };
    if let Some(response) = cached_response {
        platform.may_send(&service).await?;
        if let Some(writer) = writer {
            let (platform, service, identity) = (platform.clone(), Arc::clone(&service), identity.clone());
            let context = RevalidationContext { platform, service, identity, caller: caller.clone(), ip };
            let server = Arc::clone(&exchange.shared.server);
            exchange.shared.server.spawn_in_background(cached::revalidate(server, context, writer));
        }
        exchange.instead_of = Some(service);
        return Ok(response);
    }
    if only_if_cached {
        return Err(Failure::Gateway(Box::new(elias_gateway::Refusal::new(elias_gateway::Code::NotCached))));
    }
    let response = attempt.ask_again(exchange, parts, body).await?;
    let release = exchange.record.as_ref().and_then(|record| Some(record.ticket.as_ref()?.release()));
    Ok(match writer {
        Some(writer) => writer.store(release, response),
        None => response,
    })
}

/// How long a client may take for a body that the rules read whole: the longest pause, and what the longest body takes at the
/// slowest rate. The clock of the pauses alone would let a byte a pause hold the request for hours.
fn whole_body_time(bytes_max: usize, config: &ServerConfig) -> Duration {
    const BYTES_PER_SECOND_MIN: u64 = 8 << 10;
    milliseconds(config.body_timeout_ms) + Duration::from_secs(bytes_max as u64 / BYTES_PER_SECOND_MIN)
}

/// A request's body, once its route's schema has been looked at.
enum Sent {
    Whole(Bytes),
    Streamed(RequestBody<Incoming>),
}

/// An attempt to have a service respond to a request.
struct Attempt<'a> {
    platform: &'a Platform,
    service: &'a Arc<Service>,
    caller: &'a Caller,
    identity: Option<&'a Identity>,
    ip: IpAddr,
}

impl Attempt<'_> {
    /// Retries as often as the service allows, as long as it fails without a response.
    async fn ask_again(
        &mut self,
        exchange: &mut Exchange,
        parts: Parts,
        body: Empty<Bytes>,
    ) -> Result<Response<Content>, Failure> {
        for _ in 0..self.platform.retries(self.service) {
            match self.ask(exchange, Request::from_parts(parts.clone(), body)).await {
                Err(Failure::Component(error)) if is_worth_another(error.code()) => {
                    exchange.note(|record| record.end_attempt(&error));
                }
                answered => return answered,
            }
        }
        self.ask(exchange, Request::from_parts(parts, body)).await
    }

    async fn ask<B>(&mut self, exchange: &mut Exchange, mut request: Request<B>) -> Result<Response<Content>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let ticket = self.platform.enter(self.service, request.headers(), Some(self.ip), self.identity).await?;
        ticket.set_request(request.method(), request.uri());
        ticket.prepare(request.extensions_mut(), self.caller.clone());
        let app = ticket.app().clone();
        exchange.shadowing = Shadowing::begin(&ticket, &request, self.caller, &exchange.shared.server.room_for_copies);
        let kept = exchange.shadowing.as_ref().map(|shadowing| shadowing.kept());
        let request = request.map(|body| Copied::request(body, kept));
        let running = ticket.running().clone();
        exchange.note(|record| record.ticket = Some(ticket));
        // Last, so that a request that waits for one component takes no permit from the others.
        if let Err(refusal) = exchange.enter(&running, Some(self.service.tenant())).await {
            exchange.note(|record| record.ticket.iter_mut().for_each(Ticket::refuse));
            return Err(refusal.into());
        }
        ask(exchange, &app, request).await
    }
}

/// Who sent a request: who connected, or whom the outermost of the proxies in front saw. Of `X-Forwarded-For` only what those proxies added is believed:
/// the last values; what is in front of them anyone may have written.
pub(crate) fn address(headers: &HeaderMap, peer: IpAddr, hops: u32) -> IpAddr {
    let Some(at) = (hops as usize).checked_sub(1) else { return peer };
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    addresses.iter().rev().nth(at).and_then(|address| address.parse().ok()).unwrap_or(peer)
}

/// Whether a failure may be another's the next time: not if someone ended it, and not if it took all that it was given.
fn is_worth_another(code: ErrorCode) -> bool {
    use ErrorCode::{Cancelled, Deadline, OutOfFuel, Overloaded};
    !matches!(code, Cancelled | Deadline | OutOfFuel | Overloaded)
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

fn caller(identity: Option<&Identity>, ip: IpAddr) -> Caller {
    let anonymous = Caller { client_address: Some(ip), ..Caller::default() };
    let Some(identity) = identity else { return anonymous };
    Caller {
        user_id: identity.user_id.clone().or_else(|| Some(identity.subject.clone())),
        organization_id: identity.organization_id.clone(),
        claims: (!identity.claims.is_empty()).then(|| serde_json::Value::Object(identity.claims.clone()).to_string()),
        ..anonymous
    }
}

/// Has the admin API answer.
pub(crate) async fn administer(
    exchange: &mut Exchange,
    router: &Router,
    request: Request<Incoming>,
) -> Response<Content> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear();
    parts.extensions.insert(PeerAddress(exchange.shared.peer));
    let body = exchange.receive(body);
    let request = Request::from_parts(parts, axum::body::Body::new(body));
    let response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    let content = match body.size_hint().exact() {
        // What is whole already is sent with its length.
        Some(_) => Content::Page(body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()),
        None => {
            let chunks = body.into_data_stream().filter_map(async |chunk| chunk.ok());
            let type_ = parts.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
            // Whoever follows a log would else hold up the server's end. A backup is let through whole.
            Content::Events(match type_ {
                Some(type_) if type_.starts_with(b"text/event-stream") => {
                    chunks.take_until(exchange.shared.server.drains()).boxed()
                }
                _ => chunks.boxed(),
            })
        }
    };
    Response::from_parts(parts, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_added_is_believed() {
        let peer: IpAddr = [10, 0, 0, 1].into();
        for (header, hops, wanted) in [
            ("203.0.113.7", 0, "10.0.0.1"),
            ("203.0.113.7", 1, "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7", 1, "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7, 10.0.0.2", 2, "203.0.113.7"),
            ("203.0.113.7", 2, "10.0.0.1"),
            ("nonsense", 1, "10.0.0.1"),
        ] {
            let headers: HeaderMap =
                [(http::HeaderName::from_static("x-forwarded-for"), header.parse().expect("a value"))]
                    .into_iter()
                    .collect();
            assert_eq!(address(&headers, peer, hops).to_string(), wanted, "{header} {hops}");
        }
    }
}
