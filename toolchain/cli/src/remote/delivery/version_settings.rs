//! The part of elias.toml that goes to a platform with a version.

use elias_command_line::Failure;
use elias_gateway::{ConfigError, GatewayConfig};
use elias_project::ConfigFile;

pub(crate) use elias_command_line::version_settings as of;

/// The folder of the files that `[gateway.assets]` serves, if there is that table.
///
/// # Errors
/// `invalid-gateway-config`.
pub(crate) fn assets(config: &ConfigFile) -> Result<Option<String>, Failure> {
    let gateway = config.gateway.as_ref().map(GatewayConfig::parse).transpose();
    let gateway = gateway.map_err(|error| Failure::new(ConfigError::CODE, error))?;
    Ok(gateway.and_then(|gateway| Some(gateway.assets()?.folder().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

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
