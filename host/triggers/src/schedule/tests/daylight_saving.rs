//! Clocks that are set forward and back.

use super::super::Recurrence;
use super::{at, text};

fn due(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    Recurrence::cron(line, zone).expect(line).next(at(after), count).into_iter().map(text).collect()
}

#[test]
fn a_fixed_time_that_is_left_out_is_due_when_the_clock_is_set_forward() {
    // Berlin: 2026-03-29, 02:00 becomes 03:00 (01:00 UTC). New York: 2026-03-08, 02:00 becomes 03:00 (07:00 UTC).
    // Lord Howe: 2026-10-04, 02:00 becomes 02:30 (15:30 UTC the day before).
    for (line, zone, after, expected) in [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]),
    ] {
        assert_eq!(due(line, zone, after, 2), expected, "{zone}");
    }
}

#[test]
fn several_that_are_left_out_are_one_tick() {
    let ticks = due("0,15,30,45 2,3 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", 3);
    assert_eq!(ticks, ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z"]);
}

#[test]
fn a_fixed_time_that_comes_twice_is_due_the_first_time_only() {
    // Berlin: 2026-10-25, 03:00 becomes 02:00 (01:00 UTC). Lord Howe: 2026-04-05, 02:00 becomes 01:30 (15:00 UTC the
    // day before).
    for (line, zone, after, expected) in [
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", ["2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", ["2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]),
    ] {
        assert_eq!(due(line, zone, after, 2), expected, "{zone} after {after}");
    }
}

#[test]
fn lines_with_a_star_follow_the_clock_on_the_wall() {
    let forward = due("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 4);
    assert_eq!(
        forward,
        ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T03:00:00Z"],
        "each hour once"
    );
    let left_out = due("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1);
    assert_eq!(left_out, ["2026-03-30T00:00:00Z"], "nothing in the hour that is left out");
    let twice = due("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 5);
    assert_eq!(
        twice,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:00:00Z"
        ],
        "an hour that comes twice is run through twice"
    );
    let minutes = due("*/10 * * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", 3);
    assert_eq!(minutes, ["2026-04-04T14:50:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:10:00Z"]);
}

#[test]
fn zones_without_changes_and_zones_with_a_history_are_right() {
    assert_eq!(
        due("0 9 * * *", "Asia/Tashkent", "2026-03-29T00:00:00Z", 2),
        ["2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"]
    );
    // Samoa crossed the date line: there was no 2011-12-30.
    assert_eq!(
        due("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
        ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]
    );
    // Moscow: from +04:00 all the year to +03:00 on 2014-10-26.
    assert_eq!(
        due("0 12 * * *", "Europe/Moscow", "2014-10-25T00:00:00Z", 2),
        ["2014-10-25T08:00:00Z", "2014-10-26T09:00:00Z"]
    );
}
