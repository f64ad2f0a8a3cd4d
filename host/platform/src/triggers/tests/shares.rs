//! What a tenant leaves for others of the slots of a host, however much slow work it has.

use super::*;
use crate::triggers::outbox::DRAINS_MAX;
use elias_capabilities::outbox::OutboxRelay;

/// Three quarters of the slots of a runner in these tests.
const SHARE: usize = 15;

fn other() -> ServiceId {
    ServiceId { tenant: "other".parse().expect("a name"), ..shop() }
}

/// The second tenant.
async fn create_other(bench: &Bench) {
    let mut scope = bench.store.write(&other().tenant).await.expect("a scope");
    scope.create_tenant(&TenantSettings::default(), &Actor::host()).await.expect("made");
    registration::register(&mut scope, &other(), &bench.settings).await.expect("registered");
    scope.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_many_slow_jobs_leaves_slots_for_another_tenants() {
    let handler: Handler = Box::new(|mut run| {
        async move {
            if run.service.tenant == shop().tenant {
                drop(run.cancelled.wait_for(|is_cancelled| *is_cancelled).await);
            }
            AttemptResult::Returned("null".to_owned())
        }
        .boxed()
    });
    let bench = bench(json!({ "jobs": { "slow": { "concurrency": 100 } } }), handler).await;
    create_other(&bench).await;
    let runner = bench.runner("one");
    for number in 0..40 {
        enqueue(&runner, "slow", &json!(number)).await;
    }
    runner.start();
    until("it has its share", async || bench.ran().len() == SHARE).await;
    let request = JobRequest { service: other(), ..request("slow", &json!(0)) };
    let (id, _) = runner.enqueue_request(request).await.expect("enqueued");
    until("the other's runs", async || bench.ran().iter().any(|(ran, ..)| *ran == id)).await;
    assert_eq!(bench.ran().len(), SHARE + 1, "the first tenant has no more than its share");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_many_slow_webhooks_leaves_slots_for_another_tenants() {
    let webhook = json!({
        "name": "partner", "type": "order.*", "url": "https://example.com", "secret": "A", "concurrency": 100,
    });
    let bench = bench(json!({ "webhook": [webhook] }), returns()).await;
    *bench.services.slow.lock() = Some(shop().tenant);
    bench.register().await;
    create_other(&bench).await;
    let runner = bench.runner("one");
    runner.start();
    for number in 0..40 {
        runner.publish(&shop().tenant, event("order.paid", "fine", number), None).await.expect("published");
    }
    until("it has its share", async || bench.services.sent.lock().len() == SHARE).await;
    runner.publish(&other().tenant, event("order.paid", "fine", 9_999), None).await.expect("published");
    let is_sent = async || bench.services.sent.lock().iter().any(|(id, ..)| id == "9999");
    until("the other's is sent", is_sent).await;
    assert_eq!(bench.services.sent.lock().len(), SHARE + 1, "the first tenant has no more than its share");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_many_slow_outboxes_leaves_drains_for_another_tenants() {
    let bench = bench(json!({}), returns()).await;
    *bench.services.slow.lock() = Some(shop().tenant);
    let backends = TriggerBackends::of(bench.runner("one"));
    for number in 0..40 {
        backends.committed(&format!("acme/shop-{number}/production"));
    }
    let share = usize::try_from(DRAINS_MAX * 3 / 4).expect("a small number");
    until("it has its share", async || bench.services.drained.lock().len() == share).await;
    backends.committed(&other().to_string());
    until("the other's is drained", async || bench.services.drained.lock().contains(&other())).await;
    assert_eq!(bench.services.drained.lock().len(), share + 1, "the first tenant has no more than its share");
}
