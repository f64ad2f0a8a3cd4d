//! Feature flags: a value that a component asks for while it runs, and that is decided without a deployment.
//!
//! A flag has *variants*, each with a value, all of one type. Its *rules* are looked at in their order; the first that
//! includes the evaluation decides, by one variant or by a split: a percentage of the targeting keys for each of
//! several. Where no rule decides, the default variant is given. A flag that is disabled gives the value that the code
//! itself names.
//!
//! # What follows others
//!
//! Types, reasons and error codes are those of the [OpenFeature specification](https://openfeature.dev/specification).
//! `state`, `variants`, `defaultVariant` and `metadata` of a definition are those of a
//! [flagd flag definition](https://flagd.dev/reference/flag-definitions/). `rules` is ours, in the place of flagd's
//! `targeting`: JsonLogic is a program, whose time has no bound that could be priced, and cannot be shown as a form.
//!
//! # Who is in a split
//!
//! The bucket of a targeting key is that of [`Assigner`](crate::rollout::Assigner), by the scope and the name of the
//! flag: the same on every host and after every restart, whatever the rules are. Shares lie beside each other in their
//! order, so who is in the first share stays in it when it grows.

mod definition;
mod evaluation;
mod set;
#[cfg(test)]
mod tests;

pub use definition::{
    DEFINITION_BYTES_MAX, FLAG_NAME_BYTES_MAX, FlagDefinition, FlagState, RULES_MAX, SplitShare, TargetingRule,
    VARIANTS_MAX, check_flag_name,
};
pub use evaluation::{
    CLAIM_VALUES_MAX, EvaluationContext, EvaluationError, FlagErrorCode, Reason, Resolution, TARGETING_KEY_BYTES_MAX,
    ValueType,
};
pub use set::{FLAGS_MAX, Flag, FlagSet, WORK_MAX};
