//! Delivers events to the jobs that wait for them.

use super::Runner;
use super::backends::{StoredOutcome, StoredWait, StoredWaits, row_of_outcome};
use super::deliver::cloud_event;
use elias_api::{EventRecord, Result};
use elias_names::TenantId;
use elias_store::{EventWait, Step};
use elias_triggers::event::{Event, Filter, TypePattern};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Jobs of a tenant that are looked at together.
const WAITS_MAX: u32 = 1_000;
/// Events that they are matched against at once.
const EVENTS_MAX: u32 = 500;
/// Jobs whose last event is remembered; of others the events are read again.
const SEEN_MAX: usize = 100_000;
/// How often a tenant is looked at that has published nothing since: a job may wait for what came before.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Up to which event this host has looked, for tenants and for the jobs that wait.
#[derive(Default)]
pub(super) struct SeenEvents {
    tenants: HashMap<TenantId, (u64, Instant)>,
    jobs: HashMap<(TenantId, String), u64>,
}

/// A job that waits, ready to be matched.
struct Waiting {
    id: String,
    conditions: Vec<Condition>,
    /// Events up to this position were matched.
    seen: u64,
}

struct Condition {
    position: u32,
    name: String,
    pattern: TypePattern,
    filter: Filter,
    after: u64,
}

impl Waiting {
    /// None for one that this release cannot read: it goes on when its time is over.
    fn read(wait: EventWait, seen: Option<u64>) -> Option<Self> {
        let StoredWaits { waits } = serde_json::from_str(&wait.wait).ok()?;
        let condition = |wait: StoredWait| {
            Some(Condition {
                position: wait.position,
                name: wait.name,
                pattern: wait.event_type.parse().ok()?,
                filter: Filter::parse(&wait.filter).ok()?,
                after: wait.after,
            })
        };
        let conditions = waits.into_iter().map(condition).collect::<Option<Vec<_>>>()?;
        let first = conditions.iter().map(|condition| condition.after).min()?;
        Some(Self { id: wait.id, conditions, seen: seen.map_or(first, |seen| seen.max(first)) })
    }

    /// The step that says that the event has happened, if the job waits for it.
    fn happened(&self, record: &EventRecord, event: &Event) -> Option<Step> {
        let is_met = |condition: &&Condition| {
            record.position > condition.after
                && condition.pattern.matches(&record.event_type)
                && condition.filter.matches(event)
        };
        let met = self.conditions.iter().find(is_met)?;
        let outcome = StoredOutcome::Happened(event.to_json().to_string());
        Some(Step {
            position: row_of_outcome(met.position),
            name: met.name.clone(),
            input_hash: String::new(),
            outcome: serde_json::to_string(&outcome).ok()?,
        })
    }
}

/// Lets the jobs go on whose events have come. Every host looks; the store lets each job go on once.
pub(super) async fn wake(runner: &Arc<Runner>) -> Result<()> {
    let last = runner.store.host_read().await?.last_events().await?;
    let now = Instant::now();
    let mut woken = false;
    for (tenant, last) in last {
        let seen = runner.seen_events.lock().tenants.get(&tenant).copied();
        if seen.is_some_and(|(seen, at)| seen >= last && now.duration_since(at) < LOOK_INTERVAL) {
            continue;
        }
        let mut from = String::new();
        loop {
            let waits = runner.store.host_read().await?.event_waits(&tenant, &from, WAITS_MAX).await?;
            let Some(end) = waits.last().map(|wait| wait.id.clone()) else { break };
            let is_last = u32::try_from(waits.len()).is_ok_and(|count| count < WAITS_MAX);
            woken |= wake_these(runner, &tenant, waits, last).await?;
            from = end;
            if is_last {
                break;
            }
        }
        runner.seen_events.lock().tenants.insert(tenant, (last, now));
    }
    if woken {
        runner.queue_changed.notify_one();
    }
    Ok(())
}

async fn wake_these(runner: &Runner, tenant: &TenantId, waits: Vec<EventWait>, last: u64) -> Result<bool> {
    let mut waiting: Vec<Waiting> = {
        let seen = runner.seen_events.lock();
        let of = |wait: EventWait| {
            let known = seen.jobs.get(&(tenant.clone(), wait.id.clone())).copied();
            Waiting::read(wait, known)
        };
        waits.into_iter().filter_map(of).collect()
    };
    let mut woken = false;
    loop {
        waiting.retain(|waiting| waiting.seen < last);
        let Some(from) = waiting.iter().map(|waiting| waiting.seen).min() else { return Ok(woken) };
        let events = runner.store.host_read().await?.events(tenant, from, EVENTS_MAX).await?;
        let is_whole = u32::try_from(events.len()).is_ok_and(|count| count < EVENTS_MAX);
        let to = events.last().filter(|_| !is_whole).map_or(last, |event| event.position);
        let events: Vec<_> = events.into_iter().map(|record| (cloud_event(&record), record)).collect();
        let mut happened = Vec::new();
        for one in &mut waiting {
            let mut new = events.iter().filter(|(_, record)| record.position > one.seen);
            let step = new.find_map(|(event, record)| one.happened(record, event));
            happened.extend(step.map(|step| (one.id.clone(), step)));
            one.seen = one.seen.max(to);
        }
        if !happened.is_empty() {
            let mut scope = runner.store.queue_write().await?;
            for (id, step) in &happened {
                woken |= scope.wake_job(tenant, id, step).await?;
            }
            scope.commit().await?;
            waiting.retain(|waiting| happened.iter().all(|(id, _)| *id != waiting.id));
        }
        let mut seen = runner.seen_events.lock(); // the map is whole after every operation
        if seen.jobs.len() >= SEEN_MAX {
            seen.jobs.clear();
        }
        for (id, _) in &happened {
            seen.jobs.remove(&(tenant.clone(), id.clone()));
        }
        for one in &waiting {
            seen.jobs.insert((tenant.clone(), one.id.clone()), one.seen);
        }
    }
}
