//! The part of elias.toml that goes to a platform with a version.

use crate::error_code::CliErrorCode;
use crate::failure::Failure;
use elias_api::VersionSettings;
use elias_project::{ConfigFile, settings};
use std::collections::BTreeMap;

/// The settings of a version in elias.toml, without its files.
///
/// # Errors
/// `config`. The platform checks the rest, since its version counts.
pub fn version_settings(config: ConfigFile) -> Result<VersionSettings, Failure> {
    let smoke = config.smoke.map(serde_json::from_value).transpose();
    let smoke = smoke.map_err(|error| Failure::new(CliErrorCode::Config, format_args!("[smoke]: {error}")))?;
    // The other limits are the host's, and its operator sets them.
    let of_component = |name: &str| settings::find(name).is_some_and(|setting| setting.of_component);
    Ok(VersionSettings {
        capabilities: config.capabilities.into_iter().collect(),
        limits: config.limits.into_iter().filter(|(name, _)| of_component(name)).collect(),
        gateway: config.gateway,
        supervision: config.supervision,
        triggers: config.triggers,
        workers: config.workers,
        smoke,
        files: BTreeMap::new(),
    })
}
