//! The error for a recurrence that cannot be used.

/// A cron line, time zone or interval that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {what}")]
pub struct InvalidRecurrence {
    setting: &'static str,
    what: String,
}

impl InvalidRecurrence {
    pub(super) fn cron(what: impl Into<String>) -> Self {
        Self { setting: "cron", what: what.into() }
    }

    pub(super) fn timezone(what: impl Into<String>) -> Self {
        Self { setting: "timezone", what: what.into() }
    }

    pub(super) fn every(what: impl Into<String>) -> Self {
        Self { setting: "every", what: what.into() }
    }

    /// The setting that is wrong: `cron`, `timezone` or `every`.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The fault, and the values that are allowed; continues a sentence that begins with the setting.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}
