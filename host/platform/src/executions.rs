//! Recorded executions: the list of them, and one.

use crate::access::{AccessTarget, Permission};
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, ExecutionFilter, ExecutionRecord, Result};
use elias_names::TenantId;

impl Platform {
    /// The recorded executions of the services that the session may read, the newest first and at most `limit`.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn executions(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        limit: u32,
    ) -> Result<Vec<ExecutionRecord>> {
        let (permission, component) = (Permission::Read, filter.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        Ok(scope.executions(filter, &allowed, limit).await?)
    }

    /// A recorded execution.
    ///
    /// # Errors
    /// `not-found`, also for one of a service that the session may not read; `forbidden`, `store-unavailable`.
    pub async fn execution(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<ExecutionRecord> {
        session.require_role(Permission::Read, tenant)?;
        let found = self.store().read(tenant).await?.execution(id).await?;
        let is_allowed = |execution: &ExecutionRecord| {
            let about = AccessTarget::Service(&execution.component, execution.environment);
            session.require(Permission::Read, tenant, about).is_ok()
        };
        found.filter(is_allowed).ok_or_else(|| {
            let why = "it is still running, was not sampled, or was deleted by age";
            Error::new(Code::NotFound, format!("execution `{id}` is not recorded: {why}"))
        })
    }
}
