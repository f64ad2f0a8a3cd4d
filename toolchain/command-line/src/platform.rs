//! The arguments of `serve --platform`.

use clap::Args;
use ipnet::IpNet;
use std::path::PathBuf;

/// The arguments of `serve` for a platform.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platform")]
pub struct PlatformArguments {
    /// Serve all deployed components, and the admin API
    #[arg(long, conflicts_with_all = ["file", "dev", "watch"])]
    pub platform: bool,
    /// Address and port of the admin API [default: 127.0.0.1:8788]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "platform")]
    pub admin: Option<String>,
    /// PostgreSQL database that the hosts share [default: SQLite in the data directory]
    #[arg(long, value_name = "URL", env = "ELIAS_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Use the configured store although the data directory belongs to another or missing one, whose deployments are
    /// set aside and stop
    #[arg(long, requires = "platform")]
    pub abandon_former_store: bool,
    /// Bucket that the hosts share, such as s3://components [default: the data directory]
    #[arg(long, value_name = "URL", requires = "platform")]
    pub artifacts: Option<String>,
    /// Domain below which components respond, at COMPONENT.TENANT.DOMAIN [default: localhost]
    #[arg(long, requires = "platform")]
    pub domain: Option<String>,
    /// Scheme and port by which clients reach the domain, such as https or https:8443 [default: http and the port of
    /// --listen]
    #[arg(long, value_name = "SCHEME[:PORT]", value_parser = public_scheme, requires = "platform")]
    pub public_scheme: Option<(String, Option<u16>)>,
    /// Maximum that versions may request for a key of elias.toml, such as capabilities.db.connections=16; repeatable
    #[arg(long = "ceiling", value_name = "KEY=N", value_parser = ceiling, requires = "platform")]
    pub ceilings: Vec<(String, u64)>,
    /// Name of the transparency log [default: DOMAIN/log]
    #[arg(long, value_name = "NAME", requires = "platform")]
    pub log_origin: Option<String>,
    /// Issuer (`iss`) of an identity provider whose users may use the admin API
    #[arg(long, value_name = "ISSUER", requires_all = ["platform", "oidc_jwks", "oidc_audience"])]
    pub oidc_issuer: Option<String>,
    /// URL of the identity provider's key set (JWKS)
    #[arg(long, value_name = "URL", requires = "oidc_issuer")]
    pub oidc_jwks: Option<String>,
    /// Audience (`aud`) of the tokens
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    pub oidc_audience: Option<String>,
    /// Claim with the tenant's name
    #[arg(long, value_name = "CLAIM", default_value = "elias_tenant")]
    pub oidc_tenant_claim: String,
    /// Claim with the role's name
    #[arg(long, value_name = "CLAIM", default_value = "elias_role")]
    pub oidc_role_claim: String,
    /// Client id at the identity provider, for users who sign in to the web console
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// File with the client's secret, if it has one
    #[arg(long, value_name = "FILE", requires = "oidc_client_id")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Client id of `elias login`, a public client [default: that of the console if it has no secret]
    #[arg(long, value_name = "ID", requires = "oidc_client_id")]
    pub oidc_cli_client_id: Option<String>,
    /// Scopes to ask the identity provider for
    #[arg(long, value_name = "SCOPES", default_value = "openid profile email")]
    pub oidc_scopes: String,
    /// Origin at which browsers reach the web console, such as https://elias.example.com
    #[arg(long, value_name = "ORIGIN", requires = "platform", value_parser = console_origin)]
    pub console_origin: Option<String>,
    /// URL to which the usage of each closed hour is sent for billing, signed by the secret in
    /// ELIAS_USAGE_WEBHOOK_SECRET
    #[arg(long, value_name = "URL", requires = "platform")]
    pub usage_webhook: Option<String>,
    /// Private network from which keys of identity providers may be fetched, and in which the receivers of usage and of
    /// notifications may be, such as 10.1.0.0/16; repeatable
    #[arg(long, value_name = "NETWORK", requires = "platform")]
    pub private_network: Vec<IpNet>,
    /// Registry from which the npm packages of drafts are installed, such as https://registry.npmjs.org; its address is
    /// public, or in a network of --private-network [default: none are installed]
    #[arg(long, value_name = "URL", requires = "platform")]
    pub npm_registry: Option<String>,
    /// Mail server for notifications of alerts, such as smtps://USER:PASSWORD@mail.example.com
    #[arg(long, value_name = "URL", env = "ELIAS_SMTP", hide_env_values = true)]
    pub smtp: Option<String>,
    /// Sender of the mails, such as elias@example.com
    #[arg(long, value_name = "ADDRESS", requires = "platform")]
    pub smtp_from: Option<String>,
    /// Load only versions with an inclusion proof of the transparency log
    #[arg(long, requires = "platform")]
    pub require_log: bool,
    /// Advisories about npm packages in the OSV format, a file or a directory; reloaded on changes
    #[arg(long, value_name = "FILE|DIR", requires = "platform")]
    pub advisories: Option<PathBuf>,
    /// Maximum number of components in memory [default: 500]
    #[arg(long, value_name = "N", requires = "platform")]
    pub loaded_components: Option<u32>,
    /// Timeout for compiling a component, in milliseconds [default: 60000]
    #[arg(long, value_name = "N", requires = "platform")]
    pub compile_timeout_ms: Option<u64>,
    /// Retention of execution records, in days [default: 7]
    #[arg(long, value_name = "N", requires = "platform")]
    pub execution_days: Option<u32>,
    /// Retention of audit trails, in days; 0: without a limit of time [default: 0]
    #[arg(long, value_name = "N", requires = "platform")]
    pub audit_days: Option<u32>,
    /// Server that speaks Sentry's protocol and gets the failures of all tenants
    #[arg(long, value_name = "DSN", env = "ELIAS_SENTRY_DSN", hide_env_values = true)]
    pub sentry_dsn: Option<String>,
    /// Successful runs of triggers that are recorded, per service and second [default: 100]
    #[arg(long, value_name = "N", requires = "platform")]
    pub recorded_runs_per_second: Option<u32>,
    /// Share of traces that are kept however they end, from 0 to 1 [default: 0.01]
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "platform")]
    pub trace_sample_rate: Option<f64>,
    /// Duration from which on the spans of an execution are kept, in milliseconds [default: 1000]
    #[arg(long, value_name = "N", requires = "platform")]
    pub trace_slow_ms: Option<u64>,
    /// Retention of spans, in days [default: 3]
    #[arg(long, value_name = "N", requires = "platform")]
    pub trace_days: Option<u32>,
    /// URL of an OpenTelemetry collector that spans and log lines are sent to [default: none]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Protocol of the collector: http/protobuf or grpc
    #[arg(long, value_name = "PROTOCOL", env = "OTEL_EXPORTER_OTLP_PROTOCOL", default_value = "http/protobuf")]
    pub otlp_protocol: String,
    /// Headers of requests to the collector, NAME=VALUE separated by commas
    #[arg(long, value_name = "HEADERS", env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true)]
    pub otlp_headers: Option<String>,
    /// Serve service workers as files over 9P at unix:/PATH or tcp:ADDRESS:PORT; repeatable
    #[arg(long = "9p", value_name = "ENDPOINT", requires = "platform")]
    pub nine_p: Vec<String>,
    /// Certificate chain for 9P over TCP, a PEM file; needed beyond loopback
    #[arg(long = "9p-certificate", value_name = "FILE", requires_all = ["nine_p", "nine_p_key"])]
    pub nine_p_certificate: Option<PathBuf>,
    /// Private key of the certificate, a PEM file
    #[arg(long = "9p-key", value_name = "FILE", requires = "nine_p_certificate")]
    pub nine_p_key: Option<PathBuf>,
}

/// Reads a scheme with a port or without, such as `https` or `https:8443`.
fn public_scheme(text: &str) -> Result<(String, Option<u16>), String> {
    let (scheme, port) = text.split_once(':').map_or((text, None), |(scheme, port)| (scheme, Some(port)));
    let port = port.map(str::parse).transpose().map_err(|_| "the port must be a number up to 65535".to_owned())?;
    if !matches!(scheme, "http" | "https") {
        return Err("write http or https, with a port if need be, such as https:8443".to_owned());
    }
    Ok((scheme.to_owned(), port))
}

/// Reads a share, from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// Reads an origin as browsers write it (RFC 6454): scheme, host and port, of which the scheme's own is left out.
fn console_origin(text: &str) -> Result<String, String> {
    let parts = text.split_once("://").filter(|(scheme, host)| matches!(*scheme, "http" | "https") && !host.is_empty());
    let Some((scheme, host)) = parts else { return Err("write it as https://HOST or https://HOST:PORT".to_owned()) };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    if !host.bytes().all(is_plain) {
        return Err("write the host in lower case, without a path and a user".to_owned());
    }
    let own = if scheme == "https" { ":443" } else { ":80" };
    if host.ends_with(own) {
        return Err(format!("leave out {own}: browsers do"));
    }
    Ok(text.to_owned())
}

/// Reads a ceiling, `KEY=N`.
///
/// # Errors
/// The defect of the text.
pub fn ceiling(text: &str) -> Result<(String, u64), String> {
    let (key, number) = text.split_once('=').ok_or("write it as KEY=N")?;
    let number = number.parse().map_err(|_| "N must be a number that is not negative".to_owned())?;
    Ok((key.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_from_0_to_1() {
        assert_eq!((share("0"), share("0.25"), share("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["", "-0.1", "1.1", "NaN", "inf", "1%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scheme_has_a_port_or_none() {
        for (text, wanted) in [("https", ("https", None)), ("http:8787", ("http", Some(8787)))] {
            assert_eq!(public_scheme(text), Ok((wanted.0.to_owned(), wanted.1)));
        }
        for text in ["", "ftp", "https:", "https:x", "https:99999", "https://a.b"] {
            assert!(public_scheme(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_what_browsers_send() {
        for text in ["https://elias.example.com", "https://elias.example.com:8443", "http://[::1]:8788"] {
            assert_eq!(console_origin(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "elias.example.com",
            "https://",
            "ftp://a.b",
            "https://a.b/",
            "https://a.b/console",
            "https://u@a.b",
            "https://A.b",
            "https://a.b:443",
            "http://a.b:80",
            "https://a.b?c",
        ] {
            assert!(console_origin(text).is_err(), "{text}");
        }
    }
}
