//! `elias completions` and `elias man`: what shells and `man` know of the commands.

use clap::{Args, Command};
use clap_complete::Shell;
use elias_command_line::{CliErrorCode, Failure};
use std::io::Write;
use std::path::PathBuf;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// Shell to generate the script for
    shell: Shell,
}

/// The arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Directory to write a page for each command to [default: print the page of `elias`]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints what the shell is to read.
pub(crate) fn completions(arguments: &CompletionsArguments, mut command: Command) {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "elias", &mut text);
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(&text);
}

/// Writes the manual's pages.
///
/// # Errors
/// `io`.
pub(crate) fn man(arguments: &ManArguments, command: Command) -> Result<(), Failure> {
    match &arguments.dir {
        Some(dir) => {
            let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
            written.map_err(|error| {
                Failure::new(CliErrorCode::Io, format_args!("cannot write to {}: {error}", dir.display()))
            })
        }
        None => {
            let mut text = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut text);
            rendered.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
            // Whoever closed standard output does not want to know.
            let _ = std::io::stdout().write_all(&text);
            Ok(())
        }
    }
}
