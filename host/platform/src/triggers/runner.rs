//! The state that the parts of the runner share, and its tasks.

use super::looks::Looks;
use super::meters::TriggerMeters;
use super::outbox::OutboxDrains;
use super::plan::QueueKey;
use super::queue::{Ended, Hold};
use super::run::Services;
use super::scheduler::Upkeep;
use super::waits::SeenEvents;
use super::writes::{EventQuotas, EventWrite, JobWrite, write_events, write_jobs, write_steps};
use super::{deliver, hints, queue, scheduler};
use crate::batch::Batch;
use elias_api::{Code, Error, Quotas, Result};
use elias_names::TenantId;
use elias_store::{EnqueueOutcome, JobLease, JobStart, NewEvent, NewJob, NewStep, PublishedEvent, Store};
use elias_triggers::queue::FairQueue;
use elias_triggers::schedule::PAUSE_MIN;
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often there is work beside what is due, such as looks into outboxes and deletions.
const SECOND: Duration = Duration::from_secs(1);
/// How often leases are renewed: a third of what they last.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the queue and the log of events are looked at, if nothing in this process says that there is something.
const QUEUE_POLL: Duration = Duration::from_millis(250);
const EVENTS_POLL: Duration = Duration::from_millis(500);
/// The wait before an unavailable store is asked again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for jobs to be given back.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Runs what the triggers of this host's services start.
pub(crate) struct Runner {
    pub(super) store: Store,
    /// The owner of its leases: this run of the process.
    pub(super) owner: String,
    pub(super) services: Arc<dyn Services>,
    /// How many jobs it runs at a time.
    pub(super) slots: u32,
    pub(super) running: Mutex<HashMap<JobLease, RunningJob>>,
    pub(super) ended: Mutex<Vec<Ended>>,
    pub(super) held: Mutex<HashMap<QueueKey, Hold>>,
    pub(super) fair: Mutex<FairQueue<TenantId>>,
    pub(super) looks: Mutex<Looks>,
    /// When the first batch is run that waits for more events; none if the last look found no such.
    pub(super) batch_pause: Mutex<Option<Duration>>,
    pub(super) compiled: Mutex<deliver::CompiledSubscriptions>,
    pub(super) seen_events: Mutex<SeenEvents>,
    pub(super) meters: TriggerMeters,
    pub(super) outboxes: OutboxDrains,
    /// Something was enqueued, or has ended.
    pub(super) queue_changed: Notify,
    /// Where claims and ends are transactions of their own: jobs have ended.
    pub(super) jobs_ended: Notify,
    /// Something was published.
    pub(super) events_changed: Notify,
    /// Something may be due earlier than was known.
    pub(super) due_changed: Arc<Notify>,
    /// Whether the last claim has left jobs that are ready, for want of a slot or by a limit.
    pub(super) wants_slots: AtomicBool,
    /// When the other hosts were told last that there are some.
    pub(super) hinted: Mutex<Option<Instant>>,
    pub(super) is_stopping: AtomicBool,
    /// Held while jobs are claimed, from the look at `is_stopping` until they run.
    pub(super) claiming: tokio::sync::Mutex<()>,
    pub(super) steps: Batch<NewStep, bool>,
    jobs: Batch<JobWrite, EnqueueOutcome>,
    events: Batch<EventWrite, Vec<PublishedEvent>>,
}

/// A job that runs here.
pub(super) struct RunningJob {
    /// Ends its run.
    pub(super) cancel: watch::Sender<bool>,
    /// Whether the end of its run gives it back: it was not its own fault, nor anybody's wish.
    pub(super) is_released: bool,
}

/// The origin of a job or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteSource {
    /// An execution, a user or the runner itself.
    Direct,
    /// An outbox, which may hand it over more than once, always with the same id.
    Outbox,
}

impl Runner {
    /// A runner that does nothing yet; `owner` names this run of the process.
    pub(crate) fn new(store: Store, owner: String, services: Arc<dyn Services>, slots: u32) -> Arc<Self> {
        let (for_jobs, for_events, for_steps) = (store.clone(), store.clone(), (store.clone(), owner.clone()));
        Arc::new(Self {
            jobs: Batch::start(move |writes| write_jobs(for_jobs.clone(), writes).boxed()),
            events: Batch::start(move |writes| write_events(for_events.clone(), writes).boxed()),
            steps: Batch::start(move |steps| write_steps(for_steps.0.clone(), for_steps.1.clone(), steps).boxed()),
            store,
            owner,
            services,
            slots: slots.max(1),
            running: Mutex::default(),
            ended: Mutex::default(),
            held: Mutex::default(),
            fair: Mutex::default(),
            looks: Mutex::default(),
            batch_pause: Mutex::default(),
            compiled: Mutex::default(),
            seen_events: Mutex::default(),
            meters: TriggerMeters::default(),
            outboxes: OutboxDrains::new(),
            queue_changed: Notify::new(),
            jobs_ended: Notify::new(),
            events_changed: Notify::new(),
            due_changed: Arc::default(),
            wants_slots: AtomicBool::new(true),
            hinted: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            claiming: tokio::sync::Mutex::default(),
        })
    }

    /// Starts its tasks, which end with its last handle.
    pub(crate) fn start(self: &Arc<Self>) {
        tokio::spawn(keep_time(Arc::downgrade(self)));
        tokio::spawn(keep_up(Arc::downgrade(self)));
        tokio::spawn(renew_leases(Arc::downgrade(self)));
        tokio::spawn(hints::listen(Arc::downgrade(self)));
        let queue = if self.store.is_shared() { &[Part::Ends, Part::Claims][..] } else { &[Part::Queue] };
        for part in queue {
            tokio::spawn(work(Arc::downgrade(self), *part));
        }
        tokio::spawn(work(Arc::downgrade(self), Part::Events));
    }

    /// Enqueues a job, in one batch with those of other callers. A job that an outbox has handed over before is an
    /// existing one.
    ///
    /// # Errors
    /// `quota-exceeded`, `not-found`, `bad-input`, `store-unavailable`.
    pub(super) async fn enqueue(
        &self,
        tenant: &TenantId,
        job: NewJob,
        quotas: Option<Quotas>,
        source: WriteSource,
    ) -> Result<EnqueueOutcome> {
        let is_later = job.start != JobStart::Now;
        let (queue, head_start_ms) = ((tenant.clone(), job.queue.clone()), job.head_start_ms);
        let enqueued = self.jobs.write(JobWrite(tenant.clone(), job, quotas, source)).await?;
        if is_later {
            self.due_changed.notify_one();
        } else {
            self.looks.lock().enqueued(queue, head_start_ms);
        }
        self.queue_changed.notify_one();
        Ok(enqueued)
    }

    /// Publishes an event, in one batch with those of other callers.
    ///
    /// # Errors
    /// `quota-exceeded`, `store-unavailable`.
    pub(crate) async fn publish(
        &self,
        tenant: &TenantId,
        event: NewEvent,
        quotas: Option<Quotas>,
    ) -> Result<PublishedEvent> {
        self.publish_from(tenant, event, quotas, WriteSource::Direct).await
    }

    /// Publishes events from outside, all or none, within the tenant's quotas in the store, in one batch with those of
    /// other callers. Returns the outcome of each, in their order.
    ///
    /// # Errors
    /// `not-found` for a tenant that is not there, `quota-exceeded`, `store-unavailable`.
    pub(crate) async fn publish_all(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<Vec<PublishedEvent>> {
        let (quotas, source) = (EventQuotas::Stored, WriteSource::Direct);
        let write = EventWrite { tenant: tenant.clone(), events, quotas, source };
        let published = self.events.write(write).await?;
        self.events_changed.notify_one();
        Ok(published)
    }

    /// [`publish`](Self::publish); an event that an outbox has handed over before is a known one, without its position.
    pub(super) async fn publish_from(
        &self,
        tenant: &TenantId,
        event: NewEvent,
        quotas: Option<Quotas>,
        source: WriteSource,
    ) -> Result<PublishedEvent> {
        let quotas = EventQuotas::Known(quotas);
        let write = EventWrite { tenant: tenant.clone(), events: vec![event], quotas, source };
        let published = self.events.write(write).await?.pop();
        self.events_changed.notify_one();
        published.ok_or_else(|| Error::new(Code::Internal, "the store said nothing of an event"))
    }

    /// Says that jobs were made ready, schedules armed or events published in transactions of others.
    pub(crate) fn look(&self) {
        self.queue_changed.notify_one();
        self.events_changed.notify_one();
        self.due_changed.notify_one();
    }

    /// Ends the run of a job, if it runs here: somebody cancelled it.
    pub(crate) fn cancel(&self, tenant: &TenantId, id: &str) {
        for (_, job) in self.running.lock().iter().filter(|(lease, _)| lease.tenant == *tenant && lease.id == id) {
            job.cancel.send_replace(true);
        }
    }

    /// Jobs that run here, by tenant.
    pub(crate) fn running_jobs(&self) -> BTreeMap<TenantId, u64> {
        let mut counts = BTreeMap::new();
        for lease in self.running.lock().keys() {
            *counts.entry(lease.tenant.clone()).or_default() += 1;
        }
        counts
    }

    /// Its counters.
    pub(crate) fn meters(&self) -> &TriggerMeters {
        &self.meters
    }

    /// Claims nothing more, ends what runs and gives it back, for the end of the process. A store that is away is not
    /// waited for: other hosts get the jobs when the leases end.
    pub(crate) async fn stop(self: &Arc<Self>) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.release_running();
        let given_back = async {
            // A claim that is under way may yet start jobs; the next one claims nothing.
            drop(self.claiming.lock().await);
            self.release_running();
            while !self.running.lock().is_empty() {
                self.job_ended();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if let Err(error) = self.store.hint(&self.owner).await {
                tracing::debug!(%error, "other hosts were not told of the jobs that were given back");
            }
        };
        if tokio::time::timeout(STOP_MAX, given_back).await.is_err() {
            tracing::warn!("some jobs could not be given back; other hosts run them when their leases end");
        }
    }

    /// Ends what runs, to be given back.
    fn release_running(&self) {
        for job in self.running.lock().values_mut() {
            job.is_released = true;
            job.cancel.send_replace(true);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

/// The work that a task of the runner repeats.
#[derive(Clone, Copy)]
enum Part {
    /// The queue, on a store with one writer.
    Queue,
    /// Its two halves, on a store with several.
    Ends,
    Claims,
    Events,
}

impl Part {
    fn poll(self, runner: &Runner) -> Duration {
        match self {
            Self::Queue | Self::Claims => {
                runner.batch_pause.lock().take().map_or(QUEUE_POLL, |pause| pause.min(QUEUE_POLL))
            }
            Self::Ends => QUEUE_POLL,
            Self::Events => EVENTS_POLL,
        }
    }

    /// Does what there is to do; says whether there may be more.
    async fn round(self, runner: &Arc<Runner>) -> Result<bool> {
        match self {
            Self::Queue => queue::round(runner).await,
            Self::Ends => queue::finish_round(runner).await,
            Self::Claims => queue::claim_round(runner).await,
            Self::Events => deliver::round(runner).await,
        }
    }

    fn changed(self, runner: &Runner) -> &Notify {
        match self {
            Self::Queue | Self::Claims => &runner.queue_changed,
            Self::Ends => &runner.jobs_ended,
            Self::Events => &runner.events_changed,
        }
    }
}

async fn work(runner: Weak<Runner>, part: Part) {
    let mut outage = Outage::default();
    loop {
        let Some(runner) = runner.upgrade() else { return };
        let wait = match outage.note(part.round(&runner).await) {
            Some(true) => continue,
            Some(false) => part.poll(&runner),
            None => RETRY,
        };
        // What comes from now on has left a permit with the notification. Others' work is found by looking again.
        let _ = tokio::time::timeout(wait, part.changed(&runner).notified()).await;
    }
}

/// Fires schedules and lets waiting jobs go on, each when it is due.
async fn keep_time(runner: Weak<Runner>) {
    let Some(due_changed) = runner.upgrade().map(|runner| Arc::clone(&runner.due_changed)) else { return };
    let mut outage = Outage::default();
    loop {
        let Some(runner) = runner.upgrade() else { return };
        let pause = outage.note(scheduler::look(&runner).await).unwrap_or(RETRY);
        drop(runner);
        tokio::time::sleep(PAUSE_MIN).await;
        // What this host makes due earlier than it knew of ends the pause.
        let _ = tokio::time::timeout(pause.saturating_sub(PAUSE_MIN), due_changed.notified()).await;
    }
}

/// The work of each second beside what is due. In a task of its own: no tick is late because old records are deleted.
async fn keep_up(runner: Weak<Runner>) {
    let mut seconds = tokio::time::interval(SECOND);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut outage, mut upkeep) = (Outage::default(), Upkeep::default());
    loop {
        seconds.tick().await;
        let Some(runner) = runner.upgrade() else { return };
        outage.note(upkeep.second(&runner).await);
    }
}

/// Renews the leases of what runs. In a task of its own: others must not get the jobs of a host that takes long to
/// delete old records or to fire schedules.
async fn renew_leases(runner: Weak<Runner>) {
    let mut beats = tokio::time::interval(HEARTBEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut outage = Outage::default();
    loop {
        beats.tick().await;
        let Some(runner) = runner.upgrade() else { return };
        if outage.note(runner.extend_leases().await).is_none() {
            beats.reset_after(RETRY);
        }
    }
}

/// Whether the store is away, so that it is said once and not each second.
#[derive(Default)]
struct Outage(bool);

impl Outage {
    fn note<T>(&mut self, done: Result<T>) -> Option<T> {
        match done {
            Ok(done) => {
                self.0 = false;
                Some(done)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.0, true) {
                    tracing::warn!(%error, "triggers wait: the store does not do what they need; retrying");
                }
                None
            }
        }
    }
}
