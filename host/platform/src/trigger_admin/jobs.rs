//! Jobs: enqueued from outside, listed, cancelled, retried and discarded.

use super::LISTED_MAX;
use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::triggers::{JobRequest, checked_traceparent};
use elias_api::{Code, Error, JobCounts, JobFilter, JobRecord, Result};
use elias_names::{ServiceId, TenantId};
use elias_store::{CancelledJob, JobStart, NOTHING};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a job's input, as JSON; of its name; and of its key.
const INPUT_BYTES_MAX: usize = 1 << 20;
const NAME_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 256;
/// Jobs that one may wait for.
const AFTER_MAX: usize = 100;
/// How long the record of a job is kept that was cancelled by hand, in milliseconds.
const CANCELLED_KEEP_MS: u64 = 7 * 86_400_000;

/// A job to enqueue from outside.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnqueueRequest {
    /// Which of the component's jobs it is; at most 128 bytes.
    pub name: String,
    /// The input, any JSON of at most 1 MiB; null if absent.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub input: Value,
    /// The priority, from -100 to 100; as the job is configured if absent.
    #[serde(default)]
    pub priority: Option<i32>,
    /// The earliest start, in milliseconds since 1970-01-01 UTC; at once if absent.
    #[serde(default)]
    pub run_at: Option<i64>,
    /// A unique key of at most 256 bytes: while a job with it is kept there is no second one, and that one's id is
    /// given.
    #[serde(default)]
    pub key: Option<String>,
    /// The concurrency key, at most 256 bytes: jobs with the same name and concurrency key run at a time only as
    /// `key-concurrency` says.
    #[serde(default)]
    pub concurrency_key: Option<String>,
    /// The ids of the jobs that must be done before; at most 100.
    #[serde(default)]
    pub after: Vec<String>,
}

impl EnqueueRequest {
    fn check(&self, input: &str) -> Result<()> {
        let bad = |message: &str| Err(Error::new(Code::BadInput, message));
        let is_text = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
        if !is_text(&self.name, NAME_BYTES_MAX) {
            return bad("name: must be a text of 1 to 128 bytes without control characters");
        }
        if self.key.as_ref().is_some_and(|key| !is_text(key, KEY_BYTES_MAX)) {
            return bad("key: must be a text of 1 to 256 bytes without control characters");
        }
        if self.concurrency_key.as_ref().is_some_and(|key| !is_text(key, KEY_BYTES_MAX)) {
            return bad("concurrency_key: must be a text of 1 to 256 bytes without control characters");
        }
        if self.after.len() > AFTER_MAX {
            return bad("after: at most 100 jobs");
        }
        if input.len() > INPUT_BYTES_MAX {
            let message = format!("the input has {} bytes; at most {INPUT_BYTES_MAX} are taken", input.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        Ok(())
    }
}

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
        let cause = checked_traceparent(cause);
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
        let mut scope = self.read(session, Permission::Read, tenant, filter.component.as_ref()).await?;
        let mut jobs = scope.jobs(filter, limit.min(LISTED_MAX)).await?;
        jobs.retain(|job| session.require(Permission::Read, tenant, Some(&job.queue.component)).is_ok());
        Ok(jobs)
    }

    /// A job.
    ///
    /// # Errors
    /// `not-found`, also for one whose record is not kept any more; `forbidden`, `store-unavailable`.
    pub async fn job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<JobRecord> {
        let job = self.read(session, Permission::Read, tenant, None).await?.job(id).await?;
        session.require(Permission::Read, tenant, &service_of(tenant, &job))?;
        Ok(job)
    }

    /// How many jobs the tenant has, by state.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn job_counts(&self, session: &Session, tenant: &TenantId) -> Result<JobCounts> {
        Ok(self.read(session, Permission::Read, tenant, None).await?.job_counts().await?)
    }

    /// Cancels a job that waits or runs. One that another host runs ends with its next heartbeat.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `wrong-state` if it is over; `store-unavailable`.
    pub async fn cancel_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.store().write(tenant).await?;
        let job = scope.job(id).await?;
        let service = service_of(tenant, &job);
        session.require(Permission::RunTriggers, tenant, &service)?;
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

    /// Cancels the tenant's jobs that a filter selects and that are not over, at most 1,000; says how many.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn cancel_jobs(&self, session: &Session, tenant: &TenantId, filter: &JobFilter) -> Result<u64> {
        session.require(Permission::RunTriggers, tenant, filter.component.as_ref())?;
        let jobs = self.jobs(session, tenant, filter, LISTED_MAX).await?;
        let mut cancelled = 0;
        for job in jobs.iter().filter(|job| !job.state.is_finished()) {
            match self.cancel_job(session, tenant, &job.id).await {
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
    /// `not-found`, `forbidden`, `wrong-state` if it is not dead; `store-unavailable`.
    pub async fn retry_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.store().write(tenant).await?;
        let job = scope.job(id).await?;
        let service = service_of(tenant, &job);
        session.require(Permission::RunTriggers, tenant, &service)?;
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
        let permission = Permission::RunTriggers;
        let mut scope = self.write(session, permission, tenant, filter.component.as_ref()).await?;
        let retried = scope.retry_jobs(filter, LISTED_MAX).await?;
        let subject = filter.component.as_ref().map_or_else(|| tenant.to_string(), ToString::to_string);
        scope.audit(&session.actor(), "job.retry-selected", subject, NOTHING, Some(filter)).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(retried)
    }
}

impl Platform {
    /// Discards a dead job or dead letter: its record and what its steps have done are deleted, and its unique key is
    /// free.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `wrong-state` if it is not dead; `store-unavailable`.
    pub async fn discard_job(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.store().write(tenant).await?;
        let job = scope.job(id).await?;
        let service = service_of(tenant, &job);
        session.require(Permission::RunTriggers, tenant, &service)?;
        scope.discard_job(id).await?;
        scope.audit(&session.actor(), "job.discard", format!("{}/{id}", service.subject()), NOTHING, NOTHING).await?;
        scope.commit().await?;
        Ok(())
    }

    /// Discards the dead jobs that a filter selects, the newest first and at most 1,000; says how many. With the
    /// trigger `event` these are dead letters.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn discard_jobs(&self, session: &Session, tenant: &TenantId, filter: &JobFilter) -> Result<u64> {
        let permission = Permission::RunTriggers;
        let mut scope = self.write(session, permission, tenant, filter.component.as_ref()).await?;
        let discarded = scope.discard_jobs(filter, LISTED_MAX).await?;
        let subject = filter.component.as_ref().map_or_else(|| tenant.to_string(), ToString::to_string);
        scope.audit(&session.actor(), "job.discard-selected", subject, NOTHING, Some(filter)).await?;
        scope.commit().await?;
        Ok(discarded)
    }
}

fn service_of(tenant: &TenantId, job: &JobRecord) -> ServiceId {
    let (component, environment) = (job.queue.component.clone(), job.queue.environment);
    ServiceId { tenant: tenant.clone(), component, environment }
}
