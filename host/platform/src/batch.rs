//! Writes of many at once in one transaction: a commit that is synced takes as long for one as for a hundred.

use elias_api::{Code, Error, Result};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; whoever comes then waits for a place.
const WAITING_MAX: usize = 4_096;
/// Writes of one transaction.
const BATCH_MAX: usize = 500;

/// Writes of one kind: those that come while a transaction is under way go into the next one together.
pub(crate) struct Batch<T, R> {
    sender: mpsc::Sender<Item<T, R>>,
}

struct Item<T, R> {
    value: T,
    reply: oneshot::Sender<Result<R>>,
}

impl<T: Clone + Send + 'static, R: Send + 'static> Batch<T, R> {
    /// Starts the work, which ends with the batch. `write` writes values in one transaction, and says what became of
    /// each, in their order.
    pub(crate) fn start(write: impl Fn(Vec<T>) -> BoxFuture<'static, Result<Vec<R>>> + Send + Sync + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(work(receiver, write));
        Self { sender }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// Why it alone could not be written.
    pub(crate) async fn write(&self, value: T) -> Result<R> {
        let ended = || Error::new(Code::StoreUnavailable, "the host is about to end");
        let (reply, written) = oneshot::channel();
        self.sender.send(Item { value, reply }).await.map_err(|_| ended())?;
        written.await.map_err(|_| ended())?
    }
}

async fn work<T: Clone, R>(
    mut receiver: mpsc::Receiver<Item<T, R>>,
    write: impl Fn(Vec<T>) -> BoxFuture<'static, Result<Vec<R>>>,
) {
    let mut items = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut items, BATCH_MAX).await > 0 {
        let values: Vec<T> = items.iter().map(|item| item.value.clone()).collect();
        match write(values).await {
            Ok(results) => items.drain(..).zip(results).for_each(|(item, result)| answer(item, Ok(result))),
            // One that is refused takes the others' transaction with it.
            Err(error) if items.len() > 1 && error.code() != Code::StoreUnavailable => {
                for item in items.drain(..) {
                    let alone = write(vec![item.value.clone()]).await;
                    let nothing = || Error::new(Code::Internal, "the store said nothing of a write");
                    let result = alone.and_then(|results| results.into_iter().next().ok_or_else(nothing));
                    answer(item, result);
                }
            }
            Err(error) => items.drain(..).for_each(|item| answer(item, Err(error.clone()))),
        }
    }
}

fn answer<T, R>(item: Item<T, R>, result: Result<R>) {
    // Whoever asked may have ended meanwhile.
    let _ = item.reply.send(result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_comes_meanwhile_is_written_together_and_a_refusal_is_for_one_alone() {
        let transactions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&transactions);
        let batch = Batch::start(move |values: Vec<u32>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let double = |value: u32| match value {
                7 => Err(Error::new(Code::BadInput, "seven")),
                _ => Ok(value * 2),
            };
            async move {
                tokio::task::yield_now().await;
                values.into_iter().map(double).collect::<Result<Vec<u32>>>()
            }
            .boxed()
        });
        let all = futures::future::join_all((100..200).map(|value| batch.write(value))).await;
        assert_eq!(all.into_iter().map(|one| one.expect("written")).max(), Some(398));
        assert!(transactions.load(Ordering::Relaxed) < 10, "{transactions:?}");
        let (one, other) = tokio::join!(batch.write(7), batch.write(8));
        assert_eq!((one.expect_err("refused").code(), other.expect("written")), (Code::BadInput, 16));
    }
}
