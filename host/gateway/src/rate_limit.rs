//! Rate limits by the generic cell rate algorithm (GCRA), with the crate `governor`.
//!
//! A caller's cell is known by 128 bits, a keyed hash of the caller, so a caller costs the same however long its name
//! is; and there are at most [`MAX_CELLS`] in a limiter. Those that were not asked for longest are forgotten, which
//! gives their callers a full burst again: a limit by a header that a client invents anew each time holds nobody back,
//! one by address or identity does.

mod cells;

pub use cells::MAX_CELLS;

use crate::auth::Identity;
use crate::clock::Now;
use crate::field::single;
use crate::rule::{ConfigError, Rule, header_name, parse_rule, within};
use crate::sync;
use cells::{Cells, ManualClock};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::Value;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The most rate limits of a route.
pub const MAX_RATE_LIMITS: usize = 4;

/// The longest time in which a burst may be given back.
const MAX_BURST_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A rate limit of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateLimit {
    name: Box<str>,
    requests: NonZeroU32,
    per_seconds: u32,
    burst: NonZeroU32,
    by: RateLimitKey,
    /// The table it stands in: limits that read the same in two places are two.
    at: Box<str>,
}

/// The key by which a rate limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// The client's IPv4 address, or its IPv6 network of 64 bits.
    Ip,
    /// The caller's identity; the address for a request without one.
    Identity,
    /// The value of this header; the address where the header is missing or occurs more than once.
    Header(HeaderName),
}

/// The table `rate-limit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RateLimitTable {
    name: Option<String>,
    requests: u32,
    per_seconds: u32,
    burst: Option<u32>,
    by: Option<String>,
    header: Option<String>,
}

impl Rule for RateLimit {
    type Table = RateLimitTable;

    fn check(table: RateLimitTable, at: &str) -> Result<Self, ConfigError> {
        let wrong = |message: &str| ConfigError::new(at, message);
        let name = table.name.unwrap_or_else(|| "default".to_owned());
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(is_name) {
            return Err(wrong("`name` must have 1 to 32 characters out of a-z, 0-9 and -"));
        }
        let requests = within(table.requests, [1, 1_000_000], at, "requests")?;
        let per_seconds = within(table.per_seconds, [1, 86_400], at, "per-seconds")?;
        let burst = within(table.burst.unwrap_or(requests), [1, 1_000_000], at, "burst")?;
        let burst_time = Duration::from_secs(per_seconds.into()).as_secs_f64() / f64::from(requests) * f64::from(burst);
        if burst_time > MAX_BURST_TIME.as_secs_f64() {
            return Err(wrong("`burst` must be so small that it refills within a week"));
        }
        let by = match (table.by.as_deref(), table.header) {
            (None | Some("ip"), None) => RateLimitKey::Ip,
            (Some("identity"), None) => RateLimitKey::Identity,
            (None | Some("header"), Some(header)) => RateLimitKey::Header(header_name(&header, at)?),
            _ => return Err(wrong("`by` is \"ip\", \"identity\", or \"header\" with the key `header`")),
        };
        let [requests, burst] = [requests, burst].map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN));
        Ok(Self { name: name.into(), requests, per_seconds, burst, by, at: at.into() })
    }
}

impl RateLimit {
    /// The name, which clients see.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key by which a rate limit counts.
    #[must_use]
    pub fn by(&self) -> &RateLimitKey {
        &self.by
    }

    pub(crate) fn needs_identity(&self) -> bool {
        self.by == RateLimitKey::Identity
    }

    fn placed_at(self, at: &str) -> Self {
        Self { at: at.into(), ..self }
    }

    /// The item of the header `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10, section 3).
    pub(crate) fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.requests, self.per_seconds)
    }

    /// The time for which one request counts.
    fn interval(&self) -> Duration {
        (Duration::from_secs(self.per_seconds.into()) / self.requests.get()).max(Duration::from_nanos(1))
    }
}

/// Reads the value of `rate-limit`: a table, an array of tables, or `false` for no limit.
pub(crate) fn rate_limits(value: &Value, at: &str) -> Result<Vec<Arc<RateLimit>>, ConfigError> {
    let limits = match value {
        Value::Bool(false) => Vec::new(),
        Value::Array(all) if all.len() > MAX_RATE_LIMITS => {
            return Err(ConfigError::new(at, format!("a route has at most {MAX_RATE_LIMITS} rate limits")));
        }
        Value::Array(all) => {
            let each = all.iter().enumerate().map(|(i, value)| parse_rule::<RateLimit>(value, &format!("{at}[{i}]")));
            each.collect::<Result<Vec<_>, _>>()?
        }
        one => vec![parse_rule::<RateLimit>(one, at)?],
    };
    for (i, limit) in limits.iter().enumerate() {
        if limits.iter().take(i).any(|other| other.name() == limit.name()) {
            let message = format!("two rate limits are called \"{}\": give each a `name`", limit.name());
            return Err(ConfigError::new(at, message));
        }
    }
    Ok(limits.into_iter().map(|limit| Arc::new(limit.placed_at(at))).collect())
}

/// The state of a rate limit for one caller, after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitState {
    /// How many requests could follow at once.
    pub remaining: u32,
    /// In how many seconds the whole burst is there again, or, after a refusal, the next request.
    pub seconds: u64,
    /// Whether this request is within the limit.
    pub admitted: bool,
}

/// A rate limit with the cells of its callers.
#[derive(Debug)]
pub struct Limiter {
    limit: RateLimit,
    cells: RateLimiter<u128, Cells, ManualClock, StateInformationMiddleware>,
    hashers: [RandomState; 2],
}

impl Limiter {
    /// A limiter that has seen nobody.
    #[must_use]
    pub fn new(limit: &RateLimit) -> Self {
        // The interval is not zero, which is the one thing that `with_period` does not take.
        let quota = Quota::with_period(limit.interval()).unwrap_or_else(|| Quota::per_second(limit.requests));
        let cells = RateLimiter::new(quota.allow_burst(limit.burst), Cells::new(), ManualClock::default());
        Self { limit: limit.clone(), cells, hashers: Default::default() }
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Counts a request. Without an identity, or where the header is not there once, the address stands for the caller.
    pub fn check(&self, ip: IpAddr, headers: &HeaderMap, identity: Option<&Identity>, now: Now) -> RateLimitState {
        let key = match &self.limit.by {
            RateLimitKey::Identity if let Some(who) = identity => self.hash(&(1, who.method, who.subject.as_bytes())),
            RateLimitKey::Header(name) if let Some(value) = single(headers, name) => self.hash(&(2, value.as_bytes())),
            RateLimitKey::Ip | RateLimitKey::Identity | RateLimitKey::Header(_) => self.hash(&(0, network(ip))),
        };
        self.cells.clock().advance_to(now);
        let interval = self.limit.interval();
        match self.cells.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.limit.burst.get().saturating_sub(remaining);
                RateLimitState { remaining, seconds: ceil(interval.saturating_mul(used)), admitted: true }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.cells.clock().now());
                RateLimitState { remaining: 0, seconds: ceil(wait).max(1), admitted: false }
            }
        }
    }

    fn hash(&self, caller: &impl Hash) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(caller)));
        high << 64 | low
    }
}

fn ceil(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The least that one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthMethod;
    use http::HeaderValue;
    use serde_json::json;
    use std::net::Ipv4Addr;

    fn limiter(table: Value) -> Limiter {
        Limiter::new(&parse_rule::<RateLimit>(&table, "rate-limit").expect("a rate limit"))
    }

    fn at(seconds: f64) -> Now {
        Now { monotonic: Duration::from_secs_f64(seconds), unix_seconds: 0 }
    }

    fn identity(subject: &str) -> Identity {
        Identity {
            subject: subject.to_owned(),
            user_id: None,
            organization_id: None,
            claims: serde_json::Map::new(),
            method: AuthMethod::ApiKey,
        }
    }

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_burst_passes_and_is_given_back_evenly() {
        let limiter = limiter(json!({ "requests": 60, "per-seconds": 60, "burst": 3 }));
        let check = |seconds| {
            let state = limiter.check(HOME, &HeaderMap::new(), None, at(seconds));
            (state.admitted, state.remaining, state.seconds)
        };
        assert_eq!(check(10.0), (true, 2, 1));
        assert_eq!(check(10.0), (true, 1, 2));
        assert_eq!(check(10.0), (true, 0, 3));
        assert_eq!(check(10.0), (false, 0, 1));
        assert_eq!(check(10.5), (false, 0, 1));
        assert_eq!(check(11.0), (true, 0, 3));
        assert_eq!(check(11.0), (false, 0, 1));
        assert_eq!(check(5.0), (false, 0, 1), "a time in the past changes nothing");
        assert_eq!(check(1000.0), (true, 2, 1));
    }

    #[test]
    fn callers_are_told_apart_by_what_the_limit_names() {
        let one = |table: Value| {
            limiter(json!({ "requests": 1, "per-seconds": 3600, "by": table["by"], "header": table["header"] }))
        };
        let with = |value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static("x-team"), HeaderValue::from_static(value))])
        };
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let none = HeaderMap::new();

        let by_ip = one(json!({ "by": "ip" }));
        let passes = |ip, headers: &HeaderMap, who: Option<&Identity>| by_ip.check(ip, headers, who, at(1.0)).admitted;
        assert!(passes(ip("192.0.2.1"), &none, None));
        assert!(!passes(ip("::ffff:192.0.2.1"), &with("x"), Some(&identity("s"))), "the same address, written as IPv6");
        assert!(passes(ip("2001:db8::1"), &none, None));
        assert!(!passes(ip("2001:db8::ffff:1"), &none, None), "the same network");
        assert!(passes(ip("2001:db8:0:1::1"), &none, None));

        let by_identity = one(json!({ "by": "identity" }));
        let passes =
            |subject: Option<&str>| by_identity.check(HOME, &none, subject.map(identity).as_ref(), at(1.0)).admitted;
        assert!(passes(Some("a")) && passes(Some("b")) && passes(None));
        assert!(!passes(Some("a")) && !passes(None));

        let by_header = one(json!({ "header": "X-Team" }));
        let passes = |headers: &HeaderMap| by_header.check(HOME, headers, None, at(1.0)).admitted;
        assert!(passes(&with("a")) && passes(&with("b")) && passes(&none));
        assert!(!passes(&with("a")) && !passes(&none));
        let mut twice = with("c");
        twice.append("x-team", HeaderValue::from_static("d"));
        assert!(!passes(&twice), "two values are no name: the address counts");
    }

    #[test]
    fn callers_that_were_not_seen_for_long_are_forgotten() {
        let limiter = limiter(json!({ "requests": 1, "per-seconds": 3600 }));
        let none = HeaderMap::new();
        for i in 0..200_000_u32 {
            limiter.check(IpAddr::V4(Ipv4Addr::from_bits(i)), &none, None, at(1.0));
            if i % 1000 == 0 {
                let busy = limiter.check(IpAddr::V4(Ipv4Addr::BROADCAST), &none, None, at(1.0));
                assert_eq!(busy.admitted, i == 0, "who keeps calling is kept");
            }
        }
        let known = limiter.cells.into_state_store().len();
        assert!(known <= MAX_CELLS && known > MAX_CELLS / 3, "{known}");
    }

    #[test]
    fn tables_are_checked() {
        let policy = |table: Value| parse_rule::<RateLimit>(&table, "rate-limit").map(|limit| limit.policy());
        assert_eq!(policy(json!({ "requests": 5, "per-seconds": 60 })), Ok("\"default\";q=5;w=60".into()));
        for (wrong, key) in [
            (json!({ "requests": 0, "per-seconds": 1 }), "requests"),
            (json!({ "requests": 1, "per-seconds": 0 }), "per-seconds"),
            (json!({ "requests": 1, "per-seconds": 100_000 }), "per-seconds"),
            (json!({ "requests": 1, "per-seconds": 86_400, "burst": 1_000_000 }), "burst"),
            (json!({ "requests": 1, "per-seconds": 1, "name": "a b" }), "name"),
            (json!({ "requests": 1, "per-seconds": 1, "by": "cookie" }), "by"),
            (json!({ "requests": 1, "per-seconds": 1, "by": "ip", "header": "a" }), "by"),
            (json!({ "requests": 1, "per-seconds": 1, "header": "a b" }), "a b"),
            (json!({ "requests": 1, "per-second": 1 }), "per-second"),
            (json!({ "per-seconds": 1 }), "requests"),
        ] {
            let message = policy(wrong).expect_err(key).to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
