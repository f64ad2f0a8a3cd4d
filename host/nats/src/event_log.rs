//! The log of events, as the connector uses it.

use elias_names::TenantId;
use elias_triggers::event::Event;
use futures::future::BoxFuture;
use std::time::Duration;

/// The log of each tenant's events.
pub trait EventLog: Send + Sync + 'static {
    /// Publishes events into a tenant's log, all or none. One whose source and id are in the log is not published
    /// again. When this returns, they are durable.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was published then.
    fn publish<'a>(&'a self, tenant: &'a TenantId, events: Vec<Event>) -> BoxFuture<'a, Result<(), PublishError>>;

    /// The next events, `limit` at most, for a reader whose cursor the log keeps. A new reader begins with the next
    /// event. `None` if there is nothing, or another host reads for it.
    ///
    /// # Errors
    /// Why they cannot be read now.
    fn read<'a>(
        &'a self,
        tenant: &'a TenantId,
        reader: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<EventBatch>, String>>;

    /// Moves a reader's cursor on behind a batch that it was given.
    ///
    /// # Errors
    /// Why it cannot be moved now; the batch is read again then.
    fn advance<'a>(
        &'a self,
        tenant: &'a TenantId,
        reader: &'a str,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<(), String>>;

    /// Counts what became of events or messages of a connection.
    fn count(&self, connection: &str, outcome: Outcome, events: u64);
}

/// Events of the log, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    /// The position of the cursor before them.
    pub from: u64,
    /// The position of the cursor behind them.
    pub to: u64,
    /// The events.
    pub events: Vec<Event>,
}

/// Why events were not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Another time it may go: the store is away, or a quota is used up.
    #[error("{reason}")]
    Later {
        /// Why.
        reason: String,
        /// When to try again.
        after: Duration,
    },
    /// One of them can never be accepted.
    #[error("{0}")]
    Refused(String),
}

/// The result for an event or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// It is tried again.
    Deferred,
    /// It can never be accepted, and is left out.
    Rejected,
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Rejected => "rejected",
        }
    }
}
