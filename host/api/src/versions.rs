//! Components, their versions, and how versions differ.

use crate::changes::in_order;
use elias_names::{ComponentName, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A component of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Component {
    /// The name.
    pub component: ComponentName,
    /// The number of the newest version, which is also the number of versions ever created; 0 without versions.
    pub versions: u32,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
}

/// A version of a component: an immutable component with its settings.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Version {
    /// The name of the component.
    pub component: ComponentName,
    /// The number, from 1.
    pub number: u32,
    /// The SHA-256 of the component, as 64 lower-case hexadecimal digits.
    pub digest: Digest,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// The manifest in the component, written by elias-build; null for components of other toolchains.
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<Value>,
    /// The settings, from elias.toml.
    pub settings: VersionSettings,
    /// The detached signature, a signed note; null for an unsigned version.
    pub signature: Option<String>,
    /// The name of the signing key; null for an unsigned version.
    pub signed_by: Option<String>,
    /// The index of the version's entry in the transparency log, from 0.
    pub log_index: u64,
    /// The time of the upload, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that uploaded it: the token's id, a user of the identity provider, or `host` for the host itself.
    pub created_by: String,
}

/// The settings of a version, from its elias.toml.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct VersionSettings {
    /// The grants: a map from the name of a capability to its table `[capabilities.NAME]`.
    #[schema(value_type = Object)]
    pub capabilities: Map<String, Value>,
    /// The table `[limits]`: a map from a limit, such as `fuel`, to its value. The host's limits apply to those that
    /// are absent.
    pub limits: BTreeMap<String, u64>,
    /// The table `[gateway]`; null or absent for the defaults.
    #[schema(value_type = Option<Object>)]
    pub gateway: Option<Value>,
    /// The table `[supervision]`; null or absent for the defaults.
    #[schema(value_type = Option<Object>)]
    pub supervision: Option<Value>,
    /// The table `[triggers]`: schedules, subscriptions to events and kinds of jobs; null or absent for none.
    #[schema(value_type = Option<Object>)]
    pub triggers: Option<Value>,
    /// The table `[workers]`: how its service workers run; null or absent for the defaults.
    #[schema(value_type = Option<Object>)]
    pub workers: Option<Value>,
    /// The smoke test, table `[smoke]`; null or absent for a GET of `/` that must not fail with 500 or more.
    pub smoke: Option<SmokeTest>,
    /// The files of the version, such as `migrations/0001_tables.sql`: a map from the path to the SHA-256 of the
    /// uploaded artifact.
    pub files: BTreeMap<String, Digest>,
}

/// The smoke test, table `[smoke]`: a request that a version must serve correctly before it gets traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmokeTest {
    /// The path and query of the GET request; `/` by default.
    pub path: String,
    /// The status that the response must have; 0, the default, for any below 500.
    pub status: u16,
}

impl Default for SmokeTest {
    fn default() -> Self {
        Self { path: "/".to_owned(), status: 0 }
    }
}

impl VersionSettings {
    /// SHA-256 of what is set, in hexadecimal: of the JSON with members in the order of their names, without those
    /// that are as the default has them. So a member that a later release adds changes the digest of no version that
    /// does not use it.
    #[must_use]
    pub fn digest(&self) -> String {
        let json = |settings: &Self| serde_json::to_value(settings).unwrap_or_default();
        let (Value::Object(mut set), default) = (json(self), json(&Self::default())) else { return String::new() };
        set.retain(|name, value| default.get(name) != Some(value));
        elias_contract::digest(in_order(set.into()).to_string().as_bytes())
    }
}

/// The version to create. Its artifacts must be uploaded first.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadedVersion {
    /// The SHA-256 of the uploaded component, as 64 lower-case hexadecimal digits.
    pub digest: Digest,
    /// The settings of the version, from its elias.toml; the defaults if absent.
    #[serde(default)]
    pub settings: VersionSettings,
    /// The detached signature that `elias-build --sign` wrote next to the component; null or absent for an unsigned
    /// version.
    #[serde(default)]
    pub signature: Option<String>,
}

/// The differences between two versions of a component.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Diff {
    /// The number of the first version.
    pub from: u32,
    /// The number of the second version.
    pub to: u32,
    /// The sizes of the two components in bytes: `[from, to]`.
    pub bytes: (u64, u64),
    /// The WebAssembly imports that only the second version has.
    pub imports_added: Vec<String>,
    /// The WebAssembly imports that only the first version has.
    pub imports_removed: Vec<String>,
    /// The differences in the manifest and the settings, each as `path: before -> after`.
    pub changes: Vec<String>,
    /// The npm packages that only the second version contains, as `name@version`.
    pub packages_added: Vec<String>,
    /// The npm packages that only the first version contains, as `name@version`.
    pub packages_removed: Vec<String>,
    /// The paths of the source files that only the second version has.
    pub sources_added: Vec<String>,
    /// The paths of the source files that only the first version has.
    pub sources_removed: Vec<String>,
}
