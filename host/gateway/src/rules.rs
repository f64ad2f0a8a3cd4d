//! All rules of a route, applied to a request and its response in a fixed order.

mod shared_state;

pub use shared_state::SharedState;

use crate::assets::{AssetResponse, AssetRules, AssetTable};
use crate::auth::{ApiKeys, AuthRules, Authenticator, Identity};
use crate::cache::CacheRules;
use crate::clock::Now;
use crate::config::{GatewayConfig, RouteConfig};
use crate::cors::Cors;
use crate::encoding::{Coding, Compression};
use crate::field::add_vary;
use crate::headers::HeaderRules;
use crate::idempotency::{IdempotencyKey, IdempotencyRules};
use crate::methods::Methods;
use crate::middleware::{FromMiddleware, MiddlewareRules};
use crate::problem::{Code, Refusal};
use crate::rate_limit::{Limiter, RateLimit, RateLimitKey};
use crate::response_transform::ResponseTransform;
use crate::router::RouteMatch;
use crate::validate::Validation;
use crate::worker::{RequestTarget, WorkerRules};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, request, response};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The checked and prepared rules of one route.
#[derive(Debug)]
pub struct Rules {
    methods: Methods,
    worker: Option<Arc<WorkerRules>>,
    /// The request headers that middleware of some route of the service sets.
    reserved_headers: Option<FromMiddleware>,
    prepared: Option<Box<PreparedRules>>,
}

#[derive(Debug, Default)]
struct PreparedRules {
    cors: Option<Arc<Cors>>,
    limiters: Vec<(LimitPhase, Arc<Limiter>)>,
    policy: Option<HeaderValue>,
    auth: Option<Authenticator>,
    validate: Option<Arc<Validation>>,
    headers: Option<Arc<HeaderRules>>,
    compress: Option<Arc<Compression>>,
    assets: Option<(Arc<AssetRules>, Arc<AssetTable>)>,
    cache: Option<Arc<CacheRules>>,
    idempotency: Option<Arc<IdempotencyRules>>,
    middleware: Option<Arc<MiddlewareRules>>,
    response_transform: Option<Arc<ResponseTransform>>,
}

/// When a request is counted against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LimitPhase {
    /// Before credentials are looked at.
    Unidentified,
    /// When it is known who the caller is.
    Identified,
    /// When the middleware of the route have set their headers: the limit is by one of those. What the client sends as
    /// such a header is its own choice, and never counted.
    AfterMiddleware,
}

impl LimitPhase {
    fn of(limit: &RateLimit, reserved: Option<&FromMiddleware>) -> Self {
        match limit.by() {
            RateLimitKey::Identity => Self::Identified,
            RateLimitKey::Header(name) if reserved.is_some_and(|reserved| reserved.has(name)) => Self::AfterMiddleware,
            RateLimitKey::Ip | RateLimitKey::Header(_) => Self::Unidentified,
        }
    }
}

/// The client of a request, as the connection shows it.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The client's address, behind trusted proxies.
    pub ip: IpAddr,
    /// Whether a body follows the headers.
    pub has_body: bool,
}

/// A request that may go on to the component.
#[derive(Debug, Default)]
pub struct AdmittedRequest {
    /// The identity of the caller, where the route requires credentials.
    pub identity: Option<Arc<Identity>>,
    /// The response with a file, in place of the component's.
    pub asset: Option<AssetResponse>,
    /// Whether the body is to be read whole, at most [`Rules::max_body_bytes`] of it, and given to
    /// [`Rules::check_body`] first.
    pub checks_body: bool,
    /// The idempotency key: the request is executed once for it.
    pub idempotency: Option<IdempotencyKey>,
    /// What responds to the request.
    pub target: RequestTarget,
    context: ResponseContext,
}

/// A request that is within the rate limits by address and header, before authentication.
#[derive(Debug)]
pub struct UnidentifiedRequest(AdmittedRequest);

/// The parts of the response's headers that depend on the request.
#[derive(Debug, Default)]
struct ResponseContext {
    origin: Option<HeaderValue>,
    rate_limit: Option<HeaderValue>,
    coding: Option<Coding>,
    vary: Vec<HeaderName>,
}

/// A response that the gateway sends itself: the request does not reach the component.
#[derive(Debug)]
pub enum LocalReply {
    /// A response without a body, to a preflight.
    Response(Box<Response<()>>),
    /// An error response.
    Refusal(Refusal),
}

impl From<Refusal> for LocalReply {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl AdmittedRequest {
    /// Whether the rule `cors` allows the request's origin.
    #[must_use]
    pub fn is_origin_allowed(&self) -> bool {
        self.context.origin.is_some()
    }

    /// The request headers by which the route was chosen.
    #[must_use]
    pub fn vary(&self) -> &[HeaderName] {
        &self.context.vary
    }
}

impl Rules {
    /// The rules of a version's routes, in their order. `assets` are the version's files.
    #[must_use]
    pub fn prepare(
        config: &GatewayConfig,
        shared: &SharedState,
        api_keys: Option<&Arc<dyn ApiKeys>>,
        assets: Option<&Arc<AssetTable>>,
    ) -> Vec<Arc<Self>> {
        let none = Arc::default();
        let assets = assets.unwrap_or(&none);
        let middleware = config.routes.iter().filter_map(|route| route.rules.middleware.as_deref());
        let reserved = FromMiddleware::of(middleware);
        config
            .routes
            .iter()
            .map(|route| Arc::new(Self::of(route, reserved.clone(), shared, api_keys, assets)))
            .collect()
    }

    fn of(
        route: &RouteConfig,
        reserved_headers: Option<FromMiddleware>,
        shared: &SharedState,
        api_keys: Option<&Arc<dyn ApiKeys>>,
        assets: &Arc<AssetTable>,
    ) -> Self {
        let (methods, worker, rules) = (route.methods.clone(), route.worker.clone(), &route.rules);
        if rules.is_empty() {
            return Self { methods, worker, reserved_headers, prepared: None };
        }
        let policies: Vec<String> = rules.rate_limits.iter().map(|limit| limit.policy()).collect();
        let authenticator = |auth: &Arc<AuthRules>| {
            let verifier = auth.jwt().map(|jwt| shared.verifier(jwt));
            Authenticator::new(Arc::clone(auth), verifier, api_keys.cloned())
        };
        let prepared = PreparedRules {
            cors: rules.cors.clone(),
            limiters: rules
                .rate_limits
                .iter()
                .map(|limit| (LimitPhase::of(limit, reserved_headers.as_ref()), shared.limiter(limit)))
                .collect(),
            policy: HeaderValue::try_from(policies.join(", ")).ok().filter(|value| !value.is_empty()),
            auth: rules.auth.as_ref().map(authenticator),
            validate: rules.validate.clone(),
            headers: rules.headers.clone(),
            compress: rules.compress.clone(),
            assets: rules.assets.as_ref().map(|rules| (Arc::clone(rules), Arc::clone(assets))),
            cache: rules.cache.clone(),
            idempotency: rules.idempotency.clone(),
            middleware: rules.middleware.clone(),
            response_transform: rules.response_transform.clone(),
        };
        Self { methods, worker, reserved_headers, prepared: Some(Box::new(prepared)) }
    }

    /// The API key of a request, for a host that has to look keys up before [`ApiKeys::verify`] is called.
    #[must_use]
    pub fn api_key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        self.prepared.as_ref()?.auth.as_ref()?.api_key(headers)
    }

    /// Applies the rules to a request, in this order: preflight, rate limits by address and header, authentication,
    /// rate limits by identity, static files, validation of query, path and headers, the idempotency key, the worker.
    ///
    /// # Errors
    /// [`LocalReply`], with all headers that the client's scripts need to read it.
    pub fn admit(
        &self,
        request: &request::Parts,
        matched: &RouteMatch<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<AdmittedRequest, LocalReply> {
        self.identify(self.limit(request, matched, client, now)?, request, matched, client, now)
    }

    /// The first half of [`Rules::admit`]: preflights, and the rate limits by address and header. A host that looks
    /// credentials up does it after this, so that the limits also bound the lookups that strangers cause.
    ///
    /// # Errors
    /// As [`Rules::admit`].
    pub fn limit(
        &self,
        request: &request::Parts,
        matched: &RouteMatch<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<UnidentifiedRequest, LocalReply> {
        let preflight = self.prepared.as_ref().and_then(|rules| rules.cors.as_ref()?.preflight(request, &self.methods));
        match preflight {
            Some(Ok(response)) => return Err(LocalReply::Response(Box::new(response))),
            Some(Err(refusal)) => return Err(refusal.into()),
            None => {}
        }
        let mut admitted = AdmittedRequest::default();
        admitted.context.vary = matched.vary.to_vec();
        // The router brings preflights of other methods here, too.
        let is_stray_preflight = request.method == Method::OPTIONS && !self.methods.lists(&Method::OPTIONS);
        let outcome = match &self.prepared {
            _ if is_stray_preflight => {
                Err(Refusal::method_not_allowed(Methods::allow_value(std::iter::once(&self.methods))))
            }
            None => Ok(()),
            Some(rules) => {
                admitted.context.origin = rules.cors.as_ref().and_then(|cors| cors.origin(&request.headers));
                admitted.context.coding =
                    rules.compress.as_ref().and_then(|compress| compress.negotiate(&request.headers));
                rules.limit(&request.headers, client, now, &mut admitted, LimitPhase::Unidentified)
            }
        };
        match outcome {
            Ok(()) => Ok(UnidentifiedRequest(admitted)),
            Err(refusal) => Err(self.with_headers(refusal, &admitted.context).into()),
        }
    }

    /// Refuses a request between the two halves, with all headers that the client's scripts need to read it.
    #[must_use]
    pub fn refuse(&self, UnidentifiedRequest(admitted): &UnidentifiedRequest, refusal: Refusal) -> LocalReply {
        self.with_headers(refusal, &admitted.context).into()
    }

    /// The second half of [`Rules::admit`], for the same request.
    ///
    /// # Errors
    /// As [`Rules::admit`].
    pub fn identify(
        &self,
        UnidentifiedRequest(mut admitted): UnidentifiedRequest,
        request: &request::Parts,
        matched: &RouteMatch<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<AdmittedRequest, LocalReply> {
        match self.apply(request, matched, client, now, &mut admitted) {
            Ok(()) => Ok(admitted),
            Err(refusal) => Err(self.with_headers(refusal, &admitted.context).into()),
        }
    }

    fn apply(
        &self,
        request: &request::Parts,
        matched: &RouteMatch<'_, '_>,
        client: Client,
        now: Now,
        admitted: &mut AdmittedRequest,
    ) -> Result<(), Refusal> {
        if let Some(rules) = &self.prepared {
            rules.identify(request, matched, client, now, admitted)?;
        }
        if let Some(worker) = &self.worker {
            admitted.target = worker.target(request, &matched.params, admitted.identity.as_deref())?;
        }
        Ok(())
    }

    /// When the credentials of an identity expire, in seconds since 1970: a response that goes on, such as a WebSocket,
    /// ends then. None for credentials without an end.
    #[must_use]
    pub fn expires_at(&self, identity: &Identity) -> Option<u64> {
        self.prepared.as_ref()?.auth.as_ref()?.expires_at(identity)
    }

    /// How many bytes of a body are to be read for [`Rules::check_body`], and one more to see that there are too many.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.prepared.as_ref().and_then(|rules| rules.validate.as_ref()).map_or(0, |rules| rules.max_body_bytes())
    }

    /// The caching rules, if responses may be cached.
    #[must_use]
    pub fn cache(&self) -> Option<&Arc<CacheRules>> {
        self.prepared.as_ref()?.cache.as_ref()
    }

    /// The middleware of the route, which get a request after [`Rules::admit`] and before anything else responds.
    #[must_use]
    pub fn middleware(&self) -> Option<&Arc<MiddlewareRules>> {
        self.prepared.as_ref()?.middleware.as_ref()
    }

    /// The transformation of the component's responses.
    #[must_use]
    pub fn response_transform(&self) -> Option<&Arc<ResponseTransform>> {
        self.prepared.as_ref()?.response_transform.as_ref()
    }

    /// Removes from a client's request the headers that middleware set: also on the routes of the service that have no
    /// middleware, since the component believes them on all. From then on the request has them from middleware alone,
    /// as its extension [`FromMiddleware`] says.
    pub fn remove_reserved_headers(&self, request: &mut request::Parts) {
        let Some(reserved) = &self.reserved_headers else { return };
        for name in reserved.headers() {
            request.headers.remove(name);
        }
        request.extensions.insert(reserved.clone());
    }

    /// Counts a request that the middleware of its route let go on against the limits by a header that middleware set.
    /// `headers` are those that they left: the ones of [`Rules::remove_reserved_headers`] are from them alone.
    ///
    /// # Errors
    /// One of the limits is used up. [`Rules::finish`] adds the headers that the client's scripts need to read it.
    pub fn limit_after_middleware(&self, headers: &HeaderMap, client: Client, now: Now) -> Result<(), Refusal> {
        let Some(rules) = &self.prepared else { return Ok(()) };
        rules.limit(headers, client, now, &mut AdmittedRequest::default(), LimitPhase::AfterMiddleware)
    }

    /// Checks a body, where [`AdmittedRequest::checks_body`] says so.
    ///
    /// # Errors
    /// A refusal, with all headers that the client's scripts need to read it.
    pub fn check_body(&self, admitted: &AdmittedRequest, body: &[u8]) -> Result<(), Refusal> {
        let Some(rules) = self.prepared.as_ref().and_then(|rules| rules.validate.as_ref()) else { return Ok(()) };
        rules.check_body(body).map_err(|refusal| self.with_headers(refusal, &admitted.context))
    }

    /// Adds the rules' headers to the response to an admitted request, be it the component's, a file or an error of the
    /// server. The server must compress the body if a coding is returned. `bytes` is the body's length, where it is
    /// known.
    pub fn finish(
        &self,
        admitted: &AdmittedRequest,
        response: &mut response::Parts,
        bytes: Option<u64>,
    ) -> Option<Coding> {
        self.add_headers(&admitted.context, &mut response.headers);
        let rules = self.prepared.as_ref()?;
        if let Some(headers) = &rules.headers {
            headers.apply(response);
        }
        rules.compress.as_ref()?.apply(admitted.context.coding, response, bytes)
    }

    /// Adds the headers of CORS to a refusal of a request that has no route; false if the route has no rule for them.
    /// See [`Router::nearest`](crate::Router::nearest).
    pub fn add_cors_headers(&self, request: &HeaderMap, refusal: &mut Refusal) -> bool {
        let Some(cors) = self.prepared.as_ref().and_then(|rules| rules.cors.as_ref()) else { return false };
        cors.apply(cors.origin(request).as_ref(), refusal.headers_mut());
        true
    }

    fn with_headers(&self, mut refusal: Refusal, context: &ResponseContext) -> Refusal {
        self.add_headers(context, refusal.headers_mut());
        refusal
    }

    fn add_headers(&self, context: &ResponseContext, headers: &mut HeaderMap) {
        for name in &context.vary {
            add_vary(headers, name);
        }
        let Some(rules) = &self.prepared else { return };
        if let Some(cors) = &rules.cors {
            cors.apply(context.origin.as_ref(), headers);
        }
        if let (Some(state), Some(policy)) = (&context.rate_limit, &rules.policy) {
            headers.insert(RATE_LIMIT, state.clone());
            headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
    }
}

impl PreparedRules {
    fn identify(
        &self,
        request: &request::Parts,
        matched: &RouteMatch<'_, '_>,
        client: Client,
        now: Now,
        admitted: &mut AdmittedRequest,
    ) -> Result<(), Refusal> {
        let headers = &request.headers;
        if let Some(auth) = &self.auth {
            admitted.identity = auth.authenticate(headers, now)?;
            self.limit(headers, client, now, admitted, LimitPhase::Identified)?;
        }
        if let Some((rules, table)) = &self.assets {
            let is_private = self.auth.is_some() || self.middleware.is_some();
            admitted.asset = table.respond(rules, request, is_private);
            if admitted.asset.is_some() {
                return Ok(());
            }
        }
        if let Some(rules) = &self.validate {
            rules.check_params(request.uri.query(), &matched.params)?;
            if rules.checks_body_of(&request.method, client.has_body) {
                rules.check_headers(headers)?;
                admitted.checks_body = true;
            }
        }
        if let Some(rules) = &self.idempotency {
            admitted.idempotency = rules.key(&request.method, headers)?;
        }
        Ok(())
    }

    /// Counts the request against the limits that are due then.
    fn limit(
        &self,
        headers: &HeaderMap,
        client: Client,
        now: Now,
        admitted: &mut AdmittedRequest,
        phase: LimitPhase,
    ) -> Result<(), Refusal> {
        let mut text = String::new();
        let mut refused: Option<(u64, &Limiter)> = None;
        for (_, limiter) in self.limiters.iter().filter(|(due, _)| *due == phase) {
            let state = limiter.check(client.ip, headers, admitted.identity.as_deref(), now);
            let separator = if text.is_empty() { "" } else { ", " };
            let name = limiter.limit().name();
            let _ = write!(text, "{separator}\"{name}\";r={};t={}", state.remaining, state.seconds);
            if !state.admitted {
                refused = Some((state.seconds, limiter));
                break;
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        if let Some(before) = admitted.context.rate_limit.as_ref().and_then(|value| value.to_str().ok()) {
            text.insert_str(0, ", ");
            text.insert_str(0, before);
        }
        admitted.context.rate_limit = HeaderValue::try_from(text).ok();
        match refused {
            None => Ok(()),
            Some((seconds, limiter)) => Err(Refusal::new(Code::RateLimited)
                .with_detail(format!("Try again in {seconds} seconds."))
                .with_reason(format!("the rate limit \"{}\"", limiter.limit().name()))
                .with_header(RETRY_AFTER, seconds.into())),
        }
    }
}

#[cfg(test)]
mod tests;
