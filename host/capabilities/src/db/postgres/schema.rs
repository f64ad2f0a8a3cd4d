//! The schema and the role of a component.

use super::super::migrate::digest;
use elias_host::capability::ConfigureError;
use std::time::Duration;

/// The beginning of the name of an owner's schema with the key.
pub(super) const KEYS: &str = "elias_keys_";

/// The schema that a component owns, and the role that it logs in as.
#[derive(Debug, Clone)]
pub(super) struct OwnedSchema {
    pub(super) schema: String,
    pub(super) role: String,
}

/// Checks a schema's name. Nothing in it ends the quotes that it is put in.
pub(super) fn check_schema(schema: &str) -> Result<(), ConfigureError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts || !schema.chars().all(plain) || schema.len() > 57 {
        let why =
            "schema: must be lower-case letters, digits and underscores, beginning with none of the digits, at most 57";
        return Err(ConfigureError::Invalid(why.into()));
    }
    if schema.starts_with("pg_") || schema.starts_with(KEYS) || schema == "public" || schema == "information_schema" {
        return Err(ConfigureError::Invalid(format!("schema: {schema} is not for components")));
    }
    Ok(())
}

impl OwnedSchema {
    /// The statements that set up a session, whatever the server's defaults and the URL say: the rules about statements
    /// rely on them.
    pub(super) fn session(&self, timeout: Duration, idle: Duration) -> String {
        format!(
            "SET standard_conforming_strings TO on; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'; \
             SET statement_timeout TO {}; SET idle_in_transaction_session_timeout TO {}; SET lock_timeout TO 0; \
             SET search_path TO \"{}\", pg_temp",
            timeout.as_millis(),
            idle.as_millis(),
            self.schema
        )
    }
}

/// The key of the lock under which what belongs to a schema is made and migrated.
pub(super) fn lock(schema: &str) -> i64 {
    i64::from_str_radix(&digest(&format!("elias:{schema}"))[..15], 16).unwrap_or(0)
}
