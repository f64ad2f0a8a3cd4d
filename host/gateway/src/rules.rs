//! All rules of a route, applied to a request and its response in a fixed order.

use crate::assets::{AssetAnswer, AssetRules, AssetTable};
use crate::auth::{ApiKeys, Authenticator, Identity, JwtRules, JwtVerifier};
use crate::cache::CacheRules;
use crate::clock::Now;
use crate::config::{GatewayConfig, RouteConfig};
use crate::cors::Cors;
use crate::encoding::{Coding, Compression};
use crate::field::add_vary;
use crate::headers::HeaderRules;
use crate::methods::Methods;
use crate::problem::{Code, Refusal};
use crate::rate_limit::{Caller, Limiter, RateLimit};
use crate::router::Matched;
use crate::validate::Validation;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, request, response};
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What outlives a version: callers keep their rate limits, and the keys for tokens are not fetched anew, when a
/// service goes from one version to the next, or serves two. One for each service.
#[derive(Debug, Default)]
pub struct Shared {
    limiters: Mutex<HashMap<RateLimit, Weak<Limiter>>>,
    verifiers: Mutex<HashMap<JwtRules, Weak<JwtVerifier>>>,
}

impl Shared {
    /// What checks tokens, for whoever fetches keys.
    #[must_use]
    pub fn verifiers(&self) -> Vec<Arc<JwtVerifier>> {
        let verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        verifiers.values().filter_map(Weak::upgrade).collect()
    }
}

/// The value that lives for a key, else a new one. Those that live no more are forgotten.
fn shared<K: Eq + Hash + Clone, V>(map: &Mutex<HashMap<K, Weak<V>>>, key: &K, make: impl FnOnce(&K) -> V) -> Arc<V> {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    map.retain(|_, value| value.strong_count() > 0);
    if let Some(value) = map.get(key).and_then(Weak::upgrade) {
        return value;
    }
    let value = Arc::new(make(key));
    map.insert(key.clone(), Arc::downgrade(&value));
    value
}

/// The checked and prepared rules of one route.
#[derive(Debug)]
pub struct Rules {
    methods: Methods,
    prepared: Option<Box<Prepared>>,
}

#[derive(Debug, Default)]
struct Prepared {
    cors: Option<Arc<Cors>>,
    limiters: Vec<Arc<Limiter>>,
    policy: Option<HeaderValue>,
    auth: Option<Authenticator>,
    validate: Option<Arc<Validation>>,
    headers: Option<Arc<HeaderRules>>,
    compress: Option<Arc<Compression>>,
    assets: Option<(Arc<AssetRules>, Arc<AssetTable>)>,
    cache: Option<Arc<CacheRules>>,
}

/// What the connection says of a request.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Who is at the other end, behind proxies that are trusted.
    pub ip: IpAddr,
    /// Whether a body follows the head.
    pub has_body: bool,
}

/// A request that may go on to the component.
#[derive(Debug, Default)]
pub struct Admitted {
    /// Who calls, where the route asks for it.
    pub identity: Option<Arc<Identity>>,
    /// The file that answers in the component's place.
    pub asset: Option<AssetAnswer>,
    /// Whether the body is to be read whole, at most [`Rules::max_body_bytes`] of it, and given to
    /// [`Rules::check_body`] first.
    pub checks_body: bool,
    marks: Marks,
}

/// A request that is within the rate limits by address and header; who calls is not known yet.
#[derive(Debug)]
pub struct Unidentified(Admitted);

/// What an answer is to say of its request.
#[derive(Debug, Default)]
struct Marks {
    origin: Option<HeaderValue>,
    rate_limit: Option<HeaderValue>,
    coding: Option<Coding>,
    vary: Vec<HeaderName>,
}

/// Why a request does not go on to the component.
#[derive(Debug)]
pub enum Stop {
    /// The gateway has the answer, which has no body.
    Answer(Box<Response<()>>),
    /// It is refused.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Admitted {
    /// The headers of the request by which its route was chosen.
    #[must_use]
    pub fn vary(&self) -> &[HeaderName] {
        &self.marks.vary
    }
}

impl Rules {
    /// The rules of a version's routes, in their order. `assets` are the version's files.
    #[must_use]
    pub fn prepare(
        config: &GatewayConfig,
        shared: &Shared,
        api_keys: Option<&Arc<dyn ApiKeys>>,
        assets: Option<&Arc<AssetTable>>,
    ) -> Vec<Arc<Self>> {
        let none = Arc::default();
        let assets = assets.unwrap_or(&none);
        config.routes.iter().map(|route| Arc::new(Self::of(route, shared, api_keys, assets))).collect()
    }

    fn of(route: &RouteConfig, keep: &Shared, api_keys: Option<&Arc<dyn ApiKeys>>, assets: &Arc<AssetTable>) -> Self {
        let (methods, rules) = (route.methods.clone(), &route.rules);
        if rules.is_empty() {
            return Self { methods, prepared: None };
        }
        let policies: Vec<String> = rules.rate_limits.iter().map(|limit| limit.policy()).collect();
        let authenticator = |auth: &Arc<_>| {
            let auth: &Arc<crate::auth::AuthRules> = auth;
            let verifier = auth.jwt().map(|jwt| shared(&keep.verifiers, jwt, |jwt| JwtVerifier::new(jwt.clone())));
            Authenticator::new(Arc::clone(auth), verifier, api_keys.cloned())
        };
        let prepared = Prepared {
            cors: rules.cors.clone(),
            limiters: rules.rate_limits.iter().map(|limit| shared(&keep.limiters, limit, Limiter::new)).collect(),
            policy: HeaderValue::try_from(policies.join(", ")).ok().filter(|value| !value.is_empty()),
            auth: rules.auth.as_ref().map(authenticator),
            validate: rules.validate.clone(),
            headers: rules.headers.clone(),
            compress: rules.compress.clone(),
            assets: rules.assets.as_ref().map(|rules| (Arc::clone(rules), Arc::clone(assets))),
            cache: rules.cache.clone(),
        };
        Self { methods, prepared: Some(Box::new(prepared)) }
    }

    /// The API key that [`ApiKeys::verify`] would be asked about: for a host that has to look keys up before that.
    #[must_use]
    pub fn api_key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        self.prepared.as_ref()?.auth.as_ref()?.api_key(headers)
    }

    /// Lets a request pass, or not. In this order: a preflight is answered; the rate limits by address and header; who calls;
    /// the rate limits by identity; the files; the query, the path and the head of a body.
    ///
    /// # Errors
    /// [`Stop`], with all headers that the client's scripts need to read it.
    pub fn admit(
        &self,
        request: &request::Parts,
        matched: &Matched<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<Admitted, Stop> {
        self.identify(self.limit(request, matched, client, now)?, request, matched, client, now)
    }

    /// The first half of [`Rules::admit`]: preflights, and the rate limits by address and header. What a host has to look up to know who calls,
    /// it looks up after this, so that a limit also bounds how often strangers make it look.
    ///
    /// # Errors
    /// As [`Rules::admit`].
    pub fn limit(
        &self,
        request: &request::Parts,
        matched: &Matched<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<Unidentified, Stop> {
        let preflight = self.prepared.as_ref().and_then(|rules| rules.cors.as_ref()?.preflight(request, &self.methods));
        match preflight {
            Some(Ok(response)) => return Err(Stop::Answer(Box::new(response))),
            Some(Err(refusal)) => return Err(refusal.into()),
            None => {}
        }
        let mut admitted = Admitted::default();
        admitted.marks.vary = matched.vary.to_vec();
        // The router brings preflights of other methods here, too.
        let misled = request.method == Method::OPTIONS && !self.methods.lists(&Method::OPTIONS);
        let outcome = match &self.prepared {
            _ if misled => Err(Refusal::method_not_allowed(Methods::allow_value(std::iter::once(&self.methods)))),
            None => Ok(()),
            Some(rules) => {
                admitted.marks.origin = rules.cors.as_ref().and_then(|cors| cors.origin(&request.headers));
                admitted.marks.coding =
                    rules.compress.as_ref().and_then(|compress| compress.negotiate(&request.headers));
                rules.limit(&request.headers, client, now, &mut admitted, false)
            }
        };
        match outcome {
            Ok(()) => Ok(Unidentified(admitted)),
            Err(refusal) => Err(self.marked(refusal, &admitted.marks).into()),
        }
    }

    /// Refuses a request between the two halves, with all headers that the client's scripts need to read it.
    #[must_use]
    pub fn refuse(&self, Unidentified(admitted): &Unidentified, refusal: Refusal) -> Stop {
        self.marked(refusal, &admitted.marks).into()
    }

    /// The second half of [`Rules::admit`], for the same request.
    ///
    /// # Errors
    /// As [`Rules::admit`].
    pub fn identify(
        &self,
        Unidentified(mut admitted): Unidentified,
        request: &request::Parts,
        matched: &Matched<'_, '_>,
        client: Client,
        now: Now,
    ) -> Result<Admitted, Stop> {
        let rules = self.prepared.as_ref();
        match rules.map_or(Ok(()), |rules| rules.identify(request, matched, client, now, &mut admitted)) {
            Ok(()) => Ok(admitted),
            Err(refusal) => Err(self.marked(refusal, &admitted.marks).into()),
        }
    }

    /// How many bytes of a body are to be read for [`Rules::check_body`], and one more to see that there are too many.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.prepared.as_ref().and_then(|rules| rules.validate.as_ref()).map_or(0, |rules| rules.max_body_bytes())
    }

    /// Which answers may be kept, if any may.
    #[must_use]
    pub fn cache(&self) -> Option<&Arc<CacheRules>> {
        self.prepared.as_ref()?.cache.as_ref()
    }

    /// Checks a body, where [`Admitted::checks_body`] says so.
    ///
    /// # Errors
    /// A refusal, with all headers that the client's scripts need to read it.
    pub fn check_body(&self, admitted: &Admitted, body: &[u8]) -> Result<(), Refusal> {
        let Some(rules) = self.prepared.as_ref().and_then(|rules| rules.validate.as_ref()) else { return Ok(()) };
        rules.check_body(body).map_err(|refusal| self.marked(refusal, &admitted.marks))
    }

    /// Puts the rules' headers into an answer to an admitted request, be it the component's, a file or an error of the
    /// server's. The server is to compress the body if a coding is returned. `bytes` is the body's length, where it is
    /// known.
    pub fn finish(&self, admitted: &Admitted, answer: &mut response::Parts, bytes: Option<u64>) -> Option<Coding> {
        self.mark(&admitted.marks, &mut answer.headers);
        let rules = self.prepared.as_ref()?;
        if let Some(headers) = &rules.headers {
            headers.apply(answer);
        }
        rules.compress.as_ref()?.apply(admitted.marks.coding, answer, bytes)
    }

    /// Puts the headers of CORS into a refusal of a request that has no route; false if the route has no rule for them. See
    /// [`Router::nearest`](crate::Router::nearest).
    pub fn let_origin_read(&self, request: &HeaderMap, refusal: &mut Refusal) -> bool {
        let Some(cors) = self.prepared.as_ref().and_then(|rules| rules.cors.as_ref()) else { return false };
        cors.apply(cors.origin(request).as_ref(), refusal.headers_mut());
        true
    }

    fn marked(&self, mut refusal: Refusal, marks: &Marks) -> Refusal {
        self.mark(marks, refusal.headers_mut());
        refusal
    }

    fn mark(&self, marks: &Marks, headers: &mut HeaderMap) {
        for name in &marks.vary {
            add_vary(headers, name);
        }
        let Some(rules) = &self.prepared else { return };
        if let Some(cors) = &rules.cors {
            cors.apply(marks.origin.as_ref(), headers);
        }
        if let (Some(standing), Some(policy)) = (&marks.rate_limit, &rules.policy) {
            headers.insert(RATE_LIMIT, standing.clone());
            headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
    }
}

impl Prepared {
    fn identify(
        &self,
        request: &request::Parts,
        matched: &Matched<'_, '_>,
        client: Client,
        now: Now,
        admitted: &mut Admitted,
    ) -> Result<(), Refusal> {
        let headers = &request.headers;
        if let Some(auth) = &self.auth {
            admitted.identity = auth.authenticate(headers, now)?;
            self.limit(headers, client, now, admitted, true)?;
        }
        if let Some((rules, table)) = &self.assets {
            admitted.asset = table.answer(rules, request, self.auth.is_some());
            if admitted.asset.is_some() {
                return Ok(());
            }
        }
        if let Some(rules) = &self.validate {
            rules.check_params(request.uri.query(), &matched.params)?;
            if rules.takes_body(&request.method, client.has_body) {
                rules.check_head(headers)?;
                admitted.checks_body = true;
            }
        }
        Ok(())
    }

    /// Counts the request against the limits before or after it is known who calls.
    fn limit(
        &self,
        headers: &HeaderMap,
        client: Client,
        now: Now,
        admitted: &mut Admitted,
        identified: bool,
    ) -> Result<(), Refusal> {
        let due = |limiter: &&Arc<Limiter>| (*limiter.limit().by() == Caller::Identity) == identified;
        let mut text = String::new();
        let mut refused: Option<(u64, &Limiter)> = None;
        for limiter in self.limiters.iter().filter(due) {
            let standing = limiter.check(client.ip, headers, admitted.identity.as_deref(), now);
            let separator = if text.is_empty() { "" } else { ", " };
            let name = limiter.limit().name();
            let _ = write!(text, "{separator}\"{name}\";r={};t={}", standing.remaining, standing.seconds);
            if !standing.admitted {
                refused = Some((standing.seconds, limiter));
                break;
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        if let Some(before) = admitted.marks.rate_limit.as_ref().and_then(|value| value.to_str().ok()) {
            text.insert_str(0, ", ");
            text.insert_str(0, before);
        }
        admitted.marks.rate_limit = HeaderValue::try_from(text).ok();
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
