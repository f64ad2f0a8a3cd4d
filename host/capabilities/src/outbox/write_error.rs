//! The error for a row of an outbox that was not written.

/// Why a row was not written. The texts are for the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// The transaction is none, is over, has failed or only reads.
    Invalid(String),
    /// The database does not take so large a value.
    #[cfg_attr(not(feature = "db"), allow(dead_code))]
    TooLarge(String),
    /// The database, or what remembers outboxes, cannot be reached.
    #[cfg_attr(not(feature = "db"), allow(dead_code))]
    Unavailable(String),
}

/// A host without databases has no transactions.
#[cfg(not(feature = "db"))]
pub(crate) fn write_outbox(
    _: &mut elias_host::capability::InstanceState,
    transaction: u32,
    row: super::OutboxRow,
) -> futures::future::BoxFuture<'static, Result<(), WriteError>> {
    let super::OutboxRow { id, kind, body: _ } = row;
    let message = format!("{} {id}: there is no transaction {transaction} on this host", kind.as_str());
    Box::pin(async move { Err(WriteError::Invalid(message)) })
}
