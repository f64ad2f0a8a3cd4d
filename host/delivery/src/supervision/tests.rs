//! Tests of the circuit breaker.

use super::*;
use crate::clock::Now;
use std::time::Duration;

const START_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 3_600_000;

fn at(ms: u64) -> Now {
    Now::from_unix_ms(START_MS + ms)
}

fn config() -> SupervisionConfig {
    SupervisionConfig { consecutive_failures: 5, restarts: 3, ..SupervisionConfig::default() }
}

fn breaker(config: &SupervisionConfig) -> Breaker {
    Breaker::new(config, 42, at(0))
}

fn call(breaker: &Breaker, success: bool, now: Now) -> Result<(), CircuitRefusal> {
    breaker.record(breaker.try_admit(now)?, success, now);
    Ok(())
}

/// Fails until the circuit opens or worse.
fn fail(breaker: &Breaker, now: Now) {
    while breaker.state() == BreakerState::Closed {
        call(breaker, false, now).expect("a closed circuit lets in");
    }
}

#[test]
fn failures_in_a_row_open_the_circuit_and_successes_in_between_do_not() {
    let breaker = breaker(&config());
    for _ in 0..4 {
        call(&breaker, false, at(0)).unwrap();
    }
    assert_eq!(breaker.health(at(0)).state, Health::Degraded);
    call(&breaker, true, at(1)).unwrap();
    assert_eq!(breaker.health(at(1)).state, Health::Healthy);
    fail(&breaker, at(2));
    let refused = breaker.try_admit(at(2)).unwrap_err();
    assert_eq!(refused.state, BreakerState::Open);
    assert!(refused.retry_after >= Duration::from_secs(1));
    let health = breaker.health(at(3));
    assert_eq!((health.state, health.since_ms), (Health::Open, START_MS + 2));
    assert_eq!(health.reason, "5 requests in a row failed");
}

#[test]
fn a_high_share_of_failures_opens_the_circuit_once_there_are_enough_requests() {
    let breaker = breaker(&SupervisionConfig { error_rate: 0.4, consecutive_failures: 100, ..config() });
    for request in 0..49 {
        call(&breaker, request % 2 == 0, at(request)).unwrap();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    call(&breaker, false, at(50)).unwrap();
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(breaker.health(at(51)).reason.contains("25 of 50 requests"));
}

#[test]
fn failures_that_are_older_than_the_window_are_forgotten() {
    let breaker = breaker(&SupervisionConfig { consecutive_failures: 1_000, ..config() });
    for _ in 0..49 {
        call(&breaker, false, at(0)).unwrap();
    }
    for request in 0..60 {
        call(&breaker, request > 0, at(11_000)).unwrap();
    }
    assert_eq!(breaker.health(at(11_000)).state, Health::Healthy);
}

#[test]
fn trials_close_the_circuit_and_no_more_are_let_through_than_were_asked_for() {
    let breaker = breaker(&config());
    fail(&breaker, at(0));
    let trials: Vec<_> = (0..3).map(|_| breaker.try_admit(at(1_000)).unwrap()).collect();
    assert_eq!(breaker.try_admit(at(1_000)).unwrap_err().state, BreakerState::HalfOpen);
    assert_eq!(breaker.health(at(1_000)).state, Health::HalfOpen);
    for trial in trials {
        breaker.record(trial, true, at(1_001));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.health(at(1_002)).state, Health::Healthy);
}

#[test]
fn a_trial_whose_client_went_away_makes_room_for_another() {
    let breaker = breaker(&config());
    fail(&breaker, at(0));
    for _ in 0..100 {
        drop(breaker.try_admit(at(1_000)).unwrap());
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn late_results_change_nothing() {
    let breaker = breaker(&SupervisionConfig { restarts: 1_000, ..config() });
    let late: Vec<_> = (0..40).map(|_| breaker.try_admit(at(0)).unwrap()).collect();
    fail(&breaker, at(0));
    let mut late = late.into_iter();
    let mut record = |count: usize, success| {
        late.by_ref().take(count).for_each(|entry| breaker.record(entry, success, at(1_000)));
    };
    record(10, true);
    assert_eq!(breaker.state(), BreakerState::Open, "successes of before do not close it");
    let trial = breaker.try_admit(at(1_000)).unwrap();
    record(10, false);
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "failures of before do not reopen it");
    breaker.record(trial, true, at(1_000));
    call(&breaker, true, at(1_000)).unwrap();
    call(&breaker, true, at(1_000)).unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
    record(20, false);
    assert_eq!(breaker.health(at(1_000)).state, Health::Healthy, "nor do they count against the closed one");
}

#[test]
fn too_many_openings_stop_the_component_until_it_is_resumed() {
    let breaker = breaker(&config());
    let mut ms = 0;
    fail(&breaker, at(ms));
    while breaker.state() != BreakerState::Stopped {
        ms += 30_000;
        call(&breaker, false, at(ms)).unwrap();
    }
    assert_eq!(ms, 90_000, "the fourth opening is one too many");
    assert_eq!(breaker.try_admit(at(HOUR_MS)).unwrap_err().state, BreakerState::Stopped);
    assert!(breaker.health(at(HOUR_MS)).reason.contains("opened 4 times within 600000 ms"));
    breaker.resume("resumed by an operator", at(HOUR_MS));
    call(&breaker, true, at(HOUR_MS)).unwrap();
    assert_eq!(breaker.health(at(HOUR_MS)).state, Health::Healthy);
    breaker.stop("stopped by an operator", at(HOUR_MS));
    assert_eq!(breaker.health(at(HOUR_MS)).reason, "stopped by an operator");
}

#[test]
fn openings_that_are_far_apart_do_not_stop_it() {
    let breaker = breaker(&config());
    for opening in 0..20 {
        let ms = opening * HOUR_MS;
        fail(&breaker, at(ms));
        assert_eq!(breaker.state(), BreakerState::Open);
        for _ in 0..3 {
            call(&breaker, true, at(ms + 60_000)).unwrap();
        }
    }
}

#[test]
fn waits_grow_are_bounded_and_differ_from_breaker_to_breaker() {
    let config = SupervisionConfig { restarts: 1_000, restart_window_ms: 1_000, ..config() };
    let wait_ms = |seed: u64, openings: u64| {
        let breaker = Breaker::new(&config, seed, at(0));
        fail(&breaker, at(0));
        for opening in 1..openings {
            call(&breaker, false, at(opening * 40_000)).unwrap();
        }
        let opened = (openings - 1) * 40_000;
        (0..).find(|ms| breaker.try_admit(at(opened + ms)).is_ok()).unwrap()
    };
    for (openings, longest_ms) in [(1, 500), (2, 1_000), (4, 4_000), (12, 30_000)] {
        let waits: Vec<u64> = (0..40).map(|seed| wait_ms(seed, openings)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest_ms), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait > longest_ms / 2), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait < longest_ms / 2), "{waits:?}");
    }
}

#[test]
fn a_clock_that_jumps_neither_locks_the_circuit_nor_panics() {
    let breaker = breaker(&config());
    let now = Now::from_unix_ms(START_MS - 5 * HOUR_MS);
    fail(&breaker, at(0));
    let _ = breaker.try_admit(now);
    let later = Now::from_unix_ms(now.unix_ms() + 30_001);
    assert!(breaker.try_admit(later).is_ok(), "five hours back, it opens after its wait all the same");
    for ms in [0, u64::MAX, 1, START_MS, u64::MAX - 1] {
        let now = Now::from_unix_ms(ms);
        let _ = call(&breaker, ms % 2 == 0, now);
        let _ = breaker.health(now);
        breaker.resume("again", now);
        fail(&breaker, now);
    }
}

#[test]
fn many_threads_at_once_open_it_once() {
    let breaker = breaker(&SupervisionConfig { restarts: 1, ..config() });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let _ = call(&breaker, false, at(0));
                }
            });
        }
    });
    // With a wait of nothing a trial could have opened it again; the seed gives another wait.
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn a_configuration_out_of_bounds_names_the_key() {
    assert_eq!(SupervisionConfig::default().check(), Ok(()));
    let table = [
        (r#"{"concurrency": 0}"#, "supervision.concurrency is 0; it must be between 1 and 100000"),
        (r#"{"error-rate": 1.5}"#, "supervision.error-rate is 1.5; it must be between 0.01 and 1"),
        (
            r#"{"backoff-ms": 600, "backoff-max-ms": 500}"#,
            "supervision.backoff-ms is 600; it must be between 1 and 500",
        ),
        (r#"{"restarts": 1001}"#, "supervision.restarts is 1001; it must be between 0 and 1000"),
        (r#"{"retries": 6}"#, "supervision.retries is 6; it must be between 0 and 5"),
    ];
    for (text, message) in table {
        let config: SupervisionConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }
    let config = SupervisionConfig { error_rate: f64::NAN, ..SupervisionConfig::default() };
    assert_eq!(config.check().unwrap_err().key(), "supervision.error-rate");
    assert!(serde_json::from_str::<SupervisionConfig>(r#"{"retry": 1}"#).is_err());
}
