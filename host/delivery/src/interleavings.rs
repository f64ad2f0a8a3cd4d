//! The circuit breaker and the rate limiter in interleavings of threads that `shuttle` chooses, some thousand each.

use crate::clock::Now;
use crate::supervision::SupervisionConfig;
use breaker::{Breaker, BreakerState};
use gcra_limiter::GcraLimiter;
use shuttle::thread;
use std::time::Duration;

/// The names that the files below import from `super`.
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
mod config {
    pub(crate) use crate::supervision::SupervisionConfig;
}
mod health {
    pub(crate) use crate::supervision::{Health, HealthState};
}

#[path = "supervision/breaker.rs"]
#[allow(dead_code, unreachable_pub, clippy::duplicate_mod)]
mod breaker;
#[path = "supervision/gcra_limiter.rs"]
#[allow(dead_code, unreachable_pub, clippy::duplicate_mod)]
mod gcra_limiter;
#[path = "supervision/window.rs"]
#[allow(clippy::duplicate_mod)]
mod window;

const INTERLEAVINGS: usize = 3_000;

fn config() -> SupervisionConfig {
    SupervisionConfig { consecutive_failures: 2, half_open_requests: 2, ..SupervisionConfig::default() }
}

fn at(ms: u64) -> Now {
    Now::from_unix_ms(ms)
}

fn closed() -> sync::Arc<Breaker> {
    sync::Arc::new(Breaker::new(&config(), 1, at(1_000)))
}

/// Long after any wait.
fn later() -> Now {
    at(1_000 + 10 * config().backoff_max_ms)
}

fn open(breaker: &Breaker) {
    for _ in 0..config().consecutive_failures {
        let permit = breaker.try_admit(at(1_000)).expect("it is closed");
        breaker.record(permit, false, at(1_000));
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn so_many_try_an_open_circuit_and_no_more() {
    shuttle::check_random(
        || {
            let breaker = closed();
            open(&breaker);
            let tries: Vec<_> = (0..4)
                .map(|_| {
                    let breaker = sync::Arc::clone(&breaker);
                    thread::spawn(move || breaker.try_admit(later()).ok())
                })
                .collect();
            let entered: Vec<_> = tries.into_iter().filter_map(|one| one.join().expect("it ends")).collect();
            assert_eq!(entered.len(), 2, "as many as the configuration says");
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            drop(entered);
            assert!(breaker.try_admit(later()).is_ok(), "who never was gives its place back");
        },
        INTERLEAVINGS,
    );
}

#[test]
fn trials_close_a_circuit_once_whatever_their_order() {
    shuttle::check_random(
        || {
            let breaker = closed();
            open(&breaker);
            let trials =
                [breaker.try_admit(later()), breaker.try_admit(later())].map(|permit| permit.expect("a trial"));
            let ends: Vec<_> = trials
                .into_iter()
                .map(|permit| {
                    let breaker = sync::Arc::clone(&breaker);
                    thread::spawn(move || breaker.record(permit, true, later()))
                })
                .collect();
            ends.into_iter().for_each(|one| one.join().expect("it ends"));
            assert_eq!(breaker.state(), BreakerState::Closed);
        },
        INTERLEAVINGS,
    );
}

#[test]
fn a_failed_trial_opens_a_circuit_again_beside_one_that_succeeds() {
    shuttle::check_random(
        || {
            let breaker = closed();
            open(&breaker);
            let trials =
                [breaker.try_admit(later()), breaker.try_admit(later())].map(|permit| permit.expect("a trial"));
            let [good, bad] = trials;
            let other = sync::Arc::clone(&breaker);
            let succeeds = thread::spawn(move || other.record(good, true, later()));
            breaker.record(bad, false, later());
            succeeds.join().expect("it ends");
            assert_eq!(breaker.state(), BreakerState::Open);
        },
        INTERLEAVINGS,
    );
}

#[test]
fn failures_at_the_same_time_open_a_circuit_once() {
    shuttle::check_random(
        || {
            // A second opening would stop it.
            let breaker = Breaker::new(&SupervisionConfig { restarts: 1, ..config() }, 1, at(1_000));
            let breaker = sync::Arc::new(breaker);
            let fails: Vec<_> = (0..4)
                .map(|_| {
                    let breaker = sync::Arc::clone(&breaker);
                    thread::spawn(move || {
                        if let Ok(permit) = breaker.try_admit(at(1_000)) {
                            breaker.record(permit, false, at(1_000));
                        }
                    })
                })
                .collect();
            fails.into_iter().for_each(|one| one.join().expect("it ends"));
            assert_eq!(breaker.state(), BreakerState::Open);
        },
        INTERLEAVINGS,
    );
}

#[test]
fn of_a_request_from_before_a_change_nothing_is_learned() {
    shuttle::check_random(
        || {
            let breaker = closed();
            let before = breaker.try_admit(at(1_000)).expect("it is closed");
            let other = sync::Arc::clone(&breaker);
            let fails = thread::spawn(move || other.record(before, false, at(1_000)));
            breaker.resume("deployed", at(1_000));
            fails.join().expect("it ends");
            // One failure of two that it takes, whenever the other came.
            let after = breaker.try_admit(at(1_000)).expect("it is closed");
            breaker.record(after, false, at(1_000));
            assert_eq!(breaker.state(), BreakerState::Closed);
        },
        INTERLEAVINGS,
    );
}

#[test]
fn units_of_a_limiter_are_taken_once() {
    shuttle::check_random(
        || {
            let limiter = sync::Arc::new(GcraLimiter::new(3, Duration::from_secs(60)).expect("a limit"));
            let takes: Vec<_> = (0..5)
                .map(|_| {
                    let limiter = sync::Arc::clone(&limiter);
                    thread::spawn(move || limiter.reserve(1_000, Duration::ZERO).is_ok())
                })
                .collect();
            let taken = takes.into_iter().map(|one| one.join().expect("it ends")).filter(|taken| *taken).count();
            assert_eq!((taken, limiter.used(1_000)), (3, 3));
        },
        INTERLEAVINGS,
    );
}

#[test]
fn what_is_spent_beside_a_request_is_not_lost() {
    shuttle::check_random(
        || {
            let limiter = sync::Arc::new(GcraLimiter::new(10, Duration::from_secs(60)).expect("a limit"));
            let other = sync::Arc::clone(&limiter);
            let spends = thread::spawn(move || other.spend(4, 1_000));
            limiter.spend(2, 1_000);
            let reserved = limiter.reserve(1_000, Duration::ZERO).is_ok();
            spends.join().expect("it ends");
            assert!(reserved);
            assert_eq!(limiter.used(1_000), 7);
        },
        INTERLEAVINGS,
    );
}
