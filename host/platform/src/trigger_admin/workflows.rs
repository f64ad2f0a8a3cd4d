//! Workflows: jobs with steps, listed and shown.

use super::LISTED_MAX;
use super::jobs::allowed_job;
use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::triggers::{ROWS_OF_STEP, step_records, workflow_record};
use elias_api::{Code, Error, JobFilter, JobRecord, Result, WorkflowDetails, WorkflowRecord};
use elias_names::TenantId;
use elias_store::now_ms;

impl Platform {
    /// The tenant's workflows that the session may see, the newest first; at most 1,000.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn workflows(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<WorkflowRecord>> {
        let (permission, component) = (Permission::Read, filter.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let jobs = scope.jobs_with_steps(filter, &allowed, limit.min(LISTED_MAX)).await?;
        let ids: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
        let mut steps = scope.last_steps(&ids, ROWS_OF_STEP).await?;
        let now = now_ms();
        let workflow = |job: JobRecord| {
            // The steps may have been deleted since the jobs were read.
            let last = steps.remove(&job.id).unwrap_or_default();
            workflow_record(job, last, now)
        };
        Ok(jobs.into_iter().map(workflow).collect())
    }

    /// A workflow with its steps, the first 1,000; [`Platform::job_steps`] has all.
    ///
    /// # Errors
    /// `not-found`, also for a job without steps, one whose record is not kept any more or that the session may not
    /// see; `forbidden`, `store-unavailable`.
    pub async fn workflow(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<WorkflowDetails> {
        session.require_role(Permission::Read, tenant)?;
        let mut scope = self.store().read(tenant).await?;
        let job = allowed_job(&mut scope, session, Permission::Read, tenant, id).await?;
        let last = scope.last_steps(std::slice::from_ref(&job.id), ROWS_OF_STEP).await?.remove(&job.id);
        let last = last.ok_or_else(|| Error::new(Code::NotFound, format!("job `{id}` has no steps")))?;
        let rows = scope.list_steps(id, 0, LISTED_MAX * ROWS_OF_STEP).await?;
        let now = now_ms();
        let steps = step_records(rows, LISTED_MAX as usize, now);
        Ok(WorkflowDetails { workflow: workflow_record(job, last, now), steps })
    }
}
