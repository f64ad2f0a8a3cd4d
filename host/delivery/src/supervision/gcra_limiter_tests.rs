//! Tests of the rate limiter.

use super::gcra_limiter::GcraLimiter;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MS: u64 = 3_600_000;

#[test]
fn all_units_may_be_taken_at_once_and_come_back_evenly() {
    let limiter = GcraLimiter::new(60, Duration::from_secs(60)).expect("a limit");
    for taken in 0..60 {
        assert_eq!(limiter.used(5_000), taken);
        assert_eq!(limiter.reserve(5_000, Duration::ZERO), Ok(Duration::ZERO));
    }
    assert_eq!(limiter.reserve(5_000, Duration::ZERO), Err(Duration::from_secs(1)));
    assert_eq!(limiter.reserve(5_999, Duration::ZERO), Err(Duration::from_millis(1)));
    assert_eq!(limiter.reserve(6_000, Duration::ZERO), Ok(Duration::ZERO));
    assert_eq!(limiter.used(36_000), 30);
    assert_eq!(limiter.used(u64::MAX / 1_000_000), 0);
}

#[test]
fn units_that_are_booked_ahead_come_in_turn() {
    let limiter = GcraLimiter::new(1, Duration::from_secs(1)).expect("a limit");
    let most = Duration::from_secs(2);
    let waits: Vec<_> = (0..4).map(|_| limiter.reserve(0, most).map(|wait| wait.as_secs())).collect();
    assert_eq!(waits, [Ok(0), Ok(1), Ok(2), Err(Duration::from_secs(3))]);
    assert_eq!(limiter.reserve(1_000, most), Ok(most), "what was refused took nothing");
}

#[test]
fn a_debt_is_waited_for() {
    let bytes = GcraLimiter::new(3_600, HOUR).expect("a limit");
    assert_eq!(bytes.check(0), Ok(()));
    bytes.spend(7_200, 0);
    assert_eq!(bytes.used(0), 7_200);
    let wait = bytes.check(0).expect_err("in debt").as_secs();
    assert!((3_600..=3_601).contains(&wait), "{wait}");
    assert!(bytes.check(HOUR_MS + 1_001).is_ok(), "the first byte is back");
    assert_eq!(bytes.used(3 * HOUR_MS), 0);
}

#[test]
fn a_clock_that_goes_back_gives_nothing_twice_and_large_numbers_do_no_harm() {
    let bytes = GcraLimiter::new(u64::MAX, HOUR).expect("a limit");
    bytes.spend(u64::MAX, 10);
    bytes.spend(u64::MAX, 0);
    assert!(bytes.check(0).is_err());
    assert!(GcraLimiter::new(1, HOUR).expect("a limit").reserve(u64::MAX, Duration::ZERO).is_ok());
    assert!(GcraLimiter::new(0, HOUR).is_none(), "no limit");
}
