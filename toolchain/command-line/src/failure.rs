//! Why a command failed, for the person who typed it.

use elias_contract::key_file::KeyFileError;
use elias_names::InvalidName;
use elias_project::ProjectError;
use std::borrow::Cow;
use std::fmt::{Display, Formatter};
use std::io::Write;
use std::process::ExitCode;

/// A failure with a stable code, what happened, and what to do.
#[derive(Debug)]
pub struct Failure {
    code: Cow<'static, str>,
    message: String,
    help: Option<String>,
    /// The whole text instead, where another part of the toolchain made it.
    report: Option<Report>,
}

/// The text of a failure, as it is shown.
#[derive(Debug)]
struct Report {
    /// With colours, for a terminal that has some.
    terminal: String,
    plain: String,
}

impl Failure {
    /// A failure with a code and a message. The code is one of [`CliErrorCode`](crate::CliErrorCode), that of an error
    /// of another crate, or what a platform responded.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Display) -> Self {
        Self { code: code.into(), message: message.to_string(), help: None, report: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Shows this text as it is, in place of code, message and help: `terminal` on standard error, `plain` elsewhere.
    #[must_use]
    pub fn report_as(mut self, terminal: impl Into<String>, plain: impl Into<String>) -> Self {
        self.report = Some(Report { terminal: terminal.into(), plain: plain.into() });
        self
    }

    /// A failure that another program has reported on the same standard error.
    #[must_use]
    pub fn reported() -> Self {
        Self::new("reported", "another program has reported it").report_as("", "")
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message, for a page.
    #[must_use]
    pub fn page(&self) -> &str {
        match &self.report {
            Some(report) => &report.plain,
            None => &self.message,
        }
    }

    /// Prints the failure on standard error; the process's exit code.
    pub fn report(&self) -> ExitCode {
        // Whoever closed standard error does not want to know.
        let _ = std::io::stderr().write_all(self.to_string().as_bytes());
        ExitCode::FAILURE
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if let Some(report) = &self.report {
            return f.write_str(&report.terminal);
        }
        writeln!(f, "error[{}]: {}", self.code, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| writeln!(f, "  help: {help}"))
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self { help: error.help().map(str::to_owned), ..Self::new(error.code(), &error) }
    }
}

impl From<elias_advisories::Error> for Failure {
    fn from(error: elias_advisories::Error) -> Self {
        Self::new(error.code(), &error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        elias_api::Error::from(error).into()
    }
}

impl From<elias_api::Error> for Failure {
    fn from(error: elias_api::Error) -> Self {
        Self::new(error.code().as_str(), &error)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self { help: error.help(), ..Self::new(error.code(), &error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CliErrorCode;

    #[test]
    fn a_failure_is_code_message_and_help_or_the_text_that_was_made_of_it() {
        let failure = Failure::new(CliErrorCode::Io, "it broke").help("mend it");
        assert_eq!(
            (failure.to_string().as_str(), failure.page()),
            ("error[io]: it broke\n  help: mend it\n", "it broke")
        );
        let failure = failure.report_as("in colours\n", "plain\n");
        assert_eq!((failure.to_string().as_str(), failure.page()), ("in colours\n", "plain\n"));
        assert_eq!(Failure::reported().to_string(), "");
    }
}
