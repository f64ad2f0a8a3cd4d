//! Grants: what components may use of capabilities, as the tables `[capabilities.NAME]` of elias.toml say it.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// Grants by capability: what a component may use, and how much of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grants(BTreeMap<String, Value>);

impl Grants {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Grants a capability with this configuration, an object as of the table `[capabilities.NAME]`; an earlier grant
    /// of it is replaced.
    #[must_use]
    pub fn with(mut self, capability: impl Into<String>, configuration: Value) -> Self {
        self.0.insert(capability.into(), configuration);
        self
    }

    /// The grant of a capability.
    #[must_use]
    pub fn get(&self, capability: &str) -> Option<&Value> {
        self.0.get(capability)
    }

    /// The grants by capability, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, configuration)| (name.as_str(), configuration))
    }

    /// The names of the capabilities, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Why a component cannot be given a capability.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// Nothing was granted. Code: `capability-denied`.
    #[error("it was not granted")]
    NotGranted,
    /// The grant is wrong. Code: `bad-configuration`. The text names the key.
    #[error("{0}")]
    Invalid(String),
    /// The resource that the grant names cannot be reached or opened. Code: `capability-unavailable`. The text has no
    /// credentials.
    #[error("{0}")]
    Unavailable(String),
}

/// Reads a grant into the type that describes it, which should refuse unknown keys.
///
/// # Errors
/// [`ConfigureError::NotGranted`] for none, [`ConfigureError::Invalid`] for what does not fit.
pub fn parse<T: DeserializeOwned>(granted: Option<&Value>) -> Result<T, ConfigureError> {
    let granted = granted.ok_or(ConfigureError::NotGranted)?;
    T::deserialize(granted).map_err(|error| ConfigureError::Invalid(error.to_string()))
}
