//! The outbox: jobs and events that are part of a transaction of a component's own database.
//!
//! `elias:jobs` and `elias:events` write a row into the table `elias_outbox` of the component's database, through the
//! component's transaction: there is a row if the transaction was committed, and none else. Whoever runs the host hands
//! rows over to the queue and the log of events, with the ids that they have, and deletes them afterwards. A row that
//! is handed over twice, since a host died in between, is taken once.
//!
//! Components cannot name the table, since a row says itself how many events have led to it. Others with a login to
//! the database can, and a grant may have changed since a row was written: whatever is read from it is checked as what
//! components send is.
//!
//! - [`OutboxRelay`]: who is told of commits, and remembers which databases may have rows.
//! - The module `drain`: hands over what is in the outbox of a loaded component, as [`DrainOutcome`] says.

mod drain_outcome;
#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
mod hand_over;
mod relay;
#[cfg(any(feature = "events", feature = "jobs"))]
mod row;
#[cfg(any(feature = "events", feature = "jobs"))]
mod write_error;

pub use drain_outcome::DrainOutcome;
pub use relay::{OutboxRelay, RelayUnavailable};

#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
pub(crate) use hand_over::{HandOverOutcome, traceparent};
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use row::{OutboxRow, RowKind, new_id};
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use write_error::WriteError;
#[cfg(all(not(feature = "db"), any(feature = "events", feature = "jobs")))]
pub(crate) use write_error::write_outbox;

use std::time::Duration;

/// How long a host relies on a relay's memory of an outbox: while a component uses its outbox, the relay is asked again
/// at this interval.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(600);
