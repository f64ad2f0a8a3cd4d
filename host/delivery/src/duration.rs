//! Durations as elias.toml writes them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes of the longest text of a duration.
const TEXT_BYTES_MAX: usize = 64;

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write numbers with units, such as 500ms, 30s, 15m, 2h, 1h 30m or 7d")]
pub struct InvalidDuration(String);

/// A duration with its unit, such as `15m`, `1h 30m` or `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "15m")]
pub struct DurationText(Duration);

impl DurationText {
    /// A duration of so many milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// A duration of so many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Its milliseconds; a fraction of a millisecond is dropped.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for DurationText {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid =
            || InvalidDuration(text.chars().take(TEXT_BYTES_MAX).collect::<String>().escape_debug().to_string());
        if text.len() > TEXT_BYTES_MAX {
            return Err(invalid());
        }
        humantime::parse_duration(text).map(Self).map_err(|_| invalid())
    }
}

impl TryFrom<String> for DurationText {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

impl From<DurationText> for String {
    fn from(duration: DurationText) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_with_units() {
        for (text, seconds) in [("15m", 900), ("1h 30m", 5_400), ("2d", 172_800), ("0s", 0)] {
            let duration: DurationText = text.parse().expect(text);
            assert_eq!(duration.get(), Duration::from_secs(seconds), "{text}");
            assert_eq!(duration.to_string().parse::<DurationText>().expect("its own text"), duration);
        }
        assert_eq!(DurationText::from_millis(1_500).to_string(), "1s 500ms");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "15", "m", "fifteen minutes", "-1s", &"1s ".repeat(100)] {
            let error = text.parse::<DurationText>().expect_err(text).to_string();
            assert!(error.contains("not a duration") && error.len() < 300, "{error}");
        }
    }
}
