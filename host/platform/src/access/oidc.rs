//! Users of an identity provider (OpenID Connect), by the tokens that it signs.

use super::Principal;
use super::members::ResolvedPrincipal;
use super::roles::EffectivePermissions;
use elias_api::{Code, Error, Result, TokenRole};
use elias_gateway::auth::JwtFailure;
use elias_gateway::{GatewayConfig, JwtVerifier, Now};
use elias_names::TenantId;
use elias_store::now_ms;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// An identity provider whose users may use the admin API. A token says whose and what in two claims.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// Where its keys are: a JWK set (RFC 7517), over https.
    pub jwks: String,
    /// The required `iss`.
    pub issuer: String,
    /// The required `aud`, or a member of it.
    pub audience: String,
    /// The claim with the tenant's name.
    pub tenant_claim: String,
    /// The claim with the role's name.
    pub role_claim: String,
}

/// Fetches documents from where tenants say: it must not be led into the host's own network.
pub trait FetchKeys: Send + Sync + 'static {
    /// The document at `url`; why not, if it cannot be had.
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>>;
}

/// The user whom the provider's token names.
pub(super) struct User {
    pub(super) tenant: TenantId,
    pub(super) role: TokenRole,
    pub(super) subject: String,
    pub(super) organization_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

/// Why a token is refused.
pub(super) struct Denial {
    /// For the host's log.
    pub(super) reason: String,
    /// For the client; none: that the token is not valid, and no more.
    pub(super) error: Option<Error>,
}

/// Checks tokens.
pub(super) struct Oidc {
    verifier: Arc<JwtVerifier>,
    config: OidcConfig,
}

/// How long a principal of a token is remembered by nobody: each request is checked, and the token says itself when it
/// ends.
const FOREVER_MS: i64 = i64::MAX;

impl Oidc {
    pub(super) fn new(config: &OidcConfig) -> Result<Self> {
        let jwt = json!({ "jwks": config.jwks, "issuer": config.issuer, "audience": config.audience });
        let bad = |message: String| Error::new(Code::BadInput, format!("the identity provider: {message}"));
        let parsed =
            GatewayConfig::parse(&json!({ "auth": { "jwt": jwt } })).map_err(|error| bad(error.to_string()))?;
        let auth = parsed.routes.into_iter().find_map(|route| route.rules.auth);
        let auth = auth.ok_or_else(|| bad("the settings must define how tokens are verified".to_owned()))?;
        let verifier = auth.jwt().map(|rules| Arc::new(JwtVerifier::new(rules.clone())));
        let verifier = verifier.ok_or_else(|| bad("the settings must define how tokens are verified".to_owned()))?;
        Ok(Self { verifier, config: config.clone() })
    }

    pub(super) fn verifier(&self) -> Arc<JwtVerifier> {
        Arc::clone(&self.verifier)
    }

    /// The user of a token, if it is valid and names a tenant and a role.
    pub(super) fn user(&self, token: &str) -> Result<User, Denial> {
        let unix_seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
        let verified = self.verifier.verify(token, Now { monotonic: Duration::ZERO, unix_seconds });
        let identity = verified.map_err(|failure| self.denied(failure))?;
        let claim = |name: &str| identity.claims.get(name).and_then(Value::as_str);
        Ok(User {
            tenant: read_claim("tenant", &self.config.tenant_claim, claim(&self.config.tenant_claim))?,
            role: read_claim("role", &self.config.role_claim, claim(&self.config.role_claim))?,
            subject: identity.subject.clone(),
            organization_id: identity.organization_id.clone(),
            name: claim("name").map(str::to_owned),
            email: claim("email").map(str::to_owned),
        })
    }

    fn denied(&self, failure: JwtFailure) -> Denial {
        let error = match failure {
            // It is said of tokens with a right signature alone.
            JwtFailure::Expired => {
                Some(Error::new(Code::TokenExpired, "the token has expired; get a new one from the identity provider"))
            }
            JwtFailure::NoKeys => {
                let message = "the identity provider's keys were not fetched yet; try again in a moment";
                Some(Error::new(Code::AuthUnavailable, message))
            }
            _ => None,
        };
        let reason = match failure {
            JwtFailure::NoKeys => format!("{} from {}", failure.as_str(), self.config.jwks),
            JwtFailure::Issuer => format!("{}, not {}", failure.as_str(), self.config.issuer),
            JwtFailure::Audience => format!("{}, not {}", failure.as_str(), self.config.audience),
            _ => failure.as_str().to_owned(),
        };
        Denial { reason, error }
    }
}

/// The value that a claim of a valid token names.
fn read_claim<T: FromStr>(what: &str, claim: &str, value: Option<&str>) -> Result<T, Denial> {
    let why = match value.map(str::parse) {
        Some(Ok(read)) => return Ok(read),
        Some(Err(_)) => format!("the token names no {what}: its claim `{claim}` must be a {what} name"),
        None => format!("the token names no {what}: it must have the claim `{claim}`, a text"),
    };
    let message = format!("{why}; have the identity provider add it");
    Err(Denial { reason: why, error: Some(Error::new(Code::NoRole, message)) })
}

impl User {
    /// Its name in the audit trail.
    pub(super) fn actor(&self) -> String {
        format!("user:{}", self.subject)
    }

    pub(super) fn principal(
        self,
        EffectivePermissions { given, role, custom }: EffectivePermissions,
        resolved: ResolvedPrincipal,
    ) -> Principal {
        Principal {
            name: self.actor(),
            tenant: self.tenant,
            given,
            role,
            custom,
            components: None,
            user_id: resolved.user_id,
            organization_id: resolved.organization_id,
            expires_at: FOREVER_MS,
        }
    }
}
