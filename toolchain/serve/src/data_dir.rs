//! The data directory of a host.

/// Where data is kept if nothing else is said.
pub(crate) const DATA_DIR: &str = ".elias";

/// The folder in it with the databases of a platform's components.
pub(crate) const DATABASES: &str = "databases";
