//! `elias serve --platform`: many teams' components, and the admin API that they are deployed by.

use super::of_listening;
use super::shutdown::{self, warn_of_cut};
use super::{nats, nine_p};
use crate::data::DATABASES;
use crate::database_access::Databases;
use crate::draft_builder::ChildBuilder;
use crate::settings::Settings;
use crate::telemetry::{Collector, Envelopes, MailServer, OtlpExporter, PlatformNotifier, grant_of};
use crate::webhooks::PlatformWebhooks;
use crate::{failure, host};
use elias_capabilities::Workflow;
use elias_capabilities::http::{PublicFetch, check_url};
use elias_command_line::{CliErrorCode, Failure, PlatformArguments};
use elias_host::compiler::CompileLimits;
use elias_nats::NatsConfig;
use elias_platform::access::{FetchKeys, OidcClient, OidcConfig};
use elias_platform::{Platform, PlatformConfig, PublicScheme, UsageWebhook};
use elias_server::{Ingress, Server, ServerConfig};
use elias_triggers::event::webhook::WebhookSecret;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The variable with the secret that signs the usage of tenants.
const USAGE_SECRET: &str = "ELIAS_USAGE_WEBHOOK_SECRET";
/// Where the admin API listens if nothing else is said.
const ADMIN: &str = "127.0.0.1:8788";

/// The platform's configuration, as the arguments say.
fn config(arguments: &PlatformArguments, data_dir: &Path) -> Result<PlatformConfig, Failure> {
    let mut config = PlatformConfig::new(data_dir);
    config.store.clone_from(&arguments.store);
    config.abandon_former_store = arguments.abandon_former_store;
    config.artifacts.clone_from(&arguments.artifacts);
    if let Some(domain) = &arguments.domain {
        config.domain.clone_from(domain);
    }
    config.log_origin = arguments.log_origin.clone().unwrap_or_else(|| format!("{}/log", config.domain));
    let public = arguments.public_scheme.clone();
    config.public = public.map(|(scheme, port)| PublicScheme { scheme, port });
    config.ceilings = arguments.ceilings.iter().cloned().collect();
    config.require_log = arguments.require_log;
    config.advisories.clone_from(&arguments.advisories);
    config.loaded_components = arguments.loaded_components.unwrap_or(config.loaded_components);
    config.compile_timeout_ms = arguments.compile_timeout_ms.unwrap_or(config.compile_timeout_ms).max(1);
    config.retention.days = arguments.execution_days.unwrap_or(config.retention.days);
    config.retention.audit_days = arguments.audit_days.unwrap_or(config.retention.audit_days);
    config.sentry_dsn.clone_from(&arguments.sentry_dsn);
    config.envelopes = Some(Arc::new(Envelopes::default()));
    let runs = arguments.recorded_runs_per_second;
    config.recorded_runs_per_second = runs.unwrap_or(config.recorded_runs_per_second);
    config.traces.sample_rate = arguments.trace_sample_rate.unwrap_or(config.traces.sample_rate);
    config.traces.slow_ms = arguments.trace_slow_ms.unwrap_or(config.traces.slow_ms);
    config.traces.days = arguments.trace_days.unwrap_or(config.traces.days);
    let fetch =
        PublicFetch::new(arguments.private_network.clone()).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    config.fetch = Some(Arc::new(Keys(fetch)));
    config.databases = Some(Arc::new(Databases));
    config.webhooks = Some(Arc::new(PlatformWebhooks::default()));
    let private: Vec<_> = arguments.private_network.iter().map(ToString::to_string).collect();
    if let Some(url) = &arguments.usage_webhook {
        config.usage_webhook = Some(usage_webhook(url, std::env::var(USAGE_SECRET).unwrap_or_default(), &private)?);
    }
    config.certificates = arguments.nine_p_certificate.iter().cloned().collect();
    config.notifier = Some(Arc::new(PlatformNotifier::new(private, mail_server(arguments)?)));
    let oidc = (&arguments.oidc_issuer, &arguments.oidc_jwks, &arguments.oidc_audience);
    if let (Some(issuer), Some(jwks), Some(audience)) = oidc {
        config.oidc = Some(OidcConfig {
            jwks: jwks.clone(),
            issuer: issuer.clone(),
            audience: audience.clone(),
            tenant_claim: arguments.oidc_tenant_claim.clone(),
            role_claim: arguments.oidc_role_claim.clone(),
            client: oidc_client(arguments)?,
        });
    }
    config.console_origin.clone_from(&arguments.console_origin);
    Ok(config)
}

/// The webhook that is told the usage of tenants. It may reach the receiver alone, which may be in a `private` network.
///
/// # Errors
/// `config` for a URL that must not be reached, or a secret that is none.
fn usage_webhook(url: &str, secret: String, private: &[String]) -> Result<UsageWebhook, Failure> {
    let bad = |why: String| Failure::new(CliErrorCode::Config, format_args!("--usage-webhook: {why}"));
    let secrets: Vec<_> = secret.split_ascii_whitespace().map(str::parse::<WebhookSecret>).collect();
    if secrets.is_empty() || secrets.iter().any(Result::is_err) {
        return Err(bad(format!("{USAGE_SECRET} must have the secret that signs, `whsec_` and Base64")));
    }
    let refused = |why: String| bad(format!("the URL {why}"));
    let http = grant_of(url, private).map_err(refused)?;
    check_url(Some(&http), url).map_err(refused)?;
    Ok(UsageWebhook { url: url.to_owned(), secret: secret.into(), http })
}

/// The mail server for notifications, if there is one.
fn mail_server(arguments: &PlatformArguments) -> Result<Option<MailServer>, Failure> {
    let wrong = |error: String| Failure::new(CliErrorCode::Config, format_args!("--smtp: {error}"));
    match (&arguments.smtp, &arguments.smtp_from) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(wrong("give the sender with --smtp-from".to_owned())),
        (Some(url), Some(from)) => MailServer::new(url, from).map(Some).map_err(wrong),
    }
}

/// The host as a client of the identity provider, as the arguments say.
fn oidc_client(arguments: &PlatformArguments) -> Result<Option<OidcClient>, Failure> {
    let Some(id) = arguments.oidc_client_id.clone() else { return Ok(None) };
    let secret = match &arguments.oidc_client_secret_file {
        None => None,
        Some(path) => {
            let failed = |error| {
                Failure::new(CliErrorCode::Io, format_args!("cannot read the secret in {}: {error}", path.display()))
            };
            Some(std::fs::read_to_string(path).map_err(failed)?.trim().to_owned().into())
        }
    };
    // The command line cannot keep a secret: it is the same client only if that has none.
    let own = || secret.is_none().then(|| id.clone());
    let command_line = arguments.oidc_cli_client_id.clone().or_else(own);
    Ok(Some(OidcClient { id, secret, command_line, scopes: arguments.oidc_scopes.clone() }))
}

/// Fetches the keys of identity providers, which tenants name too: from public addresses, unless the operator says
/// more.
struct Keys(PublicFetch);

impl FetchKeys for Keys {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        self.0.get(url).boxed()
    }

    fn post_form<'a>(
        &'a self,
        url: &'a str,
        form: String,
        authorization: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(u16, Vec<u8>), String>> {
        self.0.post_form(url, form, authorization).boxed()
    }
}

/// Starts the export to the collector that the arguments name, if they name one, and to those of tenants.
fn exporter(arguments: &PlatformArguments) -> Result<Arc<OtlpExporter>, Failure> {
    let endpoint = arguments.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
    let (protocol, headers) = (&arguments.otlp_protocol, arguments.otlp_headers.as_deref());
    let collector = endpoint.map(|endpoint| Collector::new(endpoint, protocol, headers)).transpose();
    let collector = collector
        .map_err(|why| Failure::new(CliErrorCode::BadInput, format_args!("the collector of telemetry: {why}")))?;
    let started = OtlpExporter::start(collector, arguments.private_network.clone());
    started.map_err(|error| Failure::new(CliErrorCode::Io, error))
}

/// The registry of npm packages for drafts, if the arguments name one, and a client that may reach what is public or in
/// a network that they name.
fn registry(arguments: &PlatformArguments) -> Result<Option<(String, PublicFetch)>, Failure> {
    let Some(url) = &arguments.npm_registry else { return Ok(None) };
    let fetch = PublicFetch::new(arguments.private_network.clone());
    let fetch = fetch.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    Ok(Some((url.trim_end_matches('/').to_owned(), fetch)))
}

/// Serves a platform until a signal says to stop, and then until the requests in flight have ended.
///
/// # Errors
/// Whatever keeps the platform or its servers from starting.
pub(crate) async fn run(
    arguments: &PlatformArguments,
    data_dir: &Path,
    cache: Option<&Path>,
    settings: Settings,
    nats: Option<NatsConfig>,
) -> Result<(), Failure> {
    if settings.grants.names().next().is_some() {
        tracing::warn!("[capabilities.*] of the host's own elias.toml grant nothing: each version brings its own");
    }
    // Whatever is made from here on is for the user alone: the data directory has everybody's secrets, and compiled
    // code runs in this process.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    // Uploads of tenants are compiled in a process of its own: it can be killed, a thread cannot.
    let mut config = config(arguments, data_dir)?;
    let exporter = exporter(arguments)?;
    config.traces.exporter = Some(Arc::clone(&exporter) as _);
    let bytes = settings.limits.component_bytes;
    config.drafts = Some(Arc::new(ChildBuilder::new(data_dir, cache, bytes, registry(arguments)?)));
    let cpu_seconds = config.compile_timeout_ms.div_ceil(1_000);
    let database = host::database(&settings, data_dir.join(DATABASES), config.triggers.outbox());
    config.connections_percent = Some(database.connections_percent());
    let host = host::builder_with(&settings, database).compiler(this_program()?);
    // The triggers of components are in the platform's store.
    let host = host.capability(config.triggers.jobs()).capability(config.triggers.events()).capability(Workflow);
    let host = host.capability(config.flags.capability());
    // So are their service workers, each of which has an instance while it is in memory.
    let instances = host::instances(&settings).saturating_add(config.awake_workers);
    let host = host.capability(config.workers.capability()).instances(instances);
    let host = host.compile_limits(CompileLimits { cpu_seconds, ..CompileLimits::default() });
    let host = host::build(host, cache)?;
    let platform = Platform::open(config, host, settings.limits.clone()).await.map_err(failure::of_platform)?;
    let _connector = match nats {
        Some(nats) => Some(nats::connect(nats, &platform).await?),
        None => None,
    };
    let admin = ServerConfig {
        listen: arguments.admin.clone().unwrap_or_else(|| ADMIN.to_owned()),
        // Components are uploaded here.
        request_bytes: settings.limits.component_bytes,
        dev: false,
        ..settings.server.clone()
    };
    let server = bind(settings.server, Ingress::from(platform.clone()), "--listen").await?;
    platform.listens_on(server.local_addr().port());
    let admin = bind(admin, Ingress::admin(platform.clone()), "--admin").await?;
    let files = nine_p::bind(arguments, &platform).await?;
    let mut text = format!(
        "serving the platform at http://{}\n  admin API at http://{}/v1, the operator's token is in \
        {}/operator-token\n  web console at {}/console/\n",
        server.local_addr(),
        admin.local_addr(),
        data_dir.display(),
        platform.console_origin().map_or_else(|| format!("http://{}", admin.local_addr()), str::to_owned),
    );
    for endpoint in files.endpoints() {
        text.push_str(&format!("  service workers as files over 9P at {endpoint}\n"));
    }
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let stop = shutdown::signal().shared();
    let (drained, _, ()) = tokio::join!(server.run(stop.clone()), admin.run(stop.clone()), files.run(stop));
    warn_of_cut(&drained);
    platform.flush().await;
    exporter.flush().await;
    Ok(())
}

/// This very program, also when another has taken its file's place.
fn this_program() -> Result<PathBuf, Failure> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
        .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("this program cannot be found: {error}")))
}

/// Listens; `flag` chooses the address.
async fn bind(config: ServerConfig, ingress: Ingress, flag: &str) -> Result<Server, Failure> {
    Server::bind(config, ingress).await.map_err(|error| of_listening(&error, flag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::{Code, TenantSettings, VersionSettings};
    use elias_platform::ceilings::Ceilings;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    #[test]
    fn the_webhook_for_usage_has_a_secret_and_reaches_its_receiver_alone() {
        const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let webhook = |url: &str, secret: &str, private: &[&str]| {
            let private: Vec<_> = private.iter().copied().map(str::to_owned).collect();
            usage_webhook(url, secret.to_owned(), &private)
        };
        let good = webhook("https://billing.example/usage?a=/b", SECRET, &[]).expect("a webhook");
        assert_eq!(good.http, json!({ "allow": ["https://billing.example"], "private": [] }));
        assert!(webhook("http://127.0.0.1:9/usage", SECRET, &["127.0.0.0/8"]).is_ok());
        for (url, secret) in [
            ("https://billing.example/usage", ""),
            ("https://billing.example/usage", "secret"),
            ("http://127.0.0.1:9/usage", SECRET),
            ("https://user:word@billing.example/", SECRET),
            ("billing.example", SECRET),
            ("file:///etc/passwd", SECRET),
        ] {
            assert!(webhook(url, secret, &[]).is_err(), "{url} {secret}");
        }
    }

    #[test]
    fn a_project_may_name_the_capabilities_that_a_tenant_may_be_granted() {
        let of_projects = elias_project::config_file::CAPABILITIES.to_vec();
        assert_eq!(of_projects, TenantSettings::default().capabilities, "elias.toml and a new tenant");
    }

    #[test]
    fn every_amount_of_every_capability_and_every_limit_can_be_capped() {
        let data = tempfile::tempdir().expect("a folder");
        let settings = Settings { instances: Some(1), ..Settings::default() };
        let host =
            host::with_idle_triggers(&settings, data.path().to_owned()).expect("capabilities").build().expect("a host");
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
            // A version that was accepted before, and a default.
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
