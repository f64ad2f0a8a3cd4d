//! The relay, which hands over the rows of outboxes. The program that runs the host implements it.

use futures::future::BoxFuture;

/// Why an outbox was not remembered: what keeps the list of them is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayUnavailable;

/// Hands over what components write into the outboxes of their databases.
pub trait OutboxRelay: Send + Sync + 'static {
    /// Remembers that this component's outbox may have rows from now on, so that they are handed over also if this
    /// process dies. Asked again for each component every [`REMEMBERED_FOR`](super::REMEMBERED_FOR).
    fn remember(&self, component: &str) -> BoxFuture<'static, Result<(), RelayUnavailable>>;

    /// A transaction with rows in this component's outbox was committed. Called on any thread; must not wait.
    fn committed(&self, component: &str);
}
