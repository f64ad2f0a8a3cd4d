//! The table `[capabilities.db]` of elias.toml.

use elias_host::capability::ConfigureError;
use serde::Deserialize;
use std::time::Duration;

/// What a component may use of a database. Keys are in kebab-case; every one has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DbGrant {
    /// Which database.
    pub backend: BackendKind,
    /// PostgreSQL's URL, or the variable of the host's environment that has it.
    pub url: Option<Url>,
    /// PostgreSQL's schema. Derived from the component's name unless given.
    pub schema: Option<String>,
    /// The folder of the migrations, beside the component. `migrations` unless given; only a given one has to exist.
    pub migrations: Option<String>,
    /// Connections of all instances of the component together.
    pub connections: u32,
    /// Milliseconds a statement may take, and may wait for a connection. In PostgreSQL, outside of a transaction, the time
    /// in which the component does not take the rows counts too.
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
}

/// The databases there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// A file beside the host.
    Sqlite,
    /// A server.
    Postgres,
}

/// Where a URL is.
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
        let sqlite = self.backend == BackendKind::Sqlite;
        if sqlite && self.url.is_some() {
            return Err(ConfigureError::Invalid("url: is for backend = \"postgres\"".into()));
        }
        if sqlite && self.schema.is_some() {
            return Err(ConfigureError::Invalid("schema: is for backend = \"postgres\"".into()));
        }
        if !sqlite && self.url.is_none() {
            return Err(ConfigureError::Invalid("url: backend = \"postgres\" needs it".into()));
        }
        Ok(())
    }

    /// The URL itself.
    pub(crate) fn resolve_url(&self) -> Result<String, ConfigureError> {
        match &self.url {
            Some(Url::Plain(url)) => Ok(url.clone()),
            Some(Url::Environment(Environment { env })) => std::env::var(env)
                .map_err(|_| ConfigureError::Invalid(format!("url: the environment has no variable {env}"))),
            None => Err(ConfigureError::Invalid("url: backend = \"postgres\" needs it".into())),
        }
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}
