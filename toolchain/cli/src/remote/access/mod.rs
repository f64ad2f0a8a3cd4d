//! Principals and permissions: logins, sessions, tokens, keys, users, roles and secrets.

pub(crate) mod account;
pub(crate) mod members;
pub(crate) mod roles;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod tenant_keys;
pub(crate) mod tokens;
