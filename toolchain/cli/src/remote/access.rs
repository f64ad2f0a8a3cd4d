//! Who may do what, and who did what: `elias tokens`, the keys of a tenant, and `elias audit`.

use super::client::{Client, items, named, read};
use super::output::{self, time};
use clap::{Args, Subcommand};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use elias_platform::access::{NewToken, TokenWithSecret};
use elias_platform::name::ComponentName;
use elias_platform::store::{AuditEntry, SigningKeyEntry, Token, TokenRole};
use serde_json::json;

/// The most keys and tokens that are listed.
const LISTED_MAX: usize = 10_000;

/// What `tokens` is told.
#[derive(Debug, Args)]
pub(crate) struct TokensArguments {
    #[command(subcommand)]
    command: TokensCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// List the tenant's tokens, without their secrets
    List,
    /// Create a token and print it once
    Create {
        /// Purpose of the token
        name: String,
        /// Role of the token: caller, viewer, developer, operator, admin or a custom role
        #[arg(long)]
        role: TokenRole,
        /// Validity in days
        #[arg(long, value_name = "N", default_value_t = 90)]
        days: u32,
        /// Component that the token has access to; repeatable [default: all]
        #[arg(long = "component", value_name = "COMPONENT")]
        components: Vec<ComponentName>,
        /// User that the token represents, `ctx.userId` in components; see `elias users`
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Organization that the token represents without a user, `ctx.organizationId` in components
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
    },
    /// Revoke a token
    Revoke {
        /// Token id: the part between `elias_` and the next `_`
        id: String,
    },
}

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

/// What `audit` is told.
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// Lists, makes and revokes tokens.
pub(super) fn tokens(arguments: &TokensArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let url = client.tenant_url(&["tokens"]);
    match &arguments.command {
        TokensCommand::List => {
            let answer = client.list(&url, LISTED_MAX)?;
            output::answer(json, &answer, || {
                let header = ["token", "name", "role", "components", "valid until", "revoked"];
                Ok(output::table(header, items(&answer)?.into_iter().map(row)))
            })
        }
        TokensCommand::Create { name, role, days, components, user, organization } => {
            let new = NewToken {
                name: name.clone(),
                role: role.clone(),
                components: (!components.is_empty()).then(|| components.clone()),
                user_id: user.clone(),
                organization_id: organization.clone(),
                days: *days,
            };
            let answer = client.post_once(url, &new)?;
            output::answer(json, &answer, || {
                let TokenWithSecret { token, secret } = read(&answer)?;
                let until = time(token.expires_at);
                eprintln!("{} is valid until {until}. This is the token; it is shown this once:", plain(&token.id));
                Ok(format!("{}\n", plain(&secret)))
            })
        }
        TokensCommand::Revoke { id } => {
            let answer = client.delete(client.tenant_url(&["tokens", id]))?;
            output::done(json, &answer, &format!("token {} is revoked", plain(id)))
        }
    }
}

fn row(token: Token) -> [String; 6] {
    let names = |names: Vec<ComponentName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    [
        token.id,
        token.name,
        token.role.to_string(),
        token.components.map_or_else(|| "all".to_owned(), names),
        time(token.expires_at),
        token.revoked_at.map_or_else(String::new, time),
    ]
}

/// Lists, adds and revokes the keys of the tenant.
pub(super) fn tenant_keys(command: &TenantKeysCommand) -> Result<(), Failure> {
    match command {
        TenantKeysCommand::List { target } => {
            let client = Client::of(target)?;
            let answer = client.get(client.tenant_url(&["keys"]))?;
            output::answer(target.json, &answer, || {
                let row = |key: SigningKeyEntry| {
                    [key.name, key.verifier, time(key.created_at), key.revoked_at.map_or_else(String::new, time)]
                };
                Ok(output::table(["name", "verifier", "accepted", "revoked"], items(&answer)?.into_iter().map(row)))
            })
        }
        TenantKeysCommand::Add { verifier, target } => {
            let client = Client::of(target)?;
            let answer = client.post(client.tenant_url(&["keys"]), &json!({ "verifier": verifier }))?;
            let said = format!("signatures by {} are accepted for tenant {}", plain(verifier), client.tenant());
            output::done(target.json, &answer, &said)
        }
        TenantKeysCommand::Revoke { name, target } => {
            let client = Client::of(target)?;
            let answer = client.delete(client.tenant_url(&["keys", name]))?;
            let said = format!("signatures by {} are refused; what was accepted with it goes on serving", plain(name));
            output::done(target.json, &answer, &said)
        }
    }
}

/// Shows who did what.
pub(super) fn audit(arguments: &AuditArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let answer = client.list(&client.tenant_url(&["audit"]), arguments.limit)?;
    output::answer(arguments.target.json, &answer, || {
        let row = |entry: AuditEntry| {
            let reason = entry.after.as_ref().and_then(|after| after.get("reason")?.as_str());
            let reason = reason.unwrap_or_default().to_owned();
            let who = named(&answer, &entry.actor.name);
            [time(entry.at), who, entry.actor.address, entry.action, entry.subject, reason]
        };
        Ok(output::table(["when", "who", "from", "did", "what", "why"], items(&answer)?.into_iter().map(row)))
    })
}
