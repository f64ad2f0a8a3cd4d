//! What elias.toml says for a platform alone: `elias deploy` sends it with a version, and `elias check` looks whether it is right.

use crate::failure::Failure;
use elias_api::{SmokeCall, VersionSettings};
use elias_delivery::supervision::SupervisionConfig;
use elias_gateway::{ConfigError, GatewayConfig};
use elias_host::Limits;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The tables that `elias serve` of a single component does without.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ServiceTables {
    /// `[gateway]`: routes and their rules.
    pub(crate) gateway: Option<Value>,
    /// `[supervision]`: circuit breaker, bulkhead, retries.
    pub(crate) supervision: Option<Value>,
    /// `[smoke]`: the request that a version has to answer before it serves.
    pub(crate) smoke: Option<Value>,
    /// The keys of `[limits]`, those of the server too.
    pub(crate) limits: BTreeMap<String, u64>,
}

impl ServiceTables {
    /// Says whether a platform would take them.
    ///
    /// # Errors
    /// `invalid-gateway-config`, `bad-configuration`, `config`.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.gateway()?;
        if let Some(table) = &self.supervision {
            let supervision: SupervisionConfig = read("supervision", table)?;
            supervision.check().map_err(|error| Failure::new(error.code(), &error))?;
        }
        self.smoke().map(drop)
    }

    /// What of elias.toml belongs to a version, but for its files.
    ///
    /// # Errors
    /// `config`. The platform checks the rest, since its version counts.
    pub(crate) fn version(&self, capabilities: Map<String, Value>) -> Result<VersionSettings, Failure> {
        let known = serde_json::to_value(Limits::default()).map_err(|error| Failure::new("config", error))?;
        // The others are limits of the server, which its operator sets.
        let of_component = |name: &str| known.get(name.replace('-', "_")).is_some();
        let limits = self.limits.iter().filter(|(name, _)| of_component(name));
        Ok(VersionSettings {
            capabilities,
            limits: limits.map(|(name, limit)| (name.clone(), *limit)).collect(),
            gateway: self.gateway.clone(),
            supervision: self.supervision.clone(),
            smoke: self.smoke()?,
            files: BTreeMap::new(),
        })
    }

    /// The folder of the files that `[gateway.assets]` serves, if there is that table.
    ///
    /// # Errors
    /// `invalid-gateway-config`.
    pub(crate) fn assets(&self) -> Result<Option<String>, Failure> {
        let folder = |gateway: GatewayConfig| {
            gateway.routes.iter().find_map(|route| Some(route.rules.assets.as_ref()?.folder().to_owned()))
        };
        Ok(self.gateway()?.and_then(folder))
    }

    fn gateway(&self) -> Result<Option<GatewayConfig>, Failure> {
        let gateway = self.gateway.as_ref().map(GatewayConfig::parse).transpose();
        gateway.map_err(|error| Failure::new(ConfigError::CODE, error))
    }

    fn smoke(&self) -> Result<Option<SmokeCall>, Failure> {
        self.smoke.as_ref().map(|table| read("smoke", table)).transpose()
    }
}

fn read<T: DeserializeOwned>(name: &str, table: &Value) -> Result<T, Failure> {
    T::deserialize(table).map_err(|error| Failure::new("config", format_args!("[{name}]: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_platform_would_refuse_is_found_before() {
        let tables = |key: &str, table: Value| {
            let (mut gateway, mut supervision, mut smoke) = (None, None, None);
            match key {
                "gateway" => gateway = Some(table),
                "supervision" => supervision = Some(table),
                _ => smoke = Some(table),
            }
            ServiceTables { gateway, supervision, smoke, limits: BTreeMap::new() }
        };
        for (key, table, code) in [
            ("gateway", json!({ "cros": {} }), "invalid-gateway-config"),
            ("supervision", json!({ "retrys": 1 }), "[config]: [supervision]"),
            ("supervision", json!({ "retries": 99 }), "bad-configuration"),
            ("smoke", json!({ "path": 5 }), "[config]: [smoke]"),
        ] {
            let error = tables(key, table).check().expect_err(key).to_string();
            assert!(error.contains(code), "{error}");
        }
        assert!(tables("smoke", json!({ "path": "/up", "status": 204 })).check().is_ok());
        assert!(ServiceTables::default().check().is_ok());
        let assets = tables("gateway", json!({ "assets": { "folder": "public/" } })).assets().expect("it is right");
        assert_eq!(assets.as_deref(), Some("public"));
    }

    #[test]
    fn limits_of_a_component_go_with_its_version_and_those_of_the_server_do_not() {
        let limits = BTreeMap::from([("deadline-ms".to_owned(), 5), ("connections".to_owned(), 7)]);
        let tables = ServiceTables { limits, ..ServiceTables::default() };
        let settings = tables.version(Map::new()).expect("they are right");
        assert_eq!(settings.limits, BTreeMap::from([("deadline-ms".to_owned(), 5)]));
    }
}
