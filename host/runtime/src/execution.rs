//! What an execution was and what it cost.

use crate::error::ErrorCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;

/// The record of one execution.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its id, unique and sortable by time: a ULID, 26 characters.
    pub id: String,
    /// Wall clock from the request to the end of everything the guest did.
    pub duration: Duration,
    /// Units of fuel used.
    pub fuel: u64,
    /// The most bytes of linear memory that the instance had.
    pub memory_peak_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The guest answered and ended.
    Completed,
    /// It failed.
    Failed(ErrorCode),
    /// The caller gave up, and the guest was ended.
    Cancelled,
}

/// An execution that may still be under way; in the extensions of a response.
#[derive(Debug, Clone)]
pub struct Running {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: String,
    record: OnceLock<Execution>,
    ended: Notify,
}

impl Running {
    pub(crate) fn new(id: String) -> Self {
        Self { shared: Arc::new(Shared { id, record: OnceLock::new(), ended: Notify::new() }) }
    }

    /// The execution's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// The record, if the execution has ended.
    #[must_use]
    pub fn execution(&self) -> Option<&Execution> {
        self.shared.record.get()
    }

    /// Waits for the execution's end.
    pub async fn finished(&self) -> Execution {
        loop {
            let ended = self.shared.ended.notified();
            if let Some(record) = self.shared.record.get() {
                return record.clone();
            }
            ended.await;
        }
    }

    /// Sets the record; the first one counts.
    pub(crate) fn end(&self, execution: Execution) {
        if self.shared.record.set(execution).is_ok() {
            self.shared.ended.notify_waiters();
        }
    }
}
