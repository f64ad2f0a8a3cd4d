//! The table `[capabilities.db]` of elias.toml.

use elias_host::capability::{Amount, ConfigureError};
use serde::Deserialize;
use std::time::Duration;

/// The least memory that SQLite can do anything useful with.
const MEMORY_BYTES_LEAST: u64 = 4 << 20;

/// The grant of a database. Keys are in kebab-case; every one has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DbGrant {
    /// Which database.
    pub backend: BackendKind,
    /// PostgreSQL's URL, or the variable of the host's environment that has it. Its role makes a login of the
    /// component's own.
    pub url: Option<Url>,
    /// In place of `url`: the URL of a login that the operator has made for this component.
    pub login_url: Option<Url>,
    /// PostgreSQL's schema. Derived from the component's name unless given.
    pub schema: Option<String>,
    /// The folder of the migrations, beside the component. `migrations` unless given; only a given one has to exist.
    pub migrations: Option<String>,
    /// Connections of all instances of the component together.
    pub connections: u32,
    /// Milliseconds a statement may take, and may wait for a connection. In PostgreSQL, outside of a transaction, the
    /// time in which the component does not take the rows counts too.
    pub statement_timeout_ms: u64,
    /// Milliseconds until connecting is given up.
    pub connect_timeout_ms: u64,
    /// Rows of one result.
    pub rows: u64,
    /// Bytes of one result: 8 a value, and its content.
    pub result_bytes: u64,
    /// Bytes of a statement's text.
    pub statement_bytes: u64,
    /// Bytes of a statement's parameters together: 8 a value, and its content.
    pub parameter_bytes: u64,
    /// Parameters of a statement.
    pub parameters: u32,
    /// Queries of an instance that may be under way at a time.
    pub queries: u32,
    /// Bytes of SQLite's file.
    pub database_bytes: u64,
    /// Bytes of memory that SQLite may have for the component, all its connections together.
    pub memory_bytes: u64,
}

/// The amounts that a component may have, and the most that tenants of a platform may ask for unless its operator says
/// otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "connections", default: 8, ceiling: 32 },
    Amount { key: "statement-timeout-ms", default: 5_000, ceiling: 60_000 },
    Amount { key: "connect-timeout-ms", default: 5_000, ceiling: 30_000 },
    Amount { key: "rows", default: 100_000, ceiling: 1_000_000 },
    Amount { key: "result-bytes", default: 16 << 20, ceiling: 64 << 20 },
    Amount { key: "statement-bytes", default: 64 << 10, ceiling: 1 << 20 },
    Amount { key: "parameter-bytes", default: 4 << 20, ceiling: 16 << 20 },
    Amount { key: "parameters", default: 1_000, ceiling: 32_000 },
    Amount { key: "queries", default: 64, ceiling: 256 },
    Amount { key: "database-bytes", default: 1 << 30, ceiling: 10 << 30 },
    Amount { key: "memory-bytes", default: 64 << 20, ceiling: 256 << 20 },
];

/// The databases there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// A file beside the host.
    Sqlite,
    /// A server.
    Postgres,
}

/// A URL in the grant, or the place where it is.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Url {
    /// Here.
    Plain(String),
    /// In a variable of the host's environment.
    Environment(Environment),
}

/// A variable of the host's environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its name.
    pub env: String,
}

impl std::fmt::Debug for Url {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => formatter.write_str("Plain(..)"),
            Self::Environment(environment) => environment.fmt(formatter),
        }
    }
}

impl Default for DbGrant {
    fn default() -> Self {
        Self {
            backend: BackendKind::Sqlite,
            url: None,
            login_url: None,
            schema: None,
            migrations: None,
            connections: 8,
            statement_timeout_ms: 5_000,
            connect_timeout_ms: 5_000,
            rows: 100_000,
            result_bytes: 16 << 20,
            statement_bytes: 64 << 10,
            parameter_bytes: 4 << 20,
            parameters: 1_000,
            queries: 64,
            database_bytes: 1 << 30,
            memory_bytes: 64 << 20,
        }
    }
}

impl DbGrant {
    /// Checks what serde cannot.
    pub(crate) fn check(&self) -> Result<(), ConfigureError> {
        // Above these, SQLite's own integers or PostgreSQL's protocol would be what gives out.
        let bounds = [
            ("connections", u64::from(self.connections), 1_000),
            ("statement-timeout-ms", self.statement_timeout_ms, 86_400_000),
            ("connect-timeout-ms", self.connect_timeout_ms, 600_000),
            ("rows", self.rows, u64::MAX),
            ("result-bytes", self.result_bytes, 1 << 30),
            ("statement-bytes", self.statement_bytes, 1 << 24),
            ("parameter-bytes", self.parameter_bytes, 1 << 29),
            ("parameters", u64::from(self.parameters), 32_000),
            ("queries", u64::from(self.queries), 100_000),
            ("database-bytes", self.database_bytes, 1 << 44),
        ];
        for (key, value, most) in bounds {
            if value == 0 || value > most {
                return Err(ConfigureError::Invalid(format!("{key}: must be between 1 and {most}")));
            }
        }
        if self.memory_bytes < MEMORY_BYTES_LEAST || self.memory_bytes > 1 << 40 {
            return Err(ConfigureError::Invalid(format!(
                "memory-bytes: must be between {MEMORY_BYTES_LEAST} and {}",
                1_u64 << 40
            )));
        }
        let sqlite = self.backend == BackendKind::Sqlite;
        for (key, given) in
            [("url", self.url.is_some()), ("login-url", self.login_url.is_some()), ("schema", self.schema.is_some())]
        {
            if sqlite && given {
                return Err(ConfigureError::Invalid(format!("{key}: is for backend = \"postgres\"")));
            }
        }
        match (sqlite, &self.url, &self.login_url) {
            (false, None, None) => Err(ConfigureError::Invalid("url: backend = \"postgres\" needs it".into())),
            (false, Some(_), Some(_)) => {
                Err(ConfigureError::Invalid("login-url: takes the place of url; leave one of them out".into()))
            }
            _ => Ok(()),
        }
    }

    /// The URL itself, and whether it is that of an owner, who makes the component's login.
    pub(crate) fn resolve_url(&self) -> Result<(String, bool), ConfigureError> {
        let (key, url, owned) = match (&self.url, &self.login_url) {
            (Some(url), _) => ("url", url, true),
            (None, Some(url)) => ("login-url", url, false),
            (None, None) => return Err(ConfigureError::Invalid("url: backend = \"postgres\" needs it".into())),
        };
        let url = match url {
            Url::Plain(url) => url.clone(),
            Url::Environment(Environment { env }) => std::env::var(env).map_err(|_| {
                ConfigureError::Invalid(format!("{key}: the environment variable {env} must be set for the host"))
            })?,
        };
        Ok((url, owned))
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_are_the_defaults() {
        let DbGrant { connections, statement_timeout_ms, connect_timeout_ms, rows, result_bytes, .. } =
            DbGrant::default();
        let DbGrant { statement_bytes, parameter_bytes, parameters, queries, database_bytes, memory_bytes, .. } =
            DbGrant::default();
        let numbers = [u64::from(connections), statement_timeout_ms, connect_timeout_ms, rows, result_bytes];
        let more = [statement_bytes, parameter_bytes, parameters.into(), queries.into(), database_bytes, memory_bytes];
        let declared: Vec<_> = AMOUNTS.iter().map(|amount| amount.default).collect();
        assert_eq!(declared, numbers.into_iter().chain(more).collect::<Vec<_>>());
    }
}
