//! The part of elias.toml that goes to a platform with a version.

use elias_api::{SmokeTest, VersionSettings};
use elias_command_line::{CliErrorCode, Failure};
use elias_gateway::{ConfigError, GatewayConfig};
use elias_project::{ConfigFile, settings};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of a version in elias.toml, without its files.
///
/// # Errors
/// `config`. The platform checks the rest, since its version counts.
pub(crate) fn of(config: ConfigFile) -> Result<VersionSettings, Failure> {
    let smoke = config.smoke.as_ref().map(SmokeTest::deserialize).transpose();
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

/// The folder of the files that `[gateway.assets]` serves, if there is that table.
///
/// # Errors
/// `invalid-gateway-config`.
pub(crate) fn assets(config: &ConfigFile) -> Result<Option<String>, Failure> {
    let gateway = config.gateway.as_ref().map(GatewayConfig::parse).transpose();
    let gateway = gateway.map_err(|error| Failure::new(ConfigError::CODE, error))?;
    let folder = |gateway: GatewayConfig| {
        gateway.routes.iter().find_map(|route| Some(route.rules.assets.as_ref()?.folder().to_owned()))
    };
    Ok(gateway.and_then(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_of_a_component_go_with_its_version_and_those_of_the_host_do_not() {
        let limits = BTreeMap::from([("deadline-ms".to_owned(), 5), ("connections".to_owned(), 7)]);
        let settings = of(ConfigFile { limits, ..ConfigFile::default() }).expect("they are right");
        assert_eq!(settings.limits, BTreeMap::from([("deadline-ms".to_owned(), 5)]));
    }

    #[test]
    fn the_folder_of_assets_is_found_and_a_wrong_table_is_refused() {
        let with = |gateway| ConfigFile { gateway: Some(gateway), ..ConfigFile::default() };
        let found = assets(&with(json!({ "assets": { "folder": "public/" } }))).expect("it is right");
        assert_eq!(found.as_deref(), Some("public"));
        let error = assets(&with(json!({ "cros": {} }))).expect_err("there is no such key").to_string();
        assert!(error.contains("invalid-gateway-config"), "{error}");
        let smoke = ConfigFile { smoke: Some(json!({ "path": 5 })), ..ConfigFile::default() };
        let error = of(smoke).expect_err("a path is a text").to_string();
        assert!(error.contains("[config]: [smoke]"), "{error}");
    }
}
