//! A tenant's resources beside its components: settings, tokens, artifacts, secrets, log.

use crate::access::Permission;
use crate::feed::Follower;
use crate::platform::Platform;
use crate::reports;
use crate::session::Session;
use bytes::Bytes;
use elias_api::{
    Ceiling, Code, Error, FollowedLine, NewToken, Result, SECRET_BYTES_MAX, Tenant, TenantSettings, TokenWithSecret,
};
use elias_names::{Digest, ServiceId, TenantId};
use futures::Stream;
use std::collections::{BTreeMap, BTreeSet};

impl Platform {
    /// The tenants after the name `after`: all of them for platform operators, its own for anyone else.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn tenants(&self, session: &Session, after: &str, limit: u32) -> Result<Vec<Tenant>> {
        if session.principal.tenant.is_system() {
            session.require(Permission::Read, &session.principal.tenant, None)?;
            return Ok(self.store().host_read().await?.tenants(after, limit).await?);
        }
        let own = &session.principal.tenant;
        let mut scope = self.read(session, Permission::Read, own, None).await?;
        Ok(if own.as_str() > after { vec![scope.this_tenant().await?] } else { Vec::new() })
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `already-there`, `bad-input`.
    pub async fn create_tenant(
        &self,
        session: &Session,
        tenant: &TenantId,
        settings: &TenantSettings,
    ) -> Result<Tenant> {
        let mut scope = self.write(session, Permission::Tenants, tenant, None).await?;
        self.serving().loader.ceilings.check_keys(&settings.ceilings)?;
        reports::check_settings(settings)?;
        let made = scope.create_tenant(settings, &session.actor()).await?;
        scope.commit().await?;
        Ok(made)
    }

    /// The ceilings that hold for a tenant's versions on this host.
    ///
    /// # Errors
    /// `forbidden`, `not-found`.
    pub async fn ceilings(&self, session: &Session, tenant: &TenantId) -> Result<Vec<Ceiling>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let settings = scope.this_tenant().await?.settings;
        Ok(self.serving().loader.ceilings.of(&settings))
    }

    /// Changes a tenant's settings. Served components are reloaded within its ceilings, if these have changed.
    ///
    /// # Errors
    /// `not-found`, `stale`, `bad-input`.
    pub async fn set_tenant(
        &self,
        session: &Session,
        tenant: &TenantId,
        settings: &TenantSettings,
        revision: Option<u64>,
    ) -> Result<Tenant> {
        let mut scope = self.write(session, Permission::Tenants, tenant, None).await?;
        self.serving().loader.ceilings.check_keys(&settings.ceilings)?;
        reports::check_settings(settings)?;
        let changed = scope.set_tenant(settings, revision, &session.actor()).await?;
        scope.commit().await?;
        self.follow_tenant(tenant).await?;
        Ok(changed)
    }

    /// Deletes a tenant: nothing of it serves any more.
    ///
    /// # Errors
    /// `not-found`, `wrong-state` for the host's own.
    pub async fn delete_tenant(&self, session: &Session, tenant: &TenantId) -> Result<()> {
        let mut scope = self.write(session, Permission::Tenants, tenant, None).await?;
        scope.delete_tenant(&session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        self.follow_tenant(tenant).await
    }

    /// The names of tokens and users, by the ids that lists have of who did something. What was deleted, and the host
    /// itself, has none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn actor_names(&self, tenant: &TenantId, ids: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
        Ok(self.store().host_read().await?.actor_names(tenant, ids).await?)
    }

    /// Makes a token. Its secret is in the response and nowhere else.
    ///
    /// # Errors
    /// `forbidden` also for a role beyond one's own, `bad-input`, `not-found` for the tenant.
    pub async fn create_token(&self, session: &Session, tenant: &TenantId, new: &NewToken) -> Result<TokenWithSecret> {
        session.require(Permission::Access, tenant, None)?;
        self.access().create(tenant, new, &session.principal, &session.actor()).await
    }

    /// Ends a token, here at once and on other hosts within seconds.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_token(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        scope.revoke_token(id, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(())
    }

    /// Stores an artifact; says how many bytes it has.
    ///
    /// # Errors
    /// `too-large`, `digest-mismatch`, `no-space-left`, `storage-failed`.
    pub async fn put_artifact<E: std::fmt::Display>(
        &self,
        session: &Session,
        tenant: &TenantId,
        digest: &Digest,
        chunks: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64> {
        session.require(Permission::Upload, tenant, None)?;
        {
            let mut scope = self.store().read(tenant).await?;
            let most = scope.this_tenant().await?.settings.quotas.storage_bytes;
            if most > 0 && scope.stored_bytes().await? >= most {
                let message = format!("the tenant {tenant} may store {most} bytes; delete versions, or ask for more");
                return Err(Error::new(Code::QuotaExceeded, message));
            }
        }
        let bytes = self.artifacts().put(digest, chunks, self.artifact_bytes_max()).await?;
        let mut scope = self.store().write(tenant).await?;
        scope.insert_artifact(digest, bytes).await?;
        scope.commit().await?;
        Ok(bytes)
    }

    /// The names of a service's secrets.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn secret_names(&self, session: &Session, id: &ServiceId) -> Result<Vec<String>> {
        let mut scope = self.read(session, Permission::Secrets, &id.tenant, id).await?;
        Ok(scope.secrets(id).await?.into_iter().map(|(name, _)| name).collect())
    }

    /// Sets a secret of a service. Its served components are reloaded with it.
    ///
    /// # Errors
    /// `bad-input` for a name that is none, `too-large`.
    pub async fn set_secret(&self, session: &Session, id: &ServiceId, name: &str, secret: &str) -> Result<()> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > 128 || !name.bytes().all(good) {
            let message =
                "a secret's name must have 1 to 128 letters, digits and underscores, as an environment variable";
            return Err(Error::new(Code::BadInput, message));
        }
        if secret.len() > SECRET_BYTES_MAX {
            return Err(Error::new(Code::TooLarge, format!("a secret has at most {SECRET_BYTES_MAX} bytes")));
        }
        let mut scope = self.write(session, Permission::Secrets, &id.tenant, id).await?;
        let sealed = self.serving().loader.vault.seal(id, name, secret)?;
        scope.set_secret(id, name, &sealed, &session.actor()).await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// Deletes a secret of a service.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_secret(&self, session: &Session, id: &ServiceId, name: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Secrets, &id.tenant, id).await?;
        scope.delete_secret(id, name, &session.actor()).await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// The log lines of a service on this host, after the one at the position `after` or from now on.
    ///
    /// # Errors
    /// `forbidden`, `not-found`.
    pub fn follow_log(&self, session: &Session, id: &ServiceId, after: Option<u64>) -> Result<Follower<FollowedLine>> {
        session.require(Permission::Read, &id.tenant, id)?;
        let service = self.serving().service(id);
        Ok(service.ok_or_else(|| Error::not_deployed(id))?.lines.follow(after))
    }
}
