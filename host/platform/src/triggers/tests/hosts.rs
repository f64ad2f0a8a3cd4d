//! Jobs whose host ends, or dies.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_host_that_died_are_run_by_another() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    let id = enqueue(&runner, "orphan", &json!({})).await;
    let mut scope = bench.store.queue_write().await.expect("a scope");
    let ready = scope.ready_queues().await.expect("a list").remove(0);
    let shares = [ready.share(1)];
    let claimed = scope.claim_jobs("dead-host", 1, &shares).await.expect("claimed");
    scope.commit().await.expect("committed");
    assert_eq!(claimed.len(), 1);
    runner.start();
    until("it is done", async || bench.unfinished().await == 0).await;
    assert_eq!(bench.ran().into_iter().map(|(job, attempt, _)| (job, attempt)).collect::<Vec<_>>(), [(id, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_its_hosts_is_dead_when_its_attempts_are_used_up() {
    let bench = bench(json!({ "jobs": { "once": { "retry": { "attempts": 1 } } } }), returns()).await;
    let runner = bench.runner("one");
    enqueue(&runner, "once", &json!({})).await;
    let mut scope = bench.store.queue_write().await.expect("a scope");
    let ready = scope.ready_queues().await.expect("a list").remove(0);
    let shares = [ready.share(1)];
    scope.claim_jobs("dead-host", 1, &shares).await.expect("claimed");
    scope.commit().await.expect("committed");
    runner.start();
    until("it is dead", async || bench.jobs(JobState::Dead).await.len() == 1).await;
    assert!(bench.ran().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_a_host_that_ends_gives_its_own_back() {
    let bench = bench(json!({}), runs_until_cancelled()).await;
    let runner = bench.runner("one");
    runner.start();
    let id = enqueue(&runner, "long", &json!({})).await;
    until("it runs", async || bench.ran().len() == 1).await;
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    scope.cancel_job(&id, "by hand", 60_000).await.expect("it is there");
    scope.commit().await.expect("committed");
    runner.cancel(&shop().tenant, &id);
    until("it is cancelled", async || bench.jobs(JobState::Cancelled).await.len() == 1).await;

    let id = enqueue(&runner, "long", &json!({})).await;
    until("another runs", async || bench.ran().len() == 2).await;
    runner.stop().await;
    let ready = bench.jobs(JobState::Ready).await.remove(0);
    assert_eq!((ready.id, ready.attempt), (id, 0), "its attempt does not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_gives_back_what_it_was_about_to_claim() {
    let bench = bench(json!({}), runs_until_cancelled()).await;
    let runner = bench.runner("one");
    runner.start();
    // What a round does, with the end of the host between the claim and the start of its job.
    let claiming = runner.claiming.lock().await;
    let id = enqueue(&runner, "late", &json!({})).await;
    let mut scope = bench.store.queue_write().await.expect("a scope");
    let ready = scope.ready_queues().await.expect("a list").remove(0);
    let shares = [ready.share(1)];
    let job = scope.claim_jobs("one", 30_000, &shares).await.expect("claimed").remove(0);
    scope.commit().await.expect("committed");
    let stopped = {
        let runner = Arc::clone(&runner);
        tokio::spawn(async move { runner.stop().await })
    };
    until("the host ends", async || runner.is_stopping()).await;
    runner.begin(job);
    drop(claiming);
    stopped.await.expect("no panic");
    until("it is given back", async || !bench.jobs(JobState::Ready).await.is_empty()).await;
    let ready = bench.jobs(JobState::Ready).await.remove(0);
    assert_eq!((ready.id, ready.attempt), (id, 0), "its attempt does not count");
}
