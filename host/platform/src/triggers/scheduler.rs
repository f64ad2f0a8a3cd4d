//! Does the work that is due: ticks of schedules, jobs that waited, leases that have ended, records that have expired.

use super::Runner;
use super::cause::child_of;
use super::meters::LatencyKind;
use super::outbox;
use super::queue::end_orphans;
use super::retention::{prune_events, recount_jobs, trim_records};
use super::run::{ServedTriggers, TICK_KEEP_MS, TickInput};
use crate::platform_events;
use elias_api::{Code, Error, JobState, JobTrigger, QueueId, Quotas, Result, ScheduleRecord};
use elias_delivery::clock::Now;
use elias_names::{ServiceId, TenantId};
use elias_store::{
    DueSchedule, HostScope, JobOrder, JobStart, NewEvent, NewJob, NewTick, NextDue, ScheduleId, TickAction, TriggerUse,
    UpcomingDue, now_ms,
};
use elias_triggers::config::ScheduleConfig;
use elias_triggers::schedule::{Decision, Overlap, PAUSE_MAX, Schedule, ScheduleState, poll_delay};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How many of a kind one transaction takes.
const BATCH: u32 = 500;
const SCHEDULES_MAX: u32 = 100;
/// How many transactions of a kind a second takes.
const ROUNDS_MAX: u32 = 20;
/// Runs of a schedule that are counted.
const RUNS_MAX: u32 = 200;
/// How many seconds pass between looks into outboxes, looks for tenants that use most of their bytes, looks for
/// schedules that have lost their next due time, looks for jobs that nobody will ever run, and deletions and recounts.
const OUTBOX_SECONDS: u64 = 5;
const TRIM_SECONDS: u64 = 10;
const RECONCILE_SECONDS: u64 = 30;
const ORPHANS_SECONDS: u64 = 60;
const PRUNE_SECONDS: u64 = 600;
/// From which lateness on there is an event about it.
pub(crate) const LATE: Duration = Duration::from_secs(60);
/// After how many runs in a row that did not succeed there is an event about a schedule.
pub(crate) const FAILING_RUNS: u32 = 3;
/// How long ticks are kept, in milliseconds.
const TICKS_KEPT_MS: i64 = 30 * 86_400_000;
/// Rows of steps of jobs that have ended which are kept of each tenant: a step has one, a wait two.
const STEPS_KEPT: u32 = 100_000;
/// Bytes of these rows, in their names and outcomes.
const STEP_BYTES_KEPT: u64 = 64 << 20;
/// How long the token bucket of a rate is kept that is full, in milliseconds.
const LIMITS_KEPT_MS: i64 = 86_400_000;
/// How long the record of a job is kept that was to run after one that failed, in milliseconds.
const DEPENDENT_KEEP_MS: u64 = 7 * 86_400_000;

/// Does the due work. Returns the pause until the next due time that this host knows of.
pub(super) async fn look(runner: &Arc<Runner>) -> Result<Duration> {
    if runner.is_stopping() {
        return Ok(PAUSE_MAX);
    }
    // What becomes due from here on is found by this look, or ends the pause.
    let since = runner.store.host_read().await?.now().await?;
    fire_due(runner).await?;
    move_due(runner).await?;
    let UpcomingDue { now, due } = runner.store.host_read().await?.upcoming_due(since).await?;
    Ok(poll_delay(moment(now), due.map(moment)))
}

/// The work of each second beside what is due.
#[derive(Default)]
pub(super) struct Upkeep {
    /// Seconds so far.
    count: u64,
    /// Whether there is more to delete than the last second had time for.
    is_pruning: bool,
}

impl Upkeep {
    /// Does the work of one second.
    pub(super) async fn second(&mut self, runner: &Arc<Runner>) -> Result<()> {
        let count = self.count;
        self.count += 1;
        if runner.is_stopping() {
            return Ok(());
        }
        // What fails keeps nothing else from being done.
        let mut done = Ok(());
        if count.is_multiple_of(OUTBOX_SECONDS) {
            done = done.and(outbox::drain_due(runner).await);
        }
        if count % TRIM_SECONDS == TRIM_SECONDS - 1 {
            done = done.and(trim_records(&runner.store).await);
        }
        if count.is_multiple_of(RECONCILE_SECONDS) {
            done = done.and(reconcile(runner).await);
        }
        if count % ORPHANS_SECONDS == ORPHANS_SECONDS - 1 {
            done = done.and(end_orphans(runner).await);
        }
        if count % PRUNE_SECONDS == PRUNE_SECONDS - 1 {
            done = done.and(recount_jobs(&runner.store, &runner.owner).await);
        }
        if self.is_pruning || count % PRUNE_SECONDS == PRUNE_SECONDS - 1 {
            let pruned = prune(runner).await;
            self.is_pruning = pruned.as_ref().is_ok_and(|is_more| *is_more);
            done = done.and(pruned.map(drop));
        }
        done
    }
}

/// Fires the schedules of the services of this host that are due.
async fn fire_due(runner: &Arc<Runner>) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        let due = runner.store.host_read().await?.due_schedules(SCHEDULES_MAX).await?;
        let is_last = u32::try_from(due.len()).is_ok_and(|count| count < SCHEDULES_MAX);
        let mut fired = false;
        for one in due {
            fired |= runner.fire(&one).await?;
        }
        if fired {
            runner.look();
        }
        if is_last || !fired {
            break;
        }
    }
    Ok(())
}

/// Lets jobs go on that waited for a time, or whose hosts do not renew their leases.
async fn move_due(runner: &Arc<Runner>) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        let mut scope = runner.store.queue_write().await?;
        let moved = scope.move_due_jobs(BATCH, DEPENDENT_KEEP_MS).await?;
        let expired = runner.expire_jobs(&mut scope, BATCH).await?;
        scope.commit().await?;
        if moved.ready > 0 || expired > 0 {
            runner.queue_changed.notify_one();
        }
        let full = u64::from(BATCH);
        if moved.ready + moved.dead < full && expired < full {
            break;
        }
    }
    Ok(())
}

/// Gives schedules their next due time that should have one and have none, and says so.
async fn reconcile(runner: &Arc<Runner>) -> Result<()> {
    let unarmed = runner.store.host_read().await?.unarmed_schedules(SCHEDULES_MAX).await?;
    for DueSchedule { tenant, schedule, now } in unarmed {
        let id = id_of(&tenant, &schedule);
        let Some((_, machine)) = read(&id, &schedule) else { continue };
        let last_due = schedule.last_due.map(moment);
        let Some(next_due) = machine.reconcile(true, None, last_due, moment(now)) else { continue };
        let next = NextDue { revision: schedule.revision, from: None, next_due: Some(signed(next_due)) };
        let mut scope = runner.store.host_write().await?;
        scope.fire_schedule(&id, &runner.owner, &[], Some(next), None).await?;
        scope.commit().await?;
        let message = "a schedule had no next due time, and has one again";
        tracing::error!(service = %id.service, schedule = %id.name, "{message}");
    }
    Ok(())
}

/// Deletes what is not kept any more; says whether there may be more.
async fn prune(runner: &Arc<Runner>) -> Result<bool> {
    let surplus = runner.store.host_read().await?.surplus_steps(STEPS_KEPT, STEP_BYTES_KEPT).await?;
    let mut is_more = true;
    for _ in 0..ROUNDS_MAX {
        let mut scope = runner.store.queue_write().await?;
        // Jobs last: their bytes are counted, and a tenant's count is locked after its unique keys.
        let mut deleted = vec![
            scope.prune_job_keys(BATCH).await?,
            scope.prune_receipts(BATCH).await?,
            scope.prune_ticks(now_ms().saturating_sub(TICKS_KEPT_MS), BATCH).await?,
        ];
        for (tenant, last) in &surplus {
            deleted.push(scope.prune_steps(tenant, last, BATCH).await?);
        }
        deleted.push(scope.prune_jobs(BATCH).await?);
        scope.commit().await?;
        is_more = deleted.iter().any(|deleted| *deleted >= u64::from(BATCH));
        if !is_more {
            break;
        }
    }
    let mut scope = runner.store.queue_write().await?;
    scope.prune_queue_limits(now_ms().saturating_sub(LIMITS_KEPT_MS)).await?;
    scope.commit().await?;
    prune_events(&runner.store).await?;
    Ok(is_more)
}

impl Runner {
    /// Decides on the due times of a schedule that have come; says whether it was this host that did.
    async fn fire(&self, due: &DueSchedule) -> Result<bool> {
        let DueSchedule { tenant, schedule, now } = due;
        let id = id_of(tenant, schedule);
        let Some(next_due) = schedule.next_due else { return Ok(false) };
        let Some(served) = self.services.find(&id.service) else {
            // Another host's, unless its tenant was deleted: it would stay due for ever.
            if self.store.host_read().await?.target(&id.service).await?.is_none() {
                let mut scope = self.store.write(tenant).await?;
                scope.pause_schedule(&id).await?;
                scope.commit().await?;
                let message = "a schedule of a service that is gone was paused";
                tracing::warn!(service = %id.service, schedule = %id.name, "{message}");
            }
            return Ok(false);
        };
        let Some((config, machine)) = read(&id, schedule) else { return Ok(false) };
        let queue = queue_of(&id);
        let mut scope = self.store.queue_write().await?;
        scope.lock_schedules(std::slice::from_ref(&id)).await?;
        let unfinished = scope.unfinished_of(tenant, &queue, RUNS_MAX).await?;
        let running = u32::try_from(unfinished.len()).unwrap_or(u32::MAX);
        let used = scope.trigger_use(tenant).await?;
        let job_bytes = tick_job(&queue, *now, config.input.as_ref(), None)?.input.len() as u64;
        let quota_left = ticks_left(&served.quotas, used, job_bytes);
        let look = ScheduleState {
            now: moment(*now),
            next_due: moment(next_due),
            paused: schedule.paused,
            running,
            waiting: running.saturating_sub(1),
            quota_left,
        };
        let verdict = machine.decide(&look);
        if verdict.decisions.is_empty() {
            return Ok(false);
        }
        let cancels = |decision: &Decision| matches!(decision, Decision::Fire { cancel_running: true, .. });
        if verdict.decisions.iter().any(cancels) {
            for job in &unfinished {
                scope.cancel_job(tenant, job, "a later tick of the schedule takes its place", TICK_KEEP_MS).await?;
            }
        }
        let ticks =
            verdict.decisions.iter().map(|decision| new_tick(decision, &config, &queue)).collect::<Result<Vec<_>>>()?;
        let next = verdict.next_due.map(signed);
        let rearm = NextDue { revision: schedule.revision, from: schedule.next_due, next_due: next };
        let fired = scope.fire_schedule(&id, &self.owner, &ticks, Some(rearm), Some(&served.quotas)).await;
        let recorded = match fired {
            Ok(recorded) => recorded,
            // Others enqueued meanwhile: the next look sees it, and skips.
            Err(error) if error.code() == Code::QuotaExceeded => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if recorded == 0 {
            // Another host was faster: dropped, this has not happened, nor have the cancellations.
            return Ok(false);
        }
        self.tell_late(&mut scope, &id, &verdict.decisions).await?;
        scope.commit().await?;
        unfinished.iter().filter(|_| verdict.decisions.iter().any(cancels)).for_each(|job| self.cancel(tenant, job));
        for decision in &verdict.decisions {
            if let Decision::Fire { lateness, .. } = decision {
                let ms = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
                self.meters.record(LatencyKind::Schedule, ms);
            }
        }
        Ok(true)
    }

    /// Publishes that ticks are late, in the transaction that fires them.
    async fn tell_late(&self, scope: &mut HostScope, id: &ScheduleId, decisions: &[Decision]) -> Result<()> {
        let mut latest: Option<(Duration, Now)> = None;
        for decision in decisions {
            if let Decision::Fire { due, lateness, .. } = decision
                && *lateness >= LATE
            {
                latest = latest.max(Some((*lateness, *due)));
            }
        }
        let Some((lateness, due)) = latest else { return Ok(()) };
        let ScheduleId { service, name } = id;
        tracing::warn!(%service, schedule = %name, ?lateness, "a tick of a schedule is late");
        let data = json!({
            "component": service.component,
            "environment": service.environment,
            "schedule": name,
            "due": due.unix_ms(),
            "latenessMs": u64::try_from(lateness.as_millis()).unwrap_or(u64::MAX),
        });
        let event = platform_events::event("schedule.late", format!("{}/{name}", service.subject()), &data);
        scope.publish_events(&service.tenant, &[event], None).await?;
        Ok(())
    }

    /// Runs a schedule now, beside its ticks; gives the id of the job.
    ///
    /// # Errors
    /// `quota-exceeded`, `store-unavailable`.
    pub(crate) async fn run_schedule_now(&self, id: &ScheduleId, served: &ServedTriggers, by: &str) -> Result<String> {
        let mut scope = self.store.queue_write().await?;
        let due = scope.now().await?;
        let config = served.config.schedule.iter().find(|schedule| schedule.name == id.name);
        let job = tick_job(&queue_of(id), due, config.and_then(|config| config.input.as_ref()), None)?;
        let (job_id, reason) = (job.id.clone(), Some(format!("run by {by}")));
        let tick = NewTick { due, action: TickAction::Run { job: Box::new(job), reason } };
        if scope.fire_schedule(id, &self.owner, &[tick], None, Some(&served.quotas)).await? == 0 {
            return Err(Error::new(Code::WrongState, "the schedule is due at this very moment; see its last runs"));
        }
        scope.commit().await?;
        self.look();
        Ok(job_id)
    }
}

/// The event of a schedule that fails.
pub(super) fn failing_event(id: &ScheduleId, outcome: JobState, failures: u32) -> NewEvent {
    let ScheduleId { service, name } = id;
    tracing::warn!(%service, schedule = %name, failures, "the runs of a schedule fail");
    let data = json!({
        "component": service.component,
        "environment": service.environment,
        "schedule": name,
        "failures": failures,
        "outcome": outcome.as_str(),
    });
    platform_events::event("schedule.failing", format!("{}/{name}", service.subject()), &data)
}

fn id_of(tenant: &TenantId, schedule: &ScheduleRecord) -> ScheduleId {
    let (component, environment) = (schedule.component.clone(), schedule.environment);
    let service = ServiceId { tenant: tenant.clone(), component, environment };
    ScheduleId { service, name: schedule.name.clone() }
}

fn queue_of(id: &ScheduleId) -> QueueId {
    QueueId {
        component: id.service.component.clone(),
        environment: id.service.environment,
        trigger: JobTrigger::Schedule,
        name: id.name.clone(),
    }
}

/// A schedule as its service's version configures it; none, with an error in the log, if this release cannot read it.
fn read(id: &ScheduleId, schedule: &ScheduleRecord) -> Option<(ScheduleConfig, Schedule)> {
    let config = ScheduleConfig::deserialize(&schedule.config).map_err(|error| error.to_string());
    let read = config.and_then(|config| {
        let machine = config.schedule().map_err(|error| error.to_string())?;
        Ok((config, machine))
    });
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::error!(service = %id.service, schedule = %id.name, %error, "a schedule cannot be read");
            None
        }
    }
}

fn new_tick(decision: &Decision, config: &ScheduleConfig, queue: &QueueId) -> Result<NewTick> {
    Ok(match decision {
        Decision::Fire { due, .. } => {
            let order = (config.overlap == Overlap::Queue)
                .then(|| JobOrder { key: "schedule".to_owned(), position: due.unix_ms() });
            let job = tick_job(queue, signed(*due), config.input.as_ref(), order)?;
            NewTick { due: signed(*due), action: TickAction::Run { job: Box::new(job), reason: None } }
        }
        Decision::Skip { due, reason } => {
            NewTick { due: signed(*due), action: TickAction::Skip { reason: reason.as_str().to_owned() } }
        }
        Decision::SkipRange { from, before, reason } => {
            let before = before.unix_ms();
            let reason = format!("{}: all that were due before {before} (milliseconds since 1970)", reason.as_str());
            NewTick { due: signed(*from), action: TickAction::Skip { reason } }
        }
    })
}

/// How many ticks, each with `job_bytes` bytes of input, a tenant's quotas allow besides what it uses.
fn ticks_left(quotas: &Quotas, used: TriggerUse, job_bytes: u64) -> u32 {
    let mut left = u64::from(u32::MAX);
    if quotas.jobs > 0 {
        left = left.min(quotas.jobs.saturating_sub(used.unfinished_jobs));
    }
    if quotas.trigger_bytes > 0 {
        left = left.min(quotas.trigger_bytes.saturating_sub(used.bytes) / job_bytes.max(1));
    }
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// The job of a tick, which begins a trace.
fn tick_job(queue: &QueueId, due: i64, input: Option<&Value>, order: Option<JobOrder>) -> Result<NewJob> {
    let input = TickInput { scheduled_time: due, input: input.cloned().unwrap_or_default() };
    let input = serde_json::to_string(&input);
    Ok(NewJob {
        id: ulid::Ulid::new().to_string(),
        queue: queue.clone(),
        input: input.map_err(|error| Error::new(Code::Internal, error.to_string()))?,
        priority: 0,
        head_start_ms: 0,
        start: JobStart::Now,
        key: None,
        order,
        concurrency_key: None,
        after: Vec::new(),
        cause: Some(child_of(None)),
        hops: 0,
        replayed_by: None,
        version: None,
    })
}

fn moment(ms: i64) -> Now {
    Now::from_unix_ms(u64::try_from(ms).unwrap_or_default())
}

fn signed(moment: Now) -> i64 {
    i64::try_from(moment.unix_ms()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_skipped_by_the_quota_that_is_used_up_first() {
        let quotas = |jobs, trigger_bytes| Quotas { jobs, trigger_bytes, ..Quotas::default() };
        let used = TriggerUse { unfinished_jobs: 3, bytes: 100 };
        assert_eq!(ticks_left(&quotas(0, 0), used, 10), u32::MAX, "there are none");
        assert_eq!(ticks_left(&quotas(5, 0), used, 10), 2);
        assert_eq!(ticks_left(&quotas(0, 139), used, 10), 3);
        assert_eq!(ticks_left(&quotas(4, 139), used, 10), 1);
        assert_eq!(ticks_left(&quotas(2, 139), used, 10), 0);
        assert_eq!(ticks_left(&quotas(5, 99), used, 10), 0);
    }
}
