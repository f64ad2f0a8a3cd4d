//! Authentication by an API key or a JSON Web Token.
//!
//! A client whose credentials do not pass learns that and no more; the reason is for the log.

mod jwt;
mod jwt_rules;

pub use jwt::{Failure as JwtFailure, JwtVerifier, MAX_KEYS, MAX_TOKEN_BYTES};
pub use jwt_rules::JwtRules;

use crate::clock::Now;
use crate::field::single;
use crate::problem::{Code, Refusal};
use crate::rule::{ConfigError, Rule, header_name, parse_rule};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// The longest API key, in bytes.
pub const MAX_API_KEY_BYTES: usize = 512;

/// The identity of a caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The subject: the token's `sub`, or the name of the API key.
    pub subject: String,
    /// The user, where the credentials name one.
    pub user_id: Option<String>,
    /// The organization, where the credentials name one.
    pub organization_id: Option<String>,
    /// All claims of a token.
    pub claims: serde_json::Map<String, Value>,
    /// The kind of credentials.
    pub method: AuthMethod,
}

/// The kind of credentials of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// By an API key.
    ApiKey,
    /// By a JSON Web Token.
    Jwt,
}

impl AuthMethod {
    /// The name in kebab case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::Jwt => "jwt",
        }
    }
}

/// The API keys of a service.
pub trait ApiKeys: Send + Sync {
    /// The identity of a key; none if the key is unknown or revoked. The key has 1 to [`MAX_API_KEY_BYTES`] bytes of
    /// visible ASCII.
    fn verify(&self, key: &str) -> Option<Identity>;
}

/// The credentials that a route requires.
#[derive(Debug, Clone)]
pub struct AuthRules {
    api_key: Option<HeaderName>,
    jwt: Option<JwtRules>,
    optional: bool,
    challenges: Vec<[HeaderValue; 2]>,
}

/// The table `auth`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AuthTable {
    api_key: Option<Value>,
    jwt: Option<Value>,
    #[serde(default)]
    optional: bool,
    realm: Option<String>,
}

/// The table `auth.api-key`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ApiKeyTable {
    header: Option<String>,
}

struct ApiKeyHeader(HeaderName);

impl Rule for ApiKeyHeader {
    type Table = ApiKeyTable;

    fn check(table: ApiKeyTable, at: &str) -> Result<Self, ConfigError> {
        let header = header_name(table.header.as_deref().unwrap_or("x-api-key"), at)?;
        if header == AUTHORIZATION {
            return Err(ConfigError::new(at, "`header` cannot be authorization, which is for tokens: take another"));
        }
        Ok(Self(header))
    }
}

impl Rule for AuthRules {
    type Table = AuthTable;

    fn check(table: AuthTable, at: &str) -> Result<Self, ConfigError> {
        let api_key = match &table.api_key {
            Some(value) => Some(parse_rule::<ApiKeyHeader>(value, &format!("{at}.api-key"))?.0),
            None => None,
        };
        let jwt = match &table.jwt {
            Some(value) => Some(parse_rule::<JwtRules>(value, &format!("{at}.jwt"))?),
            None => None,
        };
        if api_key.is_none() && jwt.is_none() {
            return Err(ConfigError::new(
                at,
                "must say how clients authenticate: add the table `api-key`, the table `jwt`, or both",
            ));
        }
        let realm = table.realm.as_deref().unwrap_or("elias");
        let is_realm = |byte: u8| byte.is_ascii_alphanumeric() || b" -._~/:@".contains(&byte);
        if realm.len() > 64 || !realm.bytes().all(is_realm) {
            return Err(ConfigError::new(at, "`realm` must have only letters, digits and -._~/:@"));
        }
        let challenge =
            |scheme: &str, more: &str| crate::rule::header_value(&format!("{scheme} realm=\"{realm}\"{more}"), at);
        let mut challenges = Vec::new();
        if jwt.is_some() {
            challenges.push([challenge("Bearer", "")?, challenge("Bearer", ", error=\"invalid_token\"")?]);
        }
        if let Some(header) = &api_key {
            let value = challenge("ApiKey", &format!(", header=\"{header}\""))?;
            challenges.push([value.clone(), value]);
        }
        Ok(Self { api_key, jwt, optional: table.optional, challenges })
    }
}

impl AuthRules {
    /// The rules for tokens; none if the route takes no tokens.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtRules> {
        self.jwt.as_ref()
    }

    /// Whether API keys are taken.
    #[must_use]
    pub fn takes_api_keys(&self) -> bool {
        self.api_key.is_some()
    }
}

/// Checks the credentials of requests by the rules of a route.
pub struct Authenticator {
    rules: Arc<AuthRules>,
    verifier: Option<Arc<JwtVerifier>>,
    api_keys: Option<Arc<dyn ApiKeys>>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator. Without `verifier` every token is refused, and without `api_keys` every key.
    #[must_use]
    pub fn new(rules: Arc<AuthRules>, verifier: Option<Arc<JwtVerifier>>, api_keys: Option<Arc<dyn ApiKeys>>) -> Self {
        Self { rules, verifier, api_keys }
    }

    /// The verifier of tokens, if there is one.
    #[must_use]
    pub fn verifier(&self) -> Option<&Arc<JwtVerifier>> {
        self.verifier.as_ref()
    }

    /// The identity of the caller; none where credentials are optional and the request has none.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`], or [`Code::AuthUnavailable`] while there are no keys to check a token with.
    pub fn authenticate(&self, headers: &HeaderMap, now: Now) -> Result<Option<Arc<Identity>>, Refusal> {
        let key = self.rules.api_key.as_ref().filter(|name| headers.contains_key(*name));
        let token = self.rules.jwt.as_ref().filter(|_| headers.contains_key(AUTHORIZATION));
        match (token, key) {
            (Some(_), Some(_)) => Err(self.refuse("both a token and an API key", true)),
            (Some(_), None) => self.token(headers, now).map(Some),
            (None, Some(_)) => self.key(headers).map(Some),
            (None, None) if self.rules.optional => Ok(None),
            (None, None) => Err(self.refuse("no credentials", false)),
        }
    }

    fn token(&self, headers: &HeaderMap, now: Now) -> Result<Arc<Identity>, Refusal> {
        let value = single(headers, &AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let token = token.ok_or_else(|| self.refuse("no bearer token in the one Authorization header", false))?;
        let verifier = self.verifier.as_ref().ok_or_else(|| self.refuse("no verifier", true))?;
        verifier.verify(token, now).map_err(|failure| match failure {
            jwt::Failure::NoKeys => Refusal::new(Code::AuthUnavailable)
                .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("5"))
                .with_reason(failure.as_str()),
            _ => self.refuse(failure.as_str(), true),
        })
    }

    /// When an identity is not to be trusted any more, in seconds since 1970: the end of a token, by the leeway with
    /// which it is checked. None for an API key.
    #[must_use]
    pub fn expires_at(&self, identity: &Identity) -> Option<u64> {
        let is_token = identity.method == AuthMethod::Jwt;
        self.verifier.as_ref().filter(|_| is_token)?.expires_at(&identity.claims)
    }

    /// The API key of a request, for a host that has to look keys up before [`ApiKeys::verify`] is called.
    #[must_use]
    pub fn api_key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let key = single(headers, self.rules.api_key.as_ref()?).and_then(|value| value.to_str().ok());
        key.filter(|key| !key.is_empty() && key.len() <= MAX_API_KEY_BYTES)
    }

    fn key(&self, headers: &HeaderMap) -> Result<Arc<Identity>, Refusal> {
        let key = self.api_key(headers);
        let key = key.ok_or_else(|| self.refuse("a malformed API key", true))?;
        let identity = self.api_keys.as_ref().and_then(|keys| keys.verify(key));
        identity.map(Arc::new).ok_or_else(|| self.refuse("an unknown API key", true))
    }

    /// A 401 with a challenge for each way in. `presented` says that there were credentials, which a challenge may say
    /// too (RFC 6750, section 3.1).
    fn refuse(&self, reason: &'static str, presented: bool) -> Refusal {
        let mut refusal = Refusal::new(Code::Unauthenticated).with_reason(reason);
        for [plain, invalid] in &self.rules.challenges {
            refusal = refusal.with_header(WWW_AUTHENTICATE, if presented { invalid } else { plain }.clone());
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
