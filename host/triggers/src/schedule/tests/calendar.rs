//! Lines, intervals and the calendar, without changes of the clock.

use super::super::Recurrence;
use super::{at, text};
use elias_delivery::clock::Now;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn next(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    Recurrence::cron(line, zone).expect(line).next(at(after), count).into_iter().map(text).collect()
}

#[test]
fn lines_are_due_when_posix_says() {
    let first = |line: &str| next(line, "UTC", "2026-01-01T00:00:00Z", 2);
    assert_eq!(first("0 3 * * *"), ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]);
    assert_eq!(first("*/20 * * * *"), ["2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z"]);
}

#[test]
fn seconds_nicknames_and_additions_are_understood() {
    let first = |line: &str| next(line, "UTC", "2026-01-01T00:00:00Z", 2);
    assert_eq!(first("*/30 * * * * *"), ["2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"]);
    assert_eq!(first("@weekly"), ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]);
    assert_eq!(first("0 9 L * *"), ["2026-01-31T09:00:00Z", "2026-02-28T09:00:00Z"], "the last day");
    assert_eq!(
        first("0 9 15W * *"),
        ["2026-01-15T09:00:00Z", "2026-02-16T09:00:00Z"],
        "the weekday nearest to the 15th"
    );
    assert_eq!(first("0 9 * * MON#1"), ["2026-01-05T09:00:00Z", "2026-02-02T09:00:00Z"], "the first Monday");
    assert_eq!(first("0 9 * * FRI#L"), ["2026-01-30T09:00:00Z", "2026-02-27T09:00:00Z"], "the last Friday");
    assert_eq!(first("0 9 13 * FRI"), ["2026-01-02T09:00:00Z", "2026-01-09T09:00:00Z"], "POSIX: either of the days");
    assert_eq!(first("0 9 13 * +FRI"), ["2026-02-13T09:00:00Z", "2026-03-13T09:00:00Z"], "both days");
}

#[test]
fn leap_days_and_month_ends_are_those_of_the_calendar() {
    assert_eq!(next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    assert_eq!(next("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"], "2100 is no leap year");
    let ends = next("0 12 31 * *", "UTC", "2026-01-31T12:00:00Z", 3);
    assert_eq!(ends, ["2026-03-31T12:00:00Z", "2026-05-31T12:00:00Z", "2026-07-31T12:00:00Z"]);
}

#[test]
fn what_is_due_is_strictly_after() {
    let daily = Recurrence::cron("0 3 * * *", "UTC").expect("a line");
    assert_eq!(daily.next_after(at("2026-01-01T03:00:00Z")), Some(at("2026-01-02T03:00:00Z")));
    assert_eq!(daily.next_after(at("2026-01-01T02:59:59.999Z")), Some(at("2026-01-01T03:00:00Z")));
    let quarter = Recurrence::every(Duration::from_secs(900)).expect("an interval");
    assert_eq!(quarter.next_after(at("2026-01-01T03:15:00Z")), Some(at("2026-01-01T03:30:00Z")));
}

#[test]
fn errors_name_the_field_and_what_is_allowed() {
    for (line, expected) in [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("60 * * * *", "the minute `60`; allowed are 0-59"),
        ("0 24 * * *", "the hour `24`; allowed are 0-23"),
        ("0 0 32 * *", "the day of the month `32`"),
        ("0 0 * 13 *", "the month `13`"),
        ("0 0 * * 8", "the day of the week `8`"),
        ("0 0 * * FOO", "the day of the week `FOO`"),
        ("MON 0 * * *", "the minute `MON`"),
        ("1,,2 0 * * *", "the minute `1,,2`"),
        ("*/0 * * * *", "the minute `*/0`"),
        ("0 0 30 2 *", "never due"),
        ("@reboot", "unknown nickname"),
        ("0 ".repeat(200).as_str(), "longer than 200 bytes"),
    ] {
        let error = Recurrence::cron(line, "UTC").expect_err(line);
        assert!(error.setting() == "cron" && error.to_string().contains(expected), "{line}: {error}");
    }
    for zone in ["", "Berlin", "Europe/Atlantis", "../../etc/passwd", &"A".repeat(1_000)] {
        let error = Recurrence::cron("0 0 * * *", zone).expect_err(zone);
        assert!(error.setting() == "timezone" && error.to_string().len() < 300, "{error}");
    }
    for interval in [Duration::from_millis(999), Duration::from_secs(367 * 86_400)] {
        assert_eq!(Recurrence::every(interval).expect_err("out of bounds").setting(), "every");
    }
}

#[test]
fn due_times_between_moments_are_bounded_by_a_cap() {
    let minutely = Recurrence::cron("* * * * *", "Asia/Tashkent").expect("a line");
    let between = minutely.between(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:05:00Z"), 100);
    assert_eq!((between.times.len(), between.more), (5, false));
    let capped = minutely.between(at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"), 100);
    assert_eq!((capped.times.len(), capped.more), (100, true));
}

#[test]
fn the_latest_of_years_are_found_without_going_through_them() {
    let (after, until) = (at("2016-01-01T00:00:00Z"), at("2026-06-01T00:00:30Z"));
    let started = Instant::now();
    // Each second of ten years, and one that is dense in January only.
    for (line, last) in [("* * * * * *", "2026-06-01T00:00:30Z"), ("* * * 1 *", "2026-01-31T23:59:00Z")] {
        let latest = Recurrence::cron(line, "UTC").expect(line).latest(after, until, 100);
        assert_eq!((latest.times.len(), latest.earlier), (100, true), "{line}");
        assert_eq!(text(latest.times[99]), last);
        assert!(latest.times.is_sorted());
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let few = Recurrence::cron("0 0 1 1 *", "UTC").expect("a line").latest(after, until, 100);
    assert_eq!((few.times.len(), few.earlier), (10, false));
}

/// Lines of which some are due at most once a day, and others often.
fn any_line() -> impl Strategy<Value = String> {
    let minute = prop_oneof![Just("*".to_owned()), (0..60u32).prop_map(|m| m.to_string()), Just("*/7".to_owned())];
    let hour = prop_oneof![Just("*".to_owned()), (0..24u32).prop_map(|h| h.to_string()), Just("1-5".to_owned())];
    let day = prop_oneof![Just("*".to_owned()), (1..29u32).prop_map(|d| d.to_string()), Just("L".to_owned())];
    let weekday = prop_oneof![Just("*".to_owned()), (0..7u32).prop_map(|d| d.to_string())];
    (minute, hour, day, weekday).prop_map(|(minute, hour, day, weekday)| format!("{minute} {hour} {day} * {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn due_times_are_those_that_a_scan_of_every_minute_finds(
        line in any_line(),
        zone in proptest::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tashkent", "America/St_Johns",
            "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu",
        ]),
        // Half of the starts are near a change of the clock in Europe, America or Australia.
        start in prop_oneof![
            1_262_304_000i64..1_900_000_000,
            proptest::sample::select(vec![1_774_746_000i64, 1_792_890_000, 1_772_953_200, 1_793_512_800, 1_775_314_800,
                1_791_039_600, 1_325_239_200]).prop_map(|change| change - 40_000),
        ],
    ) {
        let recurrence = Recurrence::cron(&line, zone).expect("a line");
        let moment = |second: i64| Now::from_unix_ms((second * 1_000).unsigned_abs());
        let between = recurrence.between(moment(start), moment(start + 150_000), 5_000);
        let second = |due: Now| i64::try_from(due.unix_ms() / 1_000).expect("a second");
        let found: Vec<i64> = between.times.into_iter().map(second).collect();
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "they grow");
        prop_assert_eq!(found, scan(&recurrence, start, start + 150_000));
    }
}

/// Every minute's wall time from `after` (exclusive) to `until`, by the rules as the module's page has them.
fn scan(recurrence: &Recurrence, after: i64, until: i64) -> Vec<i64> {
    let line = recurrence.line();
    let mut due = Vec::new();
    // Wall times that have been there, of the day before too.
    let mut latest_wall = i64::MIN;
    let first = (after - 90_000).div_euclid(60) * 60;
    for second in (first..=until).step_by(60) {
        let wall = line.wall_of(second);
        let matched = if line.follows_the_wall() {
            line.matches_wall(wall)
        } else {
            let new = wall > latest_wall;
            let mut left_out = (latest_wall.max(wall - 90_000) + 60..wall).step_by(60);
            let any_left_out = latest_wall > i64::MIN && left_out.any(|wall| line.matches_wall(wall));
            any_left_out || (new && line.matches_wall(wall))
        };
        latest_wall = latest_wall.max(wall);
        if matched && second > after {
            due.push(second);
        }
    }
    due
}
