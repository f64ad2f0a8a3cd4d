//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header-07): a POST or PATCH that is sent again with its key is
//! executed once. The gateway reads keys; the host stores responses.

use crate::field::single;
use crate::problem::{Code, Refusal};
use crate::rule::{ConfigError, Rule};
use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;
use std::time::Duration;

/// The request header with the key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// The longest body of a request with a key, in bytes: it is read whole before the component is called.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// For how long a response is kept, at least and at most.
const TTL_MIN: Duration = Duration::from_secs(60);
const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The requests of a route that are executed once for each key.
#[derive(Debug, Clone)]
pub struct IdempotencyRules {
    required: bool,
    ttl: Duration,
}

/// The table `idempotency`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct IdempotencyTable {
    #[serde(default)]
    required: bool,
    ttl: Option<String>,
}

/// The idempotency key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key: 1 to [`MAX_KEY_BYTES`] characters of printable ASCII.
    pub key: String,
    /// For how long the response is kept.
    pub ttl: Duration,
}

impl Rule for IdempotencyRules {
    type Table = IdempotencyTable;

    fn check(table: IdempotencyTable, at: &str) -> Result<Self, ConfigError> {
        let ttl = match table.ttl {
            None => Duration::from_secs(24 * 3600),
            Some(text) => {
                humantime::parse_duration(&text).ok().filter(|ttl| (TTL_MIN..=TTL_MAX).contains(ttl)).ok_or_else(
                    || ConfigError::new(at, "`ttl` must be a duration from \"1m\" to \"7d\", such as \"24h\""),
                )?
            }
        };
        Ok(Self { required: table.required, ttl })
    }
}

impl IdempotencyRules {
    /// The key of a request; none if it has none, or if its method is neither POST nor PATCH.
    ///
    /// # Errors
    /// [`Code::IdempotencyKeyMissing`] if the route requires one, [`Code::IdempotencyKeyInvalid`].
    pub fn key(&self, method: &Method, headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refusal> {
        if !matches!(*method, Method::POST | Method::PATCH) {
            return Ok(None);
        }
        if !headers.contains_key(IDEMPOTENCY_KEY) {
            return if self.required {
                Err(Refusal::new(Code::IdempotencyKeyMissing)
                    .with_detail("The header Idempotency-Key must have a key that is new for each new request."))
            } else {
                Ok(None)
            };
        }
        let value = single(headers, &IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
        let key = value.and_then(|value| parse_key(value.trim_matches([' ', '\t'])));
        let key = key.filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len())).ok_or_else(|| {
            Refusal::new(Code::IdempotencyKeyInvalid).with_detail(format!(
                "The header Idempotency-Key must be there once, with a string of 1 to {MAX_KEY_BYTES} characters."
            ))
        })?;
        Ok(Some(IdempotencyKey { key, ttl: self.ttl }))
    }
}

/// Reads a string of structured fields (RFC 9651, section 3.3.3), without parameters. A key without quotes is taken for
/// the string of the same characters, since many clients send keys so.
fn parse_key(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        let is_bare = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';');
        return value.bytes().all(is_bare).then(|| value.to_owned());
    };
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            plain @ ' '..='~' => key.push(plain),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse_rule;
    use http::HeaderValue;
    use serde_json::{Value, json};

    fn rules(table: Value) -> IdempotencyRules {
        parse_rule(&table, "idempotency").expect("a table")
    }

    fn key_of(rules: &IdempotencyRules, method: &Method, values: &[&[u8]]) -> Result<Option<IdempotencyKey>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).expect("a value"));
        }
        rules.key(method, &headers).map_err(|refusal| refusal.code())
    }

    #[test]
    fn a_key_is_a_string_with_or_without_quotes() {
        let rules = rules(json!({}));
        let (long, longer) = ("x".repeat(MAX_KEY_BYTES), "x".repeat(MAX_KEY_BYTES + 1));
        for (value, wanted) in [
            (r#""8e03978e-40d5""#, Some("8e03978e-40d5")),
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            (r#" "a b" "#, Some("a b")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            (long.as_str(), Some(long.as_str())),
            ("", None),
            (r#""""#, None),
            (longer.as_str(), None),
            (r#""a"#, None),
            (r#""a";b=1"#, None),
            (r#""a", "b""#, None),
            (r#""a\b""#, None),
            ("a b", None),
            ("a,b", None),
        ] {
            let wanted = wanted.map(str::to_owned).ok_or(Code::IdempotencyKeyInvalid);
            let found = key_of(&rules, &Method::POST, &[value.as_bytes()]);
            assert_eq!(found.map(|key| key.expect("there is a header").key), wanted, "{value}");
        }
        let malformed: [&[&[u8]]; 3] = [&[b"a", b"a"], &[b"\xff"], &[b"\"a\tb\""]];
        for values in malformed {
            assert_eq!(key_of(&rules, &Method::POST, values), Err(Code::IdempotencyKeyInvalid));
        }
    }

    #[test]
    fn keys_count_for_post_and_patch_and_may_be_required() {
        let (optional, required) = (rules(json!({})), rules(json!({ "required": true, "ttl": "90m" })));
        for method in [Method::POST, Method::PATCH] {
            assert_eq!(key_of(&optional, &method, &[]), Ok(None));
            assert_eq!(key_of(&required, &method, &[]), Err(Code::IdempotencyKeyMissing));
            let key = IdempotencyKey { key: "k".to_owned(), ttl: Duration::from_secs(5400) };
            assert_eq!(key_of(&required, &method, &[b"k"]), Ok(Some(key)));
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert_eq!(key_of(&required, &method, &[]), Ok(None));
            assert_eq!(key_of(&required, &method, &[b"k"]), Ok(None));
        }
    }

    #[test]
    fn tables_are_checked() {
        assert_eq!(rules(json!({})).ttl, Duration::from_secs(86_400));
        for (wrong, part) in [
            (json!({ "ttl": "59s" }), "`ttl`"),
            (json!({ "ttl": "8d" }), "`ttl`"),
            (json!({ "ttl": "soon" }), "`ttl`"),
            (json!({ "ttl": 60 }), "string"),
            (json!({ "required": "yes" }), "boolean"),
            (json!({ "require": true }), "`require`"),
        ] {
            let error = parse_rule::<IdempotencyRules>(&wrong, "idempotency").expect_err(part);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
