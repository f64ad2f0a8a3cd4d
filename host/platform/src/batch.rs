//! Batches of writes: those of many callers in one transaction, since a synced commit takes as long for one as for a
//! hundred.

use elias_api::{Code, Error, Result};
use elias_names::TenantId;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; whoever comes then waits for a place.
const WAITING_MAX: usize = 4_096;
/// Writes of one transaction, and the rows that they write together; one that writes more has its own.
const WRITES_MAX: usize = 500;
const ROWS_MAX: usize = 1_000;
/// If so few writes of a tenant are refused together, each is written alone.
const ALONE_MAX: usize = 8;

/// A write of a tenant.
pub(crate) trait TenantWrite: Clone + Send + 'static {
    /// The tenant.
    fn tenant(&self) -> &TenantId;

    /// How many rows it writes.
    fn rows(&self) -> usize {
        1
    }
}

/// Writes of one kind: those that come while a transaction is under way go into the next one together.
pub(crate) struct Batch<T, R> {
    sender: mpsc::Sender<Item<T, R>>,
}

struct Item<T, R> {
    value: T,
    reply: oneshot::Sender<Result<R>>,
}

impl<T: TenantWrite, R: Send + 'static> Batch<T, R> {
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

async fn work<T: TenantWrite, R>(
    mut receiver: mpsc::Receiver<Item<T, R>>,
    write: impl Fn(Vec<T>) -> BoxFuture<'static, Result<Vec<R>>>,
) {
    let mut items = Vec::with_capacity(WRITES_MAX);
    while receiver.recv_many(&mut items, WRITES_MAX).await > 0 {
        while !items.is_empty() {
            let mut parts = vec![first_rows(&mut items)];
            while let Some(part) = parts.pop() {
                let values: Vec<T> = part.iter().map(|item| item.value.clone()).collect();
                // A panic is one write's, too: it must not end this task, and with it the writes of all for good.
                let written = AssertUnwindSafe(write(values)).catch_unwind().await;
                let panicked = |_| Err(Error::new(Code::Internal, "the host failed while it wrote this"));
                match written.unwrap_or_else(panicked) {
                    Ok(results) => part.into_iter().zip(results).for_each(|(item, result)| answer(item, Ok(result))),
                    // One that is refused takes the others' transaction with it. The first part is next.
                    Err(error) if part.len() > 1 && error.code() != Code::StoreUnavailable => {
                        parts.extend(split(part).into_iter().rev());
                    }
                    Err(error) => part.into_iter().for_each(|item| answer(item, Err(error.clone()))),
                }
            }
        }
    }
}

/// Takes the first writes, as many as one transaction has.
fn first_rows<T: TenantWrite, R>(items: &mut Vec<Item<T, R>>) -> Vec<Item<T, R>> {
    let mut rows = 0_usize;
    let fitting = items.iter().take_while(|item| {
        rows = rows.saturating_add(item.value.rows());
        rows <= ROWS_MAX
    });
    let count = fitting.count().max(1);
    items.drain(..count).collect()
}

/// Splits writes of which one is refused, each part in their order: by tenant, so that no tenant's are written more
/// often since another's are refused; those of one tenant into halves, since most are not to blame.
fn split<T: TenantWrite, R>(mut items: Vec<Item<T, R>>) -> Vec<Vec<Item<T, R>>> {
    let is_one = items.windows(2).all(|pair| pair[0].value.tenant() == pair[1].value.tenant());
    if is_one && items.len() <= ALONE_MAX {
        return items.into_iter().map(|item| vec![item]).collect();
    }
    if is_one {
        let behind = items.split_off(items.len() / 2);
        return vec![items, behind];
    }
    let mut by_tenant: BTreeMap<TenantId, Vec<Item<T, R>>> = BTreeMap::new();
    for item in items {
        by_tenant.entry(item.value.tenant().clone()).or_default().push(item);
    }
    by_tenant.into_values().collect()
}

fn answer<T, R>(item: Item<T, R>, result: Result<R>) {
    // Whoever asked may have ended meanwhile.
    let _ = item.reply.send(result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// A number of a tenant, and how many rows it has.
    #[derive(Debug, Clone, PartialEq)]
    struct Number(TenantId, u32, usize);

    impl TenantWrite for Number {
        fn tenant(&self) -> &TenantId {
            &self.0
        }

        fn rows(&self) -> usize {
            self.2
        }
    }

    fn number(tenant: &str, number: u32) -> Number {
        Number(tenant.parse().expect("a name"), number, 1)
    }

    /// The numbers of each transaction.
    type Transactions = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Doubles numbers, except for seven; fails at thirteen.
    fn doubles() -> (Batch<Number, u32>, Transactions) {
        let transactions = Transactions::default();
        let noted = Arc::clone(&transactions);
        let batch = Batch::start(move |values: Vec<Number>| {
            noted.lock().push(values.iter().map(|value| value.1).collect());
            let double = |value: Number| match value.1 {
                7 => Err(Error::new(Code::BadInput, "seven")),
                13 => panic!("thirteen"),
                value => Ok(value * 2),
            };
            async move {
                tokio::task::yield_now().await;
                values.into_iter().map(double).collect::<Result<Vec<u32>>>()
            }
            .boxed()
        });
        (batch, transactions)
    }

    #[tokio::test]
    async fn what_comes_meanwhile_is_written_together_and_a_refusal_is_for_one_alone() {
        let (batch, transactions) = doubles();
        let all = futures::future::join_all((100..200).map(|value| batch.write(number("a", value)))).await;
        assert_eq!(all.into_iter().map(|one| one.expect("written")).max(), Some(398));
        assert!(transactions.lock().len() < 10, "{transactions:?}");
        let (one, other) = tokio::join!(batch.write(number("a", 7)), batch.write(number("a", 8)));
        assert_eq!((one.expect_err("refused").code(), other.expect("written")), (Code::BadInput, 16));
    }

    #[tokio::test]
    async fn a_write_at_which_the_host_fails_is_refused_alone() {
        let (batch, _) = doubles();
        let (one, other) = tokio::join!(batch.write(number("a", 13)), batch.write(number("a", 8)));
        assert_eq!((one.expect_err("refused").code(), other.expect("written")), (Code::Internal, 16));
        assert_eq!(batch.write(number("b", 9)).await.expect("written"), 18);
    }

    #[tokio::test]
    async fn a_refused_write_costs_other_tenants_one_transaction_and_its_own_few() {
        let (batch, transactions) = doubles();
        let writes = (0..64).map(|value| if value % 2 == 0 { number("a", value) } else { number("b", 100 + value) });
        let writes = writes.chain([number("a", 7)]).chain((200..232).map(|value| number("a", value)));
        let all = futures::future::join_all(writes.map(|write| batch.write(write))).await;
        assert_eq!(all.iter().filter(|one| one.is_err()).count(), 1);
        let transactions = transactions.lock().clone();
        let of_b: Vec<_> = transactions.iter().filter(|values| values.iter().all(|value| value % 2 == 1)).collect();
        assert!(of_b.iter().filter(|values| values.contains(&101)).count() <= 1, "{transactions:?}");
        assert!(transactions.len() < 20, "{transactions:?}");
        // What was written of a tenant was written in its order.
        let is_written = |values: &&Vec<u32>| !values.contains(&7);
        let written: Vec<u32> = transactions.iter().filter(is_written).flatten().copied().collect();
        let of_a: Vec<u32> = written.iter().copied().filter(|value| value % 2 == 0 || *value >= 200).collect();
        assert!(of_a.is_sorted() && of_a.len() == 64, "{of_a:?}");
    }

    #[tokio::test]
    async fn a_transaction_has_a_bounded_number_of_rows() {
        let (batch, transactions) = doubles();
        let large = |value, rows| Number("a".parse().expect("a name"), value, rows);
        let writes = [large(1, 400), large(2, 600), large(3, 1), large(4, 5_000), large(5, 999), large(6, 2)];
        let all = futures::future::join_all(writes.map(|write| batch.write(write))).await;
        assert!(all.iter().all(std::result::Result::is_ok));
        let together = transactions.lock().clone();
        let rows = |value: u32| [0, 400, 600, 1, 5_000, 999, 2][value as usize];
        for values in &together {
            assert!(values.len() == 1 || values.iter().map(|value| rows(*value)).sum::<u32>() <= 1_000, "{together:?}");
        }
        assert_eq!(together.concat(), [1, 2, 3, 4, 5, 6], "in their order");
    }
}
