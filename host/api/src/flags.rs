//! Feature flags.

use elias_delivery::flag::FlagDefinition;
use elias_names::Environment;
use serde::{Deserialize, Serialize};

/// A feature flag of a tenant in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FeatureFlag {
    /// The environment.
    pub environment: Environment,
    /// The name: 1 to 128 letters, digits, dots, hyphens and underscores. Components know the flag by it.
    pub name: String,
    /// The definition.
    pub definition: FlagDefinition,
    /// The number of changes, deletions among them. It is also the `ETag`.
    pub revision: u64,
    /// The time of the last change, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that made the last change: the token's id, or a user of the identity provider.
    pub changed_by: String,
}

/// A revision of a feature flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FlagRevision {
    /// The number of the revision, from 1.
    pub revision: u64,
    /// The definition from this revision on; null if the flag was deleted.
    #[serde(default)]
    pub definition: Option<FlagDefinition>,
    /// The time of the change, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that made the change: the token's id, or a user of the identity provider.
    pub changed_by: String,
}
