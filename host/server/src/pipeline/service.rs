//! The step of a request in which its service responds: by a service worker, by its idempotency key, from the response
//! cache, or at last by its component.

use super::attempt::{Attempt, is_idempotent};
use super::idempotent::{self, ExecutionContext};
use super::{whole_body, worker};
use crate::body::{Content, ReceivedBody};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::features::response_cache::{self, CacheLookup, ResponseVariance, RevalidationContext};
use bytes::Bytes;
use elias_gateway::worker::WorkerRequest;
use elias_gateway::{CacheRules, IdempotencyKey, Identity, Rules};
use elias_platform::RequestGuard;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Empty;
use std::sync::Arc;

/// The values that the rules of a route read beside a request's headers.
pub(super) struct RouteContext<'a> {
    pub(super) rules: &'a Rules,
    /// The identity of the caller, which `attempt` refers to.
    pub(super) identity: Option<&'a Arc<Identity>>,
    /// Whether the schema of the route is for its body.
    pub(super) checks_body: bool,
    /// Whether it has a body.
    pub(super) has_body: bool,
    /// The service worker that responds in the component's place.
    pub(super) worker: Option<WorkerRequest>,
    pub(super) key: Option<IdempotencyKey>,
    /// The caching rules, and what its response depends on.
    pub(super) caching: Option<(Arc<CacheRules>, ResponseVariance)>,
}

/// The service of `attempt` responds.
///
/// # Errors
/// The body is not what the rules allow, the service does not take the request, or its component fails.
pub(super) async fn respond(
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    context: RouteContext<'_>,
    parts: Parts,
    body: ReceivedBody,
) -> Result<Response<Content>, Failure> {
    let RouteContext { rules, identity, checks_body, has_body, worker, key, caching } = context;
    let Attempt { platform, service, caller, ip, .. } = *attempt;

    // A service worker, in the component's place.
    if let Some(request) = worker {
        let bytes = worker::read_body(exchange, (rules, checks_body), &request, body).await?;
        return worker::respond(exchange, (platform, Arc::clone(service)), request, &parts.headers, &bytes).await;
    }

    // The component once for each idempotency key, which belongs to one body.
    if let Some(key) = key {
        let bytes = match checks_body {
            true => whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?,
            false => whole_body::read_keyed(exchange, body).await?,
        };
        let (platform, service, identity) = (platform.clone(), Arc::clone(service), identity.cloned());
        let context = ExecutionContext { platform, service, identity, caller: caller.clone(), ip };
        return idempotent::respond(exchange, context, key, parts, bytes).await;
    }

    // The component, where the request has a body or may not be repeated.
    if checks_body {
        let bytes = whole_body::read_checked(exchange, rules.max_body_bytes(), body).await?;
        return attempt.execute(exchange, Request::from_parts(parts, ReceivedBody::Whole(bytes))).await;
    }
    if has_body || !is_idempotent(&parts.method) {
        return attempt.execute(exchange, Request::from_parts(parts, body)).await;
    }
    drop(body); // it is empty

    // The response cache.
    let only_if_cached = caching.as_ref().is_some_and(|(rules, _)| rules.is_only_if_cached(&parts));
    let CacheLookup { response: cached, writer } = match caching {
        Some((rules, variance)) => response_cache::look_up(platform, service, &rules, &parts, variance).await,
        None => CacheLookup::default(),
    };
    if let Some(response) = cached {
        platform.serving().may_send(service).await?;
        if let Some(writer) = writer {
            let (platform, service, identity) = (platform.clone(), Arc::clone(service), identity.cloned());
            let context = RevalidationContext { platform, service, identity, caller: caller.clone(), ip };
            let server = Arc::clone(&exchange.connection.server);
            let revalidation = response_cache::revalidate(server, context, writer);
            exchange.connection.server.spawn_in_background(revalidation);
        }
        exchange.served_by_host = Some(Arc::clone(service));
        return Ok(response);
    }
    if only_if_cached {
        return Err(elias_gateway::Refusal::new(elias_gateway::Code::NotCached).into());
    }

    // The component, with retries; its response is stored where it may be.
    let response = attempt.execute_with_retries(exchange, parts, Empty::<Bytes>::new()).await?;
    let release = exchange.guard().map(RequestGuard::release);
    Ok(match writer {
        Some(writer) => writer.store(release, response),
        None => response,
    })
}
