//! Middleware of a route: components that get a request before the component that responds, in order. Each lets the
//! request go on, with request headers of its own, or responds. The gateway decides; the server calls them.
//!
//! A client could send the headers that a middleware sets, and the component cannot tell who wrote them. So a route
//! lists them, and they are taken out of every request to the service, whichever route it takes: see
//! [`Rules::remove_reserved_headers`](crate::Rules::remove_reserved_headers).

use crate::field::single;
use crate::headers;
use crate::rule::{ConfigError, Rule, header_names, parse_rule, within};
use elias_names::ComponentName;
use http::header::{CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH, RANGE, SET_COOKIE};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The response header by which a middleware lets the request go on: `elias-middleware: continue`.
pub const MIDDLEWARE: HeaderName = HeaderName::from_static("elias-middleware");
/// The value of that header.
const CONTINUE: &str = "continue";

/// The most middleware of a route.
pub const MAX_MIDDLEWARE: usize = 8;
/// The most request headers that one middleware sets.
pub const MAX_SET_HEADERS: usize = 16;
/// The longest body of a request that is given to middleware, in bytes: it is read whole before the first is called.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// How long a middleware may take, at least, at most and by default.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The middleware of a route.
#[derive(Debug, Clone)]
pub struct MiddlewareRules {
    steps: Vec<Middleware>,
}

/// One middleware of a route.
#[derive(Debug, Clone)]
pub struct Middleware {
    /// The component that is called, of the same tenant and in the same environment.
    pub component: ComponentName,
    /// Wall clock that a call may take. The component's own limit counts if it is lower, as for the next two.
    pub timeout: Duration,
    /// Units of fuel that a call may use.
    pub fuel: Option<u64>,
    /// Bytes of memory that a call may use.
    pub memory_bytes: Option<u64>,
    /// Whether the request goes on if the call fails; else it fails as well.
    pub continues_on_error: bool,
    max_body_bytes: Option<usize>,
    sets: Vec<HeaderName>,
}

/// A table of the array `middleware`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MiddlewareTable {
    component: String,
    timeout: Option<String>,
    fuel: Option<u64>,
    memory_bytes: Option<u64>,
    #[serde(default)]
    on_error: OnError,
    max_body_bytes: Option<usize>,
    #[serde(default)]
    sets: Vec<String>,
}

/// What becomes of a request whose middleware fails.
#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum OnError {
    #[default]
    Refuse,
    Continue,
}

impl Rule for Middleware {
    type Table = MiddlewareTable;

    fn check(table: MiddlewareTable, at: &str) -> Result<Self, ConfigError> {
        let component = table.component.parse::<ComponentName>();
        let component = component.map_err(|error| ConfigError::new(&format!("{at}.component"), error.to_string()))?;
        let timeout = match &table.timeout {
            None => TIMEOUT_DEFAULT,
            Some(text) => humantime::parse_duration(text)
                .ok()
                .filter(|timeout| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(timeout))
                .ok_or_else(|| {
                    ConfigError::new(at, "`timeout` must be a duration from \"1ms\" to \"1m\", such as \"200ms\"")
                })?,
        };
        let bounded = |value: Option<u64>, range, key| value.map(|value| within(value, range, at, key)).transpose();
        let max_body_bytes = table.max_body_bytes;
        let max_body_bytes = max_body_bytes.map(|bytes| within(bytes, [1, MAX_BODY_BYTES], at, "max-body-bytes"));
        let at_sets = format!("{at}.sets");
        let sets = header_names(&table.sets, &at_sets)?;
        if sets.len() > MAX_SET_HEADERS {
            return Err(ConfigError::new(&at_sets, format!("lists more than {MAX_SET_HEADERS} headers")));
        }
        if let Some(name) = sets.iter().find(|name| is_not_to_be_set(name)) {
            return Err(ConfigError::new(&at_sets, format!("has {name}, which is not for a middleware to set")));
        }
        Ok(Self {
            component,
            timeout,
            fuel: bounded(table.fuel, [1, 1 << 53], "fuel")?,
            memory_bytes: bounded(table.memory_bytes, [64 << 10, 4 << 30], "memory-bytes")?,
            continues_on_error: table.on_error == OnError::Continue,
            max_body_bytes: max_body_bytes.transpose()?,
            sets,
        })
    }
}

/// Request headers that frame, route, trace or describe a message, or that the gateway has read by then. Several of
/// them are in most responses, which would set them by accident.
fn is_not_to_be_set(name: &HeaderName) -> bool {
    let known = [CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH, RANGE, SET_COOKIE];
    let others = ["forwarded", "idempotency-key", "traceparent", "tracestate", "x-forwarded-for"];
    let text = name.as_str();
    headers::is_reserved(name) || known.contains(name) || others.contains(&text) || text.starts_with("elias-")
}

/// Reads the value of `middleware`: an array of tables, or `false` for none.
pub(crate) fn middleware(value: &Value, at: &str) -> Result<Option<MiddlewareRules>, ConfigError> {
    let tables = match value {
        Value::Bool(false) => return Ok(None),
        Value::Array(tables) => tables,
        _ => return Err(ConfigError::new(at, "must be an array of tables: [{ component = \"auth\" }]")),
    };
    if tables.len() > MAX_MIDDLEWARE {
        return Err(ConfigError::new(at, format!("a route has at most {MAX_MIDDLEWARE} middleware")));
    }
    let each = tables.iter().enumerate().map(|(i, table)| parse_rule(table, &format!("{at}[{i}]")));
    let steps = each.collect::<Result<Vec<Middleware>, _>>()?;
    Ok((!steps.is_empty()).then_some(MiddlewareRules { steps }))
}

/// In the extensions of a request: the headers that it has from middleware alone, since the gateway has removed those
/// of the client.
#[derive(Debug, Clone)]
pub struct FromMiddleware(Arc<[HeaderName]>);

impl FromMiddleware {
    /// The headers that the middleware of a service's routes sets; `None` if there are none.
    pub(crate) fn of<'a>(middleware: impl Iterator<Item = &'a MiddlewareRules>) -> Option<Self> {
        let headers = distinct(middleware.flat_map(MiddlewareRules::set_headers).cloned());
        (!headers.is_empty()).then(|| Self(headers.into()))
    }

    /// The headers, each once.
    #[must_use]
    pub fn headers(&self) -> &[HeaderName] {
        &self.0
    }

    /// Whether the request can have this header from middleware alone.
    #[must_use]
    pub fn has(&self, header: &HeaderName) -> bool {
        self.0.contains(header)
    }
}

/// The request headers that middleware sets by the table `[gateway]` of a version, which was checked before: without
/// preparing its other rules.
#[must_use]
pub fn headers_of_middleware(table: &Value) -> Vec<HeaderName> {
    let inherited = table.get("middleware");
    let routes = table.get("routes").and_then(Value::as_array).filter(|routes| !routes.is_empty());
    let steps: Vec<&Value> = match routes {
        Some(routes) => routes.iter().filter_map(|route| route.get("middleware").or(inherited)).collect(),
        None => inherited.into_iter().collect(),
    };
    let steps = steps.into_iter().filter_map(Value::as_array).flatten();
    let names = steps.filter_map(|step| step.get("sets")?.as_array()).flatten().filter_map(Value::as_str);
    distinct(names.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()))
}

/// The headers in order, each once.
fn distinct(headers: impl Iterator<Item = HeaderName>) -> Vec<HeaderName> {
    let mut headers: Vec<_> = headers.collect();
    headers.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    headers.dedup();
    headers
}

impl MiddlewareRules {
    /// The middleware, in the order in which they are called.
    #[must_use]
    pub fn steps(&self) -> &[Middleware] {
        &self.steps
    }

    /// How many bytes a request's body may have, if it is to be read whole and given to some of them.
    #[must_use]
    pub fn max_body_bytes(&self) -> Option<usize> {
        self.steps.iter().filter_map(|step| step.max_body_bytes).min()
    }

    /// The request headers that they set.
    pub fn set_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.steps.iter().flat_map(|step| &step.sets)
    }
}

impl Middleware {
    /// Whether it is given the request's body.
    #[must_use]
    pub fn takes_body(&self) -> bool {
        self.max_body_bytes.is_some()
    }

    /// Whether its response lets the request go on. Then the headers that it lists are set on the request, in the place
    /// of those of a middleware before it; of its response nothing else is used.
    #[must_use]
    pub fn proceed(&self, response: &HeaderMap, request: &mut HeaderMap) -> bool {
        let goes_on = single(response, &MIDDLEWARE).is_some_and(|value| value == CONTINUE);
        for name in self.sets.iter().filter(|name| goes_on && response.contains_key(*name)) {
            request.remove(name);
            for value in response.get_all(name) {
                request.append(name.clone(), value.clone());
            }
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    fn read(value: Value) -> Result<Option<MiddlewareRules>, ConfigError> {
        middleware(&value, "middleware")
    }

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn tables_are_read_in_their_order() {
        assert!(read(json!(false)).expect("none").is_none() && read(json!([])).expect("none").is_none());
        let rules = read(json!([
            { "component": "auth", "timeout": "200ms", "memory-bytes": 16777216, "fuel": 1000, "sets": ["X-User"] },
            { "component": "sign", "on-error": "continue", "max-body-bytes": 1000 },
            { "component": "size", "max-body-bytes": 10 },
        ]));
        let rules = rules.expect("tables").expect("some");
        let [auth, sign, size] = rules.steps() else { panic!("{rules:?}") };
        assert_eq!((auth.component.as_str(), auth.timeout), ("auth", Duration::from_millis(200)));
        assert_eq!((auth.memory_bytes, auth.fuel), (Some(16 << 20), Some(1000)));
        assert!(!auth.continues_on_error && sign.continues_on_error && sign.timeout == TIMEOUT_DEFAULT);
        assert_eq!([auth, sign, size].map(Middleware::takes_body), [false, true, true]);
        assert_eq!(rules.max_body_bytes(), Some(10), "a body that one of them may not have reaches none");
        assert_eq!(rules.set_headers().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-user"]);
    }

    #[test]
    fn the_headers_of_a_version_are_those_of_its_routes() {
        let with = |name: &str| json!([{ "component": "auth", "sets": [name] }, { "component": "log" }]);
        let cases: [(Value, &[&str]); 5] = [
            (json!({}), &[]),
            (json!({ "middleware": with("X-User") }), &["x-user"]),
            (json!({ "middleware": with("x-user"), "routes": [] }), &["x-user"]),
            (json!({ "middleware": with("x-user"), "routes": [{ "middleware": false }] }), &[]),
            (
                json!({ "middleware": with("x-user"), "routes": [{}, {}, { "middleware": with("x-role") }] }),
                &["x-role", "x-user"],
            ),
        ];
        for (table, names) in cases {
            let found = headers_of_middleware(&table);
            assert_eq!(found.iter().map(HeaderName::as_str).collect::<Vec<_>>(), names, "{table}");
            let config = crate::GatewayConfig::parse(&table).expect("a table");
            let known = FromMiddleware::of(config.routes.iter().filter_map(|route| route.rules.middleware.as_deref()));
            assert_eq!(known.as_ref().map_or(&[][..], FromMiddleware::headers), found, "{table}");
        }
    }

    #[test]
    fn tables_are_checked() {
        let one = |key: &str, value: Value| {
            let mut table = json!({ "component": "auth" });
            table[key] = value;
            json!([table])
        };
        let names = |count: usize| (0..count).map(|i| format!("x-{i}")).collect::<Vec<_>>();
        for (value, part) in [
            (json!({ "component": "auth" }), "array"),
            (json!([{}]), "`component`"),
            (one("component", json!("Auth Service")), "component name"),
            (one("components", json!(1)), "`components`"),
            (one("timeout", json!("0s")), "`timeout`"),
            (one("timeout", json!("61s")), "`timeout`"),
            (one("timeout", json!(200)), "string"),
            (one("fuel", json!(0)), "`fuel`"),
            (one("memory-bytes", json!(1)), "`memory-bytes`"),
            (one("on-error", json!("ignore")), "`ignore`"),
            (one("max-body-bytes", json!(MAX_BODY_BYTES + 1)), "`max-body-bytes`"),
            (one("sets", json!(names(MAX_SET_HEADERS + 1))), "16"),
            (one("sets", json!(["a b"])), "header name"),
            (json!(vec![json!({ "component": "auth" }); MAX_MIDDLEWARE + 1]), "8"),
        ] {
            let error = read(value).expect_err(part);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(read(one("sets", json!(names(MAX_SET_HEADERS)))).is_ok());
        for name in ["Host", "content-length", "transfer-encoding", "content-type", "traceparent", "elias-middleware"] {
            let error = read(one("sets", json!([name]))).expect_err(name);
            assert!(error.to_string().contains("not for a middleware to set"), "{error}");
        }
    }

    #[test]
    fn a_response_goes_on_only_if_it_says_so_and_sets_only_what_is_listed() {
        let rules = read(json!([{ "component": "auth", "sets": ["x-user", "x-role"] }])).expect("a table");
        let rules = rules.expect("some");
        let [auth] = rules.steps() else { panic!("{rules:?}") };
        let mut request = map(&[("x-user", "of-a-former-one"), ("accept", "text/html")]);
        for other in [
            map(&[("x-user", "7")]),
            map(&[("x-user", "7"), ("elias-middleware", "stop")]),
            map(&[("x-user", "7"), ("elias-middleware", "continue"), ("elias-middleware", "continue")]),
        ] {
            assert!(!auth.proceed(&other, &mut request), "{other:?}");
            assert_eq!(request["x-user"], "of-a-former-one", "a response that is sent changes no request");
        }
        let mut response = map(&[("elias-middleware", "continue"), ("accept", "text/plain"), ("x-user", "7")]);
        response.append("x-user", HeaderValue::from_static("8"));
        assert!(auth.proceed(&response, &mut request));
        assert_eq!(request.get_all("x-user").iter().collect::<Vec<_>>(), ["7", "8"]);
        assert_eq!(request["accept"], "text/html");
        assert!(!request.contains_key("x-role") && !request.contains_key("elias-middleware"));
    }
}
