//! What the operators of a host do: tenants and backups.

pub(crate) mod backup;
pub(crate) mod tenants;
