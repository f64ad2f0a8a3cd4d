//! Requests about triggers: what to list, cancel, retry and replay, and what comes of it.

use crate::error::{Code, Error, Result};
use crate::triggers::{JobFilter, JobState, JobTrigger};
use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a job's input, as JSON; of its name; and of each of its keys.
const INPUT_BYTES_MAX: usize = 1 << 20;
const NAME_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 256;
/// Jobs that one may wait for.
const AFTER_MAX: usize = 100;

/// A filter for schedules and subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct TriggerFilter {
    /// Only those of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only those in this environment; absent for all.
    pub environment: Option<Environment>,
}

impl TriggerFilter {
    /// Whether a schedule or subscription of this component in this environment is among them.
    #[must_use]
    pub fn matches(&self, component: &ComponentName, environment: Environment) -> bool {
        self.component.as_ref().is_none_or(|wanted| wanted == component)
            && self.environment.is_none_or(|wanted| wanted == environment)
    }
}

/// A job to enqueue from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// Checks the sizes, of the input those of `input`, its JSON text.
    ///
    /// # Errors
    /// `bad-input`, `too-large` for the input.
    pub fn check(&self, input: &str) -> Result<()> {
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

/// A job that was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnqueuedJob {
    /// The id of the job.
    pub id: String,
    /// Whether the job existed before, with the same unique key.
    pub existing: bool,
}

/// The jobs to cancel, retry or discard, the newest 1,000 at most. Each member that is absent selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobSelection {
    /// Only jobs of this component.
    pub component: Option<ComponentName>,
    /// Only jobs in this environment.
    pub environment: Option<Environment>,
    /// Only jobs with this trigger.
    pub trigger: Option<JobTrigger>,
    /// Only jobs, schedules or subscriptions with this name.
    pub name: Option<String>,
    /// Only jobs that were enqueued before this time, in milliseconds since 1970-01-01 UTC.
    pub before: Option<i64>,
}

/// The digits of a ULID: the base 32 of Douglas Crockford.
const ULID_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The first ULID of a millisecond: its time, of ten digits, and zeros in the place of its random number.
fn first_ulid(at_ms: i64) -> String {
    let time = u64::try_from(at_ms).unwrap_or_default().min((1 << 48) - 1);
    let digit = |place: u32| ULID_DIGITS[usize::try_from((time >> (5 * place)) & 31).unwrap_or_default()];
    let time = (0..10).rev().map(digit).map(char::from);
    time.chain(std::iter::repeat_n('0', 16)).collect()
}

impl JobSelection {
    /// The filter for the jobs of the selection that are in a state; in any state without one.
    #[must_use]
    pub fn filter(self, state: Option<JobState>) -> JobFilter {
        let Self { component, environment, trigger, name, before } = self;
        JobFilter {
            component,
            environment,
            trigger,
            name,
            state,
            before: before.map(first_ulid),
            ..JobFilter::default()
        }
    }
}

/// The number of jobs that a request changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChangedJobs {
    /// The number of jobs.
    pub jobs: u64,
}

/// Events that were published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedEvents {
    /// The ids of the events, in the order of the request.
    pub ids: Vec<String>,
}

/// Where a subscription begins again. Exactly one of the members must be present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayRequest {
    /// Replay the events after this position; 0 for all that are kept.
    pub after: Option<u64>,
    /// Replay the events that were published at this time or later, in milliseconds since 1970-01-01 UTC.
    pub since: Option<i64>,
}

/// The events of the log that a subscription gets once more. Each member that is absent selects all; the subscription's
/// own type, filter and transformation hold as well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplaySelection {
    /// Only events after this position: the `next` of the response before.
    pub after: Option<u64>,
    /// Only events that were published at this time or later, in milliseconds since 1970-01-01 UTC.
    pub since: Option<i64>,
    /// Only events that were published before this time, in milliseconds since 1970-01-01 UTC.
    pub until: Option<i64>,
    /// Only events with these ids; at most 1,000.
    pub ids: Vec<String>,
    /// Only events of this type, or of a pattern: `*` is one part, `**` any number of parts.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Only events with this subject.
    pub subject: Option<String>,
    /// Only events that fulfil these conditions by path, as `where` of a subscription.
    #[serde(rename = "where")]
    #[schema(value_type = Object)]
    pub filter: Map<String, Value>,
    /// The number of the version that handles them, which serves in the environment or did; the version that serves if
    /// absent.
    pub version: Option<u32>,
    /// The maximum number of deliveries, 1 to 1,000; 100 if absent.
    pub limit: Option<u32>,
}

/// The result of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplayedEvents {
    /// The number of deliveries that were enqueued.
    pub deliveries: u64,
    /// The position after which there may be more events of the selection: `after` of the next request; null at the
    /// end.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_a_filter_of_one_state() {
        let selection = JobSelection { name: Some("resize".to_owned()), ..JobSelection::default() };
        let filter = selection.filter(Some(JobState::Dead));
        assert_eq!((filter.name.as_deref(), filter.state), (Some("resize"), Some(JobState::Dead)));
        assert_eq!(filter.before, None);
    }

    #[test]
    fn a_time_is_the_first_id_of_its_millisecond() {
        let before = |before| JobSelection { before: Some(before), ..JobSelection::default() }.filter(None).before;
        assert_eq!(before(1_469_918_176_385).as_deref(), Some("01ARYZ6S410000000000000000"));
        assert_eq!(before(-1).as_deref(), Some("00000000000000000000000000"));
        assert_eq!(before(i64::MAX).as_deref(), Some("7ZZZZZZZZZ0000000000000000"));
    }

    #[test]
    fn a_filter_matches_what_it_names() {
        let shop: ComponentName = "shop".parse().expect("a name");
        let filter = TriggerFilter { component: Some(shop.clone()), environment: None };
        assert!(filter.matches(&shop, Environment::Dev));
        assert!(!filter.matches(&"blog".parse().expect("a name"), Environment::Dev));
        let filter = TriggerFilter { component: None, environment: Some(Environment::Production) };
        assert!(!filter.matches(&shop, Environment::Dev));
    }
}
