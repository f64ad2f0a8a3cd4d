//! Service workers as state machines: what waits for a worker, what enters next, and what becomes of a turn that fails.
//! Pure: it is told the time, and knows no store, no network and no file.
//!
//! - [`key`](WorkerKey): which worker.
//! - [`mailbox`](Mailbox): messages in their order, bounded by number and bytes.
//! - [`memory`](MemoryBudget): the bytes that all workers of somebody hold together.
//! - [`mailbox`](Mailbox): messages in their order, bounded by number and bytes. [`message_id`](is_uuid): their ids.
//! - [`timers`](Timers): the durable timers and alarms of a worker, and which is due next.
//! - [`queue`](TurnQueue): a worker's mailbox, replies and timers together: what enters next.
//! - [`supervision`](Supervisor): retries, backoff, dead letters, and the restart intensity.
//! - [`value`]: values of messages, between JSON and the structured clone encoding.
//! - [`waits`](WaitGraph): which workers wait for which, so that a cycle is found before it is closed.
//! - [`tree`](SupervisionTree): which workers are restarted where one of several fails.
//! - [`group`](WorkerGroup): which of several workers behind one name gets a message.
//! - [`sockets`](SocketLimits): the bounds of sockets that end in a worker.
//! - [`config`]: the table `[workers]` of elias.toml.
//!
//! Times are milliseconds since 1970.

pub mod config;
mod group;
mod key;
mod mailbox;
mod memory;
mod message_id;
#[cfg(test)]
mod properties;
mod queue;
mod sockets;
mod supervision;
mod timers;
mod tree;
pub mod value;
mod waits;

pub use group::{Balance, WorkerGroup};
pub use key::WorkerKey;
pub use mailbox::{Admission, Mailbox, MailboxFull, MailboxLimits, OverflowPolicy};
pub use memory::{MemoryBudget, MemoryFull, MemoryReservation};
pub use message_id::is_uuid;
pub use queue::{Incoming, TurnQueue};
pub use sockets::SocketLimits;
pub use supervision::{AttemptDecision, SupervisionPolicy, Supervisor};
pub use timers::{DueTimer, Timers};
pub use tree::{RestartIntensity, RestartStrategy, SupervisedChild, SupervisionTree, TreeDecision};
pub use waits::{Cycle, WaitGraph};
