//! What outboxes hand over.

use super::*;
use elias_capabilities::outbox::OutboxRelay;

fn job(name: &str) -> NewJob {
    NewJob {
        name: name.to_owned(),
        input: "1".to_owned(),
        priority: None,
        start: StartTime::Now,
        key: None,
        concurrency_key: None,
        after: Vec::new(),
        target: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_outbox_hands_over_again_and_again_runs_once() {
    let bench = bench(json!({}), returns()).await;
    bench.services.outbox.lock().push(("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), job("mail")));
    let (one, other) = (bench.runner("one"), bench.runner("other"));
    one.start();
    other.start();
    let backends = [TriggerBackends::of(Arc::clone(&one)), TriggerBackends::of(Arc::clone(&other))];
    for _ in 0..20 {
        backends.iter().for_each(|backends| backends.committed(&shop().to_string()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("it has run", async || bench.ran().len() == 1 && bench.unfinished().await == 0).await;
    // Rows are handed over in their order: once the second has run, the first has been handed over again.
    let second = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
    bench.services.outbox.lock().push((second.to_owned(), job("mail")));
    backends[0].committed(&shop().to_string());
    let has_run = async || bench.ran().iter().any(|(id, ..)| id == second) && bench.unfinished().await == 0;
    until("the second has run", has_run).await;
    assert_eq!(bench.ran().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_was_remembered_is_drained_by_whoever_is_there() {
    let bench = bench(json!({}), returns()).await;
    // A host that died before it handed the job over.
    let dead = TriggerBackends::of(bench.runner("dead"));
    dead.remember(&shop().to_string()).await.expect("remembered");
    drop(dead);
    bench.services.outbox.lock().push(("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), job("mail")));
    let runner = bench.runner("one");
    runner.start();
    until("it has run", async || bench.ran().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_component_that_is_nowhere_is_refused() {
    let bench = bench(json!({}), returns()).await;
    let backends = TriggerBackends::of(bench.runner("one"));
    let job = NewJob { target: Some("gone".to_owned()), ..job("mail") };
    let refused = backends.enqueue_once(origin(0), "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), job).await;
    assert_eq!(refused.expect_err("the component does not exist").code, ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_an_id_of_an_outbox_is_published_once() {
    let bench = bench(json!({ "event": [{ "type": "**" }] }), returns()).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    let backends = TriggerBackends::of(Arc::clone(&runner));
    for delay in [0, 0, 50] {
        let event = elias_capabilities::events::NewEvent {
            event_type: "order.paid".to_owned(),
            data: "{}".to_owned(),
            subject: None,
            key: None,
            delay: Duration::from_millis(delay),
        };
        let id = backends.publish_once(origin(0), "given".to_owned(), event).await.expect("published");
        assert_eq!(id, "given");
    }
    until("it was delivered", async || bench.ran().len() == 1 && bench.unfinished().await == 0).await;
    let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
    let events = scope.events(0, 100).await.expect("a log");
    assert_eq!(events.iter().filter(|event| event.event_type == "order.paid").count(), 1, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_are_told_of_refused_rows_and_once_of_a_table_that_is_not_the_hosts() {
    let bench = bench(json!({}), returns()).await;
    let backends = TriggerBackends::of(bench.runner("one"));
    let foreign = || Err(elias_api::Error::new(elias_api::Code::Sql, "elias_outbox is a view"));
    let refused =
        DrainOutcome { is_empty: true, refused: 2, refusals: vec!["row a: no".to_owned(), "row b: no".to_owned()] };
    for drained in [foreign(), foreign(), Ok(refused), foreign(), Ok(DrainOutcome::default())] {
        bench.services.drains.lock().push_back(drained);
        backends.committed(&shop().to_string());
        until("it was drained", async || bench.services.drains.lock().is_empty()).await;
    }
    let wanted = [
        "nothing is handed over: elias_outbox is a view",
        "rows that were refused and deleted: 2\nrow a: no\nrow b: no",
        "nothing is handed over: elias_outbox is a view",
    ];
    until("all was recorded", async || *bench.services.recorded.lock() == wanted).await;
}
