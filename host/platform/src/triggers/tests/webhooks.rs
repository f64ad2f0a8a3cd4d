//! Webhooks on a real store, with a receiver that is a function.

use super::*;
use elias_api::JobTrigger;

impl Fake {
    /// What a receiver does by the subject of an event: `busy` the first time, `gone` each time.
    pub(super) fn receive(delivery: &WebhookDelivery) -> AttemptResult {
        let event: Value = serde_json::from_str(&delivery.event).expect("an event");
        match (event["subject"].as_str(), delivery.record.attempt) {
            (Some("gone"), _) => AttemptResult::Rejected("no more".to_owned()),
            (Some("busy"), 1) => {
                AttemptResult::RetryRequested { after: Some(Duration::from_millis(10)), reason: "later".to_owned() }
            }
            _ => AttemptResult::Returned("null".to_owned()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_event_until_it_takes_or_rejects_it() {
    let webhook = json!({
        "name": "partner", "type": "order.*", "transform": ".data.number", "url": "https://example.com", "secret": "A",
    });
    let bench = bench(json!({ "webhook": [webhook] }), returns()).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    for (number, subject) in [(1, "fine"), (2, "busy"), (3, "gone")] {
        runner.publish(&shop().tenant, event("order.paid", subject, number), None).await.expect("published");
    }
    runner.publish(&shop().tenant, event("user.created", "fine", 4), None).await.expect("published");
    until("all were sent", async || bench.services.sent.lock().len() == 4 && bench.unfinished().await == 0).await;
    let mut sent = bench.services.sent.lock().clone();
    sent.sort();
    let attempts: Vec<_> = sent.iter().map(|(id, attempt, _)| (id.as_str(), *attempt)).collect();
    assert_eq!(attempts, [("0001", 1), ("0002", 1), ("0002", 2), ("0003", 1)]);
    let body: Value = serde_json::from_str(&sent[0].2).expect("an event");
    assert_eq!((&body["specversion"], &body["id"], &body["data"]), (&json!("1.0"), &json!("0001"), &json!(1)));
    let dead = bench.jobs(JobState::Dead).await;
    assert_eq!((dead.len(), dead[0].queue.trigger, dead[0].queue.name.as_str()), (1, JobTrigger::Webhook, "partner"));
    assert_eq!(dead[0].error.as_deref(), Some("rejected: no more"));
    assert!(bench.jobs(JobState::Done).await.is_empty(), "what was delivered is forgotten");
    assert!(bench.ran().is_empty(), "no handler runs");
}
