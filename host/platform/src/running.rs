//! Running executions: the list of them, and cancelling one.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, Result, RunningExecution, RunningFilter};
use elias_names::TenantId;

impl Platform {
    /// Executions that run on this host, the longest-running first, after the one with the id `after` and at most
    /// `limit`; of the services that the session may read.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn running(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &RunningFilter,
        (after, limit): (&str, u32),
    ) -> Result<Vec<RunningExecution>> {
        session.require(Permission::Read, tenant, filter.component.as_ref())?;
        let table = self.serving().table();
        let wanted = table.services.values().filter(|service| {
            let id = &service.id;
            id.tenant == *tenant
                && filter.component.as_ref().is_none_or(|component| *component == id.component)
                && filter.environment.is_none_or(|environment| environment == id.environment)
                && session.require(Permission::Read, tenant, id).is_ok()
        });
        let mut found: Vec<_> = wanted.flat_map(|service| service.under_way()).collect();
        // Ids are sorted by time.
        found.retain(|execution| execution.id.as_str() > after);
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        found.truncate(limit as usize);
        Ok(found)
    }

    /// Cancels an execution that runs on this host.
    ///
    /// # Errors
    /// `not-found` if no such execution runs here, or one that the session may not cancel; `forbidden`.
    pub fn cancel(&self, session: &Session, tenant: &TenantId, execution: &str) -> Result<()> {
        session.require_role(Permission::Cancel, tenant)?;
        let table = self.serving().table();
        let mut mine = table.services.values().filter(|service| {
            service.id.tenant == *tenant && session.require(Permission::Cancel, tenant, &service.id).is_ok()
        });
        if mine.any(|service| service.cancel(execution)) {
            return Ok(());
        }
        Err(Error::new(
            Code::NotFound,
            format!(
                "execution `{execution}` is not running on this host; `elias executions --running` lists those that are"
            ),
        ))
    }
}
