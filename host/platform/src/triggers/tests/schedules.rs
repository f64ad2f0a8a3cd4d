//! Schedules on a real store.

use super::super::scheduler;
use super::*;
use elias_api::{TickOutcome, TickRecord};
use elias_store::{NewSchedule, ScheduleId};
use elias_triggers::schedule::PAUSE_MAX;

fn id(name: &str) -> ScheduleId {
    ScheduleId { service: shop(), name: name.to_owned() }
}

async fn ticks(bench: &Bench, name: &str) -> Vec<TickRecord> {
    let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
    scope.ticks(&id(name), None, 100).await.expect("a list")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_due_time_is_fired_once_with_two_hosts() {
    let schedule = json!({ "name": "often", "every": "1s", "overlap": "allow", "catch-up": "all" });
    let bench = bench(json!({ "schedule": [schedule] }), returns()).await;
    bench.register().await;
    let (one, other) = (bench.runner("one"), bench.runner("other"));
    one.start();
    other.start();
    until("some ticks have run", async || bench.ran().len() >= 4).await;
    one.stop().await;
    other.stop().await;
    let fired = ticks(&bench, "often").await;
    let times: HashSet<u64> = bench
        .ran()
        .iter()
        .map(|(_, _, message)| match message {
            Message::Tick(tick) => tick.scheduled_time,
            other => panic!("not a tick: {other:?}"),
        })
        .collect();
    assert_eq!(times.len(), bench.ran().len(), "no due time ran twice");
    assert!(fired.iter().all(|tick| tick.outcome == TickOutcome::Run && tick.job.is_some()), "{fired:?}");
    let gaps: HashSet<i64> = fired.windows(2).map(|two| two[0].due - two[1].due).collect();
    assert_eq!(gaps, HashSet::from([1_000]), "no due time is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_skipped_with_a_reason_while_a_run_is_not_over() {
    let schedule = json!({ "name": "often", "every": "1s" });
    let bench = bench(json!({ "schedule": [schedule] }), runs_until_cancelled()).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    // A machine that stood still may have skipped others before, for being late.
    let overlaps =
        |tick: &TickRecord| tick.outcome == TickOutcome::Skipped && tick.reason.as_deref() == Some("overlap");
    until("a tick was skipped", async || ticks(&bench, "often").await.iter().any(overlaps)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_fails_three_times_in_a_row_is_an_event_once() {
    let fails: Handler = Box::new(|_| async { AttemptResult::Rejected("as asked".to_owned()) }.boxed());
    let bench = bench(json!({ "schedule": [{ "name": "often", "every": "1s" }] }), fails).await;
    bench.register().await;
    let runner = bench.runner("one");
    runner.start();
    until("five runs have failed", async || bench.jobs(JobState::Dead).await.len() >= 5).await;
    let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
    let events = scope.events(0, 100).await.expect("a log");
    let failing: Vec<_> = events.iter().filter(|event| event.event_type == "schedule.failing").collect();
    assert_eq!(failing.len(), 1, "{events:?}");
    let data: Value = serde_json::from_str(&failing[0].data).expect("JSON");
    assert_eq!((&data["schedule"], &data["failures"]), (&json!("often"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_what_ran_outlive_another_version_and_a_run_by_hand_is_on_record() {
    let nightly = |cron: &str| json!({ "schedule": [{ "name": "nightly", "cron": cron, "input": [true] }] });
    let mut bench = bench(nightly("0 3 * * *"), returns()).await;
    bench.register().await;
    let runner = bench.runner("one");
    let served = bench.services.find(&shop()).expect("it is served");
    let job = runner.run_schedule_now(&id("nightly"), &served, "ada").await.expect("it runs");
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    let input = scope.job(&job).await.expect("it is there").input;
    assert!(input.ends_with(r#""input":[true]}"#), "{input}");
    scope.pause_schedule(&id("nightly")).await.expect("it is there");
    scope.commit().await.expect("committed");
    bench.settings.triggers = Some(nightly("0 4 * * *"));
    bench.register().await;
    let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
    let schedule = scope.schedule(&id("nightly")).await.expect("it is there");
    drop(scope);
    assert_eq!((schedule.paused, schedule.config["cron"].as_str()), (true, Some("0 4 * * *")));
    let tick = ticks(&bench, "nightly").await.remove(0);
    assert_eq!((tick.reason.as_deref(), tick.job), (Some("run by ada"), Some(job)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_with_what_is_due_next() {
    let bench = bench(json!({}), returns()).await;
    let runner = bench.runner("one");
    let pause = async || scheduler::look(&runner).await.expect("it looks");
    assert_eq!(pause().await, PAUSE_MAX, "nothing waits");
    assert!(runner.due_changed.notified().now_or_never().is_none());
    let later = JobRequest { start: JobStart::In(900), ..request("later", &json!({})) };
    runner.enqueue_request(later).await.expect("enqueued");
    assert!(runner.due_changed.notified().now_or_never().is_some(), "a pause that has begun ends");
    let next = pause().await;
    let is_ready = async || bench.jobs(JobState::Ready).await.len() == 1;
    assert!(next < PAUSE_MAX || is_ready().await, "{next:?}");
    until("it is ready", async || {
        pause().await;
        is_ready().await
    })
    .await;
    assert_eq!(pause().await, PAUSE_MAX, "it waits no more");
    let next_due = Some(now_ms() + 3_600_000);
    let far = NewSchedule { name: "far".to_owned(), config: json!({ "name": "far", "every": "1h" }), next_due };
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    scope.put_schedules(&shop(), &[far]).await.expect("it is there");
    scope.commit().await.expect("committed");
    assert_eq!(pause().await, PAUSE_MAX, "another host may arm one before that");
}
