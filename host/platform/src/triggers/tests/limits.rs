//! Limits that hosts of one store keep together.

use super::super::queue::round;
use super::*;
use std::collections::HashMap;

/// Of each concurrency key: how many runs there are now, and the most that there were at a time.
type RunsByKey = Arc<Mutex<HashMap<String, (u32, u32)>>>;

/// A handler that takes some time, and how many of each concurrency key ran at a time.
fn slow() -> (Handler, RunsByKey) {
    let seen = RunsByKey::default();
    let active = Arc::clone(&seen);
    let handler: Handler = Box::new(move |run| {
        let active = Arc::clone(&active);
        async move {
            let Message::Job(job) = &run.message else { return AttemptResult::Failed("not a job".to_owned()) };
            let key = job.input.as_str().unwrap_or_default().to_owned();
            {
                let mut all = active.lock();
                let now = all.entry(key.clone()).or_default();
                now.0 += 1;
                now.1 = now.1.max(now.0);
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
            if let Some(now) = active.lock().get_mut(&key) {
                now.0 -= 1;
            }
            AttemptResult::Returned("null".to_owned())
        }
        .boxed()
    });
    (handler, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_concurrency_key_run_one_after_another_on_all_hosts() {
    let (handler, seen) = slow();
    let bench = bench(json!({ "jobs": { "resize": { "concurrency": 20, "key-concurrency": 1 } } }), handler).await;
    let runners = [bench.runner("one"), bench.runner("two")];
    for number in 0..30 {
        let key = ["a", "b", "c"][number % 3];
        let concurrency_key = Some(key.to_owned());
        let request = JobRequest { concurrency_key, ..request("resize", &json!(key)) };
        runners[0].enqueue_request(request).await.expect("enqueued");
    }
    runners.iter().for_each(Runner::start);
    until("all are done", async || bench.unfinished().await == 0).await;
    let most: Vec<u32> = ["a", "b", "c"].iter().map(|key| seen.lock()[*key].1).collect();
    assert_eq!(most, [1, 1, 1]);
    assert_eq!(bench.ran().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_holds_over_all_hosts() {
    let (handler, seen) = slow();
    let bench = bench(json!({ "jobs": { "resize": { "concurrency": 2 } } }), handler).await;
    let runners = [bench.runner("one"), bench.runner("two"), bench.runner("three")];
    for _ in 0..30 {
        enqueue(&runners[0], "resize", &json!("a")).await;
    }
    runners.iter().for_each(Runner::start);
    until("all are done", async || bench.unfinished().await == 0).await;
    assert_eq!((seen.lock()["a"].1, bench.ran().len()), (2, 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_over_all_hosts() {
    let bench = bench(json!({ "jobs": { "mail": { "rate": "10/h" } } }), returns()).await;
    let runners = [bench.runner("one"), bench.runner("two")];
    for number in 0..15 {
        enqueue(&runners[0], "mail", &json!(number)).await;
    }
    enqueue(&runners[0], "other", &json!({})).await;
    runners.iter().for_each(Runner::start);
    until("an hour's starts are used up", async || bench.ran().len() == 11).await;
    for runner in &runners {
        while round(runner).await.expect("it looks") {}
    }
    assert_eq!(bench.ran().len(), 11, "ten of the rate, and one of another name");
    let left = bench.jobs(JobState::Ready).await;
    assert!(left.len() == 5 && left.iter().all(|job| job.attempt == 0), "{left:?}");
}
