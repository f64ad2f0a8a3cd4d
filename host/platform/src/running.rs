//! What runs now.

use crate::access::Permission;
use crate::error::Result;
use crate::name::{ComponentName, Environment, TenantId};
use crate::platform::Platform;
use crate::session::Session;
use serde::{Deserialize, Serialize};

/// An execution that is running on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningExecution {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. The execution can be cancelled with it.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the version that runs.
    pub version: u32,
    /// Whether the version is a canary.
    pub canary: bool,
    /// The time when the request was admitted, in milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
    /// The method and path of the request that started the execution, such as `GET /cart`; prefixed with `shadow ` for
    /// a mirrored request.
    pub source: String,
}

/// A filter for running executions.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct RunningFilter {
    /// Only executions of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only executions in this environment; absent for all.
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
