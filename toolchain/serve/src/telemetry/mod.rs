//! What leaves a platform about its executions: failures as envelopes.

mod sentry;

pub(crate) use sentry::Envelopes;
