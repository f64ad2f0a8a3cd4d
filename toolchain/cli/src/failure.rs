//! Why a command failed, for the person who typed it.

use crate::logging;
use elias_build::BuildError;
use std::fmt::{Display, Formatter};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// A failure with a stable code, what happened, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    message: String,
    /// The message without colours, where it has some.
    plain: Option<String>,
    help: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: impl Into<String>, message: impl Display) -> Self {
        Self { code: code.into(), message: message.to_string(), plain: None, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn plain(mut self, message: impl Into<String>) -> Self {
        self.plain = Some(message.into());
        self
    }

    /// The message, for a page.
    pub(crate) fn page(&self) -> &str {
        self.plain.as_ref().unwrap_or(&self.message)
    }

    /// Prints the failure; the process's exit code.
    pub(crate) fn report(&self) -> ExitCode {
        logging::flush(); // those lines came first
        // Whoever closed standard error does not want to know.
        let _ = std::io::stderr().write_all(self.to_string().as_bytes());
        ExitCode::FAILURE
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        // What elias-build says of a source looks the same from every command.
        if self.plain.is_some() {
            return f.write_str(&self.message);
        }
        writeln!(f, "error[{}]: {}", self.code, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| writeln!(f, "  help: {help}"))
    }
}

/// Why a source was not built, with its lines, as `elias-build` says it: in colours for a terminal, without for a page.
pub(crate) fn failed(error: &BuildError) -> Failure {
    Failure::new(error.name(), error.render(std::io::stderr().is_terminal())).plain(error.render(false))
}

impl From<elias_api::Error> for Failure {
    fn from(error: elias_api::Error) -> Self {
        Self::new(error.code().as_str(), error)
    }
}

impl From<elias_advisories::Error> for Failure {
    fn from(error: elias_advisories::Error) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<elias_names::InvalidName> for Failure {
    fn from(error: elias_names::InvalidName) -> Self {
        elias_api::Error::from(error).into()
    }
}

impl From<elias_host::Error> for Failure {
    fn from(error: elias_host::Error) -> Self {
        Self::new(error.code().as_str(), error)
    }
}
