//! What a platform is told.

use crate::access::{FetchKeys, OidcConfig};
use crate::recorder::Retention;
use std::path::PathBuf;
use std::sync::Arc;

/// What a platform is told.
#[derive(Clone)]
pub struct PlatformConfig {
    /// Where it keeps what is its own: the store if that is SQLite, artifacts, keys, and what every service serves. For one host alone.
    pub data_dir: PathBuf,
    /// A PostgreSQL that several hosts share, `postgres://...`; none: SQLite in the data directory.
    pub store: Option<String>,
    /// A bucket that several hosts share, `s3://BUCKET`; none: the data directory.
    pub artifacts: Option<String>,
    /// The domain below which every service has a host of its own: `shop.acme.DOMAIN`.
    pub domain: String,
    /// The name of the transparency log, which its key has too.
    pub log_origin: String,
    /// Components in memory at a time; beyond it the least recently used one is unloaded, and loaded again by its next request.
    pub loaded_components: u32,
    /// Milliseconds without a request after which a component is unloaded.
    pub idle_unload_ms: u64,
    /// Milliseconds that compiling a component may take.
    pub compile_timeout_ms: u64,
    /// Bytes of compiled code that are kept on the disk; beyond it what was not used for longest is deleted, and compiled again when needed.
    pub compiled_bytes: u64,
    /// How many executions are kept.
    pub retention: Retention,
    /// An identity provider whose users may use the admin API.
    pub oidc: Option<OidcConfig>,
    /// Whether only versions are loaded that the transparency log proves.
    pub require_log: bool,
    /// A file or a folder with advisories about npm packages, in the OSV format.
    pub advisories: Option<PathBuf>,
    /// What fetches the keys of identity providers: the platform dials nothing itself.
    pub fetch: Option<Arc<dyn FetchKeys>>,
}

impl PlatformConfig {
    /// The defaults, in this data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            store: None,
            artifacts: None,
            domain: "localhost".to_owned(),
            log_origin: "localhost/log".to_owned(),
            loaded_components: 500,
            idle_unload_ms: 15 * 60 * 1_000,
            compile_timeout_ms: 60_000,
            compiled_bytes: 10 << 30,
            retention: Retention::default(),
            oidc: None,
            require_log: false,
            advisories: None,
            fetch: None,
        }
    }
}
