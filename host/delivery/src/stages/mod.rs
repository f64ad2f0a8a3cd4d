//! Several implementations of one component side by side: which of them responds, and which of them is better.
//!
//! # When one is better
//!
//! The first implementation is the baseline. Of each other, the difference to it has a 95 % confidence interval: of
//! mean latency, fuel and peak memory (Welch), and of the share of failures (Newcombe). The share of responses that
//! differ from the baseline's, where both were given the same input, has one too (Wilson). Another is *better* if all
//! intervals are clear of being worse by more than the rule's margins, and that of latency, fuel or memory is clear of
//! zero on the good side. It is *worse* if an interval lies beyond a margin as a whole. Else there is not enough to
//! tell.
//!
//! 95 % is for one look at one interval. Who compares ten implementations, or looks each hour, should expect that
//! chance wins now and then; a rule that promotes by itself is best given a number of requests to look at once.

//!
//! # Mirrored requests
//!
//! A variant with a share `shadow` gets a copy of a request once that has its response, with all that was read of its
//! body; so it takes nothing from the client's time, and nothing of it reaches the client. Its response is compared
//! with that of the baseline by status, headers and the bytes of the body. Its execution is a real one: it spends
//! fuel, writes to the database, and is recorded as such.

mod choice;
mod comparison;
mod observed;
mod response;

#[cfg(test)]
mod tests;

pub use choice::{Implementation, StageChoice, StagePlan, StageTable, Stages};
pub use comparison::{BetterRule, Comparison, Difference, ImplementationFigures, Verdict};
pub use observed::{ImplementationStats, Observation, Observed, VariantMetrics};
pub use response::{Differing, ResponseReader, ResponseSummary};
