//! Users of an identity provider (OpenID Connect), by the tokens that it signs.

use super::Principal;
use super::rights::Rights;
use super::standing::Standing;
use crate::error::{Code, Error, Result};
use crate::name::TenantId;
use crate::store::{TokenRole, now_ms};
use elias_gateway::auth::Authenticator;
use elias_gateway::{GatewayConfig, JwtVerifier, Now};
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// An identity provider whose users may use the admin API. A token says whose and what in two claims.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// Where its keys are: a JWK set (RFC 7517), over https.
    pub jwks: String,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or have.
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

/// Whom the provider's token names.
pub(super) struct User {
    pub(super) tenant: TenantId,
    pub(super) role: TokenRole,
    pub(super) subject: String,
    pub(super) organization_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
}

/// Checks tokens.
pub(super) struct Oidc {
    authenticator: Authenticator,
    verifier: Arc<JwtVerifier>,
    config: OidcConfig,
}

/// How long a principal of a token is remembered by nobody: each request is checked, and the token says itself when it ends.
const FOREVER_MS: i64 = i64::MAX;

impl Oidc {
    pub(super) fn new(config: &OidcConfig) -> Result<Self> {
        let jwt = json!({ "jwks": config.jwks, "issuer": config.issuer, "audience": config.audience });
        let bad = |message: String| Error::new(Code::BadInput, format!("the identity provider: {message}"));
        let parsed =
            GatewayConfig::parse(&json!({ "auth": { "jwt": jwt } })).map_err(|error| bad(error.to_string()))?;
        let auth = parsed.routes.into_iter().find_map(|route| route.rules.auth);
        let auth = auth.ok_or_else(|| bad("it has no rules".to_owned()))?;
        let verifier = auth.jwt().map(|rules| Arc::new(JwtVerifier::new(rules.clone())));
        let verifier = verifier.ok_or_else(|| bad("it has no rules".to_owned()))?;
        let authenticator = Authenticator::new(auth, Some(Arc::clone(&verifier)), None);
        Ok(Self { authenticator, verifier, config: config.clone() })
    }

    pub(super) fn verifier(&self) -> Arc<JwtVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Who a token stands for, if it is valid and names a tenant and a role.
    pub(super) fn user(&self, token: &str) -> Option<User> {
        let value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
        let unix_seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
        let identity =
            self.authenticator.authenticate(&headers, Now { monotonic: Duration::ZERO, unix_seconds }).ok()??;
        let claim = |name: &str| identity.claims.get(name).and_then(Value::as_str);
        Some(User {
            tenant: claim(&self.config.tenant_claim)?.parse().ok()?,
            role: claim(&self.config.role_claim)?.parse().ok()?,
            subject: identity.subject.clone(),
            organization_id: identity.organization_id.clone(),
            name: claim("name").map(str::to_owned),
            email: claim("email").map(str::to_owned),
        })
    }
}

impl User {
    /// Its name in the audit trail.
    pub(super) fn actor(&self) -> String {
        format!("user:{}", self.subject)
    }

    pub(super) fn principal(self, Rights { given, role, custom }: Rights, standing: Standing) -> Principal {
        Principal {
            name: self.actor(),
            tenant: self.tenant,
            given,
            role,
            custom,
            components: None,
            user_id: standing.user_id,
            organization_id: standing.organization_id,
            expires_at: FOREVER_MS,
        }
    }
}
