//! The feature flags of a tenant.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Actor, Code, Error, FeatureFlag, FlagRevision, Result};
use elias_delivery::flag::{FlagDefinition, check_flag_name};
use elias_names::{Environment, TenantId};
use elias_store::TenantScope;

impl Platform {
    /// A flag of the tenant in an environment.
    ///
    /// # Errors
    /// `bad-name`, `not-found`.
    pub async fn flag(
        &self,
        session: &Session,
        tenant: &TenantId,
        environment: Environment,
        name: &str,
    ) -> Result<FeatureFlag> {
        session.require(Permission::Read, tenant, None)?;
        check_name(name)?;
        Ok(self.store().read(tenant).await?.flag(environment, name).await?)
    }

    /// The kept revisions of a flag before the revision `before`, the newest first; also of one that was deleted.
    ///
    /// # Errors
    /// `bad-name`, `not-found`.
    pub async fn flag_history(
        &self,
        session: &Session,
        tenant: &TenantId,
        environment: Environment,
        name: &str,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<FlagRevision>> {
        session.require(Permission::Read, tenant, None)?;
        check_name(name)?;
        Ok(self.store().read(tenant).await?.flag_history(environment, name, before, limit).await?)
    }

    /// Makes a flag, or changes it, if it is still at `revision`. Executions that begin after that see it on this host;
    /// on other hosts those that begin a second or two later.
    ///
    /// # Errors
    /// `bad-input` for a definition that cannot be used; `bad-name`, `stale`, `quota-exceeded`.
    pub async fn set_flag(
        &self,
        session: &Session,
        tenant: &TenantId,
        environment: Environment,
        name: &str,
        definition: &FlagDefinition,
        revision: Option<u64>,
    ) -> Result<FeatureFlag> {
        let (mut scope, actor) = self.begin_change(session, tenant, environment, name).await?;
        definition.check().map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let set = scope.set_flag(environment, name, definition, revision, &actor).await?;
        scope.commit().await?;
        self.follow_flags(tenant, environment).await;
        Ok(set)
    }

    /// Deletes a flag, if it is still at `revision`. Components get the values that their own code names.
    ///
    /// # Errors
    /// `bad-name`, `not-found`, `stale`.
    pub async fn delete_flag(
        &self,
        session: &Session,
        tenant: &TenantId,
        environment: Environment,
        name: &str,
        revision: Option<u64>,
    ) -> Result<()> {
        let (mut scope, actor) = self.begin_change(session, tenant, environment, name).await?;
        scope.delete_flag(environment, name, revision, &actor).await?;
        scope.commit().await?;
        self.follow_flags(tenant, environment).await;
        Ok(())
    }

    /// A transaction that changes a flag of a tenant that is there.
    async fn begin_change(
        &self,
        session: &Session,
        tenant: &TenantId,
        environment: Environment,
        name: &str,
    ) -> Result<(TenantScope, Actor)> {
        session.require(Permission::set_flags(environment), tenant, None)?;
        check_name(name)?;
        let mut scope = self.store().write(tenant).await?;
        scope.this_tenant().await?;
        Ok((scope, session.actor()))
    }

    /// Has components of this host see flags that were changed: it is done, so that this cannot fail any more.
    async fn follow_flags(&self, tenant: &TenantId, environment: Environment) {
        if let Err(error) = self.flag_sets().follow(&(tenant.clone(), environment)).await {
            tracing::warn!(%tenant, %environment, %error, "feature flags cannot be read again; retrying");
        }
    }
}

/// Refuses what no flag is called, before a database is asked for it.
fn check_name(name: &str) -> Result<()> {
    check_flag_name(name).map_err(|error| Error::new(Code::BadName, error.to_string()))
}
