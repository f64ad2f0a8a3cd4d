//! The project of a development server, as its console shows it and works with it.

mod jobs;
mod records;

pub(crate) use records::{RecordingObserver, Records};

use crate::database_access::Databases;
use elias_api::{
    Code, DatabaseQuery, DatabaseResult, EnqueueRequest, EnqueuedJob, Error, EventRecord, ExecutionRecord,
    FollowedLine, JobRecord, Result, ScheduleDetails, ScheduleRecord, SubscriptionRecord, TickOutcome, TickRecord,
};
use elias_capabilities::events::NewEvent;
use elias_delivery::clock::Now;
use elias_local_triggers::{Outcome, PastRun, RunKind, RunningTriggers, TriggerError};
use elias_names::{ComponentName, Environment};
use elias_platform::{ComponentDatabases, DatabaseBounds, Follower};
use elias_server::{AppSource, JobChange, ProjectControl};
use elias_triggers::config::ScheduleConfig;
use elias_triggers::event::{Event, EventData};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::{Value, to_value};
use std::sync::Arc;
use std::time::Duration;

/// Runs and events of triggers that are kept for the console.
pub(crate) const HISTORY: usize = 1_000;

/// Due times and ticks of a schedule that are shown.
const NEXT_MAX: usize = 10;
const TICKS_MAX: usize = 20;

/// Bytes of the longest idempotency key of an event.
const KEY_BYTES_MAX: usize = 256;

/// The project of a development server.
pub(crate) struct DevelopedProject {
    pub(crate) triggers: Arc<RunningTriggers>,
    /// What is served. It must not have this project, for both would live on.
    pub(crate) source: AppSource,
    pub(crate) records: Arc<Records>,
}

impl ProjectControl for DevelopedProject {
    fn component(&self) -> ComponentName {
        component_name(self.source.current().as_ref().map_or("", |app| app.name()))
    }

    fn schedules(&self) -> Vec<ScheduleRecord> {
        let (component, past, config) = (self.component(), self.triggers.past_runs(), self.triggers.config());
        config.schedule.iter().map(|schedule| self.schedule_of(&component, schedule, &past)).collect()
    }

    fn schedule(&self, name: &str) -> Result<ScheduleDetails> {
        let (past, config) = (self.triggers.past_runs(), self.triggers.config());
        let schedule = config.schedule.iter().find(|schedule| schedule.name == name);
        let schedule = schedule.ok_or_else(|| no_schedule(name))?;
        let record = self.schedule_of(&self.component(), schedule, &past);
        let due = |due: u64| i64::try_from(due).unwrap_or(i64::MAX);
        let ticks = ticks_of(name, &past).take(TICKS_MAX).map(|tick| TickRecord {
            due: due(tick.enqueued_at),
            outcome: TickOutcome::Run,
            reason: None,
            job: Some(tick.id.clone()),
            fired_at: due(tick.enqueued_at),
            host: "dev".to_owned(),
        });
        Ok(ScheduleDetails { next: next_due(schedule, record.next_due), ticks: ticks.collect(), schedule: record })
    }

    fn run_schedule(&self, name: &str) -> Result<String> {
        let runs = self.triggers.fire(name).map_err(refused)?;
        Ok(runs.id().unwrap_or_default().to_owned())
    }

    fn jobs(&self) -> Vec<JobRecord> {
        jobs::list(&self.component(), &self.triggers)
    }

    fn enqueue_job(&self, request: EnqueueRequest) -> Result<EnqueuedJob> {
        jobs::enqueue(&self.triggers, request)
    }

    fn change_job(&self, id: &str, change: JobChange) -> Result<()> {
        jobs::change(&self.triggers, id, change)
    }

    fn events(&self) -> Vec<EventRecord> {
        let source = format!("/components/{}", self.component());
        let events = self.triggers.past_events().into_iter().map(|past| {
            let published = past.published;
            let time = i64::try_from(published.time).unwrap_or(i64::MAX);
            EventRecord {
                position: past.position,
                id: published.id,
                event_type: published.event.event_type,
                source: source.clone(),
                subject: published.event.subject,
                data: published.event.data,
                time,
                key: published.event.key,
                hops: published.origin.cause.hops,
                cause: published.origin.cause.traceparent.clone(),
                published_at: time,
            }
        });
        events.collect()
    }

    fn publish(&self, event: Event) -> Result<String> {
        let data = match &event.data {
            EventData::None => Value::Null.to_string(),
            EventData::Json(data) => data.to_string(),
            EventData::Binary(_) => {
                return Err(Error::new(Code::BadInput, "data: events of a development server have JSON data"));
            }
        };
        // As on a platform an event with the source and the id of an earlier one is that one.
        let key = Some(format!("{} {}", event.source, event.id)).filter(|key| key.len() <= KEY_BYTES_MAX);
        let Event { event_type, subject, .. } = event;
        let event = NewEvent { event_type, data, subject, key, delay: Duration::ZERO };
        let runs = self.triggers.publish(event).map_err(refused)?;
        Ok(runs.id().unwrap_or_default().to_owned())
    }

    fn subscriptions(&self) -> Vec<SubscriptionRecord> {
        let (component, config) = (self.component(), self.triggers.config());
        let cursor = self.triggers.past_events().last().map_or(0, |last| last.position);
        let events = config.event.iter().map(|event| (event.name(), to_value(event)));
        let webhooks = config.webhook.iter().map(|webhook| (webhook.subscription().name(), to_value(webhook)));
        let all = events.chain(webhooks).map(|(name, config)| SubscriptionRecord {
            component: component.clone(),
            environment: Environment::Dev,
            name,
            config: config.unwrap_or_default(),
            cursor,
            paused: false,
            revision: 1,
        });
        all.collect()
    }

    fn query(&self, query: DatabaseQuery) -> BoxFuture<'static, Result<DatabaseResult>> {
        let bounds = DatabaseBounds::of(&query);
        let app = self.source.current().ok_or_else(|| refused(TriggerError::NoComponent));
        match bounds.and_then(|bounds| Ok((bounds, app?))) {
            Ok((bounds, app)) => async move { Databases.query(&app, &query, bounds).await }.boxed(),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn runs(&self) -> Vec<ExecutionRecord> {
        self.records.runs(&self.component())
    }

    fn follow_log(&self, after: Option<u64>) -> Follower<Arc<FollowedLine>> {
        self.records.follow(after)
    }

    fn lines(&self, execution: &str) -> Vec<(String, String)> {
        self.records.lines_of(execution)
    }
}

impl DevelopedProject {
    fn schedule_of(&self, component: &ComponentName, config: &ScheduleConfig, past: &[PastRun]) -> ScheduleRecord {
        let ticks = self.triggers.next_ticks();
        let next = ticks.into_iter().find(|tick| tick.schedule == config.name).and_then(|tick| tick.due);
        let last = ticks_of(&config.name, past).next();
        let mut ended = ticks_of(&config.name, past).filter_map(|tick| tick.end.as_ref()).map(|(_, outcome)| outcome);
        let is_failure = |outcome: &&Outcome| !matches!(outcome, Outcome::Done { .. });
        let failures = ended.clone().take_while(is_failure).count();
        ScheduleRecord {
            component: component.clone(),
            environment: Environment::Dev,
            name: config.name.clone(),
            config: to_value(config).unwrap_or_default(),
            next_due: next.and_then(|due| i64::try_from(due).ok()),
            paused: !config.enabled,
            last_due: last.and_then(|tick| i64::try_from(tick.enqueued_at).ok()),
            last_outcome: ended.next().map(|outcome| jobs::name_of(outcome).to_owned()),
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
            revision: 1,
        }
    }
}

/// The ticks of a schedule, the newest first.
fn ticks_of<'a>(name: &'a str, past: &'a [PastRun]) -> impl Iterator<Item = &'a PastRun> + Clone {
    past.iter().filter(move |run| run.kind == RunKind::Schedule && run.name == name)
}

/// The next due times, from the first on.
fn next_due(config: &ScheduleConfig, first: Option<i64>) -> Vec<i64> {
    let (Ok(schedule), Some(first)) = (config.schedule(), first) else { return Vec::new() };
    let first = Now::from_unix_ms(u64::try_from(first).unwrap_or_default());
    let all = std::iter::successors(Some(first), |due| schedule.arm(*due));
    all.take(NEXT_MAX).filter_map(|due| i64::try_from(due.unix_ms()).ok()).collect()
}

fn no_schedule(name: &str) -> Error {
    Error::not_found(format_args!("the schedule `{}` of elias.toml", name.escape_debug()))
}

/// Why something is not triggered.
fn refused(error: TriggerError) -> Error {
    match error {
        TriggerError::NoSchedule(name) => no_schedule(&name),
        TriggerError::NoFailedRun(id) => Error::not_found(format_args!("the failed job `{}`", id.escape_debug())),
        TriggerError::NoComponent => {
            Error::new(Code::WrongState, "no component is loaded: see what `elias dev` prints")
        }
        TriggerError::Stopped => Error::new(Code::WrongState, "the server is stopping"),
        TriggerError::Refused(message) => Error::new(Code::WrongState, message),
    }
}

/// The name of a component in records, where it is a label: `@team/my_app` is `team-my-app`.
fn component_name(name: &str) -> ComponentName {
    let lower = name.to_ascii_lowercase();
    let parts = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let mut label = parts.collect::<Vec<_>>().join("-");
    label.truncate(elias_names::NAME_BYTES_MAX);
    let label = label.trim_end_matches('-');
    let fallback = if label.is_empty() { "app" } else { label };
    fallback.parse().unwrap_or_else(|error| unreachable!("{fallback} is a label: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_package_is_a_label() {
        let long = "a-".repeat(60);
        for (name, wanted) in [
            ("shop", "shop"),
            ("@team/my_app", "team-my-app"),
            ("My.App 2", "my-app-2"),
            ("", "app"),
            ("äöü", "app"),
            ("--", "app"),
            (long.as_str(), &long[..39]),
        ] {
            assert_eq!(component_name(name).as_str(), wanted, "{name}");
        }
    }

    #[test]
    fn due_times_follow_one_another() {
        let config: ScheduleConfig =
            serde_json::from_value(serde_json::json!({ "name": "a", "every": "1m" })).expect("a schedule");
        let due = next_due(&config, Some(60_000));
        assert_eq!((due.len(), due[0], due[1], due[9]), (NEXT_MAX, 60_000, 120_000, 600_000));
        assert!(next_due(&config, None).is_empty());
    }
}
