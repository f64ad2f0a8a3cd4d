//! The capabilities that components can import, one folder each, all of one shape: a [`Capability`] that a host is built
//! with, the context that one instance has of it, and its backends.
//!
//! [`Capability`]: elias_host::capability::Capability

#[cfg(feature = "db")]
pub mod db;
pub mod log;

#[cfg(feature = "db")]
pub use db::Db;
pub use log::Log;
