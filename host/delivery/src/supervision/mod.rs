//! The containment of a component's faults: circuit breaker, concurrency limit, health.
//!
//! The circuit [`Breaker`] decides first whether to admit a request, then the request takes a [`Permit`] of the
//! [`Admission`] or waits for one. Its result is reported to the breaker; refusals of these two are not reported.

mod admission;
mod breaker;
mod config;
pub mod dynamic_threshold;
mod gcra_limiter;
#[cfg(test)]
mod gcra_limiter_tests;
mod health;
mod shared_admission;
mod tenant_queue;
mod usage;
mod window;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Permit};
pub use breaker::{Breaker, BreakerState, CircuitPermit, CircuitRefusal};
pub use config::SupervisionConfig;
pub use gcra_limiter::GcraLimiter;
pub use health::{Health, HealthState};
pub use shared_admission::{SharedAdmission, SharedPermit};
pub use tenant_queue::{TenantQueue, TenantSlot};
pub use usage::{Resource, ResourceUsage, UsageReservation};

use crate::sync;
