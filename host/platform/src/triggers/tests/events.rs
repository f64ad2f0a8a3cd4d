//! Events and their deliveries to subscriptions.

use super::*;
use elias_api::Code;
use futures::future::join_all;
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

#[tokio::test(flavor = "multi_thread")]
async fn events_of_many_requests_keep_their_order_and_each_request_its_own_error() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    let tenant = |name: &str| name.parse::<TenantId>().expect("a name");
    let (many, few, nobody) = (shop().tenant, tenant("few"), tenant("nobody"));
    let quotas = Quotas { events_per_day: 3, ..Quotas::default() };
    let mut scope = bench.store.write(&few).await.expect("a scope");
    scope.create_tenant(&TenantSettings { quotas, ..TenantSettings::default() }, &Actor::host()).await.expect("made");
    scope.commit().await.expect("committed");
    let events = |first: u32, count: u32| -> Vec<NewEvent> {
        (first..first + count).map(|number| event("order.paid", "s", number)).collect()
    };
    let requests = join_all((0..20).map(|request| runner.publish_all(&many, events(10 * request, 5))));
    let (published, over, within, missing) = tokio::join!(
        requests,
        runner.publish_all(&few, events(0, 4)),
        runner.publish_all(&few, events(10, 3)),
        runner.publish_all(&nobody, events(0, 1)),
    );
    assert_eq!(over.expect_err("more than a day has").code(), Code::QuotaExceeded);
    assert_eq!(within.expect("as many as a day has").len(), 3);
    assert_eq!(missing.expect_err("there is no such tenant").code(), Code::NotFound);
    let mut log = bench.store.read(&many).await.expect("a scope").events(0, 1_000).await.expect("a log");
    log.sort_by_key(|event| event.position);
    assert_eq!(log.len(), 100);
    for (request, published) in published.into_iter().enumerate() {
        let published = published.expect("nothing is wrong with it");
        let ids: Vec<_> = published.iter().map(|event| event.id.clone()).collect();
        assert_eq!(ids, (0..5).map(|number| format!("{:04}", 10 * request + number)).collect::<Vec<_>>());
        let first = log.iter().position(|event| event.id == ids[0]).expect("it is in the log");
        let placed = log[first..first + 5].iter().map(|event| (event.position, event.id.clone()));
        assert!(placed.eq(published.into_iter().map(|event| (event.position, event.id))), "one after the other");
    }
    // The same event at the same time is published once.
    let same = || vec![NewEvent { key: Some("key".to_owned()), ..event("order.paid", "s", 999) }];
    let (one, other) = tokio::join!(runner.publish_all(&many, same()), runner.publish_all(&many, same()));
    let both = [one.expect("published").remove(0), other.expect("published").remove(0)];
    assert_eq!(both.iter().filter(|event| event.is_known).count(), 1);
    assert_eq!(both[0].position, both[1].position);
}
