//! A row of an outbox, and its id.

use parking_lot::Mutex;
use std::sync::LazyLock;
use ulid::{Generator, Ulid};

/// The job or event in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// A job.
    Job,
    /// An event.
    Event,
}

impl RowKind {
    /// As it stands in the column `kind`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Event => "event",
        }
    }
}

/// A row that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    /// The id of the job or the event.
    pub(crate) id: String,
    pub(crate) kind: RowKind,
    /// A JSON text.
    pub(crate) body: String,
}

/// A new id: a ULID, greater than those before it in this process, since rows are handed over in the order of their
/// ids.
pub(crate) fn new_id() -> String {
    static IDS: LazyLock<Mutex<Generator>> = LazyLock::new(|| Mutex::new(Generator::new()));
    IDS.lock().generate().unwrap_or_else(|_| Ulid::new()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow() {
        let ids: Vec<String> = (0..1_000).map(|_| new_id()).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26));
    }
}
