//! The capabilities that components can import, one folder each, all of one shape: a [`Capability`] that a host is
//! built with, the grant that configures it for a component, the context that one instance has of it, and its backends.
//!
//! [`Capability`]: elias_host::capability::Capability

#[cfg(all(test, feature = "cache", feature = "db", feature = "http"))]
mod amounts_tests;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "crypto")]
pub mod crypto;
#[cfg(feature = "db")]
pub mod db;
#[cfg(feature = "http")]
pub mod http;
pub mod log;

#[cfg(feature = "cache")]
pub use cache::Cache;
#[cfg(feature = "config")]
pub use config::Config;
#[cfg(feature = "crypto")]
pub use crypto::Crypto;
#[cfg(feature = "db")]
pub use db::Db;
#[cfg(feature = "http")]
pub use http::Http;
pub use log::Log;
