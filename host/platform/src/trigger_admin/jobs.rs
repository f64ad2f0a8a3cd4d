//! Jobs: enqueued from outside, listed, cancelled, retried and discarded.

use super::LISTED_MAX;
use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::triggers::{JobRequest, ROWS_OF_STEP, checked_traceparent, step_records};
use elias_api::{Code, EnqueueRequest, Error, JobCounts, JobFilter, JobRecord, JobState, Result, StepRecord};
use elias_capabilities::trigger::Cause;
use elias_names::{ServiceId, TenantId};
use elias_store::{CancelledJob, JobStart, NOTHING, TenantScope, now_ms};

/// How long the record of a job is kept that was cancelled by hand, in milliseconds.
const CANCELLED_KEEP_MS: u64 = 7 * 86_400_000;

impl Platform {
    /// Enqueues a job of a service; gives its id, or that of the job that has its key, and whether it is new. `cause`
    /// is the `traceparent` of the request.
    ///
    /// # Errors
    /// `forbidden`, `bad-input`, `too-large`, `not-found` for the service or a job before it, `idempotency-mismatch`
    /// for a key that belongs to a job with another input, `quota-exceeded`, `store-unavailable`.
    pub async fn enqueue_job(
        &self,
        session: &Session,
        service: &ServiceId,
        request: EnqueueRequest,
        cause: Option<String>,
    ) -> Result<(String, bool)> {
        session.require(Permission::RunTriggers, &service.tenant, service)?;
        let input = request.input.to_string();
        request.check(&input)?;
        let EnqueueRequest { name, priority, run_at, key, concurrency_key, after, .. } = request;
        let cause = Cause { traceparent: checked_traceparent(cause), hops: 0 };
        let (service, start) = (service.clone(), run_at.map_or(JobStart::Now, JobStart::At));
        let request = JobRequest { service, name, input, priority, start, key, concurrency_key, after, cause };
        self.runner().enqueue_request(request).await
    }

    /// The tenant's jobs that the session may see, the newest first; at most 1,000.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn jobs(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<JobRecord>> {
        let (permission, component) = (Permission::Read, filter.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        Ok(scope.jobs(filter, &allowed, limit.min(LISTED_MAX)).await?)
    }

    /// A job.
    ///
    /// # Errors
    /// `not-found`, also for one whose record is not kept any more or that the session may not see; `forbidden`,
    /// `store-unavailable`.
    pub async fn job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<JobRecord> {
        session.require_role(Permission::Read, tenant)?;
        allowed_job(&mut self.store().read(tenant).await?, session, Permission::Read, tenant, id).await
    }

    /// The steps of a job in the order of its journal, from a position on; at most 1,000. They are kept as long as its
    /// record.
    ///
    /// # Errors
    /// As of [`Platform::job`].
    pub async fn job_steps(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: &str,
        from: u32,
        limit: u32,
    ) -> Result<Vec<StepRecord>> {
        session.require_role(Permission::Read, tenant)?;
        let mut scope = self.store().read(tenant).await?;
        allowed_job(&mut scope, session, Permission::Read, tenant, id).await?;
        let limit = limit.min(LISTED_MAX);
        let rows = scope.list_steps(id, from.saturating_mul(ROWS_OF_STEP), limit * ROWS_OF_STEP).await?;
        Ok(step_records(rows, limit as usize, now_ms()))
    }

    /// The number of the tenant's jobs, by state.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn job_counts(&self, session: &Session, tenant: &TenantId) -> Result<JobCounts> {
        Ok(self.read(session, Permission::Read, tenant, None).await?.job_counts().await?)
    }

    /// Cancels a job that waits or runs. One that another host runs ends with its next heartbeat.
    ///
    /// # Errors
    /// `not-found`, also for one that the session may not cancel; `forbidden`, `wrong-state` if it is over;
    /// `store-unavailable`.
    pub async fn cancel_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        session.require_role(Permission::RunTriggers, tenant)?;
        let mut scope = self.store().write(tenant).await?;
        let job = allowed_job(&mut scope, session, Permission::RunTriggers, tenant, id).await?;
        let service = service_of(tenant, &job);
        let reason = format!("cancelled by {}", session.principal.name);
        if scope.cancel_job(id, &reason, CANCELLED_KEEP_MS).await? == CancelledJob::Finished {
            return Err(Error::new(Code::WrongState, format!("job {id} is over already")));
        }
        scope.audit(&session.actor(), "job.cancel", format!("{}/{id}", service.subject()), NOTHING, NOTHING).await?;
        scope.commit().await?;
        self.runner().cancel(tenant, id);
        self.runner().look();
        Ok(())
    }

    /// Cancels the tenant's jobs that a filter selects, that are not over and that the session may cancel, the newest
    /// first and at most 1,000; says how many. The filter's state does not matter.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn cancel_jobs(&self, session: &Session, tenant: &TenantId, filter: &JobFilter) -> Result<u64> {
        let (permission, component) = (Permission::RunTriggers, filter.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let mut ids = Vec::new();
        for state in [JobState::Waiting, JobState::Ready, JobState::Leased] {
            let filter = JobFilter { state: Some(state), ..filter.clone() };
            ids.extend(scope.jobs(&filter, &allowed, LISTED_MAX).await?.into_iter().map(|job| job.id));
        }
        drop(scope);
        ids.sort_unstable_by(|one, other| other.cmp(one));
        // One that became ready between two of the statements is there twice.
        ids.dedup();
        let mut cancelled = 0;
        for id in ids.iter().take(LISTED_MAX as usize) {
            match self.cancel_job(session, tenant, id).await {
                Ok(()) => cancelled += 1,
                // It has ended meanwhile.
                Err(error) if matches!(error.code(), Code::WrongState | Code::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(cancelled)
    }

    /// Makes a dead job ready again, with all its attempts and what its steps have done.
    ///
    /// # Errors
    /// `not-found`, also for one that the session may not retry; `forbidden`, `wrong-state` if it is not dead;
    /// `store-unavailable`.
    pub async fn retry_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        session.require_role(Permission::RunTriggers, tenant)?;
        let mut scope = self.store().write(tenant).await?;
        let job = allowed_job(&mut scope, session, Permission::RunTriggers, tenant, id).await?;
        let service = service_of(tenant, &job);
        scope.retry_job(id).await?;
        scope.audit(&session.actor(), "job.retry", format!("{}/{id}", service.subject()), NOTHING, NOTHING).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(())
    }

    /// Makes the dead jobs that a filter selects ready again, the newest first and at most 1,000; says how many. With
    /// the trigger `event` these are dead letters.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn retry_jobs(&self, session: &Session, tenant: &TenantId, filter: &JobFilter) -> Result<u64> {
        let (permission, component) = (Permission::RunTriggers, filter.component.as_ref());
        let mut scope = self.write(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let retried = scope.retry_jobs(filter, &allowed, LISTED_MAX).await?;
        let subject = filter.component.as_ref().map_or_else(|| tenant.to_string(), ToString::to_string);
        scope.audit(&session.actor(), "job.retry-selected", subject, NOTHING, Some(filter)).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(retried)
    }

    /// Discards a dead job or dead letter: its record and what its steps have done are deleted, and its unique key is
    /// free.
    ///
    /// # Errors
    /// `not-found`, also for one that the session may not discard; `forbidden`, `wrong-state` if it is not dead;
    /// `store-unavailable`.
    pub async fn discard_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        session.require_role(Permission::RunTriggers, tenant)?;
        let mut scope = self.store().write(tenant).await?;
        let job = allowed_job(&mut scope, session, Permission::RunTriggers, tenant, id).await?;
        let service = service_of(tenant, &job);
        scope.discard_job(id).await?;
        scope.audit(&session.actor(), "job.discard", format!("{}/{id}", service.subject()), NOTHING, NOTHING).await?;
        scope.commit().await?;
        Ok(())
    }

    /// Discards the dead jobs that a filter selects and that the session may discard, the newest first and at most
    /// 1,000; says how many. With the trigger `event` these are dead letters.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn discard_jobs(&self, session: &Session, tenant: &TenantId, filter: &JobFilter) -> Result<u64> {
        let (permission, component) = (Permission::RunTriggers, filter.component.as_ref());
        let mut scope = self.write(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let discarded = scope.discard_jobs(filter, &allowed, LISTED_MAX).await?;
        let subject = filter.component.as_ref().map_or_else(|| tenant.to_string(), ToString::to_string);
        scope.audit(&session.actor(), "job.discard-selected", subject, NOTHING, Some(filter)).await?;
        scope.commit().await?;
        Ok(discarded)
    }
}

/// A job of a service on which the session has the permission; another one is as if it were not there.
pub(super) async fn allowed_job(
    scope: &mut TenantScope,
    session: &Session,
    permission: Permission,
    tenant: &TenantId,
    id: &str,
) -> Result<JobRecord> {
    let job = scope.job(id).await?;
    let is_allowed = session.require(permission, tenant, &service_of(tenant, &job)).is_ok();
    if is_allowed { Ok(job) } else { Err(Error::not_found(format_args!("job `{id}`"))) }
}

fn service_of(tenant: &TenantId, job: &JobRecord) -> ServiceId {
    let (component, environment) = (job.queue.component.clone(), job.queue.environment);
    ServiceId { tenant: tenant.clone(), component, environment }
}
