//! The results of the checks that `elias doctor` shows.

use serde::{Deserialize, Serialize};

/// The result of a check of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// The subject of the check, such as `store`, `data directory` or `services`.
    pub subject: String,
    /// Whether the check passed.
    pub good: bool,
    /// The observation, and what to do if the check failed.
    pub detail: String,
}
