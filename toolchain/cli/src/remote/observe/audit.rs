//! `elias audit`: who did what.

use crate::remote::connection::client::{Client, named};
use crate::remote::connection::output::{self, time};
use crate::remote::triggers::moment;
use clap::{Args, Subcommand};
use elias_api::AuditEntry;
use elias_command_line::{Failure, Target};

/// The arguments of `audit`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArguments {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print all entries as JSON Lines, oldest first
    Export {
        /// Print the entries since this time only (RFC 3339), or in this duration until now, such as 2h
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<i64>,
    },
}

/// Shows who did what.
pub(crate) fn audit(arguments: &AuditArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    if let Some(AuditCommand::Export { since }) = &arguments.command {
        let mut url = client.tenant_url(&["audit"]);
        if let Some(since) = since {
            url.query_pairs_mut().append_pair("since", &since.to_string());
        }
        return client.copy(url, "application/x-ndjson", &mut std::io::stdout().lock());
    }
    let response = client.list(&client.tenant_url(&["audit"]), arguments.limit)?;
    let row = |entry: AuditEntry| {
        let reason = entry.after.as_ref().and_then(|after| after.get("reason")?.as_str());
        let reason = reason.unwrap_or_default().to_owned();
        let who = named(&response, &entry.actor.name);
        [time(entry.at), who, entry.actor.address, entry.action, entry.subject, reason]
    };
    output::print_list(arguments.target.json, &response, ["when", "who", "from", "did", "what", "why"], row)
}
