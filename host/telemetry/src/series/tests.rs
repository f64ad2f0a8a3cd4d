//! Points of counters, over minutes and hours.

use super::*;

/// Counters after so many requests, of which the last minute's largest took `memory` bytes.
fn total(requests: u64, memory: u64) -> Point {
    let mut point = Point { requests, memory_max_bytes: memory, ..Point::default() };
    for _ in 0..requests {
        point.latency.record(2_000);
    }
    point
}

/// The number of requests of the points with this step, with the beginning of the step.
fn requests(points: &[StepPoint<&str>], step_ms: u64) -> Vec<(u64, u64)> {
    let of_step = points.iter().filter(|point| point.step_ms == step_ms);
    of_step.map(|point| (point.at_ms, point.point.requests)).collect()
}

#[test]
fn each_minute_has_its_own_requests_and_the_hour_has_all_of_them() {
    let start = 10 * HOUR_MS + 58 * MINUTE_MS;
    let mut sampler = SeriesSampler::new(start);
    assert!(!sampler.is_due(start + MINUTE_MS - 1) && sampler.is_due(start + MINUTE_MS));
    let first = sampler.sample(start + MINUTE_MS, [("shop", total(3, 100))]);
    assert_eq!(requests(&first, MINUTE_MS), [(start, 3)]);
    assert_eq!(requests(&first, HOUR_MS), [(10 * HOUR_MS, 3)]);
    let second = sampler.sample(start + 2 * MINUTE_MS, [("shop", total(5, 40))]);
    assert_eq!(requests(&second, MINUTE_MS), [(start + MINUTE_MS, 2)]);
    assert_eq!(requests(&second, HOUR_MS), [(10 * HOUR_MS, 5)], "it takes the place of the first");
    let hour = second.iter().find(|point| point.step_ms == HOUR_MS).expect("the hour");
    assert_eq!((hour.point.memory_max_bytes, hour.point.latency.count()), (100, 5));
    let next = sampler.sample(start + 3 * MINUTE_MS, [("shop", total(6, 0))]);
    assert_eq!(requests(&next, HOUR_MS), [(11 * HOUR_MS, 1)], "another hour begins at zero");
}

#[test]
fn a_series_in_which_nothing_happens_has_no_points() {
    let mut sampler = SeriesSampler::new(0);
    assert_eq!(sampler.sample(MINUTE_MS, [("shop", total(1, 1))]).len(), 2);
    assert!(sampler.sample(2 * MINUTE_MS, [("shop", total(1, 0))]).is_empty());
    let rest = Point { left_out: 7, ..Point::default() };
    assert!(sampler.sample(3 * MINUTE_MS, [("others", rest)]).is_empty());
}

#[test]
fn counters_that_begin_anew_lose_nothing() {
    let mut sampler = SeriesSampler::new(0);
    sampler.sample(MINUTE_MS, [("shop", total(9, 0))]);
    let again = sampler.sample(2 * MINUTE_MS, [("shop", total(4, 0))]);
    assert_eq!(requests(&again, MINUTE_MS), [(MINUTE_MS, 4)]);
    sampler.sample(3 * MINUTE_MS, []);
    let later = sampler.sample(4 * MINUTE_MS, [("shop", total(4, 0))]);
    assert_eq!(requests(&later, MINUTE_MS), [(3 * MINUTE_MS, 4)], "it was gone between");
}

#[test]
fn a_clock_that_goes_back_makes_no_earlier_point() {
    let mut sampler = SeriesSampler::new(5 * MINUTE_MS);
    let points = sampler.sample(2 * MINUTE_MS, [("shop", total(1, 0))]);
    assert_eq!(requests(&points, MINUTE_MS), [(5 * MINUTE_MS, 1)]);
    let points = sampler.sample(3 * MINUTE_MS, [("shop", total(2, 0))]);
    assert_eq!(requests(&points, MINUTE_MS), [(5 * MINUTE_MS, 2)], "it takes the place of the first");
}

#[test]
fn points_of_hosts_and_minutes_add_up_to_steps() {
    let points = [(0, total(1, 5)), (MINUTE_MS, total(2, 9)), (MINUTE_MS, total(4, 3)), (5 * MINUTE_MS, total(8, 1))];
    let steps = by_step(points, 5 * MINUTE_MS);
    let read = |at: u64| (steps[&at].requests, steps[&at].memory_max_bytes, steps[&at].latency.count());
    assert_eq!((read(0), read(5 * MINUTE_MS), steps.len()), ((7, 9, 7), (8, 1, 8), 2));
}

#[test]
fn what_is_older_than_a_day_is_kept_by_the_hour() {
    let now = HOURS_KEPT_MS;
    assert_eq!(kept_step_ms(now - MINUTES_KEPT_MS, now), MINUTE_MS);
    assert_eq!(kept_step_ms(now - MINUTES_KEPT_MS - 1, now), HOUR_MS);
    assert_eq!(kept_step_ms(now + 1, now), MINUTE_MS);
}

#[test]
fn a_point_of_another_release_is_read() {
    let point: Point = serde_json::from_str(r#"{"requests":3,"something-new":1}"#).expect("a point");
    assert_eq!(point, Point { requests: 3, ..Point::default() });
    let text = serde_json::to_string(&total(2, 7)).expect("JSON");
    assert_eq!(serde_json::from_str::<Point>(&text).expect("a point"), total(2, 7));
}
