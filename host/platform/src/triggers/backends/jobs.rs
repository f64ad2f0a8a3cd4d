//! The queue of jobs, for components.

use super::super::Runner;
use super::super::new_job::JobRequest;
use super::super::runner::WriteSource;
use super::{TriggerBackends, service_of, shown};
use elias_api::Code;
use elias_capabilities::jobs::{Error, ErrorCode, JobQueue, NewJob, StartTime};
use elias_capabilities::trigger::Origin;
use elias_names::ServiceId;
use elias_store::{CancelledJob, JobStart};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

impl JobQueue for TriggerBackends {
    fn enqueue(&self, origin: Arc<Origin>, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        let runner = self.runner();
        async move {
            let runner = runner.map_err(|error| refused(&error))?;
            let request = request(&origin, job).map_err(|error| refused(&error))?;
            runner.enqueue_request(request).await.map(|(id, _)| id).map_err(|error| refused(&error))
        }
        .boxed()
    }

    fn enqueue_once(&self, origin: Arc<Origin>, id: String, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        let runner = self.runner();
        async move {
            let runner = runner.map_err(|error| refused(&error))?;
            let request = request(&origin, job).map_err(|error| refused(&error))?;
            let enqueued = runner.enqueue_request_from(request, id, WriteSource::Outbox).await;
            enqueued.map(|(id, _)| id).map_err(|error| refused(&error))
        }
        .boxed()
    }

    fn cancel(&self, origin: Arc<Origin>, id: String) -> BoxFuture<'static, Result<(), Error>> {
        let runner = self.runner();
        async move {
            let runner = runner.map_err(|error| refused(&error))?;
            let cancelled = cancel(&runner, &origin, &id).await.map_err(|error| refused(&error))?;
            match cancelled {
                Some(CancelledJob::Cancelled | CancelledJob::Leased) => Ok(()),
                Some(CancelledJob::Finished) => Err(Error::new(ErrorCode::Conflict, "the job is over")),
                None => Err(Error::new(ErrorCode::NotFound, "the component has no job with this id")),
            }
        }
        .boxed()
    }
}

fn refused(error: &elias_api::Error) -> Error {
    let code = match error.code() {
        Code::BadInput | Code::BadName => ErrorCode::Invalid,
        Code::QuotaExceeded => ErrorCode::QuotaExceeded,
        Code::NotFound => ErrorCode::NotFound,
        Code::IdempotencyMismatch => ErrorCode::Conflict,
        _ => ErrorCode::Unavailable,
    };
    Error::new(code, shown(error))
}

/// A component's request.
fn request(origin: &Origin, job: NewJob) -> elias_api::Result<JobRequest> {
    let own = service_of(origin)?;
    let NewJob { name, input, priority, start, key, concurrency_key, after, target } = job;
    let service = match target {
        None => own,
        Some(target) => ServiceId { component: target.parse()?, ..own },
    };
    let start = match start {
        StartTime::Now => JobStart::Now,
        StartTime::At(ms) => JobStart::At(i64::try_from(ms).unwrap_or(i64::MAX)),
        StartTime::After(time) => JobStart::In(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    let cause = origin.cause.clone();
    Ok(JobRequest { service, name, input, priority, start, key, concurrency_key, after, cause })
}

/// Cancels a job of the component's; nothing if it is another's or none.
async fn cancel(runner: &Runner, origin: &Origin, id: &str) -> elias_api::Result<Option<CancelledJob>> {
    let service = service_of(origin)?;
    let mut scope = runner.store.write(&service.tenant).await?;
    let job = match scope.job(id).await {
        Ok(job) => job,
        Err(error) if error.code() == Code::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if job.queue.component != service.component || job.queue.environment != service.environment {
        return Ok(None);
    }
    let served = runner.services.find(&service);
    let keep_ms = served.map_or(0, |served| served.job(&job.queue.name).retention.as_millis());
    let cancelled = scope.cancel_job(id, "cancelled by its component", keep_ms).await?;
    scope.commit().await?;
    runner.cancel(&service.tenant, id);
    Ok(Some(cancelled))
}
