//! The limits of a server and its components: the numbers of elias.toml and of the flags, in the types that use them.

use elias_command_line::{CliErrorCode, Failure, SettingFlags};
use elias_host::{Grants, IdleLimits, Limits};
use elias_project::{ConfigFile, settings};
use elias_server::ServerConfig;
use serde_json::Value;
use std::path::Path;

/// The limits of a server and its components.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) server: ServerConfig,
    /// Instances that the host has room for.
    pub(crate) instances: Option<u32>,
    /// The limits of idle instances.
    pub(crate) idle: IdleLimits,
    /// Threads that run components.
    pub(crate) workers: Option<u32>,
    /// Connections to each PostgreSQL, of all components together.
    pub(crate) postgres_connections: Option<u32>,
    /// The limits of the component.
    pub(crate) grants: Grants,
    /// The table `[gateway]`, as it is written.
    pub(crate) gateway: Option<Value>,
    /// Tables of the file that only a platform applies.
    pub(crate) platform_tables: Vec<&'static str>,
    /// The table `[triggers]`, as it is written.
    pub(crate) triggers: Option<Value>,
    /// The table `[workers]`, as it is written: how service workers run. `workers` above are threads.
    pub(crate) service_workers: Option<Value>,
    /// The table `[nats]`, as it is written, for a platform.
    pub(crate) nats: Option<Value>,
}

/// Where the value of a setting is.
struct Field {
    /// As in [`settings::SETTINGS`].
    name: &'static str,
    set: fn(&mut Settings, u64),
    #[cfg(test)]
    get: fn(&Settings) -> u64,
}

/// Defines [`FIELDS`]: the name of a setting, and the field behind it with its type.
macro_rules! fields {
    ($($name:literal => $($field:ident).+: $ty:ty;)*) => {
        /// The field of each setting, in the order of [`settings::SETTINGS`].
        const FIELDS: &[Field] = &[$(Field {
            name: $name,
            set: |settings, value| settings.$($field).+ = <$ty>::try_from(value).unwrap_or(<$ty>::MAX).into(),
            #[cfg(test)]
            get: |settings| {
                #[allow(clippy::useless_conversion)]
                Option::<$ty>::from(settings.$($field).+).map_or(0, u64::from)
            },
        },)*];
    };
}

fields! {
    "fuel" => limits.fuel: u64;
    "fuel-yield-interval" => limits.fuel_yield_interval: u64;
    "memory-bytes" => limits.memory_bytes: u64;
    "table-elements" => limits.table_elements: u32;
    "deadline-ms" => limits.deadline_ms: u64;
    "request-bytes" => limits.request_bytes: u64;
    "response-bytes" => limits.response_bytes: u64;
    "header-bytes" => limits.header_bytes: u32;
    "host-resources" => limits.host_resources: u32;
    "log-bytes-per-second" => limits.log_bytes_per_second: u32;
    "component-bytes" => limits.component_bytes: u64;
    "function-bytes" => limits.function_bytes: u64;
    "code-bytes" => limits.code_bytes: u64;
    "concurrent-executions" => limits.concurrent_executions: u32;
    "queued-requests" => server.queued_requests: u32;
    "queue-timeout-ms" => server.queue_timeout_ms: u64;
    "forwarded-hops" => server.forwarded_hops: u32;
    "connections" => server.connections: u32;
    "connections-per-address" => server.connections_per_address: u32;
    "requests" => server.requests: u32;
    "requests-per-address" => server.requests_per_address: u32;
    "requests-per-service" => server.requests_per_service: u32;
    "buffered-bytes" => server.buffered_bytes: u64;
    "uri-bytes" => server.uri_bytes: u32;
    "head-bytes" => server.head_bytes: u32;
    "head-fields" => server.head_fields: u32;
    "head-timeout-ms" => server.head_timeout_ms: u64;
    "idle-timeout-ms" => server.idle_timeout_ms: u64;
    "body-timeout-ms" => server.body_timeout_ms: u64;
    "write-timeout-ms" => server.write_timeout_ms: u64;
    "drain-timeout-ms" => server.drain_timeout_ms: u64;
    "http2-streams" => server.http2_streams: u32;
    "http2-resets" => server.http2_resets: u32;
    "http2-ping-interval-ms" => server.http2_ping_interval_ms: u64;
    "websocket-ping-interval-ms" => server.websocket_ping_interval_ms: u64;
    "websocket-idle-timeout-ms" => server.websocket_idle_timeout_ms: u64;
    "instances" => instances: u32;
    "idle-instances-bytes" => idle.bytes: u64;
    "idle-instances-tenant-bytes" => idle.group_bytes: u64;
    "idle-instances-check-interval" => idle.check_interval: u64;
    "idle-instances-ms" => idle.idle_ms: u64;
    "workers" => workers: u32;
    "postgres-connections" => postgres_connections: u32;
}

impl Settings {
    /// The defaults, and over them what the file says, if there is one.
    ///
    /// # Errors
    /// `io` if it cannot be read, `config` with file and line if it is wrong.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self::of(ConfigFile::read(path)?))
    }

    /// The defaults, and over them what a file says.
    pub(crate) fn of(file: ConfigFile) -> Self {
        let mut settings = Self::default();
        if let Some(listen) = file.listen {
            settings.server.listen = listen;
        }
        for (name, value) in &file.limits {
            settings.set(name, *value);
        }
        settings.grants =
            file.capabilities.into_iter().fold(Grants::default(), |all, (name, table)| all.with(name, table));
        settings.gateway = file.gateway;
        let tables = [("supervision", file.supervision), ("smoke", file.smoke)];
        settings.platform_tables = tables.into_iter().filter_map(|(name, table)| table.map(|_| name)).collect();
        settings.triggers = file.triggers;
        settings.service_workers = file.workers;
        settings.nats = file.nats;
        settings
    }

    /// Lets flags override what the file says.
    ///
    /// # Errors
    /// `config` for a value that is too small.
    pub(crate) fn apply(&mut self, flags: &SettingFlags) -> Result<(), Failure> {
        for (name, value) in flags.given() {
            settings::check(name, *value).map_err(|message| Failure::new(CliErrorCode::Config, message))?;
            self.set(name, *value);
        }
        Ok(())
    }

    /// Sets what was checked.
    fn set(&mut self, name: &str, value: u64) {
        if let Some(field) = FIELDS.iter().find(|field| field.name == name) {
            (field.set)(self, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_project::settings::SETTINGS;

    #[test]
    fn every_setting_is_set_and_has_its_own_field() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let mut settings = Settings::default();
            settings.set(setting.name, 4321);
            for (other_index, other) in FIELDS.iter().enumerate() {
                assert_eq!((other.get)(&settings) == 4321, index == other_index, "{} and {}", setting.name, other.name);
            }
        }
    }

    #[test]
    fn the_defaults_in_the_help_are_those_of_the_host_and_the_server() {
        let (defaults, limits) = (Settings::default(), serde_json::to_value(Limits::default()).expect("JSON"));
        for (setting, field) in SETTINGS.iter().zip(FIELDS) {
            assert_eq!(setting.name, field.name);
            assert_eq!(setting.default, (field.get)(&defaults), "{}", setting.name);
            let of_component = limits.get(setting.name.replace('-', "_")).is_some();
            assert_eq!(setting.of_component, of_component, "{}", setting.name);
        }
        assert_eq!(SETTINGS.len(), FIELDS.len());
    }

    #[test]
    fn a_file_sets_limits_and_grants() {
        let capabilities = [("http".to_owned(), serde_json::json!({ "redirects": 3 }))].into();
        let limits = [("fuel".to_owned(), 5), ("deadline-ms".to_owned(), 7)].into();
        let file = ConfigFile { listen: Some("127.0.0.1:9".to_owned()), limits, capabilities, ..ConfigFile::default() };
        let settings = Settings::of(file);
        assert_eq!((settings.limits.fuel, settings.limits.deadline_ms), (5, 7));
        assert_eq!(settings.server.listen, "127.0.0.1:9");
        assert_eq!(settings.grants.get("http"), Some(&serde_json::json!({ "redirects": 3 })));
    }
}
