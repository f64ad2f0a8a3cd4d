//! Diagnostics of failed builds for developers: message, location in the original source, and what to do about it.
//!
//! Every problem has a stable code, used by scripts and by `--json`, and one body of [`Details`].

mod location;

pub use location::SourceLocation;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, Severity, SourceCode};
use serde_json::{Value, json};
use std::fmt;

/// The parts that all problems have in common.
#[derive(Debug, Default)]
pub struct Details {
    /// The defect, in one sentence.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
    /// The location in the source.
    pub location: Option<SourceLocation>,
    /// The JavaScript stack trace, in original positions.
    pub stack: Option<String>,
    /// Further problems found in the same build.
    pub related: Vec<BuildError>,
}

impl Details {
    /// A problem with nothing but a message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|help| !help.is_empty());
        self
    }

    /// Sets the location.
    #[must_use]
    pub fn at(mut self, location: impl Into<SourceLocation>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Adds a stack trace, already in original positions.
    #[must_use]
    pub fn stack(mut self, stack: impl Into<String>) -> Self {
        self.stack = Some(stack.into()).filter(|stack| !stack.is_empty());
        self
    }

    fn to_json(&self, severity: &str, code: &str) -> Value {
        let location = self.location.as_ref();
        json!({
            "severity": severity,
            "code": code,
            "message": self.message,
            "file": location.map(|location| &location.file),
            "line": location.map(|location| location.line),
            "column": location.map(|location| location.column),
            "label": location.and_then(|location| location.label.as_ref()),
            "help": self.help,
            "stack": self.stack,
            "related": self.related.iter().map(BuildError::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.location {
            // With a source the report's header shows the location.
            Some(location) if location.source.is_none() => write!(f, " ({location})"),
            _ => Ok(()),
        }
    }
}

/// Defines an enum of problems: each variant has a stable code and [`Details`].
macro_rules! problems {
    ($(#[$doc:meta])* $name:ident, $severity:ident, $word:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        pub enum $name {
            $($(#[$variant_doc])* #[error("{0}")] $variant(Box<Details>),)*
        }

        impl $name {
            /// The stable code, in kebab case.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self { $(Self::$variant(_) => $code,)* }
            }

            /// Message, location and help.
            #[must_use]
            pub fn details(&self) -> &Details {
                match self { $(Self::$variant(details) => details,)* }
            }

            /// As an object for `--json`: `severity`, `code`, `message`, `file`, `line`, `column`, `label`, `help`,
            /// `stack` and `related`; what there is not is null.
            #[must_use]
            pub fn to_json(&self) -> Value {
                self.details().to_json($word, self.code())
            }

            /// As text: with colour and Unicode lines on a terminal, plain ASCII elsewhere.
            #[must_use]
            pub fn render(&self, terminal: bool) -> String {
                render(self, self.details(), terminal)
            }
        }

        impl Diagnostic for $name {
            fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
                Some(Box::new(self.code()))
            }

            fn severity(&self) -> Option<Severity> {
                Some(Severity::$severity)
            }

            fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
                self.details().help.as_ref().map(|help| Box::new(help) as _)
            }

            fn source_code(&self) -> Option<&dyn SourceCode> {
                let location = self.details().location.as_ref().filter(|location| location.source.is_some())?;
                Some(location)
            }

            fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
                let location = self.details().location.as_ref().filter(|location| location.source.is_some())?;
                let label = LabeledSpan::new_primary_with_span(location.label.clone(), location.span);
                Some(Box::new(std::iter::once(label)))
            }

            fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
                let related = &self.details().related;
                (!related.is_empty()).then(|| Box::new(related.iter().map(|error| error as &dyn Diagnostic)) as _)
            }
        }
    };
}

problems! {
    /// Why a build failed.
    BuildError, Error, "error" {
        /// The entry file is missing or is not a file.
        EntryNotFound = "entry-not-found",
        /// A file is not JavaScript, TypeScript, JSON or not text at all.
        SyntaxError = "syntax-error",
        /// An import names a file or package that is not there.
        UnresolvedImport = "unresolved-import",
        /// A file lies outside of the project, and no line of elias.toml lets it in.
        OutsideProject = "outside-project",
        /// An import names something that the module does not export.
        MissingExport = "missing-export",
        /// The bundler refused for another reason.
        Bundle = "bundle-error",
        /// The module threw while its top level ran.
        TopLevelException = "top-level-exception",
        /// The module's top level awaits a promise that never settles.
        TopLevelPending = "top-level-pending",
        /// The entry module has no default export.
        NoDefaultExport = "no-default-export",
        /// The default export has no method that could handle anything.
        NoHandler = "no-handler",
        /// The source does not have the implementation that was asked for.
        NoStage = "no-stage",
        /// Cryptographic randomness was asked for while building.
        RandomAtBuild = "random-at-build",
        /// A locale is asked for that there is not.
        UnknownLocale = "unknown-locale",
        /// The default export has a handler that nothing would ever call.
        UnknownHandler = "unknown-handler",
        /// The declared dependencies of the source differ from those that are installed.
        DependencyMismatch = "dependency-mismatch",
        /// A bundled package is not what the project's lockfile says it must be.
        LockfileMismatch = "lockfile-mismatch",
        /// A signing key is none, or the component cannot be signed with it.
        BadKey = "bad-key",
        /// A signing key's file can be read by others than its owner.
        ExposedKey = "exposed-key",
        /// A source, the bundle or the component is over its limit.
        TooLarge = "too-large",
        /// A capability's file is not WIT, or a package that it depends on is not there.
        InvalidWit = "invalid-wit",
        /// A capability has functions that JavaScript cannot be given.
        UnsupportedWit = "unsupported-wit",
        /// The table `[build]` of elias.toml is wrong.
        Config = "config",
        /// A file could not be read or written.
        Io = "io",
        /// The engine itself failed; not the author's fault.
        Engine = "engine",
    }
}

problems! {
    /// The warnings of a build that succeeded.
    BuildWarning, Warning, "warning" {
        /// The top level read the clock and got the source date.
        ClockAtBuild = "clock-at-build",
        /// The top level called `Math.random` and got the fixed sequence of the build.
        RandomAtBuildSeeded = "random-at-build-seeded",
        /// The top level drew random values, which every instance of the build shares.
        RandomPerBuild = "random-per-build",
        /// The top level set a timer, which never fires.
        TimerAtBuild = "timer-at-build",
        /// The top level read the environment, which is not there during the build.
        EnvironmentAtBuild = "environment-at-build",
        /// A class of service workers is not exported, so that it has no workers.
        UnexportedWorker = "unexported-worker",
        /// A schema cannot be expressed as JSON Schema, so that the manifest lacks it.
        SchemaNotRepresentable = "schema-not-representable",
        /// A package or file is bundled that cannot work in a component.
        CannotRun = "cannot-run",
        /// No lockfile that is read says what the bundled packages must be.
        NoLockfile = "no-lockfile",
        /// The bundler found something doubtful.
        Bundle = "bundle-warning",
    }
}

impl BuildError {
    /// One error out of several: the first, with the others related to it. `None` if there are none.
    #[must_use]
    pub fn all(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.details_mut().related.extend(errors);
        Some(first)
    }

    /// A file operation that failed; `doing` reads as in "cannot read app.js".
    #[must_use]
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::Io(Box::new(Details::new(format!("cannot {doing}: {error}"))))
    }

    fn details_mut(&mut self) -> &mut Details {
        match self {
            Self::EntryNotFound(details)
            | Self::SyntaxError(details)
            | Self::UnresolvedImport(details)
            | Self::MissingExport(details)
            | Self::Bundle(details)
            | Self::TopLevelException(details)
            | Self::TopLevelPending(details)
            | Self::NoDefaultExport(details)
            | Self::NoHandler(details)
            | Self::NoStage(details)
            | Self::RandomAtBuild(details)
            | Self::LockfileMismatch(details)
            | Self::BadKey(details)
            | Self::ExposedKey(details)
            | Self::TooLarge(details)
            | Self::InvalidWit(details)
            | Self::UnsupportedWit(details)
            | Self::Config(details)
            | Self::Io(details)
            | Self::OutsideProject(details)
            | Self::UnknownHandler(details)
            | Self::UnknownLocale(details)
            | Self::DependencyMismatch(details)
            | Self::Engine(details) => details,
        }
    }
}

fn render(problem: &dyn Diagnostic, details: &Details, terminal: bool) -> String {
    let handler = if terminal {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        GraphicalReportHandler::new_themed(theme).with_links(false).with_width(120)
    } else {
        GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_links(false).with_wrap_lines(false)
    };
    let mut text = String::new();
    if handler.render_report(&mut text, problem).is_err() {
        // The message alone is worth more than nothing.
        text = format!("{details}\n");
    }
    if let Some(stack) = &details.stack {
        text.push('\n');
        text.push_str(stack);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_contract::stack::Position;

    fn error(location: SourceLocation) -> BuildError {
        BuildError::SyntaxError(Box::new(Details::new("it broke").help("mend it").at(location.labelled("here"))))
    }

    #[test]
    fn renders_plainly() {
        #[track_caller]
        fn check(location: SourceLocation, expect: &[&str]) {
            let text = error(location).render(false);
            for part in expect {
                assert!(text.contains(part), "{part:?} in\n{text}");
            }
            assert!(text.is_ascii() && text.len() < 1000, "{text}");
        }
        check(
            SourceLocation::new("src/a.js", "let a = 1;\nlet b = ;\n", 19, 1),
            &["syntax-error", "it broke", "[src/a.js:2:9]", "2 | let b = ;", "here", "help: mend it"],
        );
        let minified = format!("let a;{}boom{}", "x;".repeat(5000), "y;".repeat(5000));
        check(SourceLocation::new("a.js", minified, 10_006, 4), &["[a.js:1:10007]", "x;boomy;", "here"]);
        check(SourceLocation::new("a.js", "", 0, 0), &["[a.js:1:1]", "it broke"]);
        check(
            Position { file: "a.js", line: 3, column: 4, source: None }.into(),
            &["it broke (a.js:3:4)", "help: mend it"],
        );
    }

    #[test]
    fn renders_for_a_terminal_and_as_json() {
        let other = BuildError::UnresolvedImport(Box::new(Details::new("no such file")));
        let first = error(SourceLocation::new("a.js", "boom", 0, 4));
        let all = BuildError::all(vec![first, other]).expect("there are two");
        assert!(all.render(true).contains("no such file"));
        let json = all.to_json();
        assert_eq!(json["code"], "syntax-error");
        assert_eq!(json["severity"], "error");
        assert_eq!((&json["file"], &json["line"], &json["column"]), (&json!("a.js"), &json!(1), &json!(1)));
        assert_eq!(json["help"], "mend it");
        assert_eq!(json["related"][0]["code"], "unresolved-import");
        assert_eq!(json["related"][0]["file"], Value::Null);
        let warning = BuildWarning::ClockAtBuild(Box::new(Details::new("read the clock").stack("    at a.js:1:1")));
        assert!(warning.render(false).ends_with("\n    at a.js:1:1\n"));
        assert_eq!(warning.to_json()["severity"], "warning");
    }
}
