//! Schedules, jobs and events of a component in the process of a program that embeds it, by a clock that it moves.

use elias_capabilities::events::NewEvent;
use elias_capabilities::jobs::{JobState, NewJob, StartTime};
use elias_capabilities::{Log, Workflow};
use elias_host::{Grants, Host, LoadOptions};
use elias_local_triggers::{
    AttemptResult, Cause, LocalTriggers, LocalTriggersBuilder, ManualClock, NextTick, Outcome, RunKind, RunReport,
    RunningTriggers, TriggerError, WorkerMessage, WorkerSender,
};
use elias_tests::build::component;
use elias_tests::platform::until;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const SOURCE: &str = r#"
import { events, jobs, step } from "elias";

export default {
  async job(job) {
    const { fails = 0, sleeps, waits } = job.input;
    if (job.attempt <= fails) throw new Error("not yet");
    if (sleeps) await step.sleep("a while", sleeps);
    if (waits) {
      await events.publish("job.begun", { waits });
      await new Promise((resolve) => setTimeout(resolve, waits));
    }
    return job.attempt;
  },
  async scheduled(tick) {
    await jobs.enqueue("report", { due: tick.scheduledTime, late: tick.late });
  },
  event() {},
  events() {},
};
"#;

/// 2026-03-28 00:00 UTC: the night before clocks are set forward in Berlin.
const START: u64 = 1_774_656_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

struct Embedded {
    clock: ManualClock,
    triggers: RunningTriggers,
    reports: UnboundedReceiver<RunReport>,
}

impl Embedded {
    async fn start(config: Value) -> Self {
        Self::with(config, |triggers| triggers).await
    }

    async fn with(config: Value, extend: impl FnOnce(LocalTriggersBuilder) -> LocalTriggersBuilder) -> Self {
        let clock = ManualClock::new(START);
        let (sender, reports) = unbounded_channel();
        let config = serde_json::from_value(config).expect("settings");
        let triggers = LocalTriggers::builder()
            .config(config)
            .clock(clock.clock())
            .on_run(move |report| drop(sender.send(report.clone())));
        let triggers = extend(triggers).build().expect("they can be used");
        let host = Host::builder().instances(8).capability(Log).capability(Workflow);
        let host = host.capability(triggers.jobs()).capability(triggers.events()).build().expect("a host");
        let grants = ["jobs", "events", "workflow"].into_iter();
        let grants = grants.fold(Grants::none(), |grants, name| grants.with(name, json!({})));
        let options = LoadOptions { grants, observer: Some(triggers.observer()), ..LoadOptions::default() };
        let app = host.load_with(&component(SOURCE), &options).await.expect("it loads");
        Self { clock, triggers: triggers.start(app), reports }
    }

    /// The next run that has ended.
    async fn report(&mut self) -> RunReport {
        let report = tokio::time::timeout(Duration::from_secs(60), self.reports.recv()).await;
        report.expect("it comes in time").expect("the triggers run")
    }

    fn next_due(&self) -> Vec<NextTick> {
        self.triggers.next_ticks()
    }
}

fn done(result: &str) -> Outcome {
    Outcome::Done { result: result.to_owned() }
}

#[tokio::test]
async fn schedules_are_due_by_the_clock_in_their_time_zone() {
    let schedule = json!({ "name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin" });
    let mut embedded = Embedded::start(json!({ "schedule": [schedule] })).await;
    let due = |due| [NextTick { schedule: "nightly".to_owned(), due: Some(due) }];
    assert_eq!(embedded.next_due(), due(START + 2 * 3_600_000));
    embedded.clock.advance(2 * HOUR);
    let mut runs = [embedded.report().await, embedded.report().await];
    runs.sort_by(|one, other| other.what.cmp(&one.what));
    let [tick, job] = runs;
    assert_eq!((tick.what.as_str(), tick.attempt, tick.outcome), ("schedule nightly", 1, done("null")));
    assert_eq!((job.what.as_str(), job.outcome), ("job report", done("1")));
    assert_eq!(embedded.next_due(), due(START + 25 * 3_600_000), "summer time has begun by then");
    embedded.clock.advance(22 * HOUR + HOUR / 2);
    let mut runs = embedded.triggers.fire("nightly").expect("there is one");
    assert_eq!(runs.next().await.map(|run| run.outcome), Some(done("null")), "by hand, at any time");
    assert_eq!(embedded.triggers.fire("other").err(), Some(TriggerError::NoSchedule("other".to_owned())));
}

#[tokio::test]
async fn delays_retries_and_sleeps_go_by_the_clock() {
    let retry = json!({ "attempts": 3, "first": "1h", "jitter": false });
    let mut embedded = Embedded::start(json!({ "jobs": { "charge": { "retry": retry } } })).await;
    let job =
        NewJob { start: StartTime::After(HOUR), ..NewJob::new("charge", &json!({ "fails": 1, "sleeps": 5_000 })) };
    let mut runs = embedded.triggers.enqueue(job).expect("enqueued");
    let jobs = embedded.triggers.jobs();
    assert_eq!(
        (jobs[0].id.as_str(), jobs[0].state),
        (runs.id().expect("its id"), JobState::Waiting { until: START + 3_600_000 })
    );
    embedded.clock.advance(HOUR);
    let first = runs.next().await.expect("a run");
    assert!(matches!(first.outcome, Outcome::Retry { attempt: 2, .. }), "{first:?}");
    assert_eq!(embedded.report().await, first);
    embedded.clock.advance(HOUR);
    assert_eq!(embedded.report().await.outcome, Outcome::Suspended);
    embedded.clock.advance(Duration::from_secs(5));
    assert_eq!(embedded.report().await.outcome, done("2"));
    until("the job is over", async || embedded.triggers.jobs().is_empty().then_some(())).await;
    assert!(matches!(embedded.triggers.cancel("job-1"), Err(TriggerError::Refused(_))), "it is over");
}

#[tokio::test]
async fn what_failed_for_good_is_kept_and_runs_again() {
    let retry = json!({ "attempts": 1 });
    let config = json!({
        "jobs": { "charge": { "retry": retry } },
        "event": [{ "name": "orders", "type": "order.*" }],
        "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
    });
    let mut embedded = Embedded::with(config, |triggers| triggers.history(10)).await;
    let mut runs = embedded.triggers.enqueue(NewJob::new("charge", &json!({ "fails": 1 }))).expect("enqueued");
    let id = runs.id().expect("its id").to_owned();
    let first = runs.next().await.expect("a run");
    assert!(matches!(first.outcome, Outcome::Dead { .. }), "{first:?}");
    assert!(first.record.as_ref().is_some_and(|record| record.fuel > 0));
    until("the job is over", async || embedded.triggers.jobs().is_empty().then_some(())).await;
    let past = embedded.triggers.past_runs();
    assert_eq!((past.len(), past[0].id.as_str(), past[0].kind), (1, id.as_str(), RunKind::Job));
    assert_eq!(past[0].input, r#"{"fails":1}"#);

    assert_eq!(embedded.triggers.discard("job-7"), Err(TriggerError::NoFailedRun("job-7".to_owned())));
    assert_eq!(embedded.report().await, first);
    embedded.triggers.retry(&id).expect("it failed");
    assert!(matches!(embedded.report().await.outcome, Outcome::Dead { .. }), "from its first attempt on");
    until("the job is over", async || embedded.triggers.jobs().is_empty().then_some(())).await;
    embedded.triggers.discard(&id).expect("it failed");
    assert!(embedded.triggers.past_runs().is_empty());

    embedded.triggers.publish(NewEvent::new("order.paid", &json!(1))).expect("published");
    assert_eq!(embedded.report().await.what, "event order.paid");
    let mut tick = embedded.triggers.fire("nightly").expect("there is one");
    assert_eq!(tick.id(), Some("tick-1"));
    tick.next().await.expect("a run");
    let events = embedded.triggers.past_events();
    assert_eq!((events.len(), events[0].position, events[0].published.event.data.as_str()), (1, 1, "1"));
    let kinds = async || {
        let past = embedded.triggers.past_runs();
        let is_over = past.len() == 3 && past.iter().all(|run| run.end.is_some());
        is_over.then(|| past.into_iter().map(|run| (run.kind, run.name)).collect::<Vec<_>>())
    };
    let mut kinds = until("the tick, its job and the delivery are over", kinds).await;
    kinds.sort_by(|one, other| one.1.cmp(&other.1));
    let wanted = [(RunKind::Schedule, "nightly"), (RunKind::Event, "orders"), (RunKind::Job, "report")];
    assert_eq!(kinds, wanted.map(|(kind, name)| (kind, name.to_owned())));
    assert!(embedded.triggers.retry("tick-1").is_err(), "it is done");
}

#[tokio::test]
async fn runs_have_a_time_to_end_when_the_triggers_stop() {
    let config = json!({ "event": [{ "type": "job.begun" }, { "type": "order.*" }] });
    for (grace, waits, cut) in [(60, 300, 0), (0, 60_000, 1)] {
        let mut embedded = Embedded::start(config.clone()).await;
        let mut published = embedded.triggers.publish(NewEvent::new("order.paid", &json!(1))).expect("published");
        assert_eq!(published.next().await.expect("a run").what, "event order.paid");
        assert_eq!(embedded.report().await.what, "event order.paid");
        embedded.triggers.enqueue(NewJob::new("slow", &json!({ "waits": waits }))).expect("enqueued");
        assert_eq!(embedded.report().await.what, "event job.begun");
        assert_eq!(embedded.triggers.stop(Duration::from_secs(grace)).await, cut);
        let ended = embedded.reports.try_recv().map(|report| report.outcome);
        assert_eq!(ended.ok(), (cut == 0).then(|| done("1")));
        let late = embedded.triggers.enqueue(NewJob::new("late", &json!({})));
        assert_eq!(late.err(), Some(TriggerError::Stopped));
    }
}

#[tokio::test]
async fn a_batch_waits_for_more_events_by_the_clock() {
    let batch = json!({ "size": 3, "wait": "2s" });
    let config = json!({ "event": [{ "name": "orders", "type": "order.*", "batch": batch }] });
    let mut embedded = Embedded::start(config).await;
    let mut full = Vec::new();
    for number in 0..3 {
        full.push(embedded.triggers.publish(NewEvent::new("order.paid", &json!(number))).expect("published"));
    }
    // The clock stands still: it is the third event that has them run.
    let first = embedded.report().await;
    assert_eq!((first.what.as_str(), first.outcome), ("events orders", done("null")));
    for mut runs in full {
        assert_eq!(runs.next().await.expect("a run").execution, first.execution, "one run for all of them");
    }
    let mut late = embedded.triggers.publish(NewEvent::new("order.paid", &json!(3))).expect("published");
    // It may not have come to its batch yet when the clock goes on for the first time.
    let run = async || {
        embedded.clock.advance(Duration::from_secs(2));
        tokio::time::timeout(Duration::from_millis(20), late.next()).await.ok().flatten()
    };
    let run = until("the batch is not full and runs", run).await;
    assert_eq!((run.what.as_str(), run.outcome), ("events orders", done("null")));
}

/// Service workers that handle each message when it comes again, and what was sent to them: the id, the message, and
/// how many events led to it.
#[derive(Default)]
struct SecondTime(Mutex<Vec<(String, WorkerMessage, u32)>>);

impl WorkerSender for SecondTime {
    fn send(&self, id: String, message: WorkerMessage, cause: Cause) -> BoxFuture<'static, AttemptResult> {
        let mut sent = self.0.lock().expect("no sender panics");
        let comes_again = sent.iter().any(|(known, ..)| *known == id);
        sent.push((id, message, cause.hops));
        let handled = AttemptResult::Returned("null".to_owned());
        ready(if comes_again { handled } else { AttemptResult::Failed("not yet".to_owned()) }).boxed()
    }
}

#[tokio::test]
async fn events_and_ticks_for_workers_are_sent_with_one_id_until_they_are_handled() {
    let workers = Arc::new(SecondTime::default());
    let sender = Arc::clone(&workers);
    let retry = json!({ "attempts": 3, "first": "1h", "jitter": false });
    let cart = json!({ "class": "Cart", "name": "{subject}" });
    let report = json!({ "class": "Report", "name": "all", "method": "build" });
    let config = json!({
        "event": [{ "type": "cart.*", "worker": cart, "retry": retry }],
        "schedule": [{ "name": "nightly", "cron": "0 3 * * *", "worker": report }],
    });
    let mut embedded = Embedded::with(config, |triggers| triggers.workers(sender)).await;
    let event = NewEvent { subject: Some("ada".to_owned()), ..NewEvent::new("cart.add", &json!(1)) };
    embedded.triggers.publish(event).expect("published");
    let first = embedded.report().await;
    assert_eq!(first.what, "event cart.add");
    assert!(matches!(first.outcome, Outcome::Retry { attempt: 2, .. }), "{first:?}");
    embedded.clock.advance(HOUR);
    assert_eq!(embedded.report().await.outcome, done("null"));
    embedded.triggers.fire("nightly").expect("there is one");
    assert_eq!(embedded.report().await.what, "schedule nightly");
    embedded.clock.advance(HOUR);
    assert_eq!(embedded.report().await.outcome, done("null"));

    let sent = workers.0.lock().expect("no sender panics").clone();
    let ids: Vec<&str> = sent.iter().map(|(id, ..)| id.as_str()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3] && ids.len() == 4, "{ids:?}");
    assert_eq!(sent.iter().map(|(.., hops)| *hops).collect::<Vec<_>>(), [1, 1, 0, 0]);
    let (event, tick) = (&sent[0].1, &sent[3].1);
    assert_eq!((event.class.as_str(), event.name.as_str(), event.method.as_deref()), ("Cart", "ada", None));
    assert_eq!((&event.value["type"], &event.value["data"]), (&json!("cart.add"), &json!(1)));
    assert_eq!((tick.class.as_str(), tick.name.as_str(), tick.method.as_deref()), ("Report", "all", Some("build")));
    assert_eq!((&tick.value[0]["name"], &tick.value[0]["attempt"]), (&json!("nightly"), &json!(2)));
}
