//! Events and their deliveries to subscriptions.

use super::*;
use std::collections::HashMap;

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_by_subject_and_each_once_with_two_hosts() {
    const EVENTS: u32 = 60;
    let active = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&active);
    let handler: Handler = Box::new(move |run| {
        let (active, subject) = (Arc::clone(&seen), attribute(&run.message, "subject"));
        async move {
            assert!(active.lock().insert(subject.clone()), "two of {subject} at a time");
            tokio::time::sleep(Duration::from_millis(3)).await;
            active.lock().remove(&subject);
            AttemptResult::Returned("null".to_owned())
        }
        .boxed()
    });
    let bench = bench(json!({ "event": [{ "type": "order.*", "order": "subject" }] }), handler).await;
    bench.register().await;
    let (one, other) = (bench.runner("one"), bench.runner("other"));
    one.start();
    other.start();
    let tenant: TenantId = shop().tenant;
    for number in 0..EVENTS {
        let event = event("order.paid", &format!("s{}", number % 3), number);
        one.publish(&tenant, event, None).await.expect("published");
    }
    one.publish(&tenant, event("user.created", "s0", 999), None).await.expect("published");
    until("all were delivered", async || bench.ran().len() >= EVENTS as usize && bench.unfinished().await == 0).await;
    assert!(bench.jobs(JobState::Dead).await.is_empty());
    let mut order: HashMap<String, Vec<String>> = HashMap::new();
    for (_, _, message) in bench.ran() {
        order.entry(attribute(&message, "subject")).or_default().push(attribute(&message, "id"));
    }
    for number in 0..3 {
        let wanted: Vec<_> = (0..EVENTS).filter(|one| one % 3 == number).map(|one| format!("{one:04}")).collect();
        assert_eq!(order[&format!("s{number}")], wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_transformed_is_a_dead_letter() {
    let subscription = json!({ "type": "order.paid", "name": "bills", "transform": ".data.number.none" });
    let bench = bench(json!({ "event": [subscription] }), returns()).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    runner.publish(&shop().tenant, event("order.paid", "s", 1), None).await.expect("published");
    until("it is a dead letter", async || bench.jobs(JobState::Dead).await.len() == 1).await;
    let dead = bench.jobs(JobState::Dead).await.remove(0);
    assert!(dead.queue.name == "bills" && dead.error.is_some_and(|error| error.starts_with("invalid: ")));
    assert!(bench.ran().is_empty());
}
