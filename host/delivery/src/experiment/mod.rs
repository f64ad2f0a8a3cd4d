//! Experiments: several variants of one component serve at the same time, and are compared.
//!
//! # When one is better
//!
//! The first variant is the baseline. The difference of each other variant to it has a 95 % confidence interval: of
//! mean latency, fuel and peak memory (Welch), and of the share of failures (Newcombe). The share of responses that
//! differ from the baseline's, where both were given the same input, has one too (Wilson). Another is *better* if all
//! intervals are clear of being worse by more than the rule's margins, and that of latency, fuel or memory is clear of
//! zero on the good side. It is *worse* if an interval lies beyond a margin as a whole. Else there is not enough to
//! tell.
//!
//! 95 % is for one look at one interval. With ten variants, or a look each hour, expect that chance wins now
//! and then; a rule that promotes automatically is best given a number of requests to look at once.
//!
//! # Mirrored requests
//!
//! A variant with a share `shadow` gets a copy of a request once that has its response, with all that was read of its
//! body; so it takes nothing from the client's time, and nothing of it reaches the client. Its response is compared
//! with that of the baseline by status, headers and the bytes of the body. Its execution is a real one: it spends
//! fuel, writes to the database, and is recorded as such.

mod choice;
mod comparison;
mod response;
mod totals;

#[cfg(test)]
mod tests;

pub use choice::{Experiment, ExperimentPlan, Variant, VariantChoice, VariantTable};
pub use comparison::{BetterRule, Comparison, Difference, VariantMeasurements, Verdict};
pub use response::{ResponseDifference, ResponseReader, ResponseSummary};
pub use totals::{Observation, VariantMetrics, VariantStats, VariantTotals};
