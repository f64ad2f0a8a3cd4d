//! Waits for the next job or event, in the receivers of the backends in memory.

use super::Clock;
use tokio::sync::Notify;

/// Waits until `changed` is notified, or until the time `due`, in milliseconds since 1970. The caller then looks again.
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
