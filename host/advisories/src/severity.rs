//! How bad an advisory is, in npm's four steps.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The severity of an advisory, with the names of npm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Below all others: as a threshold, no package is refused.
    #[default]
    None,
    /// CVSS score 0.1 to 3.9.
    Low,
    /// CVSS score 4.0 to 6.9.
    Moderate,
    /// CVSS score 7.0 to 8.9.
    High,
    /// CVSS score 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of a CVSS vector of version 2, 3 or 4; `None` if the text is not one.
    pub(super) fn of_cvss(vector: &str) -> Option<Self> {
        Some(match vector.parse::<cvss::Cvss>().ok()?.severity() {
            cvss::Severity::None => Self::None,
            cvss::Severity::Low => Self::Low,
            cvss::Severity::Medium => Self::Moderate,
            cvss::Severity::High => Self::High,
            cvss::Severity::Critical => Self::Critical,
        })
    }

    /// The severity by the word of a database of advisories: npm's words in capitals, and `MEDIUM`.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        if word == "medium" { Some(Self::Moderate) } else { word.parse().ok() }
    }

    /// Whether something as bad as this is refused by the threshold.
    #[must_use]
    pub fn reaches(self, threshold: Self) -> bool {
        threshold != Self::None && self >= threshold
    }
}

impl FromStr for Severity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::None, Self::Low, Self::Moderate, Self::High, Self::Critical];
        all.into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| Error::BadInput("a severity must be none, low, moderate, high or critical".to_owned()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
