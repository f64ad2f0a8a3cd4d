//! Events and ticks that are for service workers: the runner says so, and treats what becomes of them as of others.

use super::*;
use elias_api::{JobTrigger, QueueId};

fn triggers() -> Value {
    json!({
        "schedule": [{ "name": "nightly", "cron": "@daily", "worker": { "class": "Report", "name": "nightly" } }],
        "event": [
            {
                "name": "carts", "type": "cart.*", "worker": { "class": "Cart", "name": "{subject}" },
                "retry": { "attempts": 2, "first": "100ms", "jitter": false }, "order": "subject",
            },
            { "name": "all", "type": "cart.*" },
        ],
        "jobs": { "carts": {} },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_for_a_worker_says_so_and_is_retried_and_dead_as_others() {
    let handler: Handler = Box::new(|run| {
        let is_own = run.worker.as_ref().is_some_and(|worker| worker.class == "Cart");
        let subject = attribute(&run.message, "subject");
        // The job is the message's id: the same at each attempt.
        let ending = match (is_own, subject.as_str(), run.record.attempt) {
            (true, "never", _) | (true, _, 1) => AttemptResult::Failed("worker-failed: not now".to_owned()),
            (true, ..) if run.journal.is_some() || run.cause.hops != 1 => AttemptResult::Rejected("wrong".to_owned()),
            _ => AttemptResult::Returned("null".to_owned()),
        };
        async move { ending }.boxed()
    });
    let bench = bench(triggers(), handler).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    for (number, subject) in [(1, "a"), (2, "never")] {
        runner.publish(&shop().tenant, event("cart.add", subject, number), None).await.expect("published");
    }
    until("all are over", async || bench.ran().len() >= 6 && bench.unfinished().await == 0).await;
    let ran = bench.ran();
    let attempts = |subject: &str| {
        let of_subject = ran.iter().filter(|(.., message)| attribute(message, "subject") == subject);
        let mut attempts: Vec<u32> = of_subject.map(|(_, attempt, _)| *attempt).collect();
        attempts.sort_unstable();
        attempts
    };
    assert_eq!((attempts("a"), attempts("never")), (vec![1, 1, 2], vec![1, 1, 2]), "the handler `event` got each once");
    let dead = bench.jobs(JobState::Dead).await;
    assert_eq!((dead.len(), dead[0].queue.name.as_str()), (1, "carts"));
    assert_eq!(dead[0].error.as_deref(), Some("attempts-used-up: worker-failed: not now"));
}

#[tokio::test]
async fn a_worker_is_found_by_the_trigger_and_its_name() {
    let bench = bench(triggers(), returns()).await;
    let served = bench.services.find(&shop()).expect("it is served");
    let class = |trigger, name: &str| {
        let ServiceId { component, environment, .. } = shop();
        let queue = QueueId { component, environment, trigger, name: name.to_owned() };
        served.worker(&queue).map(|worker| worker.class.clone())
    };
    assert_eq!(class(JobTrigger::Schedule, "nightly").as_deref(), Some("Report"));
    assert_eq!(class(JobTrigger::Event, "carts").as_deref(), Some("Cart"));
    for (trigger, name) in [
        (JobTrigger::Event, "all"),
        (JobTrigger::Event, "nightly"),
        (JobTrigger::Job, "carts"),
        (JobTrigger::Webhook, "carts"),
    ] {
        assert_eq!(class(trigger, name), None, "{trigger:?} {name}");
    }
}
