//! Enqueues a job of a component, for a component or for a user.

use super::Runner;
use super::runner::WriteSource;
use elias_api::{Code, Error, JobTrigger, QueueId, Result};
use elias_capabilities::trigger::Cause;
use elias_delivery::clock::Now;
use elias_names::ServiceId;
use elias_store::{EnqueueOutcome, JobKey, JobStart, NewJob};
use elias_triggers::queue::Priority;

/// A job that is to be enqueued.
#[derive(Debug, Clone)]
pub(crate) struct JobRequest {
    /// The service that runs it.
    pub(crate) service: ServiceId,
    /// Which of its jobs it is.
    pub(crate) name: String,
    /// The input, a JSON text.
    pub(crate) input: String,
    /// From -100 to 100; none: as the job is configured.
    pub(crate) priority: Option<i32>,
    /// When it may run first.
    pub(crate) start: JobStart,
    /// With this key there is one job.
    pub(crate) key: Option<String>,
    /// Jobs with the same concurrency key run at a time only as their name is configured.
    pub(crate) concurrency_key: Option<String>,
    /// The ids of the jobs that must be done before.
    pub(crate) after: Vec<String>,
    /// The cause of the job.
    pub(crate) cause: Cause,
}

impl Runner {
    /// Enqueues a job as its service's version configures it; gives its id, or that of the job that has its key, and
    /// whether it is new.
    ///
    /// # Errors
    /// `not-found` if the service is not served, or a job before it is not known; `bad-input` for its priority;
    /// `idempotency-mismatch` if the job with its key has another input; `quota-exceeded`, `store-unavailable`.
    pub(crate) async fn enqueue_request(&self, request: JobRequest) -> Result<(String, bool)> {
        self.enqueue_request_from(request, ulid::Ulid::new().to_string(), WriteSource::Direct).await
    }

    /// The same, for a job that has an id already; `wrong-state` if it comes from an outbox, and this host does not
    /// serve its service yet.
    pub(super) async fn enqueue_request_from(
        &self,
        request: JobRequest,
        id: String,
        source: WriteSource,
    ) -> Result<(String, bool)> {
        let JobRequest { service, name, input, priority, start, key, concurrency_key, after, cause } = request;
        let Some(served) = self.services.find(&service) else {
            // A job that a transaction has committed is not dropped because this host has not heard of its service yet.
            let is_later =
                source == WriteSource::Outbox && self.store.host_read().await?.target(&service).await?.is_some();
            return Err(if is_later {
                Error::new(Code::WrongState, format!("{service} is not served by this host yet"))
            } else {
                Error::not_deployed(&service)
            });
        };
        let config = served.job(&name);
        let priority = Priority::new(priority.unwrap_or(config.priority));
        let priority = priority.map_err(|error| Error::new(Code::BadInput, format!("the priority {error}")))?;
        let ServiceId { tenant, component, environment } = service;
        let job = NewJob {
            id: id.clone(),
            queue: QueueId { component, environment, trigger: JobTrigger::Job, name },
            input,
            priority: priority.get(),
            head_start_ms: -priority.rank(Now::from_unix_ms(0)),
            start,
            key: key.map(|key| JobKey { key, for_ms: config.retention.as_millis() }),
            order: None,
            concurrency_key,
            after,
            cause: cause.traceparent,
            hops: cause.hops,
            replayed_by: None,
            version: None,
        };
        match self.enqueue(&tenant, job, Some(served.quotas), source).await? {
            EnqueueOutcome::New => Ok((id, true)),
            EnqueueOutcome::Existing { id, same_input: true } => Ok((id, false)),
            EnqueueOutcome::Existing { id, same_input: false } => {
                let message = format!("job {id} has this key and another input");
                Err(Error::new(Code::IdempotencyMismatch, message))
            }
        }
    }
}
