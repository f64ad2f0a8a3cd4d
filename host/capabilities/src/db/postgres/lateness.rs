//! The host's own timeouts of statements, for a server that does not keep its own.

use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How long after the server should have given up the host does, at least.
const GRACE: Duration = Duration::from_secs(1);

/// When statements that began in the same second are late. A timer for each statement would wake the thread that waits
/// for the network whenever one is set.
pub(super) struct Lateness {
    timeout: Duration,
    latest: Mutex<Option<(Instant, Late)>>,
}

type Late = Shared<BoxFuture<'static, ()>>;

impl Lateness {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, latest: Mutex::default() }
    }

    /// Done when a statement that begins now is late.
    pub(super) fn starting_now(&self) -> Late {
        let now = Instant::now();
        let mut latest = self.latest.lock();
        if let Some((_, late)) = latest.as_ref().filter(|(since, _)| now.duration_since(*since) < GRACE) {
            return late.clone();
        }
        let late = tokio::time::sleep(self.timeout + 2 * GRACE).boxed().shared();
        *latest = Some((now, late.clone()));
        late
    }
}
