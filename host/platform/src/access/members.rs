//! The users and organizations behind tokens and identity providers, by the tenant's records.

use super::oidc;
use elias_api::{Actor, Code, Error, Result, TEXT_BYTES_MAX, Token, TokenRole, User, is_email, is_text};
use elias_names::TenantId;
use elias_store::{Store, TenantScope, now_ms};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// Users of the identity provider that are remembered for when the store is away.
const REMEMBERED: u64 = 10_000;

/// The user and the organization of an authenticated principal.
#[derive(Debug, Clone)]
pub(super) struct ResolvedPrincipal {
    pub(super) user_id: Option<String>,
    pub(super) organization_id: Option<String>,
    /// The user's permission boundary.
    pub(super) boundary: Option<TokenRole>,
}

/// The users and organizations in the store.
pub(super) struct Members {
    store: Store,
    seen: Cache<(TenantId, String), Arc<ResolvedPrincipal>>,
}

impl Members {
    /// While the store is away, users of the identity provider who were seen within `known_for` stay as they were.
    pub(super) fn new(store: Store, known_for: Duration) -> Self {
        Self { store, seen: Cache::builder().max_capacity(REMEMBERED).time_to_live(known_for).build() }
    }

    /// Forgets the users that it has seen, since a record has changed.
    pub(super) fn forget(&self) {
        self.seen.invalidate_all();
    }

    /// Resolves a token; `None` if its user or organization is disabled or deleted. Ids without a record are those of
    /// the token, since tokens are older than the records.
    pub(super) async fn of_token(&self, token: &Token) -> Result<Option<ResolvedPrincipal>> {
        if token.user_id.is_none() && token.organization_id.is_none() {
            return Ok(Some(ResolvedPrincipal { user_id: None, organization_id: None, boundary: None }));
        }
        let mut scope = self.store.read(&token.tenant).await?;
        let user = match &token.user_id {
            Some(id) => scope.any_user(id).await?,
            None => None,
        };
        recorded(&mut scope, user.as_ref(), token.user_id.as_deref(), token.organization_id.as_deref()).await
    }

    /// Resolves a user of the identity provider, who is recorded at the first request.
    pub(super) async fn of_provider(&self, user: &oidc::User, address: &str) -> Result<Option<ResolvedPrincipal>> {
        let key = (user.tenant.clone(), user.subject.clone());
        match self.look_up(user, address).await {
            Ok(Some(resolved)) => {
                self.seen.insert(key, Arc::new(resolved.clone()));
                Ok(Some(resolved))
            }
            Ok(None) => {
                self.seen.invalidate(&key);
                Ok(None)
            }
            Err(error) if error.code() == Code::StoreUnavailable => {
                self.seen.get(&key).map(|resolved| Some((*resolved).clone())).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn look_up(&self, user: &oidc::User, address: &str) -> Result<Option<ResolvedPrincipal>> {
        let mut scope = self.store.read(&user.tenant).await?;
        let mut record = scope.any_user(&user.subject).await?;
        if record.is_none() {
            drop(scope);
            if let Err(error) = self.record(user, address).await {
                match error.code() {
                    // Two requests of one user at once; the other one was first.
                    Code::AlreadyThere => {}
                    // A user who cannot be recorded is who the provider says.
                    Code::QuotaExceeded | Code::NotFound | Code::BadInput => {
                        tracing::debug!(
                            tenant = %user.tenant, user = %user.subject, %error,
                            "a user of the identity provider cannot be recorded in the store"
                        );
                    }
                    _ => return Err(error),
                }
            }
            scope = self.store.read(&user.tenant).await?;
            record = scope.any_user(&user.subject).await?;
        }
        recorded(&mut scope, record.as_ref(), Some(&user.subject), user.organization_id.as_deref()).await
    }

    async fn record(&self, user: &oidc::User, address: &str) -> Result<()> {
        if !is_text(&user.subject) {
            return Err(Error::new(Code::BadInput, format!("a subject has at most {TEXT_BYTES_MAX} bytes")));
        }
        let mut scope = self.store.write(&user.tenant).await?;
        scope.this_tenant().await?;
        let organization = match &user.organization_id {
            Some(id) => scope.organization(id).await.ok().map(|organization| organization.id),
            None => None,
        };
        let actor = Actor { name: user.actor(), address: address.to_owned() };
        let made = User {
            id: user.subject.clone(),
            name: user.name.as_deref().filter(|name| is_text(name)).unwrap_or(&user.subject).to_owned(),
            email: user.email.clone().filter(|email| is_email(email)),
            organization,
            role: None,
            disabled_at: None,
            revision: 1,
            created_at: now_ms(),
            created_by: actor.name.clone(),
            deleted_at: None,
        };
        scope.insert_user(&made, &actor).await?;
        Ok(scope.commit().await?)
    }
}

/// The principal by the records; `None` if they refuse it.
async fn recorded(
    scope: &mut TenantScope,
    record: Option<&User>,
    user_id: Option<&str>,
    organization_id: Option<&str>,
) -> Result<Option<ResolvedPrincipal>> {
    let organization_id = match record {
        Some(record) if !record.is_in_force() => return Ok(None),
        Some(record) => record.organization.as_deref(),
        None => organization_id,
    };
    if let Some(id) = organization_id
        && scope.any_organization(id).await?.is_some_and(|organization| !organization.is_in_force())
    {
        return Ok(None);
    }
    Ok(Some(ResolvedPrincipal {
        user_id: user_id.map(str::to_owned),
        organization_id: organization_id.map(str::to_owned),
        boundary: record.and_then(|record| record.role.clone()),
    }))
}
