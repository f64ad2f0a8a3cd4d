//! The pauses between looks, by a clock that only moves when a host sleeps.

use super::super::{CatchUp, Decision, Overlap, PAUSE_MAX, PAUSE_MIN, Recurrence, Schedule, ScheduleState, poll_delay};
use super::at;
use elias_delivery::clock::Now;
use std::time::Duration;

fn schedule(cron: &str) -> Schedule {
    Schedule {
        recurrence: Recurrence::cron(cron, "UTC").expect("a line"),
        overlap: Overlap::Allow,
        catch_up: CatchUp::All,
        catch_up_max: 100,
        max_lateness: None,
    }
}

fn after(moment: Now, pause: Duration) -> Now {
    Now::from_unix_ms(moment.unix_ms() + u64::try_from(pause.as_millis()).expect("a short pause"))
}

#[test]
fn a_pause_ends_with_the_next_due_time_within_its_bounds() {
    let now = Now::from_unix_ms(10_000);
    for (due, expected) in [
        (None, PAUSE_MAX),
        (Some(10_000_000), PAUSE_MAX),
        (Some(11_000), PAUSE_MAX),
        (Some(10_370), Duration::from_millis(370)),
        (Some(10_001), PAUSE_MIN),
        (Some(10_000), PAUSE_MIN),
        (Some(0), PAUSE_MIN),
    ] {
        assert_eq!(poll_delay(now, due.map(Now::from_unix_ms)), expected, "{due:?}");
    }
}

#[test]
fn ticks_are_late_by_milliseconds_whenever_the_host_began() {
    // The look itself takes 3 ms, and the host begins at any moment of a second.
    let look_takes = Duration::from_millis(3);
    for begun_ms in [0, 1, 499, 980, 999] {
        let often = schedule("*/2 * * * * *");
        let mut now = after(at("2026-01-01T00:00:00Z"), Duration::from_millis(begun_ms));
        let (mut next_due, mut fired, mut looks) = (often.arm(now), 0, 0);
        while fired < 100 {
            looks += 1;
            let due = next_due.expect("it goes on for ever");
            let state = ScheduleState { now, next_due: due, paused: false, running: 0, waiting: 0, quota_left: 1_000 };
            let decided = often.decide(&state);
            for decision in &decided.decisions {
                let Decision::Fire { lateness, .. } = decision else { panic!("{decision:?}") };
                assert!(*lateness <= PAUSE_MIN + look_takes, "{lateness:?}, begun at {begun_ms} ms");
                fired += 1;
            }
            next_due = decided.next_due;
            now = after(now, look_takes);
            now = after(now, poll_delay(now, next_due));
        }
        assert!(looks <= 4 * fired, "{looks} looks for {fired} ticks");
    }
}

#[test]
fn what_another_host_arms_is_seen_within_a_second() {
    // Nothing is known to be due for a day, and meanwhile another host arms a schedule.
    let mut now = at("2026-01-01T00:00:00Z");
    let known = Some(at("2026-01-02T00:00:00Z"));
    let armed = after(now, Duration::from_millis(1_400));
    while now < armed {
        now = after(now, poll_delay(now, known));
    }
    assert!(now.unix_ms() - armed.unix_ms() <= 1_000);
}
