//! Every limit, in one table: from it come the flags of `elias serve` and the keys of elias.toml.

use crate::service_tables::ServiceTables;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use elias_host::{Grants, IdleLimits, Limits};
use elias_server::ServerConfig;

/// What a server and its components may take.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) server: ServerConfig,
    /// Instances that the host has room for.
    pub(crate) instances: Option<u32>,
    /// What instances may keep between two requests.
    pub(crate) idle: IdleLimits,
    /// Threads that run components.
    pub(crate) workers: Option<u32>,
    /// Connections to each PostgreSQL, of all components together.
    pub(crate) postgres_connections: Option<u32>,
    /// What the component may use.
    pub(crate) grants: Grants,
    /// What only a platform uses.
    pub(crate) service: ServiceTables,
}

/// One setting: a number with its unit in its name.
pub(crate) struct Setting {
    /// The flag without its dashes, and the key.
    pub(crate) name: &'static str,
    help: &'static str,
    /// The least that makes sense.
    min: u64,
    set: fn(&mut Settings, u64),
    get: fn(&Settings) -> u64,
}

/// Defines [`SETTINGS`]: a name, the field behind it, and its help.
macro_rules! settings {
    ($($name:literal => $($field:ident).+: $ty:ty, min $min:literal, $help:literal;)*) => {
        /// Every setting, in the order in which help shows them.
        pub(crate) const SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            help: $help,
            min: $min,
            set: |settings, value| settings.$($field).+ = <$ty>::try_from(value).unwrap_or(<$ty>::MAX).into(),
            get: |settings| {
                #[allow(clippy::useless_conversion)]
                Option::<$ty>::from(settings.$($field).+).map_or(0, u64::from)
            },
        },)*];
    };
}

settings! {
    "fuel" => limits.fuel: u64, min 1, "CPU budget of a request, in units of fuel";
    "fuel-yield-interval" => limits.fuel_yield_interval: u64, min 1, "Fuel after which a component yields to others";
    "memory-bytes" => limits.memory_bytes: u64, min 1, "Memory of an instance, in bytes";
    "table-elements" => limits.table_elements: u32, min 1, "Table elements of an instance";
    "deadline-ms" => limits.deadline_ms: u64, min 1, "Timeout of a request, in milliseconds";
    "request-bytes" => limits.request_bytes: u64, min 0, "Size of a request body, in bytes";
    "response-bytes" => limits.response_bytes: u64, min 0, "Size of a response body, in bytes";
    "header-bytes" => limits.header_bytes: u32, min 1, "Size of the headers in a component's memory, in bytes";
    "host-resources" => limits.host_resources: u32, min 1, "Handles to host resources per instance";
    "log-bytes-per-second" => limits.log_bytes_per_second: u32, min 0, "Log output of a component, in bytes per second";
    "component-bytes" => limits.component_bytes: u64, min 1, "Size of a component file, in bytes";
    "function-bytes" => limits.function_bytes: u64, min 1, "WebAssembly code of one function, in bytes";
    "code-bytes" => limits.code_bytes: u64, min 1, "WebAssembly code of all functions of a component, in bytes";
    "concurrent-executions" => limits.concurrent_executions: u32, min 1, "Concurrent requests in a component";
    "queued-requests" => server.queued_requests: u32, min 0, "Requests that wait for an execution slot";
    "queue-timeout-ms" => server.queue_timeout_ms: u64, min 1, "Timeout of a queued request, in milliseconds";
    "forwarded-hops" => server.forwarded_hops: u32, min 0, "Trusted proxies in front, for X-Forwarded-For";
    "connections" => server.connections: u32, min 1, "Open connections";
    "connections-per-address" => server.connections_per_address: u32, min 1, "Open connections per client address";
    "requests" => server.requests: u32, min 1, "Requests in flight, until their last byte is sent";
    "requests-per-address" => server.requests_per_address: u32, min 1, "Requests in flight per client address";
    "requests-per-service" => server.requests_per_service: u32, min 1, "Requests in flight per service of a platform";
    "buffered-bytes" => server.buffered_bytes: u64, min 1, "Response bytes that wait in memory for clients";
    "uri-bytes" => server.uri_bytes: u32, min 1, "Size of a request target, in bytes";
    "head-bytes" => server.head_bytes: u32, min 1, "Size of a request's header section, in bytes";
    "head-fields" => server.head_fields: u32, min 1, "Header fields of a request";
    "head-timeout-ms" => server.head_timeout_ms: u64, min 1,
        "Timeout for receiving the header section, in milliseconds";
    "idle-timeout-ms" => server.idle_timeout_ms: u64, min 1, "Timeout of an idle connection, in milliseconds";
    "body-timeout-ms" => server.body_timeout_ms: u64, min 1, "Timeout for the next chunk of a body, in milliseconds";
    "write-timeout-ms" => server.write_timeout_ms: u64, min 1,
        "Timeout for a client that reads nothing, in milliseconds";
    "drain-timeout-ms" => server.drain_timeout_ms: u64, min 1,
        "Shutdown grace period of requests in flight, in milliseconds";
    "http2-streams" => server.http2_streams: u32, min 1, "HTTP/2 streams per connection";
    "http2-resets" => server.http2_resets: u32, min 1, "HTTP/2 streams that a connection may reset";
    "http2-ping-interval-ms" => server.http2_ping_interval_ms: u64, min 1,
        "Interval of pings on quiet HTTP/2 connections, in milliseconds";
    "instances" => instances: u32, min 1, "Instances of the host [default: concurrent executions]";
    "idle-instances-bytes" => idle.bytes: u64, min 0,
        "Memory of idle instances, in bytes; 0: a new instance for each request";
    "idle-instances-tenant-bytes" => idle.group_bytes: u64, min 1,
        "Memory of idle instances per tenant of a platform, in bytes";
    "idle-instances-check-interval" => idle.check_interval: u64, min 0,
        "Number of reuses of an instance between checks of its memory against the image; 0: never";
    "idle-instances-ms" => idle.idle_ms: u64, min 1, "Timeout of an idle instance, in milliseconds";
    "workers" => workers: u32, min 1, "Threads that run components [default: one per CPU]";
    "postgres-connections" => postgres_connections: u32, min 1,
        "Connections to a PostgreSQL server, of all components together [default: 80]";
}

impl Settings {
    /// Sets the setting called `name`.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub(crate) fn set(&mut self, name: &str, value: u64) -> Result<(), String> {
        let setting = SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| unknown(name))?;
        if value < setting.min {
            return Err(format!("{name} must be at least {}", setting.min));
        }
        (setting.set)(self, value);
        Ok(())
    }
}

/// Says that there is no such setting, and which one may have been meant.
pub(crate) fn unknown(name: &str) -> String {
    let nearest = SETTINGS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a.name, name).total_cmp(&strsim::jaro_winkler(b.name, name)));
    let nearest = nearest.map_or("", |setting| setting.name);
    format!("the setting `{name}` does not exist; did you mean `{nearest}`?")
}

/// The flags that were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingFlags {
    given: Vec<(&'static str, u64)>,
}

impl SettingFlags {
    /// Lets the flags override what `settings` say.
    pub(crate) fn apply(&self, settings: &mut Settings) -> Result<(), String> {
        self.given.iter().try_for_each(|(name, value)| settings.set(name, *value))
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let defaults = Settings::default();
        SETTINGS.iter().fold(command, |command, setting| {
            let default = (setting.get)(&defaults);
            let help = if default > 0 { format!("{} [default: {default}]", setting.help) } else { setting.help.into() };
            let flag = Arg::new(setting.name).long(setting.name).value_name("N").value_parser(value_parser!(u64));
            command.arg(flag.help(help).help_heading("Limits (also keys of elias.toml)"))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| Some((setting.name, *matches.get_one(setting.name)?)));
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_set_and_has_its_own_field() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let mut settings = Settings::default();
            settings.set(setting.name, 4321).expect("it is in range");
            for (other_index, other) in SETTINGS.iter().enumerate() {
                assert_eq!((other.get)(&settings) == 4321, index == other_index, "{} and {}", setting.name, other.name);
            }
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let error = Settings::default().set("deadline", 1).expect_err("no such setting");
        assert_eq!(error, "the setting `deadline` does not exist; did you mean `deadline-ms`?");
        assert_eq!(Settings::default().set("fuel", 0).expect_err("too small"), "fuel must be at least 1");
    }
}
