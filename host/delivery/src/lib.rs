//! How versions get traffic and how their faults are contained: pure state machines, which are told the time.
//!
//! - [`rollout`]: from one version to the next in steps, and callers that get a version of their own.
//! - [`experiment`]: several variants of one component that serve at the same time, and which is better.
//! - [`flag`]: feature flags, whose value is decided by rules for each evaluation.
//! - [`supervision`]: circuit breaker, concurrency limits, queues by tenant, rate limiters, health.
//! - [`statistics`]: what the first two judge by.
//! - [`clock`], [`civil`], [`duration`] and [`setting`]: time as it is given, dates, durations as elias.toml writes
//!   them, and settings that are out of bounds.

pub mod civil;
pub mod clock;
pub mod duration;
pub mod experiment;
pub mod flag;
#[cfg(test)]
mod interleavings;
pub mod rollout;
pub mod setting;
pub mod statistics;
pub mod supervision;
mod sync;
