//! The configuration of a platform.

use crate::access::{FetchKeys, OidcConfig};
use crate::component_databases::ComponentDatabases;
use crate::draft_builder::DraftBuilder;
use crate::envelope_sender::EnvelopeSender;
use crate::flag_sets::FlagSets;
use crate::notifier::Notifier;
use crate::recorder::Retention;
use crate::spans::TraceConfig;
use crate::triggers::TriggerBackends;
use crate::webhook_sender::WebhookSender;
use crate::workers::WorkerBackends;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Service workers in memory at a time, if nothing else is said: so many that one tenant alone has a thousand of them,
/// which is three quarters, and takes some 250 MB. Where more have something to do than there are places, nearly each
/// turn wakes its worker: the one that has rested for longest is the next that is needed.
const AWAKE_WORKERS: u32 = 1_344;

/// The configuration of a platform.
#[derive(Clone)]
pub struct PlatformConfig {
    /// Where it keeps what is its own: the store if that is SQLite, artifacts, keys, and what every service serves.
    /// For one host alone.
    pub data_dir: PathBuf,
    /// A PostgreSQL that several hosts share, `postgres://...`; none: SQLite in the data directory.
    pub store: Option<String>,
    /// Takes the store that is found, though the data directory belongs to another or to one that is missing. What was
    /// served from that one is set aside, and is served no more.
    pub abandon_former_store: bool,
    /// A bucket that several hosts share, `s3://BUCKET`; none: the data directory.
    pub artifacts: Option<String>,
    /// The domain below which every service has a host of its own: `shop.acme.DOMAIN`.
    pub domain: String,
    /// The scheme and port by which clients reach the domain, such as `https`, if not `http` and the port that is
    /// listened on.
    pub public: Option<PublicScheme>,
    /// The name of the transparency log, which its key has too.
    pub log_origin: String,
    /// Components in memory at a time; beyond it the least recently used one is unloaded, and loaded again by its next
    /// request.
    pub loaded_components: u32,
    /// Milliseconds without a request after which a component is unloaded.
    pub idle_unload_ms: u64,
    /// Milliseconds that compiling a component may take.
    pub compile_timeout_ms: u64,
    /// Bytes of compiled code that are kept on the disk; beyond it what was not used for longest is deleted, and
    /// compiled again when needed.
    pub compiled_bytes: u64,
    /// How much versions may ask for, by the key of elias.toml, for tenants that have no ceiling of their own; in the
    /// place of what capabilities say themselves. See [`crate::ceilings`].
    pub ceilings: BTreeMap<String, u64>,
    /// How many executions are kept.
    pub retention: Retention,
    /// Which traces are kept, and who else gets them.
    pub traces: TraceConfig,
    /// How many runs of triggers that went well are recorded of each service a second. Those that failed, were run
    /// again or are to be run again are always recorded.
    pub recorded_runs_per_second: u32,
    /// An identity provider whose users may use the admin API.
    pub oidc: Option<OidcConfig>,
    /// The origin at which browsers reach the admin API and the web console, such as `https://elias.example.com`; none:
    /// `http` and whatever host a request names.
    pub console_origin: Option<String>,
    /// Whether only versions are loaded that the transparency log proves.
    pub require_log: bool,
    /// A file or a folder with advisories about npm packages, in the OSV format.
    pub advisories: Option<PathBuf>,
    /// The client that fetches the keys of identity providers: the platform dials nothing itself.
    pub fetch: Option<Arc<dyn FetchKeys>>,
    /// The runner of users' statements on the databases of components; none: the admin API refuses them.
    pub databases: Option<Arc<dyn ComponentDatabases>>,
    /// The sender of webhooks; none: versions that have some are refused, and what is to be sent waits.
    pub webhooks: Option<Arc<dyn WebhookSender>>,
    /// The builder of drafts; none: drafts are kept and not built.
    pub drafts: Option<Arc<dyn DraftBuilder>>,
    /// The webhook that is told the usage of each closed hour; none: usage is read by the admin API alone.
    pub usage_webhook: Option<UsageWebhook>,
    /// The sender of notifications of alerts; none: receivers with a URL or an address are refused.
    pub notifier: Option<Arc<dyn Notifier>>,
    /// Reads how many of the connections to databases are in use, in percent of the maximum, of the server with the
    /// most; `None` without a server.
    pub connections_percent: Option<Arc<dyn Fn() -> Option<f64> + Send + Sync>>,
    /// The files of the TLS certificates that the host serves with, as PEM, for the alert about their end.
    pub certificates: Vec<PathBuf>,
    /// The DSN of a server that speaks Sentry's protocol, which gets the failures of all tenants.
    pub sentry_dsn: Option<String>,
    /// The sender of failures to such servers, this one and those of tenants; none: they are only in issues.
    pub envelopes: Option<Arc<dyn EnvelopeSender>>,
    /// The queue and the log of events that the host was built with, by its capabilities `jobs` and `events`.
    pub triggers: TriggerBackends,
    /// The feature flags that the host was built with, by its capability `flags`.
    pub flags: FlagSets,
    /// The service workers that the host was built with, by its capability `workers`.
    pub workers: WorkerBackends,
    /// How many service workers are in memory at a time: each is one of the host's instances.
    pub awake_workers: u32,
    /// How many jobs, ticks and deliveries run at a time; none: half as many as executions.
    pub concurrent_jobs: Option<u32>,
}

impl PlatformConfig {
    /// The defaults, in this data directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            store: None,
            abandon_former_store: false,
            artifacts: None,
            domain: "localhost".to_owned(),
            public: None,
            log_origin: "localhost/log".to_owned(),
            loaded_components: 500,
            idle_unload_ms: 15 * 60 * 1_000,
            compile_timeout_ms: 60_000,
            compiled_bytes: 10 << 30,
            ceilings: BTreeMap::new(),
            retention: Retention::default(),
            traces: TraceConfig::default(),
            recorded_runs_per_second: 100,
            oidc: None,
            console_origin: None,
            require_log: false,
            advisories: None,
            fetch: None,
            databases: None,
            webhooks: None,
            drafts: None,
            usage_webhook: None,
            notifier: None,
            connections_percent: None,
            certificates: Vec::new(),
            sentry_dsn: None,
            envelopes: None,
            triggers: TriggerBackends::new(),
            flags: FlagSets::new(),
            workers: WorkerBackends::new(),
            awake_workers: AWAKE_WORKERS,
            concurrent_jobs: None,
        }
    }
}

/// The webhook that is told the usage of each closed hour, for billing.
#[derive(Clone)]
pub struct UsageWebhook {
    /// The URL.
    pub url: String,
    /// The secret that signs, `whsec_` and Base64; several are separated by spaces, and each signs.
    pub secret: Zeroizing<String>,
    /// What may be reached: the table `[capabilities.http]`.
    pub http: Value,
}

/// The scheme and port by which clients reach services from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicScheme {
    /// `http` or `https`.
    pub scheme: String,
    /// The port, if it is not the scheme's own.
    pub port: Option<u16>,
}

impl FromStr for PublicScheme {
    type Err = String;

    /// Reads `https` or `https:8443`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, port) = text.split_once(':').map_or((text, None), |(scheme, port)| (scheme, Some(port)));
        let port = port.map(str::parse).transpose().map_err(|_| "the port must be a number up to 65535".to_owned())?;
        if !matches!(scheme, "http" | "https") {
            return Err("write http or https, with a port if need be, such as https:8443".to_owned());
        }
        Ok(Self { scheme: scheme.to_owned(), port })
    }
}

impl PublicScheme {
    /// The URL of a host.
    pub(crate) fn url(&self, host: &str) -> String {
        let Self { scheme, port } = self;
        let own = if scheme == "https" { 443 } else { 80 };
        match port.filter(|port| *port != own) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_and_a_port_where_it_is_needed() {
        for (text, url) in [
            ("https", "https://a.b"),
            ("https:443", "https://a.b"),
            ("https:8443", "https://a.b:8443"),
            ("http:80", "http://a.b"),
            ("http:8787", "http://a.b:8787"),
        ] {
            assert_eq!(text.parse::<PublicScheme>().map(|public| public.url("a.b")), Ok(url.to_owned()));
        }
        for text in ["", "ftp", "https:", "https:x", "https:99999", "https://a.b"] {
            assert!(text.parse::<PublicScheme>().is_err(), "{text}");
        }
    }
}
