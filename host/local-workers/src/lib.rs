//! The service workers of one component in one process: for programs that embed `elias-host`, for `elias dev` and
//! `elias serve FILE`, and for each service of a platform, which gives them a store and an owner among its hosts.
//!
//! [`LocalWorkers`] are set up before the host is built, since the capability `workers` leads to them, and started with
//! the component; [`RunningWorkers`] take calls of the program itself, and list, restart and stop workers.
//!
//! ```no_run
//! use elias_host::{Grants, Host, LoadOptions};
//! use elias_local_workers::{FolderStore, Fsync, LocalWorkers, WorkerKey};
//! use serde_json::json;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! # async fn run(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let store = FolderStore::open("workers", Fsync::FileAndFolder)?;
//! let workers = LocalWorkers::builder().store(Arc::new(store)).build();
//! let host = Host::builder().capability(workers.capability()).build()?;
//! let grants = Grants::none().with("workers", json!({}));
//! let app = host.load_with(bytes, &LoadOptions { grants, ..LoadOptions::default() }).await?;
//!
//! let running = workers.start(app).await?;
//! // Arguments and answers are in the structured clone encoding.
//! let answer = running.call(WorkerKey::new("Cart", "user-42"), "add", r#"[1,[2],["array","A1",2]]"#).await?;
//! println!("{answer}");
//! running.stop(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is kept
//! A turn is committed when the store has what it changed of its heap: only then do its messages leave, and only then
//! is it answered. Turns of one worker that wait share a commit. The messages that wait in a mailbox are in memory
//! alone: whoever sent one has no answer yet. A call that a worker made is kept with its turn, and is made again when
//! the process starts anew; since the callee stores its reply until the caller has it, it handles the call once.
//!
//! - `local`, `running`: what a program has of them. `settings`: how they run.
//! - `manager`: which workers there are; messages, replies and timers get to them here. `directory`: those that have
//!   something to do. `handle`: what leads to one.
//! - `groups`: which member of a group gets a message. `trees`, `supervision`: what follows where a worker fails.
//!   `health`: the last checks of workers.
//! - `actor`: one worker.
//! - `component`: what runs the turns. `message`: what is sent.
//! - `sockets`: the open sockets of workers, and what waits for their clients. `connection`: one of them, as whoever
//!   has its connection holds it.
//! - `store`: where workers are kept.

mod actor;
mod component;
mod connection;
mod directory;
mod groups;
mod handle;
mod health;
mod local;
mod manager;
mod members;
mod message;
mod running;
mod settings;
mod sockets;
mod store;
mod supervision;
#[cfg(test)]
mod tests;
mod trees;

pub use component::{
    AppWorker, AwakeWorker, ComponentSource, DeploymentPhase, SwappedComponent, TurnContext, TurnFailure,
    WorkerComponent, WriteDown,
};
pub use connection::SocketConnection;
pub use elias_atomic_write::Fsync;
pub use elias_capabilities::Cause;
pub use elias_capabilities::trigger::{Clock, ManualClock};
pub use elias_capabilities::workers::{Error as CallError, ErrorCode as CallErrorCode};
pub use elias_workers::config::{Durability, GroupConfig, HealthConfig, LimitsConfig, WorkersConfig};
pub use elias_workers::{MailboxLimits, MemoryBudget, OverflowPolicy, SocketLimits, SupervisionPolicy, WorkerKey};
pub use health::WorkerHealth;
pub use local::{LocalWorkers, LocalWorkersBuilder};
pub use running::{RunningWorkers, WorkerFilter};
pub use settings::{OtherVersion, TimerLimit, WorkerChange, WorkerLifecycle, WorkerSettings};
pub use sockets::{SocketClose, SocketFrame};
pub use store::{
    AcquiredWorker, FolderStore, HeapCommit, MemoryStore, StoreError, SwappedCode, TurnEvents, WorkerCommit,
    WorkerRecord, WorkerStore, WorkerSummary, merge_heap,
};

pub use handle::{WorkerCondition, WorkerStatus};
