//! Who may do what: tokens, and the one table of permissions.

mod about;
mod custom_role;
mod oidc;
mod permission;
mod rights;
mod standing;
mod token;

pub use about::About;
pub(crate) use custom_role::read_policies;
pub use custom_role::{CustomRole, POLICY_BYTES_MAX, ROLE_SCHEMA};
pub use oidc::{FetchKeys, OidcConfig};
pub use permission::{Permission, Principal};
pub use token::{NewToken, TOKEN_DAYS_MAX, TokenWithSecret};

use crate::error::{Code, Error, Result};
use crate::name::{ServiceId, TenantId};
use crate::store::{Actor, Role, Store, TokenRole};
use cap_std::fs::Dir;
use elias_gateway::{ApiKeys, AuthMethod, Identity, JwtVerifier};
use moka::sync::Cache;
use oidc::Oidc;
use rights::Roles;
use sha2::{Digest, Sha256};
use standing::Members;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;
use token::Bearer;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How long a token that was found valid is not looked up again, and so how long another host's revocation may take to reach this one.
const VALID_FOR: Duration = Duration::from_secs(15);
/// How long a token that was found valid stays so while the store is away.
const VALID_WHILE_AWAY: Duration = Duration::from_secs(24 * 3600);
/// Tokens that are remembered.
const REMEMBERED: u64 = 10_000;
/// Hashes that are computed at a time: each takes 8 MiB and some milliseconds, which strangers can ask for.
const HASHES_AT_ONCE: usize = 2;
/// The file of the host's own token, which works without the store.
const OPERATOR_FILE: &str = "operator-token";

/// Principals by the SHA-256 of their token.
type Remembered = Cache<[u8; 32], Arc<Principal>>;

/// Finds out who asks.
pub(crate) struct Access {
    store: Store,
    roles: Roles,
    members: Members,
    valid: Remembered,
    known: Remembered,
    /// How often all that is remembered was forgotten.
    forgotten: AtomicU64,
    hashing: Semaphore,
    operator: [u8; 32],
    oidc: Option<Oidc>,
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
            forgotten: AtomicU64::new(0),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            operator: Sha256::digest(operator.trim().as_bytes()).into(),
            oidc: oidc.map(Oidc::new).transpose()?,
        })
    }

    /// Remembers whose token this is for the rules of routes, which cannot wait.
    pub(crate) async fn learn(&self, key: &str) {
        if key.starts_with("elias_") {
            let _ = self.authenticate(key, "").await; // what is refused is not remembered
        }
    }

    /// Whose token this is, that came from `address`.
    pub(crate) async fn authenticate(&self, token: &str, address: &str) -> Result<Arc<Principal>> {
        let refused = || {
            let message = "the token is not valid: unknown, expired or revoked, or its user is disabled";
            Error::new(Code::Unauthenticated, message)
        };
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if bool::from(key.ct_eq(&self.operator)) {
            return Ok(Arc::new(Principal::operator()));
        }
        let still = |principal: &Arc<Principal>| principal.expires_at > crate::store::now_ms();
        if let Some(principal) = self.valid.get(&key) {
            return if still(&principal) { Ok(principal) } else { Err(refused()) };
        }
        if let Some(oidc) = self.oidc.as_ref().filter(|_| !token.starts_with("elias_")) {
            let user = oidc.user(token).ok_or_else(refused)?;
            let standing = self.members.of_provider(&user, address).await?.ok_or_else(refused)?;
            let rights = self.roles.rights(&user.tenant, &user.role, standing.bound.as_ref()).await;
            let rights = rights.map_err(|error| match error.code() {
                // The provider names a role that is not there: nobody's token.
                Code::Forbidden => refused(),
                _ => error,
            })?;
            return Ok(Arc::new(user.principal(rights, standing)));
        }
        let bearer: Bearer = token.parse().map_err(|()| refused())?;
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        match self.look_up(&bearer).await {
            Ok(Some(principal)) => {
                let principal = Arc::new(principal);
                self.valid.insert(key, Arc::clone(&principal));
                self.known.insert(key, Arc::clone(&principal));
                // What was looked up may be older than what was forgotten meanwhile.
                if self.forgotten.load(Ordering::SeqCst) != forgotten {
                    self.valid.invalidate(&key);
                    self.known.invalidate(&key);
                }
                Ok(principal)
            }
            Ok(None) => {
                self.known.invalidate(&key);
                Err(refused())
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

    async fn look_up(&self, bearer: &Bearer) -> Result<Option<Principal>> {
        let Some((token, hash)) = self.store.host_read().await?.token(bearer.id()).await? else { return Ok(None) };
        if token.revoked_at.is_some() || token.expires_at <= crate::store::now_ms() {
            return Ok(None);
        }
        let _turn = self.hashing.acquire().await;
        let bearer = bearer.clone();
        let matches = tokio::task::spawn_blocking(move || bearer.matches(&hash)).await.unwrap_or(false);
        if !matches {
            return Ok(None);
        }
        let Some(standing) = self.members.of_token(&token).await? else { return Ok(None) };
        let rights = self.roles.rights(&token.tenant, &token.role, standing.bound.as_ref()).await?;
        Ok(Some(Principal::of(&token, rights, standing)))
    }

    /// Makes a token; its secret is in the answer and nowhere else.
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
                role.ok_or_else(|| Error::not_found(format_args!("role {name}; elias roles list")))?.ceiling
            }
        };
        by.may_give(&new.role, ceiling)?;
        new.check_members(&mut self.store.read(tenant).await?).await?;
        let bearer = Bearer::generate();
        let token = new.token(&bearer, tenant, &actor.name)?;
        let hashed = bearer.clone();
        let hash = tokio::task::spawn_blocking(move || hashed.hash()).await;
        let hash = hash.unwrap_or_else(|panic| Err(Error::new(Code::Internal, format!("hashing: {panic}"))))?;
        let mut scope = self.store.write(tenant).await?;
        scope.this_tenant().await?;
        scope.insert_token(&token, &hash, actor).await?;
        scope.commit().await?;
        Ok(TokenWithSecret { token, secret: bearer.to_string() })
    }

    /// What checks the tokens of the identity provider, if there is one.
    pub(crate) fn verifier(&self) -> Option<Arc<JwtVerifier>> {
        self.oidc.as_ref().map(Oidc::verifier)
    }

    /// What checks the API keys of a service, among those that were [authenticated](Self::authenticate) just before.
    pub(crate) fn api_keys(&self, service: &ServiceId) -> Arc<dyn ApiKeys> {
        Arc::new(ServiceKeys { service: service.clone(), valid: self.valid.clone(), known: self.known.clone() })
    }

    /// Forgets what was remembered of tokens: one was revoked, or a role, a user or an organization has changed.
    pub(crate) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.members.forget();
        self.valid.invalidate_all();
        self.known.invalidate_all();
    }
}

/// The API keys of a service: its tenant's tokens that are for its component too.
struct ServiceKeys {
    service: ServiceId,
    valid: Remembered,
    known: Remembered,
}

impl ApiKeys for ServiceKeys {
    fn verify(&self, key: &str) -> Option<Identity> {
        let key: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let principal = self.valid.get(&key).or_else(|| self.known.get(&key))?;
        let ServiceId { tenant, component, .. } = &self.service;
        let is_for_it = principal.components.as_ref().is_none_or(|components| components.contains(component));
        if principal.tenant != *tenant || !is_for_it || principal.expires_at <= crate::store::now_ms() {
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
    /// Who has the host's own token.
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
