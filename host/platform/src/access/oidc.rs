//! Users of an identity provider (OpenID Connect), by the tokens that it signs.

use super::members::ResolvedPrincipal;
use super::roles::EffectivePermissions;
use super::sign_in::SignIns;
use super::{Principal, refused};
use elias_api::{Code, Error, Result, TokenRole};
use elias_gateway::auth::JwtFailure;
use elias_gateway::{GatewayConfig, Identity, JwtVerifier, Now};
use elias_names::TenantId;
use elias_store::now_ms;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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
    /// The host as a client of the provider, for users who sign in with a browser; none: they bring tokens.
    pub client: Option<OidcClient>,
}

/// The host as a client of an identity provider.
#[derive(Clone)]
pub struct OidcClient {
    /// The client's id, which is the audience (`aud`) of ID tokens.
    pub id: String,
    /// Its secret, for a confidential client; none for a public one, which has PKCE alone.
    pub secret: Option<Zeroizing<String>>,
    /// The id of the client that `elias login` is, a public one; none: it has no flow of its own.
    pub command_line: Option<String>,
    /// The scopes to ask for, separated by spaces; `openid` is one of them.
    pub scopes: String,
}

/// The secret is nobody's to read.
impl fmt::Debug for OidcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcClient").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Fetches documents from where tenants say: it must not be led into the host's own network.
pub trait FetchKeys: Send + Sync + 'static {
    /// The document at `url`; why not, if it cannot be had.
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>>;

    /// The status and the content of the response to a form that is sent by POST. `authorization` is the value of that
    /// header.
    fn post_form<'a>(
        &'a self,
        url: &'a str,
        form: String,
        authorization: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(u16, Vec<u8>), String>>;
}

/// The user whom the provider's token names.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// The verifier of ID tokens, whose audience is the client.
    id_tokens: Option<Arc<JwtVerifier>>,
    config: OidcConfig,
    pub(super) sign_ins: SignIns,
}

/// How long a principal of a token is remembered by nobody: each request is checked, and the token says itself when it
/// ends.
const FOREVER_MS: i64 = i64::MAX;

impl Oidc {
    pub(super) fn new(config: &OidcConfig) -> Result<Self> {
        let verifier = verifier_for(config, &config.audience)?;
        let id_tokens = match &config.client {
            Some(client) if client.id == config.audience => Some(Arc::clone(&verifier)),
            Some(client) => Some(verifier_for(config, &client.id)?),
            None => None,
        };
        Ok(Self { verifier, id_tokens, config: config.clone(), sign_ins: SignIns::default() })
    }

    /// The verifiers, each of which needs the provider's keys.
    pub(super) fn verifiers(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        let id_tokens = self.id_tokens.iter().filter(|verifier| !Arc::ptr_eq(verifier, &self.verifier));
        std::iter::once(&self.verifier).chain(id_tokens).cloned()
    }

    pub(super) fn config(&self) -> &OidcConfig {
        &self.config
    }

    pub(super) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The user of a token, if it is valid and names a tenant and a role.
    pub(super) fn user(&self, token: &str) -> Result<User, Denial> {
        let identity = self.verified(&self.verifier, token)?;
        self.user_of(&identity)
    }

    /// The user of an ID token, if it is valid, was made for this client and in answer to the request with this nonce
    /// (OpenID Connect Core 1.0, 3.1.3.7).
    pub(super) fn user_of_id_token(&self, token: &str, client: &OidcClient, nonce: &str) -> Result<User, Denial> {
        let deny = |reason: &str| Err(Denial { reason: reason.to_owned(), error: None });
        let Some(verifier) = &self.id_tokens else { return deny("no client for browsers is configured") };
        let identity = self.verified(verifier, token)?;
        let claim = |name: &str| identity.claims.get(name).and_then(Value::as_str);
        if claim("azp").is_some_and(|party| party != client.id) {
            return deny("the ID token was made for another client");
        }
        if !claim("nonce").is_some_and(|sent| sent.as_bytes().ct_eq(nonce.as_bytes()).into()) {
            return deny("the ID token was not made for this sign-in");
        }
        self.user_of(&identity)
    }

    fn verified(&self, verifier: &JwtVerifier, token: &str) -> Result<Arc<Identity>, Denial> {
        let unix_seconds = u64::try_from(now_ms() / 1_000).unwrap_or_default();
        let verified = verifier.verify(token, Now { monotonic: Duration::ZERO, unix_seconds });
        verified.map_err(|failure| self.denied(failure))
    }

    /// The user whom claims describe.
    fn user_of(&self, identity: &Identity) -> Result<User, Denial> {
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

impl Denial {
    /// Writes the reason down; the error for the client.
    pub(super) fn told(self, address: &str) -> Error {
        log_refusal(&self.reason, address);
        self.error.unwrap_or_else(refused)
    }
}

/// Writes down why a user of the identity provider was refused.
pub(super) fn log_refusal(reason: &str, address: &str) {
    tracing::info!(%reason, %address, "a token of the identity provider was refused");
}

/// A verifier of the provider's tokens for one audience.
fn verifier_for(config: &OidcConfig, audience: &str) -> Result<Arc<JwtVerifier>> {
    let jwt = json!({ "jwks": config.jwks, "issuer": config.issuer, "audience": audience });
    let bad = |message: String| Error::new(Code::BadInput, format!("the identity provider: {message}"));
    let parsed = GatewayConfig::parse(&json!({ "auth": { "jwt": jwt } })).map_err(|error| bad(error.to_string()))?;
    let auth = parsed.routes.into_iter().find_map(|route| route.rules.auth);
    let rules = auth.as_ref().and_then(|auth| auth.jwt());
    let rules = rules.ok_or_else(|| bad("the settings must define how tokens are verified".to_owned()))?;
    Ok(Arc::new(JwtVerifier::new(rules.clone())))
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
