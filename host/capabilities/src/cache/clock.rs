//! The clock that times to live are measured by.

use std::sync::Arc;
use std::time::Instant;

/// A clock. It is a function, so that tests can give one that they move instead of waiting.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// The clock of the system, which does not jump.
    pub(super) fn system() -> Self {
        Self::new(Instant::now)
    }

    /// A clock that `now` tells the time of.
    pub(super) fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Instant {
        (self.0)()
    }
}
