//! The containment of a component's faults: circuit breaker, concurrency limit, health.
//!
//! The circuit [`Breaker`] decides first whether to admit a request, then the request takes a [`Permit`] of the
//! [`Admission`] or waits for one. Its result is reported to the breaker; refusals of these two are not reported.

mod admission;
mod allowance;
#[cfg(test)]
mod allowance_tests;
mod breaker;
mod config;
mod health;
mod shared_admission;
mod tenant_queue;
mod usage;
mod window;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Permit};
pub use allowance::Allowance;
pub use breaker::{Breaker, BreakerState, CircuitRefusal, Entry};
pub use config::SupervisionConfig;
pub use health::{Health, HealthState};
pub use shared_admission::{SharedAdmission, SharedPermit};
pub use tenant_queue::{TenantQueue, TenantSlot};
pub use usage::{Resource, ResourceUsage, UsageReservation};

use crate::sync;
