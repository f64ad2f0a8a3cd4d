//! The queue of jobs: which job is next, when it may run, and what becomes of it when a run has ended.
//!
//! - [`RetryPolicy`] and [`settle`]: retries with exponential backoff and full jitter, and when a job is dead.
//! - [`Priority`]: priorities with bounded ageing, as one number that an index can be ordered by.
//! - [`FairQueue`]: how many jobs of which tenant are claimed next.
//! - [`KeyLimits`]: concurrency and rate by name and concurrency key, in one process; [`TokenBucket`]: a rate that
//!   hosts keep together.

mod bucket;
mod fair;
mod limits;
mod outcome;
mod priority;
mod retry;

pub use bucket::TokenBucket;
pub use fair::{FairQueue, TenantDemand, TenantShare};
pub use limits::{InvalidRate, KEYS_MAX, KeyLimits, Limit, LimitReached, Rate};
pub use outcome::{AttemptResult, DeadReason, Outcome, settle};
pub use priority::{InvalidPriority, Priority};
pub use retry::RetryPolicy;
