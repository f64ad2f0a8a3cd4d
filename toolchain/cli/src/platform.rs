//! `elias serve --platform`: many teams' components, and the admin API that they are deployed by.

use crate::database_access::Databases;
use crate::failure::Failure;
use crate::serve::{self, Serving, stop_signal, warn_of_cut};
use crate::settings::Settings;
use clap::Args;
use elias_capabilities::http::PublicFetch;
use elias_host::compiler::CompileLimits;
use elias_platform::access::{FetchKeys, OidcConfig};
use elias_platform::{Platform, PlatformConfig, PublicScheme};
use elias_server::{Ingress, Server, ServerConfig};
use futures::FutureExt;
use futures::future::BoxFuture;
use ipnet::IpNet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the admin API listens if nothing else is said.
const ADMIN: &str = "127.0.0.1:8788";
/// What the data directory has for the components' databases.
pub(crate) const DATABASES: &str = "databases";

/// What `serve` is told of a platform.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platform")]
pub(crate) struct PlatformArguments {
    /// Serve all deployed components, and the admin API
    #[arg(long, conflicts_with_all = ["file", "dev", "watch"])]
    platform: bool,
    /// Address and port of the admin API [default: 127.0.0.1:8788]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "platform")]
    admin: Option<String>,
    /// PostgreSQL database that the hosts share [default: SQLite in the data directory]
    #[arg(long, value_name = "URL", env = "ELIAS_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Use the configured store although the data directory belongs to another or missing one, whose deployments are
    /// set aside and stop
    #[arg(long, requires = "platform")]
    abandon_former_store: bool,
    /// Bucket that the hosts share, such as s3://components [default: the data directory]
    #[arg(long, value_name = "URL", requires = "platform")]
    artifacts: Option<String>,
    /// Domain below which components respond, at COMPONENT.TENANT.DOMAIN [default: localhost]
    #[arg(long, requires = "platform")]
    domain: Option<String>,
    /// Scheme and port by which clients reach the domain, such as https or https:8443 [default: http and the port of
    /// --listen]
    #[arg(long, value_name = "SCHEME[:PORT]", requires = "platform")]
    public_scheme: Option<PublicScheme>,
    /// Maximum that versions may request for a key of elias.toml, such as capabilities.db.connections=16; repeatable
    #[arg(long = "ceiling", value_name = "KEY=N", value_parser = ceiling, requires = "platform")]
    ceilings: Vec<(String, u64)>,
    /// Name of the transparency log [default: DOMAIN/log]
    #[arg(long, value_name = "NAME", requires = "platform")]
    log_origin: Option<String>,
    /// Issuer (`iss`) of an identity provider whose users may use the admin API
    #[arg(long, value_name = "ISSUER", requires_all = ["platform", "oidc_jwks", "oidc_audience"])]
    oidc_issuer: Option<String>,
    /// URL of the identity provider's key set (JWKS)
    #[arg(long, value_name = "URL", requires = "oidc_issuer")]
    oidc_jwks: Option<String>,
    /// Audience (`aud`) of the tokens
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    oidc_audience: Option<String>,
    /// Claim with the tenant's name
    #[arg(long, value_name = "CLAIM", default_value = "elias_tenant")]
    oidc_tenant_claim: String,
    /// Claim with the role's name
    #[arg(long, value_name = "CLAIM", default_value = "elias_role")]
    oidc_role_claim: String,
    /// Private network from which keys of identity providers may be fetched, such as 10.1.0.0/16; repeatable
    #[arg(long, value_name = "NETWORK", requires = "platform")]
    private_network: Vec<IpNet>,
    /// Load only versions with an inclusion proof of the transparency log
    #[arg(long, requires = "platform")]
    require_log: bool,
    /// Advisories about npm packages in the OSV format, a file or a directory; reloaded on changes
    #[arg(long, value_name = "FILE|DIR", requires = "platform")]
    advisories: Option<PathBuf>,
    /// Maximum number of components in memory [default: 500]
    #[arg(long, value_name = "N", requires = "platform")]
    loaded_components: Option<u32>,
    /// Timeout for compiling a component, in milliseconds [default: 60000]
    #[arg(long, value_name = "N", requires = "platform")]
    compile_timeout_ms: Option<u64>,
    /// Retention of execution records, in days [default: 7]
    #[arg(long, value_name = "N", requires = "platform")]
    execution_days: Option<u32>,
}

impl PlatformArguments {
    /// Whether a platform is to be served.
    pub(crate) fn is_wanted(&self) -> bool {
        self.platform
    }

    fn config(&self, serving: &Serving) -> Result<PlatformConfig, Failure> {
        let mut config = PlatformConfig::new(&serving.data_dir);
        config.store.clone_from(&self.store);
        config.abandon_former_store = self.abandon_former_store;
        config.artifacts.clone_from(&self.artifacts);
        if let Some(domain) = &self.domain {
            config.domain.clone_from(domain);
        }
        config.log_origin = self.log_origin.clone().unwrap_or_else(|| format!("{}/log", config.domain));
        config.public.clone_from(&self.public_scheme);
        config.ceilings = self.ceilings.iter().cloned().collect();
        config.require_log = self.require_log;
        config.advisories.clone_from(&self.advisories);
        config.loaded_components = self.loaded_components.unwrap_or(config.loaded_components);
        config.compile_timeout_ms = self.compile_timeout_ms.unwrap_or(config.compile_timeout_ms).max(1);
        config.retention.days = self.execution_days.unwrap_or(config.retention.days);
        let fetch = PublicFetch::new(self.private_network.clone()).map_err(|error| Failure::new("io", error))?;
        config.fetch = Some(Arc::new(Keys(fetch)));
        config.databases = Some(Arc::new(Databases));
        if let (Some(issuer), Some(jwks), Some(audience)) = (&self.oidc_issuer, &self.oidc_jwks, &self.oidc_audience) {
            config.oidc = Some(OidcConfig {
                jwks: jwks.clone(),
                issuer: issuer.clone(),
                audience: audience.clone(),
                tenant_claim: self.oidc_tenant_claim.clone(),
                role_claim: self.oidc_role_claim.clone(),
            });
        }
        Ok(config)
    }
}

/// Fetches the keys of identity providers, which tenants name too: from public addresses, unless the operator says more.
struct Keys(PublicFetch);

impl FetchKeys for Keys {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        self.0.get(url).boxed()
    }
}

/// Serves a platform until a signal says to stop, and then until the requests in flight have ended.
///
/// # Errors
/// Whatever keeps the platform or its servers from starting.
pub(crate) async fn run(serving: &Serving, arguments: &PlatformArguments, settings: Settings) -> Result<(), Failure> {
    if settings.grants.names().next().is_some() {
        tracing::warn!("[capabilities.*] of the host's own elias.toml grant nothing: each version brings its own");
    }
    // Whatever is made from here on is for the user alone: the data directory has everybody's secrets, and compiled
    // code runs in this process.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cache = serving.cache();
    // What tenants upload is compiled apart: a compiler can be killed, a thread cannot.
    let config = arguments.config(serving)?;
    let cpu_seconds = config.compile_timeout_ms.div_ceil(1_000);
    let host = serve::builder(&settings, serving.data_dir.join(DATABASES)).compiler(this_program()?);
    let host = host.compile_limits(CompileLimits { cpu_seconds, ..CompileLimits::default() });
    let host = serve::build(host, cache.as_deref())?;
    let platform = Platform::open(config, host, settings.limits.clone()).await?;
    let admin = ServerConfig {
        listen: arguments.admin.clone().unwrap_or_else(|| ADMIN.to_owned()),
        // Components are uploaded here.
        request_bytes: settings.limits.component_bytes,
        dev: false,
        ..settings.server.clone()
    };
    let server = bind(settings.server, Ingress::from(platform.clone())).await?;
    platform.listens_on(server.local_addr().port());
    let admin = bind(admin, Ingress::admin(platform.clone())).await?;
    let text = format!(
        "serving the platform at http://{}\n  admin API at http://{}/v1, the operator's token is in {}/operator-token\n",
        server.local_addr(),
        admin.local_addr(),
        serving.data_dir.display()
    );
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let stop = stop_signal().shared();
    let (drained, _) = tokio::join!(server.run(stop.clone()), admin.run(stop));
    warn_of_cut(drained);
    platform.flush().await;
    Ok(())
}

/// A ceiling as the command line writes it.
pub(crate) fn ceiling(text: &str) -> Result<(String, u64), String> {
    let (key, number) = text.split_once('=').ok_or("write it as KEY=N")?;
    let number = number.parse().map_err(|_| "N must be a number that is not negative".to_owned())?;
    Ok((key.to_owned(), number))
}

/// This very program, also when another has taken its file's place.
fn this_program() -> Result<PathBuf, Failure> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().map_err(|error| Failure::new("io", format_args!("this program cannot be found: {error}")))
}

async fn bind(config: ServerConfig, ingress: Ingress) -> Result<Server, Failure> {
    Server::bind(config, ingress).await.map_err(|error| Failure::new(error.code(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Code;
    use elias_api::{TenantSettings, VersionSettings};
    use elias_platform::ceilings::Ceilings;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    #[test]
    fn every_amount_of_every_capability_and_every_limit_can_be_capped() {
        let data = tempfile::tempdir().expect("a folder");
        let settings = Settings { instances: Some(1), ..Settings::default() };
        let host = serve::build(serve::builder(&settings, data.path().to_owned()), None).expect("a host");
        let ceilings = Ceilings::new(&host, &settings.limits, &BTreeMap::new()).expect("no ceilings of the operator's");
        let keys: Vec<String> = ceilings.keys().collect();
        let limits = serde_json::to_value(&settings.limits).expect("JSON");
        let limits = limits.as_object().expect("an object").len();
        assert!(keys.len() >= limits + 6 + 10 + 7, "limits, cache, db and http: {keys:?}");
        for key in keys {
            let tenant = TenantSettings { ceilings: BTreeMap::from([(key.clone(), 1)]), ..TenantSettings::default() };
            let asks = |number: u64| {
                let nested = key.rsplit('.').fold(json!(number), |inner, name| json!({ name: inner }));
                serde_json::from_value::<VersionSettings>(nested).expect("settings")
            };
            let refused = ceilings.check(&tenant, &asks(2)).expect_err(&key);
            assert_eq!(refused.code(), Code::AboveCeiling, "{key}");
            let message = refused.to_string();
            assert!(message.contains(&format!("{key} is 2,")) && message.contains("ceiling is 1"), "{message}");
            ceilings.check(&tenant, &asks(1)).expect(&key);
            // What was accepted before, and a default.
            let (table, name) = key.rsplit_once('.').expect("keys have tables");
            let given = match table.strip_prefix("capabilities.") {
                None => {
                    let given = ceilings.limits(&tenant, &settings.limits).expect("limits");
                    serde_json::to_value(given).expect("JSON")[name.replace('-', "_")].clone()
                }
                Some(capability) => {
                    let unasked = json!({ "capabilities": { capability: {} } });
                    let unasked: VersionSettings = serde_json::from_value(unasked).expect("settings");
                    assert_eq!(ceilings.grants(&tenant, &unasked)[capability][name], json!(1), "{key}");
                    Value::Object(ceilings.grants(&tenant, &asks(7)))[capability][name].clone()
                }
            };
            assert_eq!(given, json!(1), "{key}");
        }
    }
}
