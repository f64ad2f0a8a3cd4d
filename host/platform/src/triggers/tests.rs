//! The runner on a real store, with handlers that are functions: nothing is lost, and nothing is done twice.

mod bad_input;
mod batches;
mod events;
mod hosts;
mod limits;
mod outbox;
mod postgres;
mod records;
mod schedules;
mod shares;
mod steps;
mod webhooks;
mod workers;

use super::backends::TriggerBackends;
use super::registration;
use super::run::{Message, Run, RunEnd, ServedTriggers, Services, WebhookDelivery};
use super::{JobRequest, Runner};
use crate::test_store;
use elias_api::{Actor, JobFilter, JobRecord, JobState, Quotas, TenantSettings, VersionSettings};
use elias_capabilities::events::EventLog;
use elias_capabilities::jobs::{ErrorCode, JobQueue, NewJob, StartTime};
use elias_capabilities::outbox::DrainOutcome;
use elias_capabilities::trigger::{Cause, Origin};
use elias_names::{Environment, ServiceId, TenantId};
use elias_store::{AllowedServices, JobStart, NewEvent, Store, now_ms};
use elias_triggers::config::TriggersConfig;
use elias_triggers::queue::AttemptResult;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A handler.
type Handler = Box<dyn Fn(Run) -> BoxFuture<'static, AttemptResult> + Send + Sync>;

/// Services of which each is the same function.
struct Fake {
    config: Arc<TriggersConfig>,
    handler: Handler,
    is_stopped: AtomicBool,
    /// What ran: the job, its attempt, and what the handler got.
    ran: Mutex<Vec<(String, u32, Message)>>,
    /// What webhooks sent: the id of the event, the attempt, and the body.
    sent: Mutex<Vec<(String, u32, String)>>,
    /// The rows of its outbox, which are never deleted, as if each host died before it could.
    outbox: Mutex<Vec<(String, NewJob)>>,
    /// The tenant whose outboxes and receivers of webhooks are so slow that nothing of theirs ends.
    slow: Mutex<Option<TenantId>>,
    /// The services whose outboxes were begun to be drained.
    drained: Mutex<Vec<ServiceId>>,
    /// What the next drains result in, before the rows are handed over.
    drains: Mutex<VecDeque<elias_api::Result<DrainOutcome>>>,
    /// What was recorded of its outbox.
    recorded: Mutex<Vec<String>>,
}

impl Fake {
    /// Waits for ever, if it is the slow tenant's.
    fn wait(&self, tenant: &TenantId) -> BoxFuture<'static, ()> {
        let is_slow = self.slow.lock().as_ref() == Some(tenant);
        if is_slow { std::future::pending().boxed() } else { std::future::ready(()).boxed() }
    }
}

impl Services for Fake {
    fn find(&self, id: &ServiceId) -> Option<ServedTriggers> {
        let is_there = id.component.as_str() == "shop";
        let is_stopped = self.is_stopped.load(Ordering::Relaxed);
        let quotas = Quotas::default();
        is_there.then(|| ServedTriggers { config: Arc::clone(&self.config), quotas, is_stopped })
    }

    fn run(&self, run: Run) -> BoxFuture<'static, RunEnd> {
        self.ran.lock().push((run.record.job.clone(), run.record.attempt, run.message.clone()));
        let running = (self.handler)(run);
        async move { RunEnd { ending: running.await, version: Some(1) } }.boxed()
    }

    fn deliver(&self, delivery: WebhookDelivery) -> BoxFuture<'static, RunEnd> {
        let ending = Self::receive(&delivery);
        let waits = self.wait(&delivery.service.tenant);
        self.sent.lock().push((delivery.id, delivery.record.attempt, delivery.event));
        async move {
            waits.await;
            RunEnd { ending, version: Some(1) }
        }
        .boxed()
    }

    fn drain_outbox(
        &self,
        id: &ServiceId,
        backends: TriggerBackends,
    ) -> BoxFuture<'static, elias_api::Result<DrainOutcome>> {
        if let Some(drained) = self.drains.lock().pop_front() {
            return async move { drained }.boxed();
        }
        let rows = self.outbox.lock().clone();
        let waits = self.wait(&id.tenant);
        self.drained.lock().push(id.clone());
        async move {
            waits.await;
            for (id, job) in rows {
                backends
                    .enqueue_once(origin(0), id, job)
                    .await
                    .map_err(|error| elias_api::Error::new(elias_api::Code::Internal, error.message))?;
            }
            Ok(DrainOutcome { is_empty: true, ..DrainOutcome::default() })
        }
        .boxed()
    }

    fn record_outbox(&self, _: &ServiceId, error: String) {
        self.recorded.lock().push(error);
    }
}

struct Bench {
    store: Store,
    settings: VersionSettings,
    services: Arc<Fake>,
    _folder: tempfile::TempDir,
}

fn shop() -> ServiceId {
    ServiceId {
        tenant: "acme".parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: Environment::Production,
    }
}

fn returns() -> Handler {
    Box::new(|_| async { AttemptResult::Returned("null".to_owned()) }.boxed())
}

fn runs_until_cancelled() -> Handler {
    Box::new(|mut run| {
        async move {
            drop(run.cancelled.wait_for(|is_cancelled| *is_cancelled).await);
            AttemptResult::Cancelled
        }
        .boxed()
    })
}

/// A handler that takes some time, and the most of its runs that there were at a time.
fn counts_runs() -> (Handler, Arc<AtomicU32>) {
    let (active, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let seen = Arc::clone(&most);
    let handler: Handler = Box::new(move |_| {
        let (active, seen) = (Arc::clone(&active), Arc::clone(&seen));
        async move {
            seen.fetch_max(active.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            active.fetch_sub(1, Ordering::Relaxed);
            AttemptResult::Returned("null".to_owned())
        }
        .boxed()
    });
    (handler, most)
}

/// A store with a tenant whose service `shop` has these triggers.
async fn bench(triggers: Value, handler: Handler) -> Bench {
    let (store, folder) = test_store::sqlite();
    bench_on(store, folder, triggers, handler).await
}

/// The same on this store, whose data directory is `folder`.
async fn bench_on(store: Store, folder: tempfile::TempDir, triggers: Value, handler: Handler) -> Bench {
    test_store::create_tenant(&store, &shop().tenant).await;
    let settings = VersionSettings { triggers: Some(triggers), ..VersionSettings::default() };
    let config = Arc::new(registration::check(&settings).expect("they are right"));
    let services = Fake {
        config,
        handler,
        is_stopped: AtomicBool::new(false),
        ran: Mutex::default(),
        sent: Mutex::default(),
        outbox: Mutex::default(),
        slow: Mutex::default(),
        drained: Mutex::default(),
        drains: Mutex::default(),
        recorded: Mutex::default(),
    };
    Bench { store, settings, services: Arc::new(services), _folder: folder }
}

impl Bench {
    fn runner(&self, name: &str) -> Arc<Runner> {
        Runner::new(self.store.clone(), name.to_owned(), Arc::clone(&self.services) as _, 20)
    }

    async fn register(&self) {
        let mut scope = self.store.write(&shop().tenant).await.expect("a scope");
        registration::register(&mut scope, &shop(), &self.settings).await.expect("registered");
        scope.commit().await.expect("committed");
    }

    fn ran(&self) -> Vec<(String, u32, Message)> {
        self.services.ran.lock().clone()
    }

    async fn jobs(&self, state: JobState) -> Vec<JobRecord> {
        let filter = JobFilter { state: Some(state), ..JobFilter::default() };
        let mut scope = self.store.read(&shop().tenant).await.expect("a scope");
        scope.jobs(&filter, &AllowedServices::All, 1_000).await.expect("a list")
    }

    async fn unfinished(&self) -> u64 {
        let mut scope = self.store.read(&shop().tenant).await.expect("a scope");
        scope.trigger_use().await.expect("a number").unfinished_jobs
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn request(name: &str, input: &Value) -> JobRequest {
    JobRequest {
        service: shop(),
        name: name.to_owned(),
        input: input.to_string(),
        priority: None,
        start: JobStart::Now,
        key: None,
        concurrency_key: None,
        after: Vec::new(),
        cause: Cause::default(),
    }
}

async fn enqueue(runner: &Runner, name: &str, input: &Value) -> String {
    runner.enqueue_request(request(name, input)).await.expect("enqueued").0
}

fn event(event_type: &str, subject: &str, number: u32) -> NewEvent {
    NewEvent {
        id: format!("{number:04}"),
        event_type: event_type.to_owned(),
        source: "/test".to_owned(),
        subject: Some(subject.to_owned()),
        data: json!({ "number": number }).to_string(),
        time: now_ms(),
        key: None,
        hops: 0,
        cause: None,
    }
}

fn attribute(message: &Message, name: &str) -> String {
    match message {
        Message::Event(event) => event.event[name].as_str().unwrap_or_default().to_owned(),
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_runs_once_whichever_of_two_hosts_takes_it() {
    const JOBS: u32 = 400;
    let bench = bench(json!({ "jobs": { "count": { "concurrency": 100 } } }), returns()).await;
    let (one, other) = (bench.runner("one"), bench.runner("other"));
    one.start();
    other.start();
    let enqueued = futures::future::join_all((0..JOBS).map(|number| {
        let runner = if number % 2 == 0 { &one } else { &other };
        async move { enqueue(runner, "count", &json!(number)).await }
    }));
    let ids: HashSet<String> = enqueued.await.into_iter().collect();
    assert_eq!(ids.len(), JOBS as usize);
    until("all jobs are done", async || bench.unfinished().await == 0).await;
    let ran = bench.ran();
    assert!(ran.iter().all(|(_, attempt, _)| *attempt == 1));
    assert_eq!((ran.len(), ran.into_iter().map(|(id, ..)| id).collect::<HashSet<_>>()), (JOBS as usize, ids));
    assert_eq!(bench.jobs(JobState::Done).await.len(), JOBS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_retried_and_then_dead_with_its_stack_and_can_be_retried_by_hand() {
    let retry = json!({ "attempts": 2, "first": "100ms", "jitter": false });
    let fails: Handler = Box::new(|_| async { AttemptResult::Failed("Error: no\n  at index.js:3".to_owned()) }.boxed());
    let bench = bench(json!({ "jobs": { "charge": { "retry": retry } } }), fails).await;
    let runner = bench.runner("one");
    runner.start();
    let id = enqueue(&runner, "charge", &json!({})).await;
    until("it is dead", async || !bench.jobs(JobState::Dead).await.is_empty()).await;
    let dead = bench.jobs(JobState::Dead).await.remove(0);
    assert_eq!((&dead.id, dead.attempt), (&id, 2));
    assert!(dead.error.is_some_and(|error| error.starts_with("attempts-used-up: Error: no\n  at index.js:3")));
    assert_eq!(bench.ran().iter().map(|(_, attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(runner.meters().dead_jobs(), [(Some(shop().tenant), 1)]);
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    let events = scope.events(0, 100).await.expect("a log");
    let told: Vec<_> = events.iter().filter(|event| event.event_type == "job.dead").collect();
    assert_eq!(told.len(), 1, "the attempt that is followed by another is no event: {events:?}");
    let data: Value = serde_json::from_str(&told[0].data).expect("JSON");
    assert_eq!((&data["job"], &data["reason"]), (&json!(id), &json!("attempts-used-up")));
    scope.retry_job(&id).await.expect("it is dead");
    scope.commit().await.expect("committed");
    runner.look();
    until("it runs again", async || bench.ran().len() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_rejected_or_asks_for_another_time_gets_it() {
    let handler: Handler = Box::new(|run| {
        let ending = match (&run.message, run.record.attempt) {
            (Message::Job(job), _) if job.name == "never" => AttemptResult::Rejected("not mine".to_owned()),
            (_, 1) => AttemptResult::RetryRequested { after: Some(Duration::ZERO), reason: "later".to_owned() },
            _ => AttemptResult::Returned("7".to_owned()),
        };
        async move { ending }.boxed()
    });
    let bench = bench(json!({}), handler).await;
    let runner = bench.runner("one");
    runner.start();
    enqueue(&runner, "never", &json!({})).await;
    enqueue(&runner, "later", &json!({})).await;
    until("both are over", async || bench.unfinished().await == 0).await;
    assert_eq!(bench.jobs(JobState::Dead).await[0].error.as_deref(), Some("rejected: not mine"));
    let done = bench.jobs(JobState::Done).await.remove(0);
    assert_eq!((done.attempt, done.result.as_deref()), (2, Some("7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_at_a_time_than_their_kind_allows() {
    let (handler, most) = counts_runs();
    let bench = bench(json!({ "jobs": { "slow": { "concurrency": 3 } } }), handler).await;
    let runner = bench.runner("one");
    runner.start();
    for number in 0..20 {
        enqueue(&runner, "slow", &json!(number)).await;
    }
    until("all are done", async || bench.unfinished().await == 0).await;
    let most = most.load(Ordering::Relaxed);
    assert!((1..=3).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_service_that_cannot_run_wait_and_lose_no_attempt() {
    let open = Arc::new(AtomicBool::new(true));
    let circuit = Arc::clone(&open);
    let handler: Handler = Box::new(move |_| {
        let ending = if circuit.load(Ordering::Relaxed) {
            AttemptResult::NotRun { times: 1, reason: "circuit-open".to_owned() }
        } else {
            AttemptResult::Returned("null".to_owned())
        };
        async move { ending }.boxed()
    });
    let bench = bench(json!({}), handler).await;
    bench.services.is_stopped.store(true, Ordering::Relaxed);
    let runner = bench.runner("one");
    enqueue(&runner, "wait", &json!({})).await;
    assert!(!super::queue::round(&runner).await.expect("it looks"), "a service that was stopped runs nothing");
    bench.services.is_stopped.store(false, Ordering::Relaxed);
    runner.start();
    until("it was tried", async || !bench.ran().is_empty()).await;
    open.store(false, Ordering::Relaxed);
    until("it is done", async || bench.unfinished().await == 0).await;
    assert_eq!(bench.jobs(JobState::Done).await[0].attempt, 1);
}

fn origin(hops: u32) -> Arc<Origin> {
    let cause = Cause { traceparent: None, hops };
    Arc::new(Origin { component: shop().to_string(), cause, ..Origin::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn components_enqueue_and_publish_through_their_capabilities() {
    let bench = bench(json!({ "event": [{ "type": "**" }] }), returns()).await;
    bench.register().await;
    let (backends, runner) = (TriggerBackends::new(), bench.runner("one"));
    let new = |input: &str, target: Option<&str>| NewJob {
        name: "resize".to_owned(),
        input: input.to_owned(),
        priority: None,
        start: StartTime::Now,
        key: Some("k".to_owned()),
        concurrency_key: None,
        after: Vec::new(),
        target: target.map(str::to_owned),
    };
    let refused = backends.enqueue(origin(0), new("1", None)).await.expect_err("nothing runs yet");
    assert_eq!(refused.code, ErrorCode::Unavailable);
    backends.bind(Arc::clone(&runner));
    let id = backends.enqueue(origin(0), new("1", None)).await.expect("enqueued");
    assert_eq!(backends.enqueue(origin(0), new("1", None)).await.expect("the same"), id);
    let code = async |job| backends.enqueue(origin(0), job).await.expect_err("refused").code;
    assert_eq!(code(new("2", None)).await, ErrorCode::Conflict);
    assert_eq!(code(new("1", Some("other"))).await, ErrorCode::NotFound);
    backends.cancel(origin(0), id.clone()).await.expect("it waits");
    assert_eq!(backends.cancel(origin(0), id).await.expect_err("it is over").code, ErrorCode::Conflict);

    let publish = |delay| elias_capabilities::events::NewEvent {
        event_type: "order.paid".to_owned(),
        data: "{}".to_owned(),
        subject: None,
        key: None,
        delay,
    };
    backends.publish(origin(17), publish(Duration::ZERO)).await.expect_err("a loop");
    runner.start();
    let now = backends.publish(origin(0), publish(Duration::ZERO)).await.expect("published");
    let later = backends.publish(origin(3), publish(Duration::from_millis(100))).await.expect("published");
    until("both were delivered", async || bench.ran().len() == 2).await;
    let delivered: HashSet<_> = bench.ran().iter().map(|(_, _, message)| attribute(message, "id")).collect();
    assert_eq!(delivered, HashSet::from([now, later]));
}
