//! From one version to the next in steps: who is in the canary, how it does against the version it replaces, when it
//! gets more, when it is taken back.
//!
//! # How a canary is judged
//!
//! A step is watched in *rounds*. A round begins with the step and lasts `every-ms` or longer; what canary and base did
//! since its beginning, at the same time, is compared. When it has lasted four times as long and is still undecided,
//! the next begins, so that a fault that comes late is not hidden behind hours of good responses.
//!
//! Three things are compared: the share of requests that failed; the share of requests that were slower than
//! `p99-ratio` times the base's p99 (of the base's own, one in a hundred); the mean of fuel per request. Each
//! comparison has three outcomes:
//!
//! - *bad*: the canary's lower bound is above what is tolerated over the base's upper bound. It is rolled back at once.
//! - *unclear*: what was measured is beyond what is tolerated, but may be chance. It is not promoted, and watched on.
//! - *good*: neither. When the round has lasted and has its requests, the next step begins.
//!
//! The bounds are time-uniform (`statistics::sequential` says what that is), so failures may be judged as they come,
//! after each request, without a false alarm becoming likelier for it. Round `k` of a rollout may be wrong with
//! probability `0.001 * 6 / (pi k)^2`, shared among its bounds; over all rounds, however many, that sums up to 0.001:
//! of 1,000 canaries that are no worse than tolerated, one is rolled back for nothing. (For failures that is exact if
//! requests fail independently of each other; for latency, whose yardstick is itself measured, and for the mean of fuel
//! it is approximate.) With fewer than 20 requests no canary is bad.
//!
//! Earlier requests of the base count for it while it has no 20 requests of its own in a round, as at 100 %. If nothing
//! is known of it, it is taken to be without failures. At 100 % a latency or fuel that is *unclear* by that holds
//! nothing up: the base serves no more, so that waiting would not make it clearer.

mod assign;
mod audience;
mod flags;
mod judgement;
mod machine;
mod plan;
mod state;
mod stats;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use assign::{Assigner, Caller, Sticky};
pub(crate) use assign::{BUCKETS, buckets_of};
pub(crate) use audience::Audience;
pub use flags::{FlagRule, FlagTable};
pub use machine::Rollout;
pub use plan::RolloutPlan;
pub use state::{RolloutError, RolloutEvent, RolloutState, RolloutStatus};
pub use stats::{ReleaseStats, Snapshot, VersionMetrics};
