//! The error for a setting of `[triggers]` that cannot be used.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A setting of `[triggers]` that cannot be used, with its path in elias.toml and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {what}")]
pub struct InvalidTrigger {
    key: String,
    what: String,
}

impl InvalidTrigger {
    pub(super) fn new(key: impl Into<String>, what: impl Display) -> Self {
        Self { key: key.into(), what: what.to_string() }
    }

    /// The error's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "bad-configuration"
    }

    /// The path of the setting: `triggers.schedule[0].cron`, where the first has the number 0.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A table of `[triggers]`, for the paths of its settings.
#[derive(Clone, Copy)]
pub(super) struct Table<'a>(pub(super) &'a str);

impl Table<'_> {
    pub(super) fn error(self, key: &str, what: impl Display) -> InvalidTrigger {
        InvalidTrigger::new(format!("{}.{key}", self.0), what)
    }

    /// Holds a value against its bounds.
    pub(super) fn within<T: PartialOrd + Display>(
        self,
        key: &str,
        value: T,
        bounds: RangeInclusive<T>,
    ) -> Result<(), InvalidTrigger> {
        if bounds.contains(&value) {
            return Ok(());
        }
        Err(self.error(key, format!("is {value}; it must be between {} and {}", bounds.start(), bounds.end())))
    }
}
