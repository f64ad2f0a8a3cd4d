//! A job as a row of an outbox, and back.

use super::backend::{NewJob, StartTime};
use crate::outbox::{OutboxRow, RowKind};
use crate::trigger::Origin;
use serde::{Deserialize, Serialize};

/// A job in an outbox, with what its origin was. The component's name is not in it: it is that of the database.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct JobBody {
    name: String,
    /// A JSON text.
    input: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    /// Milliseconds since 1970. A delay counts from when the job was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency_key: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    execution: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default)]
    hops: u32,
}

/// The row of a job that was checked.
///
/// # Errors
/// If it cannot be written as JSON.
pub(super) fn row(id: String, job: NewJob, origin: &Origin, now_ms: u64) -> serde_json::Result<OutboxRow> {
    let NewJob { name, input, priority, start, key, concurrency_key, after, target } = job;
    let run_at_ms = match start {
        StartTime::Now => None,
        StartTime::At(at) => Some(at),
        StartTime::After(delay) => Some(now_ms.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))),
    };
    let (version, execution) = (origin.version.clone(), origin.execution.clone());
    let (traceparent, hops) = (origin.cause.traceparent.clone(), origin.cause.hops);
    let body = JobBody {
        name,
        input,
        priority,
        run_at_ms,
        key,
        concurrency_key,
        after,
        target,
        version,
        execution,
        traceparent,
        hops,
    };
    Ok(OutboxRow { id, kind: RowKind::Job, body: serde_json::to_string(&body)? })
}

/// Handing rows over: reading them is apart, since it takes long and does not wait.
#[cfg(all(feature = "db", feature = "events"))]
pub(crate) mod hand_over {
    use super::super::backend::{JobQueue, NewJob};
    use super::super::context;
    use super::super::contract::{EnqueueRequest, Error, ErrorCode};
    use super::super::grant::JobsGrant;
    use super::JobBody;
    use crate::outbox::{HandOverOutcome, traceparent};
    use crate::trigger::{Cause, Origin, read_json};
    use std::sync::Arc;

    /// A job that was read from a row.
    pub(crate) struct ReadJob {
        origin: Origin,
        job: NewJob,
    }

    /// Reads a row, if it is what the component could have enqueued. Takes milliseconds for a large one.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn read(grant: &JobsGrant, component: &str, body: &str) -> Result<ReadJob, String> {
        let body: JobBody = serde_json::from_str(body).map_err(|error| format!("it is not a job: {error}"))?;
        let JobBody { name, input, priority, run_at_ms, key, concurrency_key, after, target, .. } = body;
        let (version, execution) = (body.version, body.execution);
        let cause = Cause { traceparent: traceparent(body.traceparent), hops: body.hops };
        let origin = Origin { component: component.to_owned(), version, execution, cause };
        let (delay_ms, after) = (None, after.into());
        let request =
            EnqueueRequest { name, input, priority, run_at_ms, delay_ms, key, concurrency_key, after, target };
        let mut job = context::check(grant, component, request).map_err(|error| error.message)?;
        job.input = read_json(job.input).map_err(|why| format!("the input is not JSON: {why}"))?;
        Ok(ReadJob { origin, job })
    }

    /// Hands a job over to the queue.
    pub(crate) async fn enqueue(queue: &dyn JobQueue, id: String, read: ReadJob) -> HandOverOutcome {
        match queue.enqueue_once(Arc::new(read.origin), id, read.job).await {
            Ok(_) => HandOverOutcome::Done,
            Err(Error { code: ErrorCode::QuotaExceeded | ErrorCode::Unavailable, message }) => {
                HandOverOutcome::Later(message)
            }
            Err(Error { code: ErrorCode::NotFound, message }) => HandOverOutcome::Missing(message),
            Err(Error { message, .. }) => HandOverOutcome::Refused(message),
        }
    }
}
