//! Events that are published later. Until then each is a job of its component, which the runner does itself.

use super::Runner;
use super::run::{DEAD_LETTER_KEEP_MS, ServedTriggers, Verdict, dead};
use elias_api::{Code, Error, JobTrigger, QueueId, Result};
use elias_names::ServiceId;
use elias_store::{ClaimedJob, JobOutcome, JobStart, NewEvent, NewJob};
use serde::{Deserialize, Serialize};

/// The queue of events that are to be published later: no subscription has such a name.
pub(super) const PUBLISH_LATER: &str = "@publish";

/// The event to publish.
#[derive(Serialize, Deserialize)]
struct LaterEvent {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    source: String,
    subject: Option<String>,
    data: String,
    key: String,
}

/// The job that publishes an event in `delay_ms` milliseconds. Its key ensures that it is enqueued once.
///
/// # Errors
/// `internal` if it cannot be written as JSON.
pub(super) fn job(service: &ServiceId, event: NewEvent, delay_ms: u64) -> Result<NewJob> {
    let key = event.key.clone().unwrap_or_else(|| format!("@later/{}", event.id));
    let NewEvent { id, event_type, source, subject, data, hops, cause, .. } = event;
    let later = LaterEvent { id: id.clone(), event_type, source, subject, data, key };
    let input = serde_json::to_string(&later).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    Ok(NewJob {
        id,
        queue: QueueId {
            component: service.component.clone(),
            environment: service.environment,
            trigger: JobTrigger::Event,
            name: PUBLISH_LATER.to_owned(),
        },
        input,
        priority: 0,
        head_start_ms: 0,
        start: JobStart::In(delay_ms),
        key: None,
        order: None,
        concurrency_key: None,
        after: Vec::new(),
        cause,
        hops,
        replayed_by: None,
        version: None,
    })
}

impl Runner {
    /// Publishes the event of such a job.
    pub(super) async fn publish_later(&self, job: &ClaimedJob, served: &ServedTriggers) -> Verdict {
        let later: LaterEvent = match serde_json::from_str(&job.input) {
            Ok(later) => later,
            Err(error) => return dead(format!("invalid: {error}"), DEAD_LETTER_KEEP_MS),
        };
        let LaterEvent { id, event_type, source, subject, data, key } = later;
        let (time, cause) = (elias_store::now_ms(), job.cause.clone());
        let event = NewEvent { id, event_type, source, subject, data, time, key: Some(key), hops: job.hops, cause };
        match self.publish(&job.lease.tenant, event, Some(served.quotas)).await {
            Ok(_) => Verdict::Outcome { outcome: JobOutcome::Done { result: None }, keep_ms: 0 },
            // A quota may be free again tomorrow; the store, sooner.
            Err(error) => Verdict::NotRun { reason: error.to_string() },
        }
    }
}
