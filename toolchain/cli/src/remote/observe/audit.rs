//! `elias audit`: who did what.

use crate::remote::connection::client::{Client, named};
use crate::remote::connection::output::{self, time};
use clap::Args;
use elias_api::AuditEntry;
use elias_command_line::{Failure, Target};

/// The arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// Shows who did what.
pub(crate) fn audit(arguments: &AuditArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let response = client.list(&client.tenant_url(&["audit"]), arguments.limit)?;
    let row = |entry: AuditEntry| {
        let reason = entry.after.as_ref().and_then(|after| after.get("reason")?.as_str());
        let reason = reason.unwrap_or_default().to_owned();
        let who = named(&response, &entry.actor.name);
        [time(entry.at), who, entry.actor.address, entry.action, entry.subject, reason]
    };
    output::print_list(arguments.target.json, &response, ["when", "who", "from", "did", "what", "why"], row)
}
