//! `elias restore`: a platform's data directory from the archive that `elias backup` wrote.

use crate::failure;
use elias_command_line::text::{plain, print};
use elias_command_line::{CliErrorCode, Failure, RestoreArguments};
use elias_platform::RestoreReport;
use std::fs::File;
use std::io::BufReader;

/// Restores, and checks every artifact and the transparency log.
///
/// # Errors
/// If the archive is damaged, or the folder is not empty.
pub(crate) fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let archive = File::open(&arguments.archive);
    let archive = archive
        .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("{}: {error}", arguments.archive.display())))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let restored = runtime.block_on(elias_platform::restore(BufReader::new(archive), &arguments.data_dir));
    let restored = restored.map_err(failure::of_platform)?;
    let RestoreReport { artifacts, log_size, databases, secrets, notes } = restored;
    let mut text = format!(
        "restored and checked: {artifacts} artifacts, a log of {log_size} versions, {databases} databases, {secrets} \
        secrets; serve it with: elias serve --platform --data-dir {}\n",
        arguments.data_dir.display()
    );
    for note in notes {
        text += &format!("  note: {}\n", plain(&note));
    }
    print(&text);
    Ok(())
}
