//! What keeps one component's faults to itself: circuit breaker, bulkhead, load shedding, health.
//!
//! A request asks the [`Breaker`] first (is the component in order?), then [`SheddingRule::decide`] (is there room?),
//! then takes a [`Permit`] of the [`Bulkhead`]. Its result goes back to the breaker. Refusals of these three are no
//! results of the component.

mod breaker;
mod bulkhead;
mod config;
mod health;
mod shedding;
mod window;

#[cfg(test)]
mod tests;

pub use breaker::{Breaker, BreakerState, Entry, Refused};
pub use bulkhead::{Bulkhead, Permit};
pub use config::SupervisionConfig;
pub use health::{Health, HealthState};
pub use shedding::{Load, Shed, SheddingRule};
