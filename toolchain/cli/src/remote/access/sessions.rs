//! `elias sessions`: the sessions of browsers in the web console.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::ConsoleSession;
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};

/// The most sessions that are listed.
const LISTED_MAX: usize = 10_000;

/// The arguments of `sessions`.
#[derive(Debug, Args)]
pub(crate) struct SessionsArguments {
    #[command(subcommand)]
    command: SessionsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// List the sessions of the tenant, or without the role admin those of the token's user
    List,
    /// End a session
    End {
        /// Session id
        id: String,
    },
}

/// Lists and ends sessions of browsers.
pub(crate) fn sessions(arguments: &SessionsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    match &arguments.command {
        SessionsCommand::List => {
            let response = client.list(&client.tenant_url(&["sessions"]), LISTED_MAX)?;
            let header = ["session", "principal", "address", "browser", "signed in", "last used", "ends by"];
            output::print_list(json, &response, header, row)
        }
        SessionsCommand::End { id } => {
            let response = client.delete(client.tenant_url(&["sessions", id]))?;
            output::print_done(json, &response, &format!("session {} has ended", plain(id)))
        }
    }
}

fn row(session: ConsoleSession) -> [String; 7] {
    [
        session.id,
        session.principal,
        session.address,
        session.user_agent,
        time(session.created_at),
        time(session.used_at),
        time(session.expires_at),
    ]
}
