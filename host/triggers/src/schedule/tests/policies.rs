//! Overlap, catch-up, lateness, pauses and quotas.

use super::super::{CatchUp, Decision, Overlap, Recurrence, Schedule, ScheduleState, SkipReason};
use super::at;
use elias_delivery::clock::Now;
use std::time::Duration;

fn hourly() -> Schedule {
    Schedule {
        recurrence: Recurrence::cron("0 * * * *", "UTC").expect("a line"),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Last,
        catch_up_max: 100,
        max_lateness: None,
    }
}

fn state(next_due: &str, now: &str) -> ScheduleState {
    ScheduleState { now: at(now), next_due: at(next_due), paused: false, running: 0, waiting: 0, quota_left: 1_000 }
}

/// Each decision as a word, and whether it waits or cancels.
fn words(decisions: &[Decision]) -> Vec<&'static str> {
    let word = |decision: &Decision| match decision {
        Decision::Fire { after_running: true, .. } => "waits",
        Decision::Fire { cancel_running: true, .. } => "cancels",
        Decision::Fire { .. } => "fires",
        Decision::Skip { reason, .. } => reason.as_str(),
        Decision::SkipRange { .. } => "range",
    };
    decisions.iter().map(word).collect()
}

#[test]
fn a_tick_fires_when_it_is_due_and_not_before() {
    let early = hourly().decide(&state("2026-01-01T03:00:00Z", "2026-01-01T02:59:59.999Z"));
    assert_eq!((early.decisions.len(), early.next_due), (0, Some(at("2026-01-01T03:00:00Z"))));
    let due = hourly().decide(&state("2026-01-01T03:00:00Z", "2026-01-01T03:00:01.500Z"));
    let (due_time, lateness) = (at("2026-01-01T03:00:00Z"), Duration::from_millis(1_500));
    let fire = Decision::Fire { due: due_time, lateness, after_running: false, cancel_running: false };
    assert_eq!((due.decisions, due.next_due), (vec![fire], Some(at("2026-01-01T04:00:00Z"))));
}

#[test]
fn after_an_outage_the_policy_decides() {
    let outage = state("2026-01-01T03:00:00Z", "2026-01-01T06:30:00Z");
    for (catch_up, catch_up_max, expected) in [
        (CatchUp::None, 100, vec!["catch-up", "catch-up", "catch-up", "catch-up"]),
        (CatchUp::Last, 100, vec!["catch-up", "catch-up", "catch-up", "fires"]),
        (CatchUp::All, 100, vec!["fires", "fires", "fires", "fires"]),
        (CatchUp::All, 2, vec!["catch-up", "catch-up", "fires", "fires"]),
    ] {
        let schedule = Schedule { overlap: Overlap::Allow, catch_up, catch_up_max, ..hourly() };
        assert_eq!(words(&schedule.decide(&outage).decisions), expected, "{catch_up:?} {catch_up_max}");
    }
}

#[test]
fn the_last_missed_tick_is_not_run_beside_one_that_is_on_time() {
    let decided = hourly().decide(&state("2026-01-01T03:00:00Z", "2026-01-01T06:00:05Z"));
    assert_eq!(words(&decided.decisions), ["catch-up", "catch-up", "catch-up", "fires"]);
    let every_second = Schedule {
        recurrence: Recurrence::every(Duration::from_secs(1)).expect("an interval"),
        overlap: Overlap::Allow,
        ..hourly()
    };
    let decided = every_second.decide(&state("2026-01-01T03:00:00Z", "2026-01-01T03:00:02.500Z"));
    assert_eq!(words(&decided.decisions), ["fires", "fires", "fires"], "a look that comes late skips nothing");
}

#[test]
fn a_tick_that_is_too_late_is_skipped() {
    let schedule = Schedule { max_lateness: Some(Duration::from_secs(1_800)), ..hourly() };
    let decided = |now| words(&schedule.decide(&state("2026-01-01T03:00:00Z", now)).decisions);
    assert_eq!(decided("2026-01-01T03:30:00Z"), ["fires"]);
    assert_eq!(decided("2026-01-01T03:30:00.001Z"), ["too-late"]);
    assert_eq!(decided("2026-01-01T04:10:00Z"), ["too-late", "fires"]);
}

#[test]
fn a_run_that_is_not_over_is_overlapped_as_the_policy_says() {
    let running = ScheduleState { running: 1, ..state("2026-01-01T03:00:00Z", "2026-01-01T03:00:00Z") };
    for (overlap, expected) in
        [(Overlap::Skip, "overlap"), (Overlap::Queue, "waits"), (Overlap::Cancel, "cancels"), (Overlap::Allow, "fires")]
    {
        let decided = Schedule { overlap, ..hourly() }.decide(&running);
        assert_eq!(words(&decided.decisions), [expected]);
    }
    let queue = Schedule { overlap: Overlap::Queue, ..hourly() };
    assert_eq!(
        words(&queue.decide(&ScheduleState { waiting: 100, ..running }).decisions),
        ["overlap"],
        "only so many wait"
    );
}

#[test]
fn ticks_that_are_caught_up_overlap_each_other() {
    let outage = state("2026-01-01T03:00:00Z", "2026-01-01T05:30:00Z");
    for (overlap, expected) in [
        (Overlap::Skip, ["fires", "overlap", "overlap"]),
        (Overlap::Queue, ["fires", "waits", "waits"]),
        (Overlap::Cancel, ["overlap", "overlap", "fires"]),
        (Overlap::Allow, ["fires", "fires", "fires"]),
    ] {
        let schedule = Schedule { overlap, catch_up: CatchUp::All, ..hourly() };
        assert_eq!(words(&schedule.decide(&outage).decisions), expected, "{overlap:?}");
    }
}

#[test]
fn a_paused_schedule_skips_and_a_used_up_quota_refuses() {
    let outage = state("2026-01-01T03:00:00Z", "2026-01-01T05:30:00Z");
    let paused = hourly().decide(&ScheduleState { paused: true, ..outage });
    assert_eq!(words(&paused.decisions), ["paused", "paused", "paused"]);
    assert_eq!(paused.next_due, Some(at("2026-01-01T06:00:00Z")), "and stays armed");
    let all = Schedule { overlap: Overlap::Allow, catch_up: CatchUp::All, ..hourly() };
    assert_eq!(words(&all.decide(&ScheduleState { quota_left: 2, ..outage }).decisions), ["fires", "fires", "quota"]);
}

#[test]
fn after_years_the_oldest_are_skipped_as_one_range() {
    let minutely = Schedule { recurrence: Recurrence::cron("* * * * *", "UTC").expect("a line"), ..hourly() };
    let decided = minutely.decide(&state("2016-01-01T00:00:00Z", "2026-01-01T00:05:30Z"));
    assert_eq!(decided.decisions.len(), 101);
    let (first, before) = (at("2016-01-01T00:00:00Z"), at("2025-12-31T22:26:00Z"));
    assert_eq!(decided.decisions[0], Decision::SkipRange { from: first, before, reason: SkipReason::CatchUp });
    assert_eq!(decided.decisions[1], Decision::Skip { due: before, reason: SkipReason::CatchUp });
    assert_eq!(words(&decided.decisions[100..]), ["fires"]);
    assert_eq!(decided.next_due, Some(at("2026-01-01T00:06:00Z")));
}

#[test]
fn clocks_that_jump_neither_repeat_nor_lose_a_tick() {
    let schedule = hourly();
    let forward = schedule.decide(&state("2026-01-01T03:00:00Z", "2026-01-01T04:00:30Z"));
    assert_eq!(words(&forward.decisions), ["catch-up", "fires"]);
    let next_due = forward.next_due.expect("a next");
    let back = ScheduleState { next_due, ..state("2026-01-01T03:00:00Z", "2026-01-01T03:00:30Z") };
    assert!(schedule.decide(&back).decisions.is_empty(), "what fired stays fired");
}

#[test]
fn the_reconciler_finds_what_is_enabled_and_has_no_next_tick() {
    let (schedule, now) = (hourly(), at("2026-01-01T06:30:00Z"));
    let lost = at("2026-01-01T04:00:00Z");
    assert_eq!(schedule.reconcile(true, None, Some(at("2026-01-01T03:00:00Z")), now), Some(lost), "nothing is lost");
    assert_eq!(schedule.reconcile(true, None, None, now), Some(at("2026-01-01T07:00:00Z")));
    assert_eq!(schedule.reconcile(true, Some(now), None, now), None);
    assert_eq!(schedule.reconcile(false, None, None, now), None);
    assert_eq!(schedule.arm(now), Some(Now::from_unix_ms(at("2026-01-01T07:00:00Z").unix_ms())));
}
