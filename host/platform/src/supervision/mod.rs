//! What keeps one component's faults to itself: circuit breaker, bulkhead, health.
//!
//! A request asks the [`Breaker`] first (is the component in order?), then takes a [`Place`] of the [`Admission`] (is there room, or room
//! to wait?). Its result goes back to the breaker. Refusals of these two are no results of the component.

mod admission;
mod breaker;
mod config;
mod health;
mod shared_admission;
mod tenant_queue;
mod usage;
mod window;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Place};
pub use breaker::{Breaker, BreakerState, Entry, Refused};
pub use config::SupervisionConfig;
pub use health::{Health, HealthState};
pub use shared_admission::{SharedAdmission, SharedPermit};
pub use tenant_queue::{TenantQueue, TenantSlot};
pub use usage::{Resource, Taken, Usage};

use crate::sync;
