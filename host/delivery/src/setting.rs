//! The error for a setting that is out of bounds.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A setting that cannot be used, with its key as elias.toml writes it and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {what}")]
pub struct InvalidSetting {
    key: &'static str,
    what: String,
}

impl InvalidSetting {
    /// The stable code of every such error.
    pub const CODE: &'static str = "bad-configuration";

    /// `what` continues a sentence that begins with the key.
    #[must_use]
    pub fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { key, what: what.into() }
    }

    /// The key of the setting, with its table: `supervision.error-rate`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }
}

/// Holds `value` against its bounds. No number at all (NaN) is out of every bound.
///
/// # Errors
/// The key with the bounds.
pub fn within<T: PartialOrd + Display>(
    key: &'static str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<(), InvalidSetting> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(key, format!("is {value}; it must be between {} and {}", bounds.start(), bounds.end())))
}

/// Seven days: no window and no wait is longer.
pub(crate) const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;
