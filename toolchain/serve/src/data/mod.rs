//! The data directory of a host: what is done with it while no host runs on it, and what is read beside one.

pub(crate) mod database;
pub(crate) mod move_store;
pub(crate) mod restore;

/// Where data is kept if nothing else is said.
pub(crate) const DATA_DIR: &str = ".elias";

/// The folder in it with the databases of a platform's components.
pub(crate) const DATABASES: &str = "databases";
