//! What must neither be lost nor hold up others: jobs of components that are gone, poisoned events, loops, hosts that
//! stall, and configurations of later releases.

use super::super::deliver;
use super::super::queue::end_orphans;
use super::super::scheduler;
use super::*;
use elias_api::{JobTrigger, QueueId};
use elias_capabilities::events;
use elias_store::{NewSchedule, NewSubscription};
use elias_triggers::event::HOPS_MAX;
use tokio::sync::Notify;

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_component_that_is_gone_are_dead_and_say_why() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    enqueue(&runner, "work", &json!({})).await;
    let queue = QueueId {
        component: "gone".parse().expect("a name"),
        environment: Environment::Production,
        trigger: JobTrigger::Job,
        name: "work".to_owned(),
    };
    let job = elias_store::NewJob {
        id: ulid::Ulid::new().to_string(),
        queue,
        input: "null".to_owned(),
        priority: 0,
        hops: 0,
        head_start_ms: 0,
        start: JobStart::Now,
        key: None,
        order: None,
        concurrency_key: None,
        after: Vec::new(),
        cause: None,
        replayed_by: None,
        version: None,
    };
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    scope.enqueue_jobs(&[job], None).await.expect("enqueued");
    scope.commit().await.expect("committed");
    end_orphans(&runner).await.expect("it looks");
    let dead = bench.jobs(JobState::Dead).await;
    let errors: Vec<_> = dead.iter().map(|job| job.error.as_deref().unwrap_or_default()).collect();
    assert_eq!(errors, ["invalid: acme/gone/production is not deployed any more"]);
    assert_eq!(bench.jobs(JobState::Ready).await.len(), 1, "those of others are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_event_is_waited_for_by_its_subject_alone_and_at_last_is_a_dead_letter() {
    let handler: Handler = Box::new(|run| {
        let ending = match attribute(&run.message, "id").as_str() {
            "0000" => AttemptResult::Failed("Error: poisoned".to_owned()),
            _ => AttemptResult::Returned("null".to_owned()),
        };
        async move { ending }.boxed()
    });
    let retry = json!({ "attempts": 3, "first": "100ms", "jitter": false });
    let subscription = json!({ "type": "order.*", "name": "orders", "order": "subject", "retry": retry });
    let bench = bench(json!({ "event": [subscription] }), handler).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    for (number, subject) in [(0, "poisoned"), (1, "poisoned"), (2, "other")] {
        runner.publish(&shop().tenant, event("order.paid", subject, number), None).await.expect("published");
    }
    until("all were delivered", async || bench.ran().len() >= 5 && bench.unfinished().await == 0).await;
    let ran: Vec<_> = bench.ran().iter().map(|(_, _, message)| attribute(message, "id")).collect();
    let of_subject: Vec<_> = ran.iter().filter(|id| *id != "0002").collect();
    assert_eq!(of_subject, ["0000", "0000", "0000", "0001"]);
    let (last_poisoned, other) = (ran.iter().rposition(|id| id == "0000"), ran.iter().position(|id| id == "0002"));
    assert!(other.is_some() && other < last_poisoned, "another subject does not wait: {ran:?}");
    let dead = bench.jobs(JobState::Dead).await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].error.as_deref().is_some_and(|error| error.starts_with("attempts-used-up: Error: poisoned")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transformation_that_never_ends_makes_dead_letters_and_others_get_their_events() {
    let endless = json!({ "type": "order.paid", "name": "endless", "transform": "[range(1000000000)]" });
    let bench = bench(json!({ "event": [endless, { "type": "order.*", "name": "others" }] }), returns()).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    runner.publish(&shop().tenant, event("order.paid", "s", 1), None).await.expect("published");
    let over = async || bench.jobs(JobState::Dead).await.len() == 1 && bench.ran().len() == 1;
    until("one is a dead letter, and one was delivered", over).await;
    let dead = bench.jobs(JobState::Dead).await.remove(0);
    let error = dead.error.unwrap_or_default();
    assert!(dead.queue.name == "endless" && error.contains("needs more than"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_its_own_events_ends_with_the_hop_count() {
    let backends = TriggerBackends::new();
    let publisher = backends.clone();
    let handler: Handler = Box::new(move |run| {
        let publisher = publisher.clone();
        async move {
            let origin = Origin { component: run.service.to_string(), cause: run.cause, ..Origin::default() };
            let event = events::NewEvent {
                event_type: "order.paid".to_owned(),
                data: "{}".to_owned(),
                subject: None,
                key: None,
                delay: Duration::ZERO,
            };
            match publisher.publish(Arc::new(origin), event).await {
                Ok(_) => AttemptResult::Returned("null".to_owned()),
                Err(error) => AttemptResult::Rejected(error.message),
            }
        }
        .boxed()
    });
    let bench = bench(json!({ "event": [{ "type": "order.paid" }] }), handler).await;
    bench.register().await;
    let runner = bench.runner("one");
    backends.bind(Arc::clone(&runner));
    runner.start();
    runner.publish(&shop().tenant, event("order.paid", "s", 1), None).await.expect("published");
    until("the loop has ended", async || bench.jobs(JobState::Dead).await.len() == 1).await;
    assert_eq!(bench.ran().len(), usize::from(HOPS_MAX) + 1);
    let error = bench.jobs(JobState::Dead).await.remove(0).error.unwrap_or_default();
    assert!(error.starts_with("rejected: too-many-hops: "), "{error}");
    assert_eq!(bench.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_says_that_stalled_longer_than_its_lease_is_refused() {
    let goes_on = Arc::new(Notify::new());
    let stalled = Arc::clone(&goes_on);
    let handler: Handler = Box::new(move |run| {
        let (stalled, attempt) = (Arc::clone(&stalled), run.record.attempt);
        async move {
            if attempt == 1 {
                stalled.notified().await;
            }
            AttemptResult::Returned(attempt.to_string())
        }
        .boxed()
    });
    let bench = bench(json!({}), handler).await;
    let (one, other) = (bench.runner("one"), bench.runner("other"));
    one.start();
    let id = enqueue(&one, "slow", &json!({})).await;
    until("it runs", async || bench.ran().len() == 1).await;
    let leases: Vec<_> = one.running.lock().keys().cloned().collect();
    let mut scope = bench.store.queue_write().await.expect("a scope");
    scope.extend_jobs(&one.owner, &leases, 0).await.expect("the leases end now");
    scope.commit().await.expect("committed");
    other.start();
    until("another attempt is done", async || bench.jobs(JobState::Done).await.len() == 1).await;
    goes_on.notify_one();
    until("the first knows that it is late", async || one.running.lock().is_empty()).await;
    let done = bench.jobs(JobState::Done).await.remove(0);
    assert_eq!((&done.id, done.attempt, done.result.as_deref()), (&id, 2, Some("2")));
    assert_eq!((bench.ran().len(), bench.unfinished().await), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_release_has_configured_waits_for_a_host_that_reads_it() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    let put = async |further: &Value| {
        let with = |mut config: Value, further: &Value| {
            let (config_table, further) = (config.as_object_mut().expect("a table"), further.as_object());
            config_table.extend(further.expect("a table").clone());
            config
        };
        let none = json!({});
        let (mut schedules, mut subscriptions) = (Vec::new(), Vec::new());
        for (name, further) in [("later", further), ("plain", &none)] {
            let config = with(json!({ "name": name, "every": "1h", "catch-up": "last" }), further);
            schedules.push(NewSchedule { name: name.to_owned(), config, next_due: Some(now_ms() - 3_600_000) });
            let config = with(json!({ "name": name, "type": "order.paid" }), further);
            subscriptions.push(NewSubscription { name: name.to_owned(), config });
        }
        let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
        scope.put_schedules(&shop(), &schedules).await.expect("they are there");
        scope.put_subscriptions(&shop(), &subscriptions).await.expect("they are there");
        scope.commit().await.expect("committed");
    };
    let enqueued = async || {
        scheduler::look(&runner).await.expect("it looks");
        deliver::round(&runner).await.expect("it looks");
        let jobs = bench.jobs(JobState::Ready).await;
        let mut queues: Vec<_> = jobs.iter().map(|job| job.queue.to_string()).collect();
        queues.sort();
        queues
    };
    put(&json!({ "of-a-later-release": true })).await;
    runner.publish(&shop().tenant, event("order.paid", "s", 1), None).await.expect("published");
    let plain = ["shop/production/event/plain", "shop/production/schedule/plain"];
    assert_eq!(enqueued().await, plain, "what can be read is not held up");
    put(&json!({})).await;
    let all = [
        "shop/production/event/later",
        "shop/production/event/plain",
        "shop/production/schedule/later",
        "shop/production/schedule/plain",
    ];
    assert_eq!(enqueued().await, all, "nothing was lost");
}
