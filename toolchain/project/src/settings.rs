//! The settings of a host and its components: flags of `elias serve`, and keys of `[limits]` in elias.toml.
//!
//! The defaults are those of the types in the host and the server that have the values; a test of `elias-serve`
//! compares them.

/// One setting: a number with its unit in its name.
#[derive(Debug)]
pub struct Setting {
    /// The flag without its dashes, and the key.
    pub name: &'static str,
    /// The default; 0 if there is none, or it is 0.
    pub default: u64,
    /// The least that is accepted.
    pub min: u64,
    /// The limited quantity, for the help.
    pub help: &'static str,
    /// Whether it is a limit of a component, which a version brings to a platform. The others are its operator's.
    pub of_component: bool,
}

const fn of_component(name: &'static str, default: u64, min: u64, help: &'static str) -> Setting {
    Setting { name, default, min, help, of_component: true }
}

const fn of_host(name: &'static str, default: u64, min: u64, help: &'static str) -> Setting {
    Setting { name, default, min, help, of_component: false }
}

/// Every setting with its name, default, minimum and help, in the order in which help shows them.
pub const SETTINGS: &[Setting] = &[
    of_component("fuel", 1_000_000_000, 1, "CPU budget of a request, in units of fuel"),
    of_component("fuel-yield-interval", 1_000_000, 1, "Fuel after which a component yields to others"),
    of_component("memory-bytes", 64 << 20, 1, "Memory of an instance, in bytes"),
    of_component("table-elements", 20_000, 1, "Table elements of an instance"),
    of_component("deadline-ms", 30_000, 1, "Timeout of a request, in milliseconds"),
    of_component("request-bytes", 10 << 20, 0, "Size of a request body, in bytes"),
    of_component("response-bytes", 100 << 20, 0, "Size of a response body, in bytes"),
    of_component("header-bytes", 128 << 10, 1, "Size of the headers in a component's memory, in bytes"),
    of_component("host-resources", 1_000, 1, "Handles to host resources per instance"),
    of_component("log-bytes-per-second", 256 << 10, 0, "Log output of a component, in bytes per second"),
    of_component("component-bytes", 64 << 20, 1, "Size of a component file, in bytes"),
    of_component("function-bytes", 256 << 10, 1, "WebAssembly code of one function, in bytes"),
    of_component("code-bytes", 32 << 20, 1, "WebAssembly code of all functions of a component, in bytes"),
    of_component("concurrent-executions", 1_000, 1, "Concurrent requests in a component"),
    of_host("queued-requests", 1_000, 0, "Requests that wait for an execution slot"),
    of_host("queue-timeout-ms", 5_000, 1, "Timeout of a queued request, in milliseconds"),
    of_host("forwarded-hops", 0, 0, "Trusted proxies in front, for X-Forwarded-For"),
    of_host("connections", 10_000, 1, "Open connections"),
    of_host("connections-per-address", 2_000, 1, "Open connections per client address"),
    of_host("requests", 10_000, 1, "Requests in flight, until their last byte is sent"),
    of_host("requests-per-address", 2_000, 1, "Requests in flight per client address"),
    of_host("requests-per-service", 4_000, 1, "Requests in flight per service of a platform"),
    of_host("buffered-bytes", 256 << 20, 1, "Response bytes that wait in memory for clients"),
    of_host("uri-bytes", 8 << 10, 1, "Size of a request target, in bytes"),
    of_host("head-bytes", 32 << 10, 1, "Size of a request's header section, in bytes"),
    of_host("head-fields", 100, 1, "Header fields of a request"),
    of_host("head-timeout-ms", 10_000, 1, "Timeout for receiving the header section, in milliseconds"),
    of_host("idle-timeout-ms", 75_000, 1, "Timeout of an idle connection, in milliseconds"),
    of_host("body-timeout-ms", 30_000, 1, "Timeout for the next chunk of a body, in milliseconds"),
    of_host("write-timeout-ms", 30_000, 1, "Timeout for a client that reads nothing, in milliseconds"),
    of_host("drain-timeout-ms", 25_000, 1, "Shutdown grace period of requests in flight, in milliseconds"),
    of_host("http2-streams", 100, 1, "HTTP/2 streams per connection"),
    of_host("http2-resets", 100, 1, "HTTP/2 streams that a connection may reset"),
    of_host("http2-ping-interval-ms", 20_000, 1, "Interval of pings on quiet HTTP/2 connections, in milliseconds"),
    of_host("websocket-ping-interval-ms", 30_000, 1, "Interval of pings on quiet WebSockets, in milliseconds"),
    of_host("websocket-idle-timeout-ms", 3_600_000, 1, "Timeout of a WebSocket without messages, in milliseconds"),
    of_host("instances", 0, 1, "Instances of the host [default: concurrent executions]"),
    of_host(
        "idle-instances-bytes",
        48 << 20,
        0,
        "Memory of idle instances, in bytes; 0: a new instance for each request",
    ),
    of_host("idle-instances-tenant-bytes", 24 << 20, 1, "Memory of idle instances per tenant of a platform, in bytes"),
    of_host(
        "idle-instances-check-interval",
        0,
        0,
        "Number of reuses of an instance between checks of its memory against the image; 0: never",
    ),
    of_host("idle-instances-ms", 300_000, 1, "Timeout of an idle instance, in milliseconds"),
    of_host("workers", 0, 1, "Threads that run components [default: one per CPU]"),
    of_host(
        "postgres-connections",
        0,
        1,
        "Connections to a PostgreSQL server, of all components together [default: 80]",
    ),
];

/// The setting of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Checks a name and a value.
///
/// # Errors
/// That no setting has the name, and which one may be meant; or that the value is too small.
pub fn check(name: &str, value: u64) -> Result<(), String> {
    let setting = find(name).ok_or_else(|| unknown(name))?;
    if value < setting.min {
        return Err(format!("{name} must be at least {}", setting.min));
    }
    Ok(())
}

fn unknown(name: &str) -> String {
    let nearest = SETTINGS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a.name, name).total_cmp(&strsim::jaro_winkler(b.name, name)));
    let nearest = nearest.map_or("", |setting| setting.name);
    format!("the setting `{name}` does not exist; did you mean `{nearest}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let error = check("deadline", 1).expect_err("no such setting");
        assert_eq!(error, "the setting `deadline` does not exist; did you mean `deadline-ms`?");
        assert_eq!(check("fuel", 0).expect_err("too small"), "fuel must be at least 1");
    }
}
