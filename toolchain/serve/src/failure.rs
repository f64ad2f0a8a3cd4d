//! Turns errors of the compiler, the host and the platform into failures of a command.

use crate::logging;
use elias_build::BuildError;
use elias_command_line::Failure;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Why a source was not built, with its lines, as `elias-build` reports it: in colours for a terminal, without for a
/// page.
pub(crate) fn of_build(error: impl Into<BuildError>) -> Failure {
    let error = error.into();
    let terminal = std::io::stderr().is_terminal();
    Failure::new(error.code(), &error).report_as(error.render(terminal), error.render(false))
}

/// Why the host did not load or start something.
pub(crate) fn of_host(error: elias_host::Error) -> Failure {
    Failure::new(error.code().as_str(), error)
}

/// Why the platform did not do something.
pub(crate) fn of_platform(error: elias_api::Error) -> Failure {
    Failure::new(error.code().as_str(), error)
}

/// Prints the failure after the log lines that came before it; the process's exit code.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    logging::flush();
    failure.report()
}
