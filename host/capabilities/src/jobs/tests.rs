//! Tests of grants, of what a job may be, and of the queue in memory.

use super::backend::{JobQueue, NewJob, StartTime};
use super::context::JobsContext;
use super::contract::{EnqueueRequest, Error, ErrorCode, JobReply};
use super::grant::JobsGrant;
use super::memory::{JobReceiver, JobState, MemoryQueue};
use crate::trigger::{Cause, Clock, Origin, Pending, Submit};
use crate::turn::TurnJournal;
use elias_host::capability::CallMeter;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime_wasi_io::poll::Pollable;

/// A queue that records jobs, and responds when the test lets it.
#[derive(Default)]
struct RecordingQueue {
    jobs: Mutex<Vec<(Arc<Origin>, NewJob)>>,
    go: Option<Arc<tokio::sync::Notify>>,
}

impl JobQueue for RecordingQueue {
    fn enqueue(&self, origin: Arc<Origin>, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        let mut jobs = self.jobs.lock().expect("whole");
        jobs.push((origin, job));
        let (id, go) = (format!("job-{}", jobs.len()), self.go.clone());
        async move {
            if let Some(go) = go {
                go.notified().await;
            }
            Ok(id)
        }
        .boxed()
    }

    fn enqueue_once(&self, origin: Arc<Origin>, _: String, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        self.enqueue(origin, job)
    }

    fn cancel(&self, _: Arc<Origin>, _: String) -> BoxFuture<'static, Result<(), Error>> {
        ready(Ok(())).boxed()
    }
}

fn origin(component: &str) -> Arc<Origin> {
    let cause = Cause { traceparent: None, hops: 1 };
    Arc::new(Origin { component: component.to_owned(), version: "1".into(), execution: "e".into(), cause })
}

fn context(queue: Arc<dyn JobQueue>, grant: JobsGrant) -> JobsContext {
    JobsContext::new(queue, Arc::new(grant), origin("shop"), CallMeter::default())
}

fn request(name: &str) -> EnqueueRequest {
    EnqueueRequest {
        name: name.to_owned(),
        input: "{}".to_owned(),
        priority: None,
        run_at_ms: None,
        delay_ms: None,
        key: None,
        concurrency_key: None,
        after: Vec::new().into(),
        target: None,
    }
}

fn reply(mut pending: Pending<JobReply>) -> JobReply {
    pending.take().expect("it was not taken").expect("it is there")
}

#[test]
fn a_grant_has_defaults_and_bounds() {
    let grant = JobsGrant::read(Some(&json!({}))).expect("all keys have defaults");
    assert_eq!((grant.enqueues, grant.payload_bytes, grant.targets.len()), (100, 128 << 10, 0));
    for amount in super::grant::AMOUNTS {
        assert!(JobsGrant::read(Some(&json!({ amount.key: amount.ceiling }))).is_ok(), "{}", amount.key);
        let refused = JobsGrant::read(Some(&json!({ amount.key: 0 }))).expect_err("it is none");
        assert!(refused.to_string().starts_with(amount.key), "{refused}");
    }
    for wrong in [json!({ "payload-bytes": 2 << 20 }), json!({ "targets": [""] }), json!({ "target": [] })] {
        assert!(JobsGrant::read(Some(&wrong)).is_err(), "{wrong}");
    }
    assert!(JobsGrant::read(None).is_err());
}

#[test]
fn what_a_job_may_be_is_bounded() {
    let grant = JobsGrant { payload_bytes: 10, targets: vec!["mailer".to_owned()], ..JobsGrant::default() };
    let mut context = context(Arc::new(RecordingQueue::default()), grant);
    let mut code = |change: &dyn Fn(&mut EnqueueRequest)| {
        let mut changed = request("resize");
        change(&mut changed);
        context.check(changed).map_err(|error| error.code).err()
    };
    assert_eq!(code(&|_| ()), None);
    assert_eq!(code(&|job| job.name = String::new()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.name = "a\n".to_owned()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.name = "a".repeat(129)), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.input = "1".repeat(11)), Some(ErrorCode::TooLarge));
    assert_eq!(code(&|job| job.key = Some(String::new())), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.key = Some("k".repeat(257))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.concurrency_key = Some("k".repeat(257))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.concurrency_key = Some("user 7".to_owned())), None);
    assert_eq!(code(&|job| job.after = vec!["job-1".to_owned(); 101].into()), Some(ErrorCode::TooLarge));
    assert_eq!(code(&|job| job.after = vec!["job-1".to_owned(); 100].into()), None);
    assert_eq!(code(&|job| job.after = vec![String::new()].into()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.after = vec!["j".repeat(257)].into()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| (job.run_at_ms, job.delay_ms) = (Some(1), Some(1))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|job| job.target = Some("other".to_owned())), Some(ErrorCode::NotFound));
    assert_eq!(code(&|job| job.target = Some("mailer".to_owned())), None);
    assert_eq!(code(&|job| job.target = Some("shop".to_owned())), None);
}

#[test]
fn an_execution_enqueues_and_cancels_so_many() {
    let mut context = context(Arc::new(RecordingQueue::default()), JobsGrant { enqueues: 3, ..JobsGrant::default() });
    for _ in 0..2 {
        let job = context.check(request("resize")).expect("it is within the bounds");
        reply(context.submit(job)).expect("it is enqueued");
    }
    assert_eq!(reply(context.cancel("job-1".to_owned())), Ok("job-1".to_owned()));
    let refused = context.check(request("resize")).expect_err("it is one too many");
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    let refused = reply(context.cancel("job-1".to_owned())).expect_err("it is one too many");
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
}

#[tokio::test]
async fn a_job_is_enqueued_also_if_nobody_waits() {
    let go = Arc::new(tokio::sync::Notify::new());
    let queue = Arc::new(RecordingQueue { go: Some(Arc::clone(&go)), ..RecordingQueue::default() });
    let mut context = context(Arc::clone(&queue) as Arc<dyn JobQueue>, JobsGrant::default());
    let job = context.check(request("resize")).expect("it is within the bounds");
    let mut pending = context.submit(job.clone());
    assert_eq!(pending.take().expect("it was not taken"), None);
    drop(context.submit(job));
    go.notify_waiters();
    go.notify_one();
    pending.ready().await;
    assert_eq!(reply(pending), Ok("job-1".to_owned()));
    let jobs = queue.jobs.lock().expect("whole");
    assert_eq!((jobs.len(), jobs[1].0.cause.hops, jobs[1].1.name.as_str()), (2, 1, "resize"));
}

/// A queue in memory whose time tests move.
fn memory() -> (MemoryQueue, JobReceiver, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(1_000));
    let told = Arc::clone(&time);
    let (queue, receiver) = MemoryQueue::new(Clock::new(move || told.load(Ordering::Relaxed)));
    (queue, receiver, time)
}

fn job(name: &str) -> NewJob {
    NewJob {
        name: name.to_owned(),
        input: "{}".to_owned(),
        priority: None,
        start: StartTime::Now,
        key: None,
        concurrency_key: None,
        after: Vec::new(),
        target: None,
    }
}

fn enqueue(queue: &MemoryQueue, job: NewJob) -> Result<String, Error> {
    queue.enqueue(origin("shop"), job).now_or_never().expect("it is immediate")
}

fn cancel(queue: &MemoryQueue, component: &str, id: &str) -> Result<(), ErrorCode> {
    let cancelled = queue.cancel(origin(component), id.to_owned()).now_or_never().expect("it is immediate");
    cancelled.map_err(|error| error.code)
}

fn names(receiver: &mut JobReceiver) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_next()).map(|job| job.name).collect()
}

#[test]
fn a_job_without_a_priority_has_that_of_its_name() {
    let (queue, mut receiver, _) = memory();
    queue.set_priorities(HashMap::from([("urgent".to_owned(), 5), ("idle".to_owned(), -5)]));
    for name in ["idle", "other", "urgent"] {
        enqueue(&queue, job(name)).expect("enqueued");
    }
    enqueue(&queue, NewJob { priority: Some(9), ..job("idle") }).expect("enqueued");
    assert_eq!(names(&mut receiver), ["idle", "urgent", "other", "idle"]);
}

#[test]
fn jobs_come_by_priority_and_when_they_are_due() {
    let (queue, mut receiver, time) = memory();
    enqueue(&queue, job("first")).expect("enqueued");
    enqueue(&queue, NewJob { priority: Some(5), ..job("urgent") }).expect("enqueued");
    enqueue(&queue, NewJob { start: StartTime::After(Duration::from_millis(10)), ..job("delayed") }).expect("enqueued");
    enqueue(&queue, NewJob { start: StartTime::At(1_020), ..job("later") }).expect("enqueued");
    let first = receiver.try_next().expect("it is ready").name;
    let states: Vec<_> = queue.list().into_iter().map(|job| (job.name, job.state)).collect();
    let expected = [
        ("first", JobState::Ready),
        ("urgent", JobState::Running),
        ("delayed", JobState::Waiting { until: 1_010 }),
        ("later", JobState::Waiting { until: 1_020 }),
    ];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    assert_eq!((first.as_str(), names(&mut receiver)), ("urgent", vec!["first".to_owned()]));
    time.store(1_010, Ordering::Relaxed);
    assert_eq!(names(&mut receiver), ["delayed"]);
    time.store(5_000, Ordering::Relaxed);
    assert_eq!(names(&mut receiver), ["later"]);
}

#[test]
fn a_job_waits_for_others_and_falls_with_them() {
    let (queue, mut receiver, _) = memory();
    let first = enqueue(&queue, job("first")).expect("enqueued");
    let second = enqueue(&queue, NewJob { after: vec![first.clone(), first.clone()], ..job("second") });
    let third = enqueue(&queue, NewJob { after: vec![second.clone().expect("enqueued")], ..job("third") });
    third.expect("enqueued");
    assert_eq!(names(&mut receiver), ["first"]);
    queue.finish(&first, true);
    assert_eq!(names(&mut receiver), ["second"]);
    queue.finish(&second.expect("enqueued"), false);
    assert!(names(&mut receiver).is_empty(), "it fell with the job before");
    // A job that is over is not waited for.
    enqueue(&queue, NewJob { after: vec![first], ..job("fourth") }).expect("enqueued");
    assert_eq!(names(&mut receiver), ["fourth"]);
    let refused = enqueue(&queue, NewJob { after: vec!["job-99".to_owned()], ..job("fifth") });
    assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::NotFound));
}

#[test]
fn a_key_is_unique_as_long_as_its_job_is_not_over() {
    let (queue, _receiver, _) = memory();
    let keyed = || NewJob { key: Some("k".to_owned()), ..job("resize") };
    let id = enqueue(&queue, keyed()).expect("enqueued");
    assert_eq!(enqueue(&queue, keyed()), Ok(id.clone()));
    assert_ne!(enqueue(&queue, NewJob { key: Some("k".to_owned()), ..job("other") }), Ok(id.clone()));
    let refused = enqueue(&queue, NewJob { input: "1".to_owned(), ..keyed() });
    assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::Conflict));
    queue.finish(&id, true);
    assert_ne!(enqueue(&queue, keyed()), Ok(id));
}

#[test]
fn jobs_are_cancelled_by_their_own_component() {
    let (queue, mut receiver, _) = memory();
    let waiting = enqueue(&queue, job("waiting")).expect("enqueued");
    assert_eq!(cancel(&queue, "other", &waiting), Err(ErrorCode::NotFound));
    assert_eq!(cancel(&queue, "shop", &waiting), Ok(()));
    assert_eq!(cancel(&queue, "shop", &waiting), Err(ErrorCode::Conflict));
    assert_eq!(cancel(&queue, "shop", "job-99"), Err(ErrorCode::NotFound));
    let running = enqueue(&queue, job("running")).expect("enqueued");
    assert_eq!(names(&mut receiver), ["running"]);
    assert_eq!(cancel(&queue, "shop", &running), Ok(()));
    queue.finish(&running, false);
    assert_eq!(cancel(&queue, "shop", &running), Err(ErrorCode::Conflict));
}

#[tokio::test]
async fn a_job_is_run_again_when_it_is_due_or_woken() {
    let (queue, mut receiver, time) = memory();
    let flaky = NewJob { concurrency_key: Some("user 7".to_owned()), ..job("flaky") };
    let id = enqueue(&queue, flaky).expect("enqueued");
    let first = receiver.next().await;
    assert_eq!(first.concurrency_key.as_deref(), Some("user 7"));
    assert_eq!((first.id.as_str(), first.attempt, first.enqueued_at), (id.as_str(), 1, 1_000));
    let message = first.message().expect("the input is JSON");
    assert_eq!((message.id, message.input, message.attempt), (id.clone(), json!({}), 1));
    queue.run_again(&id, 2, 2_000);
    assert!(receiver.try_next().is_none());
    time.store(2_000, Ordering::Relaxed);
    let second = receiver.next().await;
    assert_eq!(second.attempt, 2);
    assert_ne!(second.running.id(), first.running.id());
    queue.run_again(&id, 2, u64::MAX);
    queue.wake(&id);
    assert_eq!(receiver.next().await.attempt, 2);
    let waiting = tokio::spawn(async move { receiver.next().await.name });
    tokio::task::yield_now().await;
    enqueue(&queue, job("late")).expect("enqueued");
    assert_eq!(waiting.await.expect("it has not panicked"), "late");
}

#[test]
fn the_queue_in_memory_is_bounded() {
    let (queue, _receiver, _) = memory();
    let large = NewJob { input: format!("\"{}\"", "a".repeat(1 << 20)), ..job("large") };
    let refused = (0..100).find_map(|_| enqueue(&queue, large.clone()).err()).expect("it is full");
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    let (queue, _receiver, _) = memory();
    let enqueued = (0..10_001).take_while(|_| enqueue(&queue, job("small")).is_ok()).count();
    assert_eq!(enqueued, 10_000);
}

#[test]
fn a_job_with_a_given_id_is_there_once() {
    let (queue, mut receiver, _) = memory();
    let once = |id: &str, job| queue.enqueue_once(origin("shop"), id.to_owned(), job).now_or_never().expect("at once");
    assert_eq!(once("given", job("mail")), Ok("given".to_owned()));
    assert_eq!(once("given", job("mail")), Ok("given".to_owned()));
    let after = NewJob { after: vec!["given".to_owned()], ..job("after") };
    once("later", after).expect("it waits for the other");
    let first = receiver.try_next().expect("it is due");
    assert_eq!((first.id.as_str(), receiver.try_next().is_none()), ("given", true));
    queue.finish("given", true);
    assert_eq!(once("given", job("mail")), Ok("given".to_owned()));
    let second = receiver.try_next().expect("the other is done");
    assert_eq!((second.id.as_str(), receiver.try_next().is_none()), ("later", true));
}

#[test]
fn each_attempt_of_a_turn_enqueues_the_same_job_once_and_others_beside_it() {
    let (queue, mut receiver) = MemoryQueue::new(Clock::system());
    let queue: Arc<dyn JobQueue> = Arc::new(queue);
    let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
    let attempt = || {
        let mut context = context(Arc::clone(&queue), JobsGrant::default()).in_turn(Some(journal.attempt()));
        let mut enqueue = |request: EnqueueRequest| {
            let mut job = context.check(request).expect("it is within the bounds");
            let call = context.turn_call(&mut job).expect("it is in a turn");
            let own = job.key.as_deref() == Some(call.key());
            (own, reply(context.submit(job)).expect("it is enqueued"))
        };
        let keyed = EnqueueRequest { key: Some("own".to_owned()), ..request("resize") };
        [enqueue(request("resize")), enqueue(request("resize")), enqueue(keyed)]
    };
    let first = attempt();
    assert_eq!(attempt(), first);
    assert_eq!(first.each_ref().map(|(has_key_of_turn, _)| *has_key_of_turn), [true, true, false]);
    let ids: Vec<String> = std::iter::from_fn(|| receiver.try_next()).map(|job| job.id).collect();
    assert_eq!(ids, first.map(|(_, id)| id));
}

#[test]
fn a_job_that_is_over_is_run_again_under_its_id() {
    let (queue, mut receiver, _) = memory();
    let id = enqueue(&queue, NewJob { key: Some("k".to_owned()), ..job("resize") }).expect("enqueued");
    let over = receiver.try_next().expect("it is due");
    assert_eq!(queue.retry(over.clone()).map_err(|error| error.code), Err(ErrorCode::Conflict), "it runs");
    queue.run_again(&id, 2, 0);
    assert_eq!(receiver.try_next().expect("it is due").attempt, 2);
    queue.finish(&id, false);
    for _ in 0..2 {
        assert_eq!(queue.retry(over.clone()), Ok(()));
        assert_eq!(queue.list()[0].key.as_deref(), Some("k"));
        let again = receiver.try_next().expect("it is due");
        assert_eq!((again.id.as_str(), again.attempt), (id.as_str(), 1));
        queue.finish(&id, false);
    }
    enqueue(&queue, NewJob { key: Some("k".to_owned()), ..job("resize") }).expect("the key is free");
    assert_eq!(queue.retry(over).map_err(|error| error.code), Err(ErrorCode::Conflict), "its key is another's");
}
