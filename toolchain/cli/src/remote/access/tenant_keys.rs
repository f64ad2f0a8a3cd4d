//! `elias keys list`, `add` and `revoke`: the keys whose signatures a tenant accepts.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, time};
use clap::Subcommand;
use elias_api::SigningKeyEntry;
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use serde_json::json;

/// The keys whose signatures a tenant accepts: commands of `elias keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantKeysCommand {
    /// List the keys whose signatures the tenant accepts
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Accept a key's signatures for the tenant
    Add {
        /// Verifier key, NAME+HASH+BASE64, as `elias keys show` prints it
        verifier: String,
        #[command(flatten)]
        target: Target,
    },
    /// Reject a key's signatures for the tenant from now on
    Revoke {
        /// Key name
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Lists, adds and revokes the keys of the tenant.
pub(crate) fn tenant_keys(command: &TenantKeysCommand) -> Result<(), Failure> {
    match command {
        TenantKeysCommand::List { target } => {
            let client = Client::of(target)?;
            let response = client.get(client.tenant_url(&["keys"]))?;
            let row = |key: SigningKeyEntry| {
                [key.name, key.verifier, time(key.created_at), key.revoked_at.map_or_else(String::new, time)]
            };
            output::print_list(target.json, &response, ["name", "verifier", "accepted", "revoked"], row)
        }
        TenantKeysCommand::Add { verifier, target } => {
            let client = Client::of(target)?;
            let response = client.post(client.tenant_url(&["keys"]), &json!({ "verifier": verifier }))?;
            let said = format!("signatures by {} are accepted for tenant {}", plain(verifier), client.tenant());
            output::print_done(target.json, &response, &said)
        }
        TenantKeysCommand::Revoke { name, target } => {
            let client = Client::of(target)?;
            let response = client.delete(client.tenant_url(&["keys", name]))?;
            let said = format!("signatures by {} are refused; what was accepted with it goes on serving", plain(name));
            output::print_done(target.json, &response, &said)
        }
    }
}
