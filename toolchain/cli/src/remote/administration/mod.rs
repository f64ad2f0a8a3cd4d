//! The commands of a host's operators: tenants and backups.

pub(crate) mod backup;
pub(crate) mod tenants;
