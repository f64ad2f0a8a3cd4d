//! Recorded executions: the list of them, one, and those to come.

use crate::access::{AccessTarget, Permission};
use crate::feed::Follower;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, ExecutionFilter, ExecutionRecord, Result};
use elias_capabilities::trace_id;
use elias_names::TenantId;
use std::sync::Arc;

impl Platform {
    /// The recorded executions of the services that the session may read, the newest first and at most `limit`.
    ///
    /// # Errors
    /// `bad-input` for a trace that is none; `forbidden`, `store-unavailable`.
    pub async fn executions(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        limit: u32,
    ) -> Result<Vec<ExecutionRecord>> {
        let filter = &ExecutionFilter { trace: filter.trace.as_deref().map(trace_of).transpose()?, ..filter.clone() };
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

    /// Follows the executions of a tenant that this host records, after the one at the position `after` or from now on.
    /// Those of services that the session may not read are among them: see [`Platform::may_read`].
    ///
    /// # Errors
    /// `forbidden`.
    pub fn follow_executions(
        &self,
        session: &Session,
        tenant: &TenantId,
        after: Option<u64>,
    ) -> Result<Follower<Arc<ExecutionRecord>>> {
        session.require(Permission::Read, tenant, AccessTarget::Tenant)?;
        Ok(self.serving().recorder.feeds().follow(tenant, after))
    }

    /// Whether a session may still read an execution, as [`confirm`](Platform::confirm) says.
    pub async fn may_read(&self, session: &Session, record: &ExecutionRecord) -> bool {
        let about = AccessTarget::Service(&record.component, record.environment);
        self.confirm(session, Permission::Read, &record.tenant, about).await.is_ok()
    }
}

/// The id of a trace that is asked for by it, or by a whole `traceparent`.
pub(crate) fn trace_of(text: &str) -> Result<String> {
    let text = text.to_ascii_lowercase();
    // An id is valid if it is within a `traceparent`.
    let around = format!("00-{text}-0000000000000001-00");
    let trace = trace_id(&text).or_else(|| trace_id(&around)).map(str::to_owned);
    trace.ok_or_else(|| {
        let message = "trace: must be the id of a trace, 32 hexadecimal digits that are not all 0, or a traceparent";
        Error::new(Code::BadInput, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_its_id_or_a_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let traceparent = format!("00-{id}-00f067aa0ba902b7-01");
        for text in [id, &id.to_uppercase(), &traceparent, &traceparent.to_uppercase()] {
            assert_eq!(trace_of(text).expect("a trace"), id, "{text}");
        }
        for wrong in ["", "4bf92f", "%", &"0".repeat(32), &format!("{id}0"), &format!("{traceparent}-1")] {
            assert_eq!(trace_of(wrong).expect_err("none").code(), Code::BadInput, "{wrong}");
        }
    }
}
