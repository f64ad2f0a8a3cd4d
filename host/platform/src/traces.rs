//! Traces: the list of them, and one with all its spans.

use crate::access::Permission;
use crate::executions::trace_of;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, Result, Trace, TraceFilter, TraceSummary};
use elias_names::{ComponentName, TenantId};

/// Executions of one trace that are shown.
const EXECUTIONS_MAX: u32 = 500;

impl Platform {
    /// The traces with executions of the services that the session may read, the newest first and at most `limit`,
    /// whose newest execution is before the one with the id `before`.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn traces(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &TraceFilter,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TraceSummary>> {
        let (permission, component) = (Permission::Read, filter.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        Ok(scope.traces(filter, before, &allowed, limit).await?)
    }

    /// A trace, with the executions of the services that the session may read.
    ///
    /// # Errors
    /// `bad-input` for what names no trace; `not-found` if none of its executions is kept, or may be read; `forbidden`,
    /// `store-unavailable`.
    pub async fn trace(&self, session: &Session, tenant: &TenantId, trace: &str) -> Result<Trace> {
        let trace = trace_of(trace)?;
        let permission = Permission::Read;
        let mut scope = self.read(session, permission, tenant, None::<&ComponentName>).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, None).await?;
        let (executions, is_cut) = scope.trace(&trace, &allowed, EXECUTIONS_MAX).await?;
        if executions.is_empty() {
            let why = "it was not sampled, is not written yet, or was deleted by age";
            return Err(Error::new(Code::NotFound, format!("no spans of the trace {trace} are kept: {why}")));
        }
        Ok(Trace { trace, executions, is_cut })
    }
}
