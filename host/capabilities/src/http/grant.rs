//! The grant of `http`: the table `[capabilities.http]`.

use super::rule::Rule;
use elias_host::capability::Amount;
use ipnet::IpNet;
use serde::Deserialize;
use std::path::PathBuf;

/// The amounts that a component may have, and the most that tenants of a platform may ask for unless its operator says
/// otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "requests", default: 32, ceiling: 256 },
    Amount { key: "request-bytes", default: 10 << 20, ceiling: 100 << 20 },
    Amount { key: "response-bytes", default: 100 << 20, ceiling: 1 << 30 },
    Amount { key: "header-bytes", default: 64 << 10, ceiling: 256 << 10 },
    Amount { key: "connect-timeout-ms", default: 5_000, ceiling: 60_000 },
    Amount { key: "first-byte-timeout-ms", default: 30_000, ceiling: 300_000 },
    Amount { key: "total-timeout-ms", default: 120_000, ceiling: 3_600_000 },
];

/// The hosts that a component may reach, and the limits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Grant {
    /// The hosts; none unless it says so: `api.example.com`, `*.example.com`, `https://example.com:8443`, or `*` for
    /// every public one.
    pub(super) allow: Vec<Rule>,
    /// Networks that are not public and may be reached all the same, such as `10.1.0.0/16` or `127.0.0.1/32`.
    pub(super) private: Vec<IpNet>,
    /// A PEM file of further certificate authorities, relative to the configuration's folder.
    pub(super) ca_file: Option<PathBuf>,
    /// Requests of one instance that are open at a time; further ones wait.
    pub(super) requests: u32,
    /// Bytes of a request's body.
    pub(super) request_bytes: u64,
    /// Bytes of a response's body, after it was decompressed.
    pub(super) response_bytes: u64,
    /// Bytes of a response's header fields, names and values.
    pub(super) header_bytes: u32,
    /// Until the connection stands, in milliseconds; of each address that a name has.
    pub(super) connect_timeout_ms: u64,
    /// From sending the request to the response's head, in milliseconds.
    pub(super) first_byte_timeout_ms: u64,
    /// From `fetch` to the end of the response's body, in milliseconds.
    pub(super) total_timeout_ms: u64,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            private: Vec::new(),
            ca_file: None,
            requests: 32,
            request_bytes: 10 << 20,
            response_bytes: 100 << 20,
            header_bytes: 64 << 10,
            connect_timeout_ms: 5_000,
            first_byte_timeout_ms: 30_000,
            total_timeout_ms: 120_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_are_the_defaults() {
        let grant = Grant::default();
        let sizes = [u64::from(grant.requests), grant.request_bytes, grant.response_bytes, grant.header_bytes.into()];
        let times = [grant.connect_timeout_ms, grant.first_byte_timeout_ms, grant.total_timeout_ms];
        let declared: Vec<_> = AMOUNTS.iter().map(|amount| amount.default).collect();
        assert_eq!(declared, [sizes.as_slice(), &times].concat());
    }
}
