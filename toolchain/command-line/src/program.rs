//! The sibling programs: `elias-build` and `elias-serve`, in one folder with `elias`, as git and cargo have theirs.

use crate::{CliErrorCode, Failure};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A program that this one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// It links the bundler and the engine.
    Build,
    /// It links the host and the platform, and has projects built by `elias-build`.
    Serve,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Build => "elias-build",
            Self::Serve => "elias-serve",
        }
    }

    /// The program, ready for arguments.
    ///
    /// # Errors
    /// `missing-program`.
    pub fn command(self) -> Result<Command, Failure> {
        let own = std::env::current_exe().map_err(|error| {
            Failure::new(CliErrorCode::Io, format_args!("this program's own file cannot be found: {error}"))
        })?;
        // A link to this one alone is enough.
        let own = own.canonicalize().unwrap_or(own);
        let program = own.with_file_name(self.name());
        if !program.is_file() {
            return Err(missing(self.name(), &program));
        }
        Ok(Command::new(program))
    }

    /// Puts the program in the place of this one, with its arguments: process id, signals, standard streams and exit
    /// code are the program's. Returns only if that fails.
    #[must_use]
    pub fn take_over(self) -> Failure {
        match self.command() {
            Ok(mut command) => {
                let error = command.args(std::env::args_os().skip(1)).exec();
                Failure::new(CliErrorCode::Io, format_args!("{} cannot be started: {error}", self.name()))
            }
            Err(failure) => failure,
        }
    }
}

fn missing(name: &str, program: &Path) -> Failure {
    Failure::new(
        CliErrorCode::MissingProgram,
        format_args!("this command is done by {name}, and {} is missing", program.display()),
    )
    .help("install elias, elias-build and elias-serve into one folder; `make build` builds all three in target/release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_place() {
        // Tests run in a folder of their own, where the programs have a hash in their names.
        let folder = std::env::current_exe().expect("a test has a file").canonicalize().expect("it is there");
        let folder = folder.parent().expect("it has a folder").display().to_string();
        for program in [Program::Build, Program::Serve] {
            let error = program.command().expect_err("it is not there").to_string();
            assert!(error.starts_with("error[missing-program]: ") && error.contains("make build"), "{error}");
            assert!(error.contains(&format!("{folder}/{}", program.name())), "{error}");
        }
    }
}
