//! The table `auth.jwt`: issuer, audience, algorithms and claims of the tokens of a route.

use crate::rule::{ConfigError, Rule, within};
use http::Uri;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

/// Every algorithm that a set of public keys can serve. HMAC is not among them: its "public" key would be the secret.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The requirements for the tokens of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JwtRules {
    jwks: String,
    pub(super) issuer: String,
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) leeway_seconds: u64,
    pub(super) user_claim: String,
    pub(super) organization_claim: String,
}

/// The table `auth.jwt`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct JwtTable {
    jwks: String,
    issuer: String,
    audience: OneOrMore,
    algorithms: Option<Vec<String>>,
    leeway_seconds: Option<u64>,
    user_claim: Option<String>,
    organization_claim: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Rule for JwtRules {
    type Table = JwtTable;

    fn check(table: JwtTable, at: &str) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::new(at, message);
        check_url(&table.jwks).map_err(|what| wrong(format!("`jwks` {what}")))?;
        let audience = match table.audience {
            OneOrMore::One(audience) => vec![audience],
            OneOrMore::More(audience) => audience,
        };
        let is_text = |text: &String| !text.is_empty() && text.len() <= 512;
        if !is_text(&table.issuer) {
            return Err(wrong("`issuer` is empty or longer than 512 bytes".into()));
        }
        if audience.is_empty() || audience.len() > 16 || !audience.iter().all(is_text) {
            return Err(wrong("`audience` is empty or too long: name the API, as its tokens do".into()));
        }
        let algorithms = match &table.algorithms {
            None => ALGORITHMS.map(|(_, algorithm)| algorithm).into(),
            Some(names) if names.is_empty() => return Err(wrong("`algorithms` is empty".into())),
            Some(names) => names.iter().map(|name| algorithm(name).map_err(wrong)).collect::<Result<_, _>>()?,
        };
        let claim = |name: Option<String>, default: &str| {
            let name = name.unwrap_or_else(|| default.to_owned());
            if is_text(&name) { Ok(name) } else { Err(wrong("a claim's name is empty or too long".into())) }
        };
        Ok(Self {
            jwks: table.jwks,
            issuer: table.issuer,
            audience,
            algorithms,
            leeway_seconds: within(table.leeway_seconds.unwrap_or(60), [0, 300], at, "leeway-seconds")?,
            user_claim: claim(table.user_claim, "sub")?,
            organization_claim: claim(table.organization_claim, "org_id")?,
        })
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm).ok_or_else(|| {
        let known = ALGORITHMS.map(|(name, _)| name).join(", ");
        format!("`algorithms` has \"{}\", which is not among {known}", crate::problem::bounded(name))
    })
}

/// Keys come over TLS, or from this machine.
fn check_url(text: &str) -> Result<(), &'static str> {
    let uri: Uri = text.parse().map_err(|_| "must be an https URL")?;
    let host = uri.host().unwrap_or_default();
    let local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    match uri.scheme_str() {
        _ if text.len() > 2048 => Err("is longer than 2048 bytes"),
        _ if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => Err("has user information"),
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if local => Ok(()),
        _ => Err("must be an https URL"),
    }
}

impl JwtRules {
    /// Where the keys are to be fetched from.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}
