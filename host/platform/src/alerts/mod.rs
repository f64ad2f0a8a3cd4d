//! Alerts of a platform: rules are evaluated each ten seconds by the one host that has the lease, and receivers are
//! told.
//!
//! A lease is renewed in the transaction that stores an evaluation. So the time at which it was last renewed is that of
//! the last evaluation, which every host can see, and a host that cannot evaluate any more loses it to another. What an
//! evaluation depends on is in the store: the other host goes on where the first one was.

mod admin;
mod baselines;
mod counts;
mod delivery;
mod evaluation;
mod evaluator;
mod logs;
mod readings;

pub(crate) use evaluator::start;
