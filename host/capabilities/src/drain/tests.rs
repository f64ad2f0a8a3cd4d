//! Tests of handing rows over, on SQLite.

use super::*;
use crate::db::ConsoleQuery;
use crate::events::MemoryLog;
use crate::jobs::{self, JobReceiver, MemoryQueue, NewJob};
use crate::trigger::{Clock, Origin};
use elias_host::capability::{Capability, ComponentInfo};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

thread_local! {
    /// Bytes of the bodies that this thread has read.
    static READ: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn note_read(bytes: usize) {
    READ.set(READ.get() + bytes);
}

/// Everything was handed over, and nothing refused.
fn all() -> DrainOutcome {
    DrainOutcome { is_empty: true, ..DrainOutcome::default() }
}

async fn database(folder: &std::path::Path) -> Database {
    let db = Db::new(folder.join("data"));
    let info = ComponentInfo {
        name: "shop".to_owned(),
        version: "1".to_owned(),
        digest: "0".to_owned(),
        folder: folder.to_owned(),
    };
    db.configure(&info, Some(&json!({}))).await.expect("it opens")
}

/// Runs a statement as a user of the database.
async fn run(database: &Database, sql: &str, parameters: &[Value]) -> Vec<Vec<Value>> {
    let deadline = Duration::from_secs(30);
    let query = ConsoleQuery { sql: Some(sql), parameters, write: true, rows: 100, bytes: 1 << 20, deadline };
    database.console(&query).await.expect("it runs").rows
}

const CREATE: &str = "CREATE TABLE elias_outbox (id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)";

async fn insert(database: &Database, id: &str, kind: &str, body: &Value) {
    let values = [json!(id), json!(kind), json!(body.to_string())];
    run(database, "INSERT INTO elias_outbox VALUES ($1, $2, $3)", &values).await;
}

async fn grants(jobs: Value, events: Value) -> Arc<Grants> {
    let (queue, log) = (MemoryQueue::new(Clock::system()).0, MemoryLog::new(Clock::system()).0);
    let folder = std::path::PathBuf::new();
    let (name, version, digest) = ("shop".to_owned(), "1".to_owned(), "0".to_owned());
    let info = ComponentInfo { name, version, digest, folder };
    let jobs = Jobs::new(Arc::new(queue)).configure(&info, Some(&jobs)).await.expect("a grant");
    let events = Events::new(Arc::new(log)).configure(&info, Some(&events)).await.expect("a grant");
    Arc::new(Grants { jobs: Some(Arc::new(jobs)), events: Some(Arc::new(events)) })
}

/// A queue and a log whose jobs and events nobody reads.
fn unread() -> (Arc<dyn JobQueue>, Arc<dyn EventLog>) {
    (Arc::new(MemoryQueue::new(Clock::system()).0), Arc::new(MemoryLog::new(Clock::system()).0))
}

fn names(receiver: &mut JobReceiver) -> Vec<(String, String)> {
    std::iter::from_fn(|| receiver.try_next()).map(|job| (job.id, job.name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_handed_over_once_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, mut jobs) = MemoryQueue::new(Clock::system());
    let (log, mut events) = MemoryLog::new(Clock::system());
    let (queue, log): (Arc<dyn JobQueue>, Arc<dyn EventLog>) = (Arc::new(queue), Arc::new(log));
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    // The table is not created yet.
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), all());
    run(&database, CREATE, &[]).await;
    let job = |name: &str| json!({ "name": name, "input": "{\"n\":1}" });
    insert(&database, "2", "job", &json!({ "name": "second", "input": "1", "after": ["1"] })).await;
    insert(&database, "1", "job", &job("first")).await;
    insert(&database, "3", "event", &json!({ "type": "order.paid", "data": "{}", "hops": 3 })).await;
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), all());
    assert_eq!(names(&mut jobs), [("1".to_owned(), "first".to_owned())]);
    let event = events.try_next().expect("it is published");
    assert_eq!((event.id.as_str(), event.origin.cause.hops, event.origin.component.as_str()), ("3", 3, "shop"));
    assert!(run(&database, "SELECT id FROM elias_outbox", &[]).await.is_empty());
    // A host that died before it deleted them.
    insert(&database, "1", "job", &job("first")).await;
    insert(&database, "3", "event", &json!({ "type": "order.paid", "data": "{}" })).await;
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), all());
    assert!(jobs.try_next().is_none() && events.try_next().is_none());
}

/// A queue with no room for jobs with the name `first`, while it is full.
struct LimitedQueue {
    queue: MemoryQueue,
    is_full: AtomicBool,
}

impl JobQueue for LimitedQueue {
    fn enqueue(&self, origin: Arc<Origin>, job: NewJob) -> BoxFuture<'static, Result<String, jobs::Error>> {
        self.queue.enqueue(origin, job)
    }

    fn enqueue_once(
        &self,
        origin: Arc<Origin>,
        id: String,
        job: NewJob,
    ) -> BoxFuture<'static, Result<String, jobs::Error>> {
        if job.name == "first" && self.is_full.load(Ordering::Relaxed) {
            let full = jobs::Error::new(jobs::ErrorCode::QuotaExceeded, "it is full");
            return async move { Err(full) }.boxed();
        }
        self.queue.enqueue_once(origin, id, job)
    }

    fn cancel(&self, origin: Arc<Origin>, id: String) -> BoxFuture<'static, Result<(), jobs::Error>> {
        self.queue.cancel(origin, id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_after_one_that_waits_is_not_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, mut jobs) = MemoryQueue::new(Clock::system());
    let limited = Arc::new(LimitedQueue { queue, is_full: AtomicBool::new(true) });
    let (queue, log): (Arc<dyn JobQueue>, Arc<dyn EventLog>) =
        (Arc::clone(&limited) as _, Arc::new(MemoryLog::new(Clock::system()).0));
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    run(&database, CREATE, &[]).await;
    insert(&database, "1", "job", &json!({ "name": "first", "input": "1" })).await;
    insert(&database, "2", "job", &json!({ "name": "second", "input": "1", "after": ["1"] })).await;
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), DrainOutcome::default());
    assert_eq!(run(&database, "SELECT id FROM elias_outbox", &[]).await.len(), 2);
    limited.is_full.store(false, Ordering::Relaxed);
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), all());
    assert_eq!(names(&mut jobs), [("1".to_owned(), "first".to_owned())]);
    assert!(run(&database, "SELECT id FROM elias_outbox", &[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_component_could_not_have_sent_are_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, mut jobs) = MemoryQueue::new(Clock::system());
    let (log, mut events) = MemoryLog::new(Clock::system());
    let (queue, log): (Arc<dyn JobQueue>, Arc<dyn EventLog>) = (Arc::new(queue), Arc::new(log));
    let grants = grants(json!({ "payload-bytes": 10 }), json!({ "types": ["order.*"] })).await;
    run(&database, CREATE, &[]).await;
    for (at, (kind, body)) in [
        ("job", json!({ "name": "", "input": "1" })),
        ("job", json!({ "name": "a", "input": "1".repeat(11) })),
        ("job", json!({ "name": "a", "input": "{" })),
        ("job", json!({ "name": "a", "input": "1", "target": "other" })),
        ("job", json!({ "name": "a", "input": "1", "component": "other" })),
        ("job", json!({ "name": "a", "input": "1", "after": ["no such job"] })),
        ("job", json!({ "name": "a" })),
        ("job", json!(7)),
        ("event", json!({ "type": "user.created", "data": "1" })),
        ("event", json!({ "type": "order.", "data": "1" })),
        ("event", json!({ "type": "order.paid", "data": "nul" })),
        ("other", json!({ "name": "a", "input": "1" })),
    ]
    .into_iter()
    .enumerate()
    {
        insert(&database, &format!("bad{at}"), kind, &body).await;
    }
    insert(&database, "it's bad", "job", &json!({ "name": "a", "input": "1" })).await;
    let drained = hand_over(&database, &grants, &queue, &log).await.expect("handed over");
    assert!(jobs.try_next().is_none() && events.try_next().is_none());
    assert!(drained.is_empty && drained.refused == 13, "{drained:?}");
    let told = |id: &str, reason: &str| {
        drained.refusals.iter().any(|text| text.starts_with(&format!("row {id}: ")) && text.contains(reason))
    };
    assert!(told("bad8", "was granted (types)") && told("bad11", "neither job nor event"), "{drained:?}");
    assert!(told("it\\'s bad", "not one that the host gives"), "{drained:?}");
    // A component without the capability has no jobs.
    insert(&database, "x", "job", &json!({ "name": "a", "input": "1" })).await;
    let none = Arc::new(Grants { jobs: None, events: None });
    let drained = hand_over(&database, &none, &queue, &log).await.expect("handed over");
    assert_eq!(drained.refusals, ["row x: the component has no such capability"]);
    assert!(jobs.try_next().is_none());
    assert_eq!(crate::outbox::traceparent(Some("00-;hops=0".to_owned())), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refused_rows_some_are_told_and_all_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, log) = unread();
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    run(&database, CREATE, &[]).await;
    for at in 0..60 {
        insert(&database, &format!("bad{at}"), "job", &json!({ "x".repeat(1_000): 1 })).await;
    }
    let drained = hand_over(&database, &grants, &queue, &log).await.expect("handed over");
    assert_eq!((drained.is_empty, drained.refused, drained.refusals.len()), (true, 60, 20));
    assert!(drained.refusals.iter().all(|text| text.len() < 400), "{drained:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_told_of_although_a_later_round_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, log) = unread();
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    run(&database, CREATE, &[]).await;
    for at in 100..150 {
        insert(&database, &format!("bad{at}"), "neither", &json!({})).await;
    }
    // The rows of the first round are gone when the second one begins, of which a row cannot be read.
    insert(&database, "zlast", "neither", &json!({})).await;
    run(&database, "UPDATE elias_outbox SET kind = x'00' WHERE id = 'zlast'", &[]).await;
    let drained = hand_over(&database, &grants, &queue, &log).await.expect("what was refused is told of");
    assert_eq!((drained.is_empty, drained.refused), (false, 50));
    hand_over(&database, &grants, &queue, &log).await.expect_err("and then why the rest is left");
}

/// The test's own thread polls the hand-over.
#[tokio::test(flavor = "multi_thread")]
async fn no_poll_parses_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, mut jobs) = MemoryQueue::new(Clock::system());
    let (queue, log): (Arc<dyn JobQueue>, Arc<dyn EventLog>) =
        (Arc::new(queue), Arc::new(MemoryLog::new(Clock::system()).0));
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    run(&database, CREATE, &[]).await;
    let input = format!("\"{}\"", "x".repeat(100_000));
    for at in 10..20 {
        insert(&database, &at.to_string(), "job", &json!({ "name": "large", "input": input })).await;
    }
    let before = READ.get();
    assert_eq!(hand_over(&database, &grants, &queue, &log).await.expect("handed over"), all());
    assert_eq!(READ.get(), before, "other threads read all of a megabyte");
    assert_eq!(names(&mut jobs).len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_host_did_not_make_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = database(folder.path()).await;
    let (queue, log) = unread();
    let grants = grants(json!({}), json!({ "types": ["order.*"] })).await;
    run(&database, "CREATE VIEW elias_outbox AS SELECT 'a' AS id, 'job' AS kind, '{}' AS body", &[]).await;
    let error = hand_over(&database, &grants, &queue, &log).await.expect_err("it would never be empty");
    assert_eq!(error.sqlstate.as_deref(), Some("42809"));
}
