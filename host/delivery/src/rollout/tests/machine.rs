//! Tests of the state machine of a rollout, against simulated releases.

use super::super::*;
use crate::clock::Now;
use serde_json::json;
use std::time::Duration;

const START_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// A rollout with its two releases and a clock.
struct Bench {
    rollout: Rollout,
    canary: ReleaseStats,
    base: ReleaseStats,
    now_ms: u64,
    events: Vec<RolloutEvent>,
}

impl Bench {
    fn new(plan: RolloutPlan) -> Self {
        let (rollout, event) = Rollout::start("r1".to_owned(), plan, Now::from_unix_ms(START_MS)).unwrap();
        let (canary, base) = (ReleaseStats::default(), ReleaseStats::default());
        let mut bench = Self { rollout, canary, base, now_ms: START_MS, events: vec![event] };
        bench.seconds(1);
        bench
    }

    fn now(&self) -> Now {
        Now::from_unix_ms(self.now_ms)
    }

    fn tick(&mut self) {
        let now = self.now();
        self.events.extend(self.rollout.on_tick(&self.canary, &self.base, now));
    }

    fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now_ms += 1000;
            self.tick();
        }
    }

    fn base_answers(&self, count: usize, failed: bool) {
        (0..count).for_each(|_| self.base.record(failed, Duration::from_millis(5), 1_000));
    }

    fn canary_answers(&mut self, count: usize, failed: bool) {
        for _ in 0..count {
            self.canary.record(failed, Duration::from_millis(5), 1_000);
            let now = self.now();
            self.events.extend(self.rollout.on_result(failed, &self.canary, &self.base, now));
        }
    }

    fn waiting(&self) -> String {
        self.rollout.status().waiting
    }
}

fn plan() -> RolloutPlan {
    RolloutPlan { steps: vec![10.0, 50.0], every_ms: 60_000, ..RolloutPlan::default() }
}

#[test]
fn a_good_canary_goes_from_step_to_step_and_is_promoted() {
    let mut bench = Bench::new(plan());
    assert_eq!((bench.rollout.percent(), bench.rollout.buckets()), (10.0, 1_000));
    for step in 0..2 {
        bench.base_answers(500, false);
        bench.canary_answers(100, false);
        bench.seconds(59);
        assert_eq!(bench.rollout.state(), RolloutState::Running { step });
        assert!(bench.waiting().starts_with("needs 60 s, has 5"), "{}", bench.waiting());
        bench.seconds(2);
    }
    assert_eq!(bench.rollout.state(), RolloutState::Promoted);
    assert_eq!((bench.rollout.buckets(), bench.waiting()), (10_000, String::new()));
    let states: Vec<_> = bench.events.iter().map(|event| (event.from, event.to)).collect();
    let (first, second) = (RolloutState::Running { step: 0 }, RolloutState::Running { step: 1 });
    assert_eq!(states, [(None, first), (Some(first), second), (Some(second), RolloutState::Promoted)]);
    assert_eq!(bench.events[1].reason, "the step held: 0 of 100 requests of the canary failed");
}

#[test]
fn a_failing_canary_is_rolled_back_with_the_reason_and_says_so_once() {
    let mut bench = Bench::new(plan());
    bench.base_answers(1_000, false);
    bench.canary_answers(19, true);
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 }, "19 are too few");
    bench.canary_answers(10, true);
    bench.seconds(5);
    assert_eq!(bench.rollout.state(), RolloutState::RolledBack);
    assert_eq!(bench.rollout.buckets(), 0);
    assert_eq!(bench.events.len(), 2);
    let reason = &bench.events[1].reason;
    assert!(reason.starts_with("20 of 20 requests failed, and of the version it replaces 0 of 1000"), "{reason}");
    assert_eq!(&bench.rollout.status().reason, reason);
}

#[test]
fn a_canary_that_fails_no_more_than_a_failing_base_is_not_blamed() {
    let mut bench = Bench::new(plan());
    for _ in 0..10 {
        bench.base_answers(50, true);
        bench.base_answers(50, false);
        bench.canary_answers(10, true);
        bench.canary_answers(10, false);
        bench.seconds(6);
    }
    bench.seconds(2);
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 1 });
}

#[test]
fn a_few_failures_too_many_hold_the_step_until_it_is_clear() {
    let mut bench = Bench::new(plan());
    bench.base_answers(1_000, false);
    bench.canary_answers(1, true);
    bench.canary_answers(59, false);
    bench.seconds(100);
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 });
    assert!(bench.waiting().ends_with("1.0 % more are tolerated: may be chance"), "{}", bench.waiting());
    bench.canary_answers(60, false);
    bench.seconds(1);
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 1 }, "one in 120 is tolerated");
}

#[test]
fn a_canary_that_failed_all_of_a_few_requests_is_not_promoted() {
    let mut bench = Bench::new(RolloutPlan { requests: 1, ..plan() });
    bench.base_answers(1_000, false);
    bench.canary_answers(3, true);
    bench.seconds(100);
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 });
    assert!(bench.waiting().starts_with("3 of 3 requests failed"), "{}", bench.waiting());
}

#[test]
fn a_canary_without_traffic_stays_where_it_is_and_says_so() {
    let mut bench = Bench::new(plan());
    bench.base_answers(1_000, false);
    bench.seconds(7_200);
    assert_eq!(bench.waiting(), "needs 50 requests, has 0");
    bench.canary_answers(3, false);
    bench.seconds(1);
    assert_eq!(bench.waiting(), "needs 50 requests, has 3");
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 });
}

#[test]
fn a_clock_that_jumps_promotes_nothing() {
    let mut bench = Bench::new(plan());
    bench.base_answers(1_000, false);
    bench.canary_answers(200, false);
    for hours in [5, 0, 9, 2] {
        bench.now_ms = START_MS + hours * HOUR_MS;
        bench.tick();
        bench.now_ms = START_MS - hours * HOUR_MS;
        bench.tick();
    }
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 });
    for ms in [0, u64::MAX, 0, START_MS] {
        bench.now_ms = ms;
        bench.tick();
        bench.canary_answers(1, true);
    }
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 0 });
}

#[test]
fn without_requests_of_the_base_what_it_did_before_counts() {
    let mut bench = Bench::new(RolloutPlan { steps: vec![50.0, 100.0], ..plan() });
    for _ in 0..5 {
        bench.base_answers(85, false);
        bench.base_answers(15, true);
        bench.canary_answers(15, true);
        bench.canary_answers(85, false);
    }
    bench.seconds(61);
    assert_eq!(bench.rollout.percent(), 100.0);
    bench.seconds(1);
    bench.canary_answers(15, true);
    bench.canary_answers(85, false);
    bench.seconds(1);
    assert_eq!(bench.rollout.status().base.unwrap().failures, 75, "the base's last figures are shown");
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 1 });
    bench.canary_answers(200, true);
    assert_eq!(bench.rollout.state(), RolloutState::RolledBack);
}

#[test]
fn at_the_last_step_with_nothing_beside_it_a_latency_that_may_be_chance_holds_nothing_up() {
    let answers = |stats: &ReleaseStats, count: usize, ms: u64| {
        (0..count).for_each(|_| stats.record(false, Duration::from_millis(ms), 1_000));
    };
    let mut bench = Bench::new(RolloutPlan { steps: vec![50.0, 100.0], ..plan() });
    answers(&bench.base, 200, 5);
    answers(&bench.canary, 200, 5);
    bench.seconds(61);
    assert_eq!(bench.rollout.percent(), 100.0);
    bench.seconds(1);
    // Two of 100 slow: more than one in a hundred, and perhaps chance.
    answers(&bench.canary, 98, 5);
    answers(&bench.canary, 2, 50);
    bench.seconds(58);
    assert!(bench.waiting().starts_with("needs 60 s"), "{}", bench.waiting());
    bench.seconds(3);
    assert_eq!(bench.rollout.state(), RolloutState::Promoted, "{}", bench.waiting());

    // Beside the base it is waited for.
    let mut bench = Bench::new(RolloutPlan { steps: vec![50.0, 100.0], ..plan() });
    answers(&bench.base, 200, 5);
    answers(&bench.canary, 98, 5);
    answers(&bench.canary, 2, 50);
    bench.seconds(70);
    assert!(bench.waiting().ends_with("may be chance"), "{}", bench.waiting());

    // And with nothing beside it, for failures that may be.
    let mut bench = Bench::new(RolloutPlan { steps: vec![50.0, 100.0], ..plan() });
    answers(&bench.base, 200, 5);
    answers(&bench.canary, 200, 5);
    bench.seconds(62);
    assert_eq!(bench.rollout.percent(), 100.0);
    answers(&bench.canary, 48, 5);
    bench.canary_answers(2, true);
    bench.seconds(70);
    assert!(bench.waiting().ends_with("may be chance"), "{}", bench.waiting());
    assert_eq!(bench.rollout.state(), RolloutState::Running { step: 1 });
}

#[test]
fn a_canary_of_whose_base_nothing_is_known_may_not_fail() {
    let mut bench = Bench::new(plan());
    bench.canary_answers(30, false);
    bench.canary_answers(10, true);
    assert_eq!(bench.rollout.state(), RolloutState::RolledBack);
}

#[test]
fn a_fault_that_comes_late_is_not_hidden_behind_good_answers() {
    let mut bench = Bench::new(plan());
    bench.rollout.pause("held for a look", bench.now()).unwrap();
    for _ in 0..1_000 {
        bench.base_answers(1_000, false);
        bench.canary_answers(100, false);
        bench.seconds(1);
    }
    for answered in 0..60 {
        bench.canary_answers(10, true);
        bench.canary_answers(40, false);
        bench.base_answers(450, false);
        if bench.rollout.state() == RolloutState::RolledBack {
            assert!(answered < 50);
            return;
        }
    }
    panic!("100,000 good answers hid 600 failures in 3,000: {}", bench.waiting());
}

#[test]
fn by_hand_it_is_paused_resumed_promoted_and_aborted() {
    let mut bench = Bench::new(plan());
    let now = bench.now();
    assert_eq!(bench.rollout.resume("go on", now), Err(RolloutError::NotPaused));
    let event = bench.rollout.pause("wait", now).unwrap();
    assert_eq!((event.to, event.reason.as_str()), (RolloutState::Paused { step: 0 }, "wait"));
    assert_eq!(bench.rollout.pause("wait", now), Err(RolloutError::AlreadyPaused));
    bench.base_answers(1_000, false);
    bench.canary_answers(200, false);
    bench.seconds(3_600);
    assert_eq!((bench.rollout.state(), bench.waiting().as_str()), (RolloutState::Paused { step: 0 }, "to be resumed"));
    assert_eq!(bench.rollout.percent(), 10.0);
    bench.rollout.resume("go on", now).unwrap();
    let mut other = bench.rollout.clone();
    let event = bench.rollout.promote(&"x".repeat(10_000), now).unwrap();
    assert_eq!((event.to, event.reason.len()), (RolloutState::Promoted, 500));
    assert_eq!(other.abort("no", now).unwrap().to, RolloutState::Aborted);
    for mut ended in [bench.rollout, other] {
        for result in [ended.pause("", now), ended.resume("", now), ended.promote("", now), ended.abort("", now)] {
            assert_eq!(result, Err(RolloutError::Finished));
        }
    }
}

#[test]
fn a_paused_canary_that_fails_is_rolled_back() {
    let mut bench = Bench::new(plan());
    bench.rollout.pause("wait", bench.now()).unwrap();
    bench.seconds(1);
    bench.base_answers(1_000, false);
    bench.canary_answers(30, true);
    assert_eq!(bench.rollout.state(), RolloutState::RolledBack);
}

#[test]
fn after_a_restart_it_goes_on_at_its_step_and_knows_the_base() {
    let mut bench = Bench::new(RolloutPlan { steps: vec![10.0, 50.0, 100.0], ..plan() });
    bench.base_answers(1_000, false);
    bench.canary_answers(100, false);
    bench.seconds(61);
    let stored = serde_json::to_string(&bench.rollout).unwrap();
    let (canary, base) = (ReleaseStats::default(), ReleaseStats::default());
    let mut bench = Bench { rollout: serde_json::from_str(&stored).unwrap(), canary, base, ..bench };
    assert_eq!((bench.rollout.state(), bench.rollout.percent()), (RolloutState::Running { step: 1 }, 50.0));
    assert_eq!(bench.rollout.status().base.unwrap().requests, 1_000);
    bench.seconds(200);
    assert_eq!(bench.waiting(), "needs 50 requests, has 0");
    bench.canary_answers(60, false);
    bench.seconds(1);
    assert_eq!(bench.rollout.percent(), 100.0);
}

#[test]
fn a_plan_out_of_bounds_names_the_key() {
    assert_eq!(RolloutPlan::default().check(), Ok(()));
    let table = [
        (json!({"steps": []}), "rollout.steps has 0 steps; it must have between 1 and 20"),
        (json!({"steps": [0]}), "rollout.steps is 0; it must be between 0.01 and 100"),
        (json!({"steps": [10, 101]}), "rollout.steps is 101; it must be between 0.01 and 100"),
        (json!({"steps": [25, 25]}), "rollout.steps has 25 after 25; each step must be more than the one before"),
        (json!({"every-ms": 0}), "rollout.every-ms is 0; it must be between 1000 and 604800000"),
        (json!({"requests": 0}), "rollout.requests is 0; it must be between 1 and 1000000"),
        (json!({"error-rate": -1}), "rollout.error-rate is -1; it must be between 0 and 1"),
        (json!({"p99-ratio": 0.5}), "rollout.p99-ratio is 0.5; it must be between 1 and 1000"),
        (json!({"fuel-ratio": 2000}), "rollout.fuel-ratio is 2000; it must be between 1 and 1000"),
        (json!({"sticky": {"header": "x y"}}), "sticky.header must be a header name"),
        (json!({"sticky": {"cookie": ""}}), "sticky.cookie must be a cookie name"),
    ];
    for (written, message) in table {
        let plan: RolloutPlan = serde_json::from_value(written).unwrap();
        assert_eq!(plan.check().unwrap_err().to_string(), message);
    }
    assert!(serde_json::from_value::<RolloutPlan>(json!({"step": [10]})).is_err());
    let sticky = |written| serde_json::from_value::<Sticky>(written).unwrap();
    assert_eq!(sticky(json!("none")), Sticky::None);
    assert_eq!(sticky(json!("address")), Sticky::Address);
    assert_eq!(sticky(json!({"cookie": "sid"})), Sticky::Cookie("sid".to_owned()));
}

#[test]
fn statistics_are_right_however_many_threads_record() {
    let stats = ReleaseStats::default();
    let before = stats.snapshot();
    assert_eq!((before.figures().p99_us, before.figures().fuel_mean), (None, 0.0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|n| stats.record(n % 10 == 0, Duration::from_millis(3), 500)));
        }
    });
    let figures = stats.snapshot().since(&before).figures();
    assert_eq!((figures.requests, figures.failures, figures.fuel_mean), (40_000, 4_000, 500.0));
    assert!((3_000..3_200).contains(&figures.p99_us.unwrap()));
    stats.record(true, Duration::MAX, u64::MAX);
    assert_eq!(stats.counts(), (40_001, 4_001));
}
