//! `elias login` and `elias logout`.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::identity::{IdentityProvider, ProviderToken};
use crate::remote::connection::loopback::is_loopback;
use crate::remote::connection::output;
use crate::remote::connection::target::{self, Login};
use clap::Args;
use elias_command_line::text::{plain, print};
use elias_command_line::{CliErrorCode, Failure};
use elias_names::TenantId;
use reqwest::Url;
use serde::Deserialize;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The file that `elias serve --platform` writes the operator's token to.
const OPERATOR_TOKEN: &str = "operator-token";

/// The arguments of `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    /// URL of the platform's admin API, such as http://127.0.0.1:8788
    url: String,
    /// File with the token [default: standard input]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Data directory of a platform on this machine, to read the operator's token from
    #[arg(long, value_name = "DIR", conflicts_with = "token_file")]
    data_dir: Option<PathBuf>,
    /// Sign in at the platform's identity provider with a browser on this machine
    #[arg(long, conflicts_with_all = ["token_file", "data_dir"])]
    browser: bool,
    /// Sign in at the platform's identity provider on another device, with a code that is shown here
    #[arg(long, conflicts_with_all = ["token_file", "data_dir", "browser"])]
    device: bool,
    /// Tenant to use [default: the token's tenant, `default` for the operator's token]
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantId>,
    /// Print the API's response as JSON
    #[arg(long)]
    json: bool,
}

/// The principal of a token.
#[derive(Deserialize)]
struct Whoami {
    name: String,
    tenant: TenantId,
    role: String,
}

/// Asks the platform who the token stands for, and remembers both.
///
/// # Errors
/// If nobody signs in, or the platform does not respond or does not know the token; nothing is remembered then.
pub(crate) fn login(arguments: &LoginArguments) -> Result<(), Failure> {
    let url = target::checked_url(&arguments.url)?;
    warn_if_in_the_clear(&url);
    let ProviderToken { token, renewal } = match (arguments.browser, arguments.device) {
        (true, _) => IdentityProvider::of_platform(&url)?.by_browser()?,
        (_, true) => IdentityProvider::of_platform(&url)?.by_device()?,
        (false, false) => ProviderToken { token: given_token(arguments)?, renewal: None },
    };
    let tenant = arguments.tenant.clone().map_or_else(elias_command_line::default_tenant, Ok)?;
    let login = Login { url, token, tenant, renewal };
    let client = Client::new(&login)?;
    let response = client.get(client.host_url(&["whoami"]))?;
    let Whoami { name, tenant, role } = read(&response)?;
    // The operator acts on every tenant, and has no components of its own.
    let own = (!tenant.is_system()).then_some(tenant.clone());
    let login = Login { tenant: arguments.tenant.clone().or(own).unwrap_or(login.tenant), ..login };
    let file = login.store()?;
    output::print_response(arguments.json, &response, || {
        let (name, role, acts_on, url) = (plain(&name), plain(&role), &login.tenant, &login.url);
        Ok(format!(
            "{url}: token {name} of tenant {tenant}, role {role}, acts on tenant {acts_on} ({})\n",
            file.display()
        ))
    })
}

/// The token in a file, in a data directory, or on standard input.
fn given_token(arguments: &LoginArguments) -> Result<String, Failure> {
    match (&arguments.token_file, &arguments.data_dir) {
        (Some(file), _) => target::read_token(file),
        (None, Some(dir)) => target::read_token(&dir.join(OPERATOR_TOKEN)),
        (None, None) if std::io::stdin().is_terminal() => {
            eprintln!("Paste the token and press Enter. It is shown; --token-file takes one that is in a file.");
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.map_err(|error| Failure::new(CliErrorCode::Io, format_args!("cannot read the token: {error}")))?;
            target::token_from(line.as_bytes(), "what was typed")
        }
        (None, None) => target::token_from(std::io::stdin().lock(), "standard input"),
    }
}

fn warn_if_in_the_clear(url: &str) {
    if is_in_the_clear(url) {
        eprintln!("warning: {url} is not encrypted: anyone who sees the connection can read the token; use https");
    }
}

/// Forgets the platform and its token. The token stays valid.
///
/// # Errors
/// `io`.
pub(crate) fn logout() -> Result<(), Failure> {
    let said = if Login::forget()? {
        "forgotten; the token is valid until it expires or is revoked"
    } else {
        "no login was stored"
    };
    print(&format!("{said}\n"));
    Ok(())
}

/// Whether a token would go over a network as it is.
fn is_in_the_clear(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_the_machine_may_be_in_the_clear() {
        for url in ["http://127.0.0.1:8788", "http://[::1]:8788", "http://localhost", "https://a.example"] {
            assert!(!is_in_the_clear(url), "{url}");
        }
        for url in ["http://a.example", "http://10.0.0.1:8788", "http://localhost.example"] {
            assert!(is_in_the_clear(url), "{url}");
        }
    }
}
