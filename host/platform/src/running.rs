//! What runs now.

use crate::access::Permission;
use crate::error::Result;
use crate::name::{ComponentName, Environment, TenantId};
use crate::platform::Platform;
use crate::session::Session;
use serde::{Deserialize, Serialize};

/// An execution under way on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningExecution {
    /// Its id, by which it can be cancelled.
    pub id: String,
    /// The component.
    pub component: ComponentName,
    /// Where it serves.
    pub environment: Environment,
    /// The number of the version that answers.
    pub version: u32,
    /// Whether that version is a canary.
    pub canary: bool,
    /// Milliseconds since 1970 when the request was admitted.
    pub started_at: i64,
    /// What began it: method and path of the request; `shadow ` before it for a mirrored request.
    pub source: String,
}

/// Which executions under way are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct RunningFilter {
    /// Those of this component only.
    pub component: Option<ComponentName>,
    /// Those in this environment only.
    pub environment: Option<Environment>,
}

impl Platform {
    /// Executions under way on this host, the longest-running first, after the one with the id `after` and at most
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
}
