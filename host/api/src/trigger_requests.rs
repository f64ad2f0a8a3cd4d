//! Requests about triggers: what to list, enqueue, retry and replay, and what comes of it.

use crate::triggers::{JobFilter, JobState, JobTrigger, ScheduleRecord, TickRecord};
use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// A schedule, its next ticks and its last ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScheduleDetails {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: ScheduleRecord,
    /// The next ten due times, in milliseconds since 1970-01-01 UTC; none while it is paused.
    pub upcoming: Vec<i64>,
    /// The last ten due times and what became of them, newest first.
    pub ticks: Vec<TickRecord>,
}

/// A job to enqueue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The name of the component whose handler `job` runs it.
    pub component: ComponentName,
    /// The environment; `production` if absent.
    #[serde(default = "production")]
    pub environment: Environment,
    /// The name of the job, which the handler tells jobs apart by.
    pub name: String,
    /// The input, any JSON of at most 128 KiB; null if absent.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub input: Value,
    /// The priority, -100 to 100: jobs with a higher one run first. Null or absent for that of `[triggers.jobs.NAME]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The earliest start, in milliseconds since 1970-01-01 UTC; not together with `delay_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<i64>,
    /// The delay before the start, in milliseconds; not together with `run_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// A unique key of at most 256 bytes: while a job with it is kept, no second one is enqueued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The ids of jobs that must be done first, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

fn production() -> Environment {
    Environment::Production
}

/// A job that was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnqueuedJob {
    /// The id of the job.
    pub id: String,
    /// Whether the job existed before, with the same unique key or for the same due time.
    pub existing: bool,
}

/// The dead jobs to retry. Each member that is absent selects all.
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
    /// The maximum number of jobs, newest first: 1 to 1,000; 1,000 by default.
    pub limit: Option<u32>,
}

impl From<&JobSelection> for JobFilter {
    fn from(selection: &JobSelection) -> Self {
        Self {
            component: selection.component.clone(),
            environment: selection.environment,
            trigger: selection.trigger,
            name: selection.name.clone(),
            state: Some(JobState::Dead),
            before: None,
        }
    }
}

/// The number of jobs that a request changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChangedJobs {
    /// The number of jobs.
    pub jobs: u64,
}

/// An event that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventReceipt {
    /// The id of the event.
    pub id: String,
    /// The position of the event in the tenant's log.
    pub position: u64,
    /// Whether the event existed before, with the same source and id.
    pub existing: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_needs_a_component_and_a_name() {
        let job: JobRequest = serde_json::from_value(json!({ "component": "shop", "name": "resize" })).expect("a job");
        assert_eq!((job.environment, &job.input, job.priority), (Environment::Production, &Value::Null, None));
        let text = json!({ "component": "shop", "environment": "production", "name": "resize", "input": null });
        assert_eq!(serde_json::to_value(&job).expect("JSON"), text);
        for wrong in [
            json!({ "component": "shop" }),
            json!({ "name": "resize" }),
            json!({ "component": "shop", "name": "resize", "delay": 5 }),
        ] {
            assert!(serde_json::from_value::<JobRequest>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_selection_is_of_dead_jobs() {
        let selection = JobSelection { name: Some("resize".to_owned()), ..JobSelection::default() };
        let filter = JobFilter::from(&selection);
        assert_eq!((filter.name.as_deref(), filter.state), (Some("resize"), Some(JobState::Dead)));
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
