//! How the receivers of the backends in memory wait for the next job or event.

use super::Clock;
use tokio::sync::Notify;

/// Waits until something has `changed`, or what is `due`, in milliseconds since 1970, may be there: whoever waits looks
/// again.
pub(crate) async fn wait(clock: &Clock, due: Option<u64>, changed: &Notify) {
    let changed = changed.notified();
    match due {
        None => changed.await,
        Some(due) => tokio::select! {
            () = changed => {}
            () = clock.sleep_until(due) => {}
        },
    }
}
