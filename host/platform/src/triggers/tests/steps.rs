//! Journals on a real store: what a run did is there for the next.

use super::super::backends::StoredJournal;
use super::super::run::RunClock;
use super::super::waits;
use super::*;
use elias_capabilities::workflow::{BeginAnswer, EventWait, Journal, SleepAnswer, WaitAnswer};
use elias_store::{ClaimedJob, JobEnd, JobOutcome};

/// Claims the one job that is ready, and opens its journal.
async fn claim(bench: &Bench, runner: &Arc<Runner>) -> (ClaimedJob, StoredJournal) {
    let mut scope = bench.store.queue_write().await.expect("a scope");
    let ready = scope.ready_queues().await.expect("a list").remove(0);
    let shares = [ready.share(1)];
    let job = scope.claim_jobs(&runner.owner, 30_000, &shares).await.expect("claimed").remove(0);
    let now = scope.now().await.expect("the time");
    scope.commit().await.expect("committed");
    let journal = StoredJournal::open(runner, &job, RunClock::new(now)).await.expect("it opens");
    (job, journal)
}

async fn finish(bench: &Bench, runner: &Runner, job: &ClaimedJob, outcome: JobOutcome) {
    let mut scope = bench.store.queue_write().await.expect("a scope");
    let ends = [JobEnd { lease: job.lease.clone(), outcome, keep_ms: 60_000 }];
    assert!(scope.finish_jobs(&runner.owner, &ends).await.expect("finished").late.is_empty());
    scope.commit().await.expect("committed");
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_steps_are_answered_from_the_journal_after_a_crash() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    enqueue(&runner, "order", &json!({})).await;
    let (job, journal) = claim(&bench, &runner).await;
    assert_eq!(journal.begin(0, text("charge"), text("h")).await, Ok(BeginAnswer::Run));
    assert_eq!(journal.begin(1, text("mail"), text("h")).await, Ok(BeginAnswer::Run));
    journal.finish(1, text("{\"value\":2}")).await.expect("recorded");
    // The longest name that the capability lets through.
    assert_eq!(journal.begin(2, "a".repeat(256), text("h")).await, Ok(BeginAnswer::Run));
    finish(&bench, &runner, &job, JobOutcome::Released).await;

    let (_, journal) = claim(&bench, &runner).await;
    assert_eq!(journal.begin(0, text("charge"), text("h")).await, Ok(BeginAnswer::Run), "it was not finished");
    assert_eq!(journal.begin(1, text("mail"), text("h")).await, Ok(BeginAnswer::Recorded(text("{\"value\":2}"))));
    let error = journal.finish(5, text("{}")).await.expect_err("it was not begun");
    assert_eq!(error.code, elias_capabilities::workflow::ErrorCode::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_step_than_the_journal_has_is_refused_and_so_is_a_late_write() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    enqueue(&runner, "order", &json!({})).await;
    let (job, first) = claim(&bench, &runner).await;
    first.begin(0, text("charge"), text("h")).await.expect("it is begun");
    first.begin(1, text("mail"), text("h")).await.expect("it is begun");
    first.finish(0, text("{}")).await.expect("recorded");
    finish(&bench, &runner, &job, JobOutcome::Released).await;
    let (_, second) = claim(&bench, &runner).await;
    let error = second.begin(0, text("ship"), text("h")).await.expect_err("another step");
    assert_eq!(error.code, elias_capabilities::workflow::ErrorCode::NondeterministicStep);
    assert!(error.message.contains("charge") && error.message.contains("ship"), "{}", error.message);
    let error = first.finish(1, text("{}")).await.expect_err("its lease has ended");
    assert_eq!(error.code, elias_capabilities::workflow::ErrorCode::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_an_event_goes_on_when_it_comes() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    let wait = || EventWait {
        event_type: text("order.paid"),
        filter: text("{\"subject\":\"s1\"}"),
        timeout: Some(Duration::from_secs(3_600)),
    };
    enqueue(&runner, "order", &json!({})).await;
    runner.publish(&shop().tenant, event("order.paid", "s1", 1), None).await.expect("published");
    let (job, journal) = claim(&bench, &runner).await;
    assert_eq!(journal.sleep(0, text("a day"), Duration::from_secs(86_400)).await, Ok(SleepAnswer::Wait));
    assert_eq!(journal.wait_for(1, text("paid"), wait()).await, Ok(WaitAnswer::Wait), "that came before");
    let (until, waits_for) = journal.suspension().expect("it waits");
    assert!(until.is_some_and(|until| until < now_ms() + 3_700_000), "the earlier of the two");
    let version = Some(4);
    // What comes before the job is put aside is not missed.
    runner.publish(&shop().tenant, event("order.paid", "s1", 2), None).await.expect("published");
    finish(&bench, &runner, &job, JobOutcome::Suspended { until, wait: waits_for, version }).await;
    waits::wake(&runner).await.expect("it looks");

    let (again, journal) = claim(&bench, &runner).await;
    assert_eq!((again.attempt, again.version), (job.attempt, version), "a wait is no attempt");
    assert_eq!(journal.sleep(0, text("a day"), Duration::from_secs(86_400)).await, Ok(SleepAnswer::Wait));
    match journal.wait_for(1, text("paid"), wait()).await {
        Ok(WaitAnswer::Happened(event)) => assert!(event.contains("\"id\":\"0002\""), "{event}"),
        other => panic!("{other:?}"),
    }
    let error = journal.wait_for(2, text("bad"), EventWait { event_type: text("a..b"), ..wait() }).await;
    assert_eq!(error.map_err(|error| error.code), Err(elias_capabilities::workflow::ErrorCode::Invalid));
}
