//! The capabilities that components can import, one folder each, all of one shape: a [`Capability`] that a host is
//! built with, the grant that configures it for a component, the context of one instance, and the backends.
//!
//! [`Capability`]: elias_host::capability::Capability

#[cfg(all(
    test,
    feature = "cache",
    feature = "db",
    feature = "events",
    feature = "http",
    feature = "jobs",
    feature = "workers",
    feature = "workflow"
))]
mod amounts_tests;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(any(feature = "events", feature = "http", feature = "jobs", feature = "workers"))]
mod cause;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "crypto")]
pub mod crypto;
#[cfg(feature = "db")]
pub mod db;
#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
pub mod drain;
mod empty_grant;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "flags")]
pub mod flags;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "jobs")]
pub mod jobs;
pub mod log;
pub mod outbox;
#[cfg(any(feature = "events", feature = "jobs", feature = "workers", feature = "workflow"))]
pub mod trigger;
#[cfg(any(feature = "db", feature = "events", feature = "http", feature = "jobs", feature = "workers"))]
pub mod turn;
#[cfg(feature = "workers")]
pub mod workers;
#[cfg(feature = "workflow")]
pub mod workflow;

#[cfg(feature = "cache")]
pub use cache::Cache;
#[cfg(any(feature = "events", feature = "http", feature = "jobs", feature = "workers"))]
pub use cause::{Cause, trace_id};
#[cfg(feature = "config")]
pub use config::Config;
#[cfg(feature = "crypto")]
pub use crypto::Crypto;
#[cfg(feature = "db")]
pub use db::Db;
#[cfg(feature = "events")]
pub use events::Events;
#[cfg(feature = "flags")]
pub use flags::Flags;
#[cfg(feature = "http")]
pub use http::Http;
#[cfg(feature = "jobs")]
pub use jobs::Jobs;
pub use log::Log;
#[cfg(feature = "workers")]
pub use workers::Workers;
#[cfg(feature = "workflow")]
pub use workflow::Workflow;
