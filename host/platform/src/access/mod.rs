//! Authentication and authorization: tokens, and the one table of permissions.

mod attempts;
mod custom_role;
mod members;
mod oidc;
mod permission;
mod roles;
mod sessions;
mod sign_in;
mod slow_hash;
mod target;
#[cfg(test)]
mod tests;
mod token;

pub use custom_role::CustomRole;
pub(crate) use custom_role::read_policies;
pub use oidc::{FetchKeys, OidcClient, OidcConfig};
pub use permission::{Permission, Principal};
pub use sessions::{Browser, OpenedSession, SESSION_IDLE, SESSION_LASTS, SESSIONS_MAX};
pub(crate) use sessions::{credential_of, millis, session_id};
pub use sign_in::{BegunSignIn, SignInAnswer, SignInCookie};
pub use target::AccessTarget;
pub use token::TOKEN_DAYS_MAX;

use crate::security_log::SecurityLog;
use attempts::Attempts;
use cap_std::fs::Dir;
use elias_api::{Actor, Code, Error, NewToken, Result, Role, Token, TokenRole, TokenWithSecret};
use elias_gateway::{ApiKeys, AuthMethod, Identity, JwtVerifier};
use elias_names::{ServiceId, TenantId};
use elias_store::{Store, now_ms};
use members::Members;
use moka::sync::Cache;
use oidc::Oidc;
use roles::Roles;
use sessions::SESSION;
use sha2::{Digest, Sha256};
use slow_hash::SlowHashes;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;
use token::{Bearer, Match};
use zeroize::Zeroizing;

/// How long a token that was found valid is not looked up again, and so how long another host's revocation may take to
/// reach this one.
const VALID_FOR: Duration = Duration::from_secs(15);
/// How long a token that was found valid stays so while the store is away.
const VALID_WHILE_AWAY: Duration = Duration::from_secs(24 * 3600);
/// How long a confirmation of a token holds: of several streams by one token, only one asks the store.
pub const CONFIRMED_FOR: Duration = Duration::from_millis(400);
/// Tokens that are remembered.
const REMEMBERED: u64 = 10_000;
/// The file of the host's own token, which works without the store.
const OPERATOR_FILE: &str = "operator-token";

/// Principals by the SHA-256 of their token.
type TokenCache = Cache<[u8; 32], Arc<Principal>>;

/// Authenticates requests.
pub(crate) struct Access {
    store: Store,
    roles: Roles,
    members: Members,
    valid: TokenCache,
    known: TokenCache,
    confirmed: TokenCache,
    /// Sessions of which it was just written down that they were used.
    touched: Cache<[u8; 32], ()>,
    attempts: Attempts,
    /// How often all that is remembered was forgotten.
    forgotten: AtomicU64,
    slow_hashes: SlowHashes,
    operator: [u8; 32],
    oidc: Option<Oidc>,
    /// Who signed in and who could not.
    security: SecurityLog,
}

impl Access {
    /// Access by the tokens in the store, and by the one in the data directory, which is made if it is not there.
    pub(crate) fn open(store: Store, folder: &Dir, oidc: Option<&OidcConfig>) -> Result<Self> {
        let operator = crate::vault::read_or_make(folder, OPERATOR_FILE, || Bearer::generate().to_string())?;
        Ok(Self {
            roles: Roles::new(store.clone(), VALID_WHILE_AWAY),
            members: Members::new(store.clone(), VALID_WHILE_AWAY),
            store,
            valid: Cache::builder().max_capacity(REMEMBERED).time_to_live(VALID_FOR).build(),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(VALID_WHILE_AWAY).build(),
            confirmed: Cache::builder().max_capacity(REMEMBERED).time_to_live(CONFIRMED_FOR).build(),
            touched: Cache::builder().max_capacity(REMEMBERED).time_to_live(sessions::TOUCH_EVERY).build(),
            attempts: Attempts::new(),
            forgotten: AtomicU64::new(0),
            slow_hashes: SlowHashes::new(),
            operator: Sha256::digest(operator.trim().as_bytes()).into(),
            oidc: oidc.map(Oidc::new).transpose()?,
            security: SecurityLog::default(),
        })
    }

    /// Where security events are gathered.
    pub(crate) fn security(&self) -> &SecurityLog {
        &self.security
    }

    /// Remembers whose token this is for the rules of routes, which cannot wait. What is refused is not remembered.
    ///
    /// # Errors
    /// `rate-limited`.
    pub(crate) async fn learn(&self, key: &str, address: IpAddr) -> Result<()> {
        if !key.starts_with("elias_") {
            return Ok(());
        }
        match self.authenticate(key, &address.to_string()).await {
            Err(error) if error.code() == Code::RateLimited => Err(error),
            _ => Ok(()),
        }
    }

    /// Authenticates the token of a request from `address`. A session is no token: it is taken from a cookie alone,
    /// whose requests are checked for where they come from.
    pub(crate) async fn authenticate(&self, token: &str, address: &str) -> Result<Arc<Principal>> {
        if token.starts_with(SESSION) {
            return Err(refused());
        }
        self.authenticate_credential(token, address).await
    }

    /// Authenticates a token or a session.
    async fn authenticate_credential(&self, token: &str, address: &str) -> Result<Arc<Principal>> {
        let key = key_of(token);
        if self.is_operator(&key) {
            return Ok(Arc::new(Principal::operator()));
        }
        // A session that was used meanwhile lasts longer than when it was looked up.
        if let Some(principal) = self.valid.get(&key).filter(still) {
            return Ok(principal);
        }
        // The attempts of others from the same address do not limit a token that was valid before.
        let ip = address.parse().ok().filter(|_| !self.known.contains_key(&key));
        let now_ms = u64::try_from(now_ms()).unwrap_or_default();
        if let Err(error) = self.attempts.check(ip, now_ms) {
            self.security.sign_in_failed(None, None, address, error.code());
            return Err(error);
        }
        let mut owner = None;
        let looked_up = self.find(token, &key, address, &mut owner).await;
        if let Err(error) = &looked_up
            && matches!(error.code(), Code::Unauthenticated | Code::TokenExpired | Code::NoRole)
        {
            self.attempts.count(ip, now_ms);
            let bearer = token.parse::<Bearer>().ok();
            self.security.sign_in_failed(owner.as_ref(), bearer.as_ref().map(Bearer::id), address, error.code());
        }
        looked_up
    }

    /// Authenticates a token again, with a result at most `CONFIRMED_FOR` old instead of a cached one. Long streams use
    /// this: they end with their token. While the store is unavailable, tokens stay valid as for new requests.
    pub(crate) async fn confirm(&self, token: &str, address: &str) -> Result<Arc<Principal>> {
        let key = key_of(token);
        if self.is_operator(&key) {
            return Ok(Arc::new(Principal::operator()));
        }
        if let Some(principal) = self.confirmed.get(&key).filter(still) {
            return Ok(principal);
        }
        let principal = self.find(token, &key, address, &mut None).await?;
        self.confirmed.insert(key, Arc::clone(&principal));
        Ok(principal)
    }

    fn is_operator(&self, key: &[u8; 32]) -> bool {
        key.ct_eq(&self.operator).into()
    }

    /// Looks up the principal of a token, the identity provider's or ours, and caches it. Of a token that is refused
    /// `owner` becomes the tenant, if there is one with its id.
    async fn find(
        &self,
        token: &str,
        key: &[u8; 32],
        address: &str,
        owner: &mut Option<TenantId>,
    ) -> Result<Arc<Principal>> {
        let key = *key;
        let session = token.strip_prefix(SESSION);
        if let Some(oidc) = self.oidc.as_ref().filter(|_| session.is_none() && !token.starts_with("elias_")) {
            return self.find_user(oidc, token, address).await;
        }
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        let looked_up = match session {
            Some(cookie) => self.look_up_session(cookie, address).await,
            None => self.look_up(&token.parse().map_err(|()| refused())?, owner).await,
        };
        match looked_up {
            Ok(Some(principal)) => {
                let principal = Arc::new(principal);
                self.valid.insert(key, Arc::clone(&principal));
                self.known.insert(key, Arc::clone(&principal));
                // The result may be older than an entry that was forgotten meanwhile.
                if self.forgotten.load(Ordering::SeqCst) != forgotten {
                    self.valid.invalidate(&key);
                    self.known.invalidate(&key);
                }
                Ok(principal)
            }
            Ok(None) => {
                self.known.invalidate(&key);
                Err(if session.is_some() { ended() } else { refused() })
            }
            Err(error) if error.code() == Code::StoreUnavailable => match self.known.get(&key) {
                Some(principal) if still(&principal) => Ok(principal),
                _ => Err(error),
            },
            Err(error) => {
                self.known.invalidate(&key);
                Err(error)
            }
        }
    }

    async fn look_up(&self, bearer: &Bearer, owner: &mut Option<TenantId>) -> Result<Option<Principal>> {
        let Some((token, hash)) = self.store.host_read().await?.token(bearer.id()).await? else { return Ok(None) };
        *owner = Some(token.tenant.clone());
        match bearer.matches(&hash) {
            Match::Yes => {}
            Match::No => return Ok(None),
            // Nobody is to cause slow work with a token that is not valid any more.
            Match::Slow if !is_in_force(&token) => return Ok(None),
            Match::Slow => {
                if !self.slow_hashes.verify(&token.tenant, bearer, hash.clone()).await? {
                    return Ok(None);
                }
                if let Err(error) = self.replace_hash(&token.tenant, bearer, &hash).await {
                    tracing::warn!(
                        token = %token.id, %error,
                        "the hash of a token in an old format cannot be replaced; retrying at its next use"
                    );
                }
            }
        }
        self.principal_of_token(&token).await
    }

    /// The principal of a token in the store; `None` if it is not valid any more.
    async fn principal_of_token(&self, token: &Token) -> Result<Option<Principal>> {
        if !is_in_force(token) {
            return Ok(None);
        }
        let Some(resolved) = self.members.of_token(token).await? else { return Ok(None) };
        let permissions =
            self.roles.effective_permissions(&token.tenant, &token.role, resolved.boundary.as_ref()).await?;
        Ok(Some(Principal::of(token, permissions, resolved)))
    }

    async fn replace_hash(&self, tenant: &TenantId, bearer: &Bearer, before: &str) -> Result<()> {
        let mut scope = self.store.write(tenant).await?;
        scope.replace_token_hash(bearer.id(), before, &bearer.hash()).await?;
        Ok(scope.commit().await?)
    }

    /// The principal of a token of the identity provider. The reason of a refusal is in the log; the client is told
    /// what only a token with a right signature brings to light.
    async fn find_user(&self, oidc: &Oidc, token: &str, address: &str) -> Result<Arc<Principal>> {
        let user = oidc.user(token).map_err(|denied| denied.told(address))?;
        Ok(Arc::new(self.principal_of_user(user, address).await?))
    }

    /// The principal of a user of the identity provider.
    async fn principal_of_user(&self, user: oidc::User, address: &str) -> Result<Principal> {
        let log = |reason: &str| oidc::log_refusal(reason, address);
        let Some(resolved) = self.members.of_provider(&user, address).await? else {
            log("its user, or the user's organization, is disabled or deleted");
            return Err(refused());
        };
        let permissions = self.roles.effective_permissions(&user.tenant, &user.role, resolved.boundary.as_ref()).await;
        let permissions = permissions.map_err(|error| match error.code() {
            // The provider names a role that is not there.
            Code::Forbidden => {
                log(&error.to_string());
                let message =
                    format!("the token gives the role {}, which the tenant {} does not have", user.role, user.tenant);
                Error::new(Code::NoRole, message)
            }
            _ => error,
        })?;
        Ok(user.principal(permissions, resolved))
    }

    /// Makes a token; its secret is in the response and nowhere else.
    pub(crate) async fn create(
        &self,
        tenant: &TenantId,
        new: &NewToken,
        by: &Principal,
        actor: &Actor,
    ) -> Result<TokenWithSecret> {
        let ceiling = match &new.role {
            TokenRole::BuiltIn(role) => *role,
            TokenRole::Custom(name) => {
                let role = self.store.read(tenant).await?.role(name).await?;
                role.ok_or_else(|| Error::not_listed(format_args!("role `{name}`"), "elias roles list"))?.ceiling
            }
        };
        by.may_give(&new.role, ceiling)?;
        token::check_members(new, &mut self.store.read(tenant).await?).await?;
        let bearer = Bearer::generate();
        let token = token::token(new, &bearer, tenant, &actor.name)?;
        let mut scope = self.store.write(tenant).await?;
        scope.this_tenant().await?;
        scope.insert_token(&token, &bearer.hash(), actor).await?;
        scope.commit().await?;
        Ok(TokenWithSecret { token, secret: bearer.to_string() })
    }

    /// The verifiers of the identity provider's tokens, if there is one.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = Arc<JwtVerifier>> {
        self.oidc.iter().flat_map(Oidc::verifiers)
    }

    /// The verifier of the API keys of a service, among those that were [authenticated](Self::authenticate) just
    /// before.
    pub(crate) fn api_keys(&self, service: &ServiceId) -> Arc<dyn ApiKeys> {
        Arc::new(ServiceKeys { service: service.clone(), valid: self.valid.clone(), known: self.known.clone() })
    }

    /// Forgets what was remembered of tokens: one was revoked, or a role, a user or an organization has changed.
    pub(crate) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.members.forget();
        self.valid.invalidate_all();
        self.known.invalidate_all();
        self.confirmed.invalidate_all();
    }
}

/// The key by which a token is remembered.
fn key_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn still(principal: &Arc<Principal>) -> bool {
    principal.expires_at > now_ms()
}

fn refused() -> Error {
    let message = "the token is not valid: unknown, expired or revoked, or its user is disabled";
    Error::new(Code::Unauthenticated, message)
}

fn ended() -> Error {
    Error::new(Code::Unauthenticated, "the session has ended: sign in again")
}

fn is_in_force(token: &Token) -> bool {
    token.revoked_at.is_none() && token.expires_at > now_ms()
}

/// The API keys of a service: its tenant's tokens that are for its component too.
struct ServiceKeys {
    service: ServiceId,
    valid: TokenCache,
    known: TokenCache,
}

impl ApiKeys for ServiceKeys {
    fn verify(&self, key: &str) -> Option<Identity> {
        let key = key_of(key);
        let principal = self.valid.get(&key).or_else(|| self.known.get(&key))?;
        let ServiceId { tenant, component, .. } = &self.service;
        let is_for_it = principal.components.as_ref().is_none_or(|components| components.contains(component));
        if principal.tenant != *tenant || !is_for_it || principal.expires_at <= now_ms() {
            return None;
        }
        Some(Identity {
            subject: principal.name.clone(),
            user_id: principal.user_id.clone(),
            organization_id: principal.organization_id.clone(),
            claims: serde_json::Map::new(),
            method: AuthMethod::ApiKey,
        })
    }
}

/// The host's own token, for commands on the same machine.
pub fn operator_token(data_dir: &std::path::Path) -> std::io::Result<Zeroizing<String>> {
    std::fs::read_to_string(data_dir.join(OPERATOR_FILE)).map(|text| Zeroizing::new(text.trim().to_owned()))
}

impl Principal {
    /// The principal of the host's own token.
    pub(crate) fn operator() -> Self {
        Self {
            name: "operator".to_owned(),
            tenant: TenantId::system(),
            given: TokenRole::BuiltIn(Role::Admin),
            role: Role::Admin,
            custom: Vec::new(),
            components: None,
            user_id: None,
            organization_id: None,
            expires_at: i64::MAX,
        }
    }
}
