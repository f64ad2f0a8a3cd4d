//! Whether a platform is in order.

use super::client::items;
use super::output;
use super::target::Target;
use crate::failure::Failure;
use clap::Args;
use elias_platform::Finding;

/// What `doctor` is told.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    target: Target,
}

/// Shows what was looked at.
///
/// # Errors
/// `not-in-order` if anything is not as it should be.
pub(super) fn doctor(arguments: &DoctorArguments) -> Result<(), Failure> {
    let client = arguments.target.client()?;
    let answer = client.get(client.host_url(&["doctor"]))?;
    let findings: Vec<Finding> = items(&answer)?;
    let bad = findings.iter().filter(|finding| !finding.good).count();
    output::answer(arguments.target.json, &answer, || {
        let row =
            |finding: Finding| [if finding.good { "good" } else { "BAD" }.to_owned(), finding.subject, finding.detail];
        Ok(output::table(["", "what", "found"], findings.into_iter().map(row)))
    })?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::new("not-in-order", format_args!("{bad} of these need attention"))
            .help("docs/reference/operations.md says what each means")),
    }
}
