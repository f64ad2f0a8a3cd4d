//! `elias doctor`: shows the checks of a platform.

use crate::remote::connection::client::{Client, items};
use crate::remote::connection::output;
use clap::Args;
use elias_api::Finding;
use elias_command_line::{CliErrorCode, Failure, Target};

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    target: Target,
}

/// Shows what was looked at.
///
/// # Errors
/// `not-in-order` if anything is not as it should be.
pub(crate) fn doctor(arguments: &DoctorArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let response = client.get(client.host_url(&["doctor"]))?;
    let findings: Vec<Finding> = items(&response)?;
    let bad = findings.iter().filter(|finding| !finding.good).count();
    output::print_response(arguments.target.json, &response, || {
        let row =
            |finding: Finding| [if finding.good { "good" } else { "BAD" }.to_owned(), finding.subject, finding.detail];
        Ok(output::table(["", "what", "found"], findings.into_iter().map(row)))
    })?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::new(CliErrorCode::NotInOrder, format_args!("{bad} of these need attention"))
            .help("docs/reference/operations.md says what each means")),
    }
}
