//! How the receivers of the backends in memory wait for the next job or event.

use super::Clock;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the clock is not looked at at most: it may have been set.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Waits until something has `changed`, or what is `due`, in milliseconds since 1970, may be there: whoever waits looks
/// again.
pub(crate) async fn wait(clock: &Clock, due: Option<u64>, changed: &Notify) {
    let changed = changed.notified();
    match due {
        None => changed.await,
        Some(due) => {
            let wait = Duration::from_millis(due.saturating_sub(clock.now())).min(LOOK_INTERVAL);
            // Both are the end of waiting.
            drop(tokio::time::timeout(wait, changed).await);
        }
    }
}
