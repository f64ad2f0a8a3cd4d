//! Claims jobs, and ends those that have run. On SQLite, which has one writer, one transaction ends some jobs and
//! claims the next; on PostgreSQL two transactions run side by side.

use super::Runner;
use super::batch_waits;
use super::dead_job;
use super::event_batch::{self, Claim};
use super::limits::Buckets;
use super::meters::LatencyKind;
use super::plan::{self, Plan, QueueKey, Slots};
use super::run::{DEAD_LETTER_KEEP_MS, RunClock, Verdict, service_of, service_of_queue};
use super::runner::RunningJob;
use super::scheduler::{FAILING_RUNS, failing_event};
use elias_api::{JobState, JobTrigger, Result};
use elias_names::{ServiceId, TenantId};
use elias_store::{ClaimedJob, FinishedJobs, HostScope, JobEnd, JobLease, JobOutcome, NewEvent, ScheduleId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a lease lasts without a heartbeat, in milliseconds.
pub(super) const LEASE_MS: u64 = 30_000;
/// How long a queue is left alone whose jobs cannot be run now: first, and at most.
const HOLD_FIRST: Duration = Duration::from_millis(500);
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Jobs of a queue that is nobody's which are ended at a time.
const ORPHANS_MAX: u32 = 500;
/// Queues that are noted as left alone, beyond which those are forgotten whose time is over.
const HELD_MAX: usize = 10_000;

/// A job that has run, to be told to the store.
#[derive(Clone)]
pub(super) struct Ended {
    end: JobEnd,
    /// The schedule of a tick that is over.
    schedule: Option<(ScheduleId, JobState)>,
    /// The event of a job that is dead.
    dead: Option<NewEvent>,
    /// The service of such a job.
    dead_service: Option<ServiceId>,
}

/// A queue that is left alone for some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    until: Instant,
    /// How often in a row.
    times: u32,
}

/// On a store with one writer: tells it which jobs have ended and claims others for the slots that are free, in one
/// transaction. Says whether it claimed any: there may be more.
pub(super) async fn round(runner: &Arc<Runner>) -> Result<bool> {
    let _claiming = runner.claiming.lock().await;
    let ended: Vec<Ended> = runner.ended.lock().clone();
    let slots = runner.free_slots(&ended);
    if ended.is_empty() && runner.plan(&mut runner.store.host_read().await?, &slots).await?.is_none() {
        // Most looks find nothing: they keep nobody from writing.
        return Ok(false);
    }
    let mut scope = runner.store.queue_write().await?;
    // First, so that what has ended does not count as running.
    let finished = finish(runner, &mut scope, &ended).await?;
    let claim = claim(runner, &mut scope, &slots).await?;
    scope.commit().await?;
    runner.forget(&ended, &finished);
    Ok(claim.start(runner))
}

/// On a store with several writers: tells it which jobs have ended, beside the [claims](claim_round). Each of the two
/// takes a server some roundtrips, in which the other goes on. Says whether more have ended.
pub(super) async fn finish_round(runner: &Arc<Runner>) -> Result<bool> {
    let ended: Vec<Ended> = runner.ended.lock().clone();
    if ended.is_empty() {
        return Ok(false);
    }
    let mut scope = runner.store.queue_write().await?;
    let finished = finish(runner, &mut scope, &ended).await?;
    scope.commit().await?;
    runner.forget(&ended, &finished);
    // Their slots are free, and their queues below their limits.
    if finished.makes_ready || runner.wants_slots.load(Ordering::Relaxed) {
        runner.queue_changed.notify_one();
    }
    Ok(!runner.ended.lock().is_empty())
}

/// On a store with several writers: claims jobs for the slots that are free. Says whether it claimed any: there may be
/// more.
pub(super) async fn claim_round(runner: &Arc<Runner>) -> Result<bool> {
    let _claiming = runner.claiming.lock().await;
    // Until a look finds nothing that is ready. Jobs that end from here on wake this task again, or their slots are
    // seen.
    runner.wants_slots.store(true, Ordering::Relaxed);
    let slots = runner.free_slots(&[]);
    if runner.is_stopping() {
        return Ok(false);
    }
    if slots.free == 0 {
        runner.hint_others();
        return Ok(false);
    }
    let mut scope = runner.store.queue_write().await?;
    let claim = claim(runner, &mut scope, &slots).await?;
    scope.commit().await?;
    let is_any = claim.start(runner);
    if !is_any && runner.wants_slots.load(Ordering::Relaxed) {
        runner.hint_others();
    }
    Ok(is_any)
}

/// What the store said of jobs that have ended.
struct Finished {
    /// Claims that were not this host's any more.
    late: Vec<JobLease>,
    /// Whether others are ready now.
    makes_ready: bool,
    /// Whether events were published.
    is_told: bool,
}

/// Tells the store which jobs have ended.
async fn finish(runner: &Runner, scope: &mut HostScope, ended: &[Ended]) -> Result<Finished> {
    if ended.is_empty() {
        return Ok(Finished { late: Vec::new(), makes_ready: false, is_told: false });
    }
    let schedules: Vec<_> = ended.iter().filter_map(|one| Some(one.schedule.as_ref()?.0.clone())).collect();
    scope.lock_schedules(&schedules).await?;
    let ends: Vec<JobEnd> = ended.iter().map(|one| one.end.clone()).collect();
    let FinishedJobs { late, makes_ready } = scope.finish_jobs(&runner.owner, &ends).await?;
    let is_told = tell_ended(scope, ended, &late).await?;
    Ok(Finished { late, makes_ready, is_told })
}

/// Jobs that were claimed, once the claim is committed.
#[derive(Default)]
struct Claimed {
    plan: Option<Plan>,
    jobs: Vec<ClaimedJob>,
    /// Queues whose rates are used up, and for how long.
    waits: Vec<(QueueKey, Duration)>,
}

/// Plans and claims jobs for these slots.
async fn claim(runner: &Runner, scope: &mut HostScope, slots: &Slots) -> Result<Claimed> {
    let Some(mut plan) = runner.plan(scope, slots).await? else { return Ok(Claimed::default()) };
    let (mut shares, limits) = (std::mem::take(&mut plan.shares), std::mem::take(&mut plan.limits));
    let (buckets, waits) = Buckets::lock(scope, &mut shares, &limits).await?;
    let jobs = scope.claim_jobs(&runner.owner, LEASE_MS, &shares).await?;
    buckets.take(scope, &jobs).await?;
    Ok(Claimed { plan: Some(plan), jobs, waits })
}

impl Claimed {
    /// Starts the jobs. Says whether there may be more: the slots of queues that have to wait for their rates are for
    /// others.
    fn start(self, runner: &Arc<Runner>) -> bool {
        if let Some(plan) = self.plan {
            plan.charge(&self.jobs, &mut runner.fair.lock());
        }
        let any = !self.jobs.is_empty() || !self.waits.is_empty();
        runner.hold(self.waits);
        for claim in event_batch::group(self.jobs, |job| runner.services.find(&service_of(job))) {
            match claim {
                Claim::One(job) => runner.begin(*job),
                Claim::Batch(jobs) => runner.begin_batch(jobs),
            }
        }
        any
    }
}

/// Notes how the runs of schedules ended, and publishes which jobs are dead and which schedules fail, all of it in the
/// transaction that ends the jobs. Says whether it published anything.
async fn tell_ended(scope: &mut HostScope, ended: &[Ended], late: &[JobLease]) -> Result<bool> {
    // All lock the tenants' logs in this order.
    let mut events: BTreeMap<&TenantId, Vec<NewEvent>> = BTreeMap::new();
    for one in ended.iter().filter(|one| !late.contains(&one.end.lease)) {
        let of_tenant = events.entry(&one.end.lease.tenant).or_default();
        of_tenant.extend(one.dead.clone());
        if let Some((schedule, state)) = &one.schedule {
            let failures = scope.schedule_ended(schedule, *state).await?;
            if failures == FAILING_RUNS {
                of_tenant.push(failing_event(schedule, *state, failures));
            }
        }
    }
    events.retain(|_, events| !events.is_empty());
    for (tenant, events) in &events {
        // The quota is for what tenants publish.
        scope.publish_events(tenant, events, None).await?;
    }
    Ok(!events.is_empty())
}

/// Ends the ready jobs of services that are nowhere any more, such as those of a tenant that was deleted.
pub(super) async fn end_orphans(runner: &Runner) -> Result<()> {
    let ready = runner.store.host_read().await?.ready_queues().await?;
    for queue in ready {
        let (component, environment) = (queue.queue.component.clone(), queue.queue.environment);
        let service = ServiceId { tenant: queue.tenant.clone(), component, environment };
        let is_there = runner.services.find(&service).is_some();
        if is_there || runner.store.host_read().await?.target(&service).await?.is_some() {
            continue;
        }
        let shares = [queue.share(ORPHANS_MAX)];
        let mut scope = runner.store.queue_write().await?;
        let claimed = scope.claim_jobs(&runner.owner, LEASE_MS, &shares).await?;
        let end = |job: &ClaimedJob| JobEnd {
            lease: job.lease.clone(),
            outcome: JobOutcome::Dead { error: format!("invalid: {service} is not deployed any more") },
            keep_ms: DEAD_LETTER_KEEP_MS,
        };
        let ends: Vec<_> = claimed.iter().map(end).collect();
        scope.finish_jobs(&runner.owner, &ends).await?;
        scope.commit().await?;
    }
    Ok(())
}

/// How long a queue is left alone whose jobs could not be run so many times in a row.
fn hold_time(times: u32) -> Duration {
    HOLD_FIRST.saturating_mul(1 << times.saturating_sub(1).min(7)).min(HOLD_MAX)
}

/// Makes room for another hold, if there are many.
fn forget_ended_holds(held: &mut HashMap<QueueKey, Hold>, now: Instant) {
    if held.len() >= HELD_MAX {
        held.retain(|_, hold| hold.until > now);
    }
}

impl Runner {
    /// Plans which jobs are claimed for these slots, as the store is at the moment; none if there are none.
    async fn plan(&self, scope: &mut HostScope, slots: &Slots) -> Result<Option<Plan>> {
        if slots.free == 0 || self.is_stopping() {
            return Ok(None);
        }
        let ready = self.ready_queues(scope).await?;
        let now_ms = elias_store::now_ms();
        for queue in &ready {
            self.meters.queue_age(service_of_queue(&queue.tenant, &queue.queue), now_ms.saturating_sub(queue.ready_at));
        }
        let ready = batch_waits::without_waiting(self, scope, ready).await?;
        if ready.queues.is_empty() {
            self.wants_slots.store(false, Ordering::Relaxed);
            return Ok(None);
        }
        let leased = self.leased_queues(scope).await?;
        let now = Instant::now();
        let find = |service: &ServiceId, queue: &QueueKey| {
            let is_held = self.held.lock().get(queue).is_some_and(|hold| hold.until > now);
            if is_held { None } else { self.services.find(service) }
        };
        let plan = plan::plan(ready, &leased, find, &self.fair.lock(), slots);
        Ok((!plan.shares.is_empty()).then_some(plan))
    }

    /// The slots of this host once these jobs have ended.
    fn free_slots(&self, ended: &[Ended]) -> Slots {
        let mut held: HashMap<TenantId, u32> = HashMap::new();
        let mut busy = 0_u32;
        let running = self.running.lock();
        for lease in running.keys() {
            *held.entry(lease.tenant.clone()).or_default() += 1;
            busy += 1;
        }
        drop(running);
        for one in ended {
            if let Some(held) = held.get_mut(&one.end.lease.tenant) {
                *held = held.saturating_sub(1);
                busy = busy.saturating_sub(1);
            }
        }
        Slots { free: self.slots.saturating_sub(busy), held }
    }

    /// The store knows of these ends.
    fn forget(&self, ended: &[Ended], finished: &Finished) {
        let Finished { late, is_told, .. } = finished;
        if *is_told {
            self.events_changed.notify_one();
        }
        let mut running = self.running.lock();
        for one in ended {
            running.remove(&one.end.lease);
            if late.contains(&one.end.lease) {
                tracing::warn!(job = %one.end.lease.id, "a job ended after its lease: another host runs it again");
                continue;
            }
            match one.end.outcome {
                JobOutcome::Dead { .. } => {
                    if let Some(service) = &one.dead_service {
                        self.meters.dead(service);
                    }
                }
                JobOutcome::Retry { .. } | JobOutcome::Suspended { .. } => self.due_changed.notify_one(),
                _ => {}
            }
        }
        drop(running);
        // Whatever came meanwhile is behind them.
        drop(self.ended.lock().drain(..ended.len()));
    }

    /// Leaves queues alone whose rates are used up.
    fn hold(&self, waits: Vec<(QueueKey, Duration)>) {
        let (mut held, now) = (self.held.lock(), Instant::now());
        for (queue, wait) in waits {
            forget_ended_holds(&mut held, now);
            held.insert(queue, Hold { until: now + wait, times: 0 });
        }
    }

    /// Starts a job that was claimed.
    pub(super) fn begin(self: &Arc<Self>, job: ClaimedJob) {
        let (cancel, cancelled) = watch::channel(false);
        self.running.lock().insert(job.lease.clone(), RunningJob { cancel, is_released: false });
        let clock = RunClock::new(job.lease_until.saturating_sub_unsigned(LEASE_MS));
        let now_ms = i64::try_from(clock.now().unix_ms()).unwrap_or(i64::MAX);
        let waited_ms = now_ms.saturating_sub(job.ready_at);
        self.meters.record(LatencyKind::Start, waited_ms);
        self.meters.queue_age(service_of(&job), waited_ms);
        let runner = Arc::clone(self);
        tokio::spawn(async move {
            let verdict = runner.run(&job, cancelled).await;
            runner.settle(&job, verdict);
        });
    }

    /// Starts deliveries that were claimed and are run together: ending one ends the run of all.
    fn begin_batch(self: &Arc<Self>, jobs: Vec<ClaimedJob>) {
        let (cancel, cancelled) = watch::channel(false);
        let mut running = self.running.lock(); // the map is whole after every operation
        for job in &jobs {
            running.insert(job.lease.clone(), RunningJob { cancel: cancel.clone(), is_released: false });
        }
        drop(running);
        for job in &jobs {
            let now_ms = job.lease_until.saturating_sub_unsigned(LEASE_MS);
            let waited_ms = now_ms.saturating_sub(job.ready_at);
            self.meters.record(LatencyKind::Start, waited_ms);
            self.meters.queue_age(service_of(job), waited_ms);
        }
        let runner = Arc::clone(self);
        tokio::spawn(async move {
            let verdicts = runner.run_batch(&jobs, cancelled).await;
            jobs.iter().zip(verdicts).for_each(|(job, verdict)| runner.settle(job, verdict));
        });
    }

    /// Notes what became of a job that was run.
    fn settle(&self, job: &ClaimedJob, verdict: Verdict) {
        let key = (job.lease.tenant.clone(), job.queue.clone());
        let is_released = self.running.lock().get(&job.lease).is_some_and(|job| job.is_released);
        match verdict {
            // The host is about to end, or has lost the lease.
            Verdict::Outcome { outcome: JobOutcome::Cancelled { .. }, .. } if is_released => {
                self.end(job, JobOutcome::Released, 0);
            }
            Verdict::Outcome { outcome, keep_ms } => {
                let mut held = self.held.lock();
                // One that waits for its rate goes on waiting.
                if held.get(&key).is_some_and(|hold| hold.times > 0) {
                    held.remove(&key);
                }
                drop(held);
                self.end(job, outcome, keep_ms);
            }
            Verdict::NotRun { reason } => {
                let mut held = self.held.lock(); // the map is whole after every operation
                let now = Instant::now();
                forget_ended_holds(&mut held, now);
                let known = held.get(&key).copied();
                // Several jobs of a queue that come back together count once.
                if known.is_none_or(|hold| hold.until <= now) {
                    let times = known.map_or(1, |hold| hold.times.saturating_add(1));
                    let wait = hold_time(times);
                    tracing::info!(queue = %job.queue, tenant = %key.0, %reason, ?wait, "jobs cannot be run now");
                    held.insert(key, Hold { until: now + wait, times });
                }
                drop(held);
                self.end(job, JobOutcome::Released, 0);
            }
        }
    }

    /// Has the next round tell the store.
    fn end(&self, job: &ClaimedJob, outcome: JobOutcome, keep_ms: u64) {
        let state = match outcome {
            JobOutcome::Done { .. } => Some(JobState::Done),
            JobOutcome::Dead { .. } => Some(JobState::Dead),
            JobOutcome::Cancelled { .. } => Some(JobState::Cancelled),
            JobOutcome::Retry { .. } | JobOutcome::Suspended { .. } | JobOutcome::Released => None,
        };
        let is_tick = job.queue.trigger == JobTrigger::Schedule;
        let id = || ScheduleId { service: service_of(job), name: job.queue.name.clone() };
        let schedule = state.filter(|_| is_tick).map(|state| (id(), state));
        let dead = match &outcome {
            JobOutcome::Dead { error } => dead_job::event(job, error),
            _ => None,
        };
        let dead_service = matches!(outcome, JobOutcome::Dead { .. }).then(|| service_of(job));
        let end = JobEnd { lease: job.lease.clone(), outcome, keep_ms };
        self.ended.lock().push(Ended { end, schedule, dead, dead_service });
        self.job_ended();
    }

    /// Wakes the task that tells the store of ended jobs.
    pub(super) fn job_ended(&self) {
        let ends = if self.store.is_shared() { &self.jobs_ended } else { &self.queue_changed };
        ends.notify_one();
    }

    /// Extends the leases of the jobs that run here. Ends runs whose lease was lost or whose job is to be cancelled.
    pub(super) async fn extend_leases(&self) -> Result<()> {
        let leases: Vec<JobLease> = self.running.lock().keys().cloned().collect();
        if leases.is_empty() {
            return Ok(());
        }
        let mut scope = self.store.queue_write().await?;
        let found = scope.extend_jobs(&self.owner, &leases, LEASE_MS).await?;
        scope.commit().await?;
        let mut running = self.running.lock(); // the map is whole after every operation
        for (leases, is_released) in [(&found.lost, true), (&found.cancelled, false)] {
            for lease in leases {
                if let Some(job) = running.get_mut(lease) {
                    job.is_released |= is_released;
                    job.cancel.send_replace(true);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::QueueId;
    use elias_names::Environment;

    #[test]
    fn a_queue_is_left_alone_twice_as_long_each_time() {
        let seconds = [1, 2, 3, 7, 8, 9, u32::MAX].map(|times| hold_time(times).as_secs_f64());
        assert_eq!(seconds, [0.5, 1.0, 2.0, 32.0, 60.0, 60.0, 60.0]);
    }

    #[test]
    fn holds_that_are_over_are_forgotten_when_there_are_many() {
        let (now, component) = (Instant::now(), "shop".parse().expect("a name"));
        let any =
            QueueId { component, environment: Environment::Production, trigger: JobTrigger::Job, name: String::new() };
        let tenant: TenantId = "acme".parse().expect("a name");
        let key = |number: usize| (tenant.clone(), QueueId { name: number.to_string(), ..any.clone() });
        let over = Hold { until: now, times: 1 };
        let mut held: HashMap<QueueKey, Hold> = (1..HELD_MAX).map(|number| (key(number), over)).collect();
        forget_ended_holds(&mut held, now);
        assert_eq!(held.len(), HELD_MAX - 1, "there is room");
        held.insert(key(0), Hold { until: now + HOLD_FIRST, ..over });
        forget_ended_holds(&mut held, now);
        assert_eq!(held.into_keys().collect::<Vec<_>>(), [key(0)]);
    }
}
