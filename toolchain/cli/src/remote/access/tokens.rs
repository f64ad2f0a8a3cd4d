//! `elias tokens`: the access tokens of a tenant.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{NewToken, Token, TokenRole, TokenWithSecret};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use elias_names::ComponentName;

/// The most tokens that are listed.
const LISTED_MAX: usize = 10_000;

/// The arguments of `tokens`.
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

/// Lists, makes and revokes tokens.
pub(crate) fn tokens(arguments: &TokensArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let url = client.tenant_url(&["tokens"]);
    match &arguments.command {
        TokensCommand::List => {
            let response = client.list(&url, LISTED_MAX)?;
            let header = ["token", "name", "role", "components", "valid until", "revoked"];
            output::print_list(json, &response, header, row)
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
            let response = client.post_once(url, &new)?;
            output::print_item(json, &response, |TokenWithSecret { token, secret }: TokenWithSecret| {
                let until = time(token.expires_at);
                eprintln!("{} is valid until {until}. This is the token; it is shown this once:", plain(&token.id));
                format!("{}\n", plain(&secret))
            })
        }
        TokensCommand::Revoke { id } => {
            let response = client.delete(client.tenant_url(&["tokens", id]))?;
            output::print_done(json, &response, &format!("token {} is revoked", plain(id)))
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
