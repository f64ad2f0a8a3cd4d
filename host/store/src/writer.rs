//! Who writes to a SQLite store next.
//!
//! SQLite has one writer at a time. Who finds it busy sleeps and looks again, up to 100 ms later, and may find it busy
//! again; of a thousand transactions a second some wait most of a second. So the transactions of a process wait here
//! for their turn, in the order in which they came.

use crate::error::{Error, Result};
use elias_api::Code;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a transaction waits for its turn, as long as SQLite itself would have it wait.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// The right to write, which one transaction has at a time.
pub(super) type WriteTurn = OwnedSemaphorePermit;

/// Gives the transactions of a process their turns.
pub(super) struct Writer(Arc<Semaphore>);

impl Default for Writer {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Writer {
    /// Waits for the turn.
    ///
    /// # Errors
    /// `store-unavailable`, if others take longer than ten seconds.
    pub(super) async fn turn(&self) -> Result<WriteTurn> {
        self.turn_within(TURN_TIMEOUT).await
    }

    async fn turn_within(&self, time: Duration) -> Result<WriteTurn> {
        let turn = timeout(time, Arc::clone(&self.0).acquire_owned()).await;
        turn.ok().and_then(std::result::Result::ok).ok_or_else(|| {
            let message = "the store was busy for ten seconds: other transactions write to it; try again";
            Error::new(Code::StoreUnavailable, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[tokio::test]
    async fn turns_are_given_in_the_order_of_asking() {
        let (writer, order) = (Arc::new(Writer::default()), Arc::new(Mutex::new(Vec::new())));
        let first = writer.turn().await.expect("it is free");
        let asked: Vec<_> = (0..20)
            .map(|number| {
                let (writer, order) = (Arc::clone(&writer), Arc::clone(&order));
                tokio::spawn(async move {
                    let _turn = writer.turn().await.expect("its turn comes");
                    order.lock().push(number);
                    tokio::task::yield_now().await;
                })
            })
            .collect();
        tokio::task::yield_now().await; // all of them ask
        drop(first);
        for task in asked {
            task.await.expect("no panic");
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_an_error_and_leaves_nothing_behind() {
        let writer = Writer::default();
        let held = writer.turn().await.expect("it is free");
        let late = writer.turn_within(Duration::from_millis(1)).await.expect_err("another transaction takes longer");
        assert_eq!(late.code(), Code::StoreUnavailable);
        drop(held);
        drop(writer.turn().await.expect("it is free again"));
    }
}
