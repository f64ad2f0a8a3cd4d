//! The runner on PostgreSQL, where claims and ends are tasks side by side (where ELIAS_TEST_POSTGRES is set).

use super::*;

/// A database of its own on the server of the tests.
async fn bench_on_postgres(triggers: Value, handler: Handler) -> Option<Bench> {
    let (store, folder) = test_store::postgres()?;
    Some(bench_on(store, folder, triggers, handler).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_run_each_job_once_and_no_more_at_a_time_than_allowed() {
    const JOBS: usize = 60;
    let (handler, most) = counts_runs();
    let triggers = json!({ "jobs": { "slow": { "concurrency": 3 } } });
    let Some(bench) = bench_on_postgres(triggers, handler).await else { return };
    let runners = [bench.runner("one"), bench.runner("two")];
    runners.iter().for_each(Runner::start);
    for number in 0..JOBS {
        enqueue(&runners[number % 2], "slow", &json!(number)).await;
    }
    until("all are done", async || bench.unfinished().await == 0).await;
    let ran: HashSet<String> = bench.ran().into_iter().map(|(id, ..)| id).collect();
    assert_eq!((bench.ran().len(), ran.len()), (JOBS, JOBS));
    let most = most.load(Ordering::Relaxed);
    assert!((1..=3).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_jobs_that_ended_are_free_for_others() {
    // Five times the slots of the host.
    const JOBS: usize = 100;
    let triggers = json!({ "jobs": { "many": { "concurrency": 100 } } });
    let Some(bench) = bench_on_postgres(triggers, returns()).await else { return };
    let runner = bench.runner("one");
    for number in 0..JOBS {
        enqueue(&runner, "many", &json!(number)).await;
    }
    runner.start();
    until("all are done", async || bench.unfinished().await == 0).await;
    assert_eq!(bench.ran().len(), JOBS);
    until("their slots are free", async || runner.running_jobs().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_tells_others_of_jobs_that_it_does_not_take() {
    let triggers = json!({ "jobs": { "long": { "concurrency": 100 } } });
    let Some(bench) = bench_on_postgres(triggers, runs_until_cancelled()).await else { return };
    let mut hints = bench.store.hints().await.expect("it listens").expect("a store of several hosts");
    let runner = bench.runner("one");
    for number in 0..40 {
        enqueue(&runner, "long", &json!(number)).await;
    }
    runner.start();
    let hint = tokio::time::timeout(PATIENCE, hints.next()).await.expect("it has no slots for all");
    assert_eq!(hint.expect("a hint"), "one");
    runner.stop().await;
    until("all are given back", async || bench.jobs(JobState::Ready).await.len() == 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_gives_its_jobs_back() {
    let Some(bench) = bench_on_postgres(json!({}), runs_until_cancelled()).await else { return };
    let runner = bench.runner("one");
    runner.start();
    let id = enqueue(&runner, "long", &json!({})).await;
    until("it runs", async || bench.ran().len() == 1).await;
    runner.stop().await;
    until("it is given back", async || !bench.jobs(JobState::Ready).await.is_empty()).await;
    let ready = bench.jobs(JobState::Ready).await.remove(0);
    assert_eq!((ready.id, ready.attempt), (id, 0), "its attempt does not count");
}
