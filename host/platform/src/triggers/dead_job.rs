//! The event that a job is dead, so that nobody has to look for dead jobs.

use super::run::service_of;
use crate::platform_events;
use elias_api::JobTrigger;
use elias_store::{ClaimedJob, NewEvent};
use elias_triggers::event::HOPS_MAX;
use serde_json::{Value, json};

const TYPE: &str = "job.dead";
/// Characters of the error that the event has. The job has all of it, with the stack.
const ERROR_CHARS_MAX: usize = 1_000;

/// The event about a job that ended with this error. `None` for the delivery of such an event, and at the end of a loop
/// of events: a handler or a webhook that fails with each of them would cause the next.
pub(super) fn event(job: &ClaimedJob, error: &str) -> Option<NewEvent> {
    let is_delivery = matches!(job.queue.trigger, JobTrigger::Event | JobTrigger::Webhook);
    let hops = job.hops.saturating_add(u32::from(is_delivery));
    if hops > u32::from(HOPS_MAX) || (is_delivery && is_of_dead_job(&job.input)) {
        return None;
    }
    let service = service_of(job);
    let line = error.lines().next().unwrap_or_default();
    let (reason, message) = line.split_once(": ").unwrap_or((line, ""));
    let data = json!({
        "component": service.component,
        "environment": service.environment,
        "trigger": job.queue.trigger,
        "name": job.queue.name,
        "job": job.lease.id,
        "attempt": job.attempt,
        "reason": reason,
        "error": message.chars().take(ERROR_CHARS_MAX).collect::<String>(),
    });
    Some(NewEvent { hops, cause: job.cause.clone(), ..platform_events::event(TYPE, service.subject(), &data) })
}

/// Whether the event of a delivery is the platform's of a dead job.
fn is_of_dead_job(input: &str) -> bool {
    let event: Value = serde_json::from_str(input).unwrap_or_default();
    event["type"] == TYPE && event["source"] == platform_events::SOURCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::QueueId;
    use elias_names::Environment;
    use elias_store::JobLease;

    fn job(trigger: JobTrigger, input: &str, hops: u32) -> ClaimedJob {
        let component = "shop".parse().expect("a name");
        ClaimedJob {
            lease: JobLease { tenant: "acme".parse().expect("a name"), id: "01A".to_owned(), epoch: 1 },
            queue: QueueId { component, environment: Environment::Production, trigger, name: "charge".to_owned() },
            key: None,
            ordering_key: None,
            input: input.to_owned(),
            priority: 0,
            attempt: 8,
            cause: None,
            hops,
            replayed_by: None,
            version: None,
            enqueued_at: 0,
            ready_at: 0,
            lease_until: 0,
            cancelled: false,
        }
    }

    #[test]
    fn the_event_says_which_job_is_dead_and_why() {
        let dead = job(JobTrigger::Job, "{}", 0);
        let event = event(&dead, "attempts-used-up: Error: no\n  at index.js:3").expect("an event");
        assert_eq!((event.event_type.as_str(), event.subject.as_deref()), ("job.dead", Some("shop/production")));
        let data: Value = serde_json::from_str(&event.data).expect("JSON");
        let expected = json!({
            "component": "shop", "environment": "production", "trigger": "job", "name": "charge", "job": "01A",
            "attempt": 8, "reason": "attempts-used-up", "error": "Error: no",
        });
        assert_eq!(data, expected);
    }

    #[test]
    fn a_loop_of_such_events_ends() {
        let told = r#"{"type":"job.dead","source":"/elias"}"#;
        assert!(event(&job(JobTrigger::Event, told, 0), "rejected: no").is_none());
        assert!(event(&job(JobTrigger::Webhook, told, 0), "rejected: no").is_none());
        let own = r#"{"type":"job.dead","source":"/acme/shop"}"#;
        let hops = |job| event(&job, "rejected: no").map(|event| event.hops);
        assert_eq!(hops(job(JobTrigger::Event, own, 3)), Some(4));
        assert_eq!(hops(job(JobTrigger::Job, "{}", 16)), Some(16));
        assert_eq!(hops(job(JobTrigger::Job, "{}", 17)), None);
    }
}
