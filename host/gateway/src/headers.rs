//! Response headers that a route sets, removes or has defaults for.

use crate::rule::{ConfigError, MAX_HEADERS, Rule, header_name, header_names, header_value, within};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, DATE, HOST,
    REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::response::Parts;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Response headers that the gateway adds or removes.
#[derive(Debug, Clone)]
pub struct HeaderRules {
    /// Headers of responses in which the component does not set them.
    defaults: Vec<(HeaderName, HeaderValue)>,
    cache_control: Option<HeaderValue>,
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

/// The table `headers`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HeadersTable {
    #[serde(default = "yes")]
    security: bool,
    referrer_policy: Option<String>,
    content_security_policy: Option<String>,
    hsts: Option<HstsTable>,
    cache_control: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
}

/// The table `headers.hsts` (RFC 6797, section 6.1).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HstsTable {
    max_age: u64,
    #[serde(default)]
    include_subdomains: bool,
    #[serde(default)]
    preload: bool,
}

fn yes() -> bool {
    true
}

impl Rule for HeaderRules {
    type Table = HeadersTable;

    fn check(table: HeadersTable, at: &str) -> Result<Self, ConfigError> {
        let mut defaults = Vec::new();
        if table.security {
            defaults.push((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        }
        let policy = table.referrer_policy.as_deref();
        if let Some(policy) = policy.or_else(|| table.security.then_some("strict-origin-when-cross-origin")) {
            defaults.push((REFERRER_POLICY, value(policy, at, "referrer-policy")?));
        }
        if let Some(policy) = &table.content_security_policy {
            defaults.push((CONTENT_SECURITY_POLICY, value(policy, at, "content-security-policy")?));
        }
        if let Some(hsts) = &table.hsts {
            defaults.push((STRICT_TRANSPORT_SECURITY, hsts.value(at)?));
        }
        if table.set.len() > MAX_HEADERS {
            return Err(ConfigError::new(at, format!("`set` has more than {MAX_HEADERS} headers")));
        }
        let mut set = Vec::new();
        for (name, text) in &table.set {
            let name = header_name(name, at)?;
            if is_reserved(&name) || name == SET_COOKIE {
                return Err(ConfigError::new(at, format!("`set` has {name}, which is not for the gateway to say")));
            }
            let text = value(text, at, name.as_str())?;
            set.push((name, text));
        }
        let remove = header_names(&table.remove, at)?;
        if let Some(name) = remove.iter().find(|name| is_reserved(name)) {
            return Err(ConfigError::new(
                at,
                format!("`remove` has {name}, which is not for the gateway to take away"),
            ));
        }
        let cache_control = table.cache_control.map(|text| value(&text, at, "cache-control")).transpose()?;
        Ok(Self { defaults, cache_control, remove, set })
    }
}

impl HstsTable {
    fn value(&self, at: &str) -> Result<HeaderValue, ConfigError> {
        let at = format!("{at}.hsts");
        within(self.max_age, [0, 10 * 365 * 86_400], &at, "max-age")?;
        if self.preload && !(self.include_subdomains && self.max_age >= 365 * 86_400) {
            return Err(ConfigError::new(&at, "`preload` needs `include-subdomains = true` and a `max-age` of a year"));
        }
        let mut text = format!("max-age={}", self.max_age);
        text.push_str(if self.include_subdomains { "; includeSubDomains" } else { "" });
        text.push_str(if self.preload { "; preload" } else { "" });
        header_value(&text, &at)
    }
}

fn value(text: &str, at: &str, key: &str) -> Result<HeaderValue, ConfigError> {
    header_value(text.trim(), &format!("{at}.{key}"))
}

/// Headers that frame or route a message, that describe its body, or that other rules are for.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let known = [
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        DATE,
        HOST,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        VARY,
    ];
    let name_is = |prefix: &str| name.as_str().starts_with(prefix);
    known.contains(name) || name_is("keep-alive") || name_is("proxy-") || name_is("access-control-") || name_is(":")
}

impl HeaderRules {
    /// Changes the headers of a response. The component's own headers have priority, unless `set` or `remove` name
    /// them; `cache-control` is for responses that are not errors.
    pub fn apply(&self, response: &mut Parts) {
        let is_error = response.status.is_client_error() || response.status.is_server_error();
        let headers = &mut response.headers;
        for name in &self.remove {
            headers.remove(name);
        }
        let cache_control = self.cache_control.iter().filter(|_| !is_error).map(|value| (&CACHE_CONTROL, value));
        for (name, value) in self.defaults.iter().map(|(name, value)| (name, value)).chain(cache_control) {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse_rule;
    use http::{Response, StatusCode};
    use serde_json::{Value, json};

    fn applied(table: Value, status: u16, pairs: &[(&str, &str)]) -> Vec<String> {
        let rules = parse_rule::<HeaderRules>(&table, "headers").expect("a table");
        let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
        for (name, value) in pairs {
            response = response.header(*name, *value);
        }
        let mut parts = response.body(()).expect("a response").into_parts().0;
        rules.apply(&mut parts);
        let mut all: Vec<_> =
            parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn defaults_are_safe_and_the_component_may_say_otherwise() {
        let plain = applied(json!({}), 200, &[]);
        assert_eq!(plain, ["referrer-policy: strict-origin-when-cross-origin", "x-content-type-options: nosniff"]);
        let own = applied(json!({}), 200, &[("referrer-policy", "no-referrer")]);
        assert_eq!(own, ["referrer-policy: no-referrer", "x-content-type-options: nosniff"]);
        assert!(applied(json!({ "security": false }), 200, &[]).is_empty());
        let told = json!({
            "security": false,
            "content-security-policy": "default-src 'self'",
            "hsts": { "max-age": 31_536_000, "include-subdomains": true, "preload": true },
        });
        assert_eq!(
            applied(told, 200, &[]),
            [
                "content-security-policy: default-src 'self'",
                "strict-transport-security: max-age=31536000; includeSubDomains; preload",
            ]
        );
    }

    #[test]
    fn headers_are_set_removed_and_cached_by_route() {
        let table = json!({
            "security": false, "cache-control": "public, max-age=60",
            "set": { "X-Team": "shop" }, "remove": ["X-Powered-By"],
        });
        let from = [("x-team", "a"), ("x-powered-by", "b"), ("set-cookie", "c")];
        assert_eq!(
            applied(table.clone(), 200, &from),
            ["cache-control: public, max-age=60", "set-cookie: c", "x-team: shop"]
        );
        assert_eq!(applied(table.clone(), 404, &[]), ["x-team: shop"]);
        assert_eq!(applied(table, 200, &[("cache-control", "no-store")]), ["cache-control: no-store", "x-team: shop"]);
    }

    #[test]
    fn tables_are_checked() {
        let many: BTreeMap<String, &str> = (0..=MAX_HEADERS).map(|i| (format!("x-{i}"), "1")).collect();
        for (table, part) in [
            (json!({ "set": { "Content-Length": "1" } }), "content-length"),
            (json!({ "set": { "connection": "close" } }), "connection"),
            (json!({ "set": { "proxy-authenticate": "x" } }), "proxy-authenticate"),
            (json!({ "set": { "set-cookie": "a=b" } }), "set-cookie"),
            (json!({ "set": { "access-control-allow-origin": "*" } }), "access-control-allow-origin"),
            (json!({ "set": { "a b": "x" } }), "a b"),
            (json!({ "set": { "x-a": "1\r\nset-cookie: x" } }), "x-a"),
            (json!({ "set": many }), "64"),
            (json!({ "remove": ["transfer-encoding"] }), "transfer-encoding"),
            (json!({ "cache-control": "a\u{0}" }), "cache-control"),
            (json!({ "content-security-policy": "x".repeat(5000) }), "content-security-policy"),
            (json!({ "hsts": { "max-age": 1, "preload": true } }), "preload"),
            (json!({ "hsts": {} }), "max-age"),
            (json!({ "csp": "x" }), "csp"),
        ] {
            let message = parse_rule::<HeaderRules>(&table, "headers").expect_err(part).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
