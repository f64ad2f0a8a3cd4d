//! Telling how tests went: a person, or a program.

use super::outcome::{End, FileReport, FinishedTest, Problem};
use crate::logging;
use elias_command_line::{CliErrorCode, Failure, Reporter};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Lines of source that are shown before and after the one in question.
const CONTEXT_LINES: usize = 2;
/// Longest line of source that is shown.
const LINE_BYTES_MAX: usize = 200;
/// A test that takes as long is said to.
const SLOW: Duration = Duration::from_millis(300);

/// All files' results, told as they come and in the end.
pub(super) struct Report {
    files: Vec<FileReport>,
    start: Instant,
    /// Whether a person is told on standard error.
    person: bool,
    paint: Paint,
}

impl Report {
    pub(super) fn new(person: bool, terminal: bool) -> Self {
        let paint = Paint(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
        Self { files: Vec::new(), start: Instant::now(), person, paint }
    }

    pub(super) fn failures(&self) -> u32 {
        let failed: usize = self.files.iter().map(|file| file.count(|end| matches!(end, End::Failed(_)))).sum();
        u32::try_from(failed).unwrap_or(u32::MAX)
    }

    pub(super) fn is_good(&self) -> bool {
        !self.files.iter().any(FileReport::failed)
    }

    pub(super) fn add(&mut self, file: FileReport) {
        if self.person {
            tell(&self.file(&file));
        }
        self.files.push(file);
    }

    /// Tells the sum, and writes what the reporter says.
    pub(super) fn finish(&self, reporter: Reporter, output: Option<&Path>) -> Result<(), Failure> {
        if self.person {
            tell(&self.sum());
        }
        let text = match reporter {
            Reporter::Default => return Ok(()),
            Reporter::Junit => self.junit().map_err(|error| Failure::new(CliErrorCode::Io, error))?,
            Reporter::Json => serde_json::to_string_pretty(&self.files).unwrap_or_default() + "\n",
        };
        match output {
            Some(path) => std::fs::write(path, text).map_err(|error| {
                Failure::new(CliErrorCode::Io, format_args!("cannot write {}: {error}", path.display()))
            }),
            None => {
                // Whoever closed standard output does not want to know.
                let _ = std::io::stdout().write_all(text.as_bytes());
                Ok(())
            }
        }
    }

    /// A file's lines: one if all went well, else one a test, and why it failed.
    fn file(&self, file: &FileReport) -> String {
        let paint = self.paint;
        let mut text = String::new();
        let passed = file.count(|end| matches!(end, End::Passed));
        let skipped = file.count(|end| matches!(end, End::Skipped | End::Todo));
        let mut notes = vec![format!("{passed} passed")];
        if skipped > 0 {
            notes.push(format!("{skipped} skipped"));
        }
        let notes = format!("({}) {}", notes.join(", "), shown(file.took));
        let mark = if file.failed() { paint.red("\u{2717}") } else { paint.green("\u{2713}") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {} {}", file.file, paint.dim(&notes));
        if let Some(problem) = &file.problem {
            let _ = writeln!(text, "{}", indented(problem.trim_end(), "  "));
        }
        for test in &file.tests {
            match &test.end {
                End::Failed(problems) => {
                    let _ = writeln!(text, "  {} {}", paint.red("\u{2717}"), test.path.join(" > "));
                    for problem in problems {
                        text.push_str(&self.problem(problem));
                    }
                }
                End::Passed if test.took >= SLOW => {
                    let _ = writeln!(
                        text,
                        "  {} {} {}",
                        paint.green("\u{2713}"),
                        test.path.join(" > "),
                        paint.dim(&shown(test.took))
                    );
                }
                End::Todo => {
                    let _ =
                        writeln!(text, "  {} {} {}", paint.dim("\u{2193}"), test.path.join(" > "), paint.dim("todo"));
                }
                End::Passed | End::Skipped => {}
            }
        }
        if file.snapshots_written > 0 {
            let _ = writeln!(text, "  {} written", snapshots(file.snapshots_written));
        }
        if file.snapshots_obsolete > 0 {
            let obsolete = snapshots(file.snapshots_obsolete);
            let _ = writeln!(text, "  {obsolete} that no test asks for; --update deletes what is not asked for");
        }
        text
    }

    fn problem(&self, problem: &Problem) -> String {
        let paint = self.paint;
        let mut text = String::new();
        let heading = if problem.message.starts_with(&format!("{}:", problem.name)) || problem.name == "AssertionError"
        {
            problem.message.clone()
        } else {
            format!("{}: {}", problem.name, problem.message)
        };
        let _ = writeln!(text, "{}", paint.red(&indented(&heading, "    ")));
        if let Some(diff) = &problem.diff {
            for line in diff.lines() {
                let line = match line.chars().next() {
                    Some('-') => paint.green(line),
                    Some('+') => paint.red(line),
                    _ => line.to_owned(),
                };
                let _ = writeln!(text, "      {line}");
            }
        }
        let frames: Vec<Frame<'_>> = problem.stack.lines().filter_map(Frame::parse).collect();
        let own = frames.iter().position(|frame| !frame.file.contains("node_modules/"));
        for (index, frame) in frames.iter().enumerate() {
            let _ = writeln!(text, "    {} {}:{}:{}", paint.dim("at"), frame.file, frame.line, frame.column);
            if Some(index) == own {
                text.push_str(&frame.excerpt(paint));
            }
        }
        text
    }

    fn sum(&self) -> String {
        let paint = self.paint;
        let count = |counts: fn(&End) -> bool| self.files.iter().map(|file| file.count(counts)).sum::<usize>();
        let broken = self.files.iter().filter(|file| file.problem.is_some()).count();
        let parts = [
            (count(|end| matches!(end, End::Failed(_))), "failed"),
            (count(|end| matches!(end, End::Passed)), "passed"),
            (count(|end| matches!(end, End::Skipped)), "skipped"),
            (count(|end| matches!(end, End::Todo)), "todo"),
        ];
        let mut parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if broken > 0 {
            parts.push(format!("{broken} files could not be run"));
        }
        let sum = format!("{} in {} files, {}", parts.join(", "), self.files.len(), shown(self.start.elapsed()));
        format!("\n{}\n", if self.is_good() { paint.green(&sum) } else { paint.red(&sum) })
    }

    fn junit(&self) -> Result<String, quick_junit::SerializeError> {
        let mut report = quick_junit::Report::new("elias test");
        report.set_time(self.start.elapsed());
        for file in &self.files {
            let mut suite = TestSuite::new(file.file.as_str());
            suite.set_time(file.took);
            if let Some(problem) = &file.problem {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message("the file could not be run").set_description(problem.as_str());
                suite.add_test_case(TestCase::new(file.file.as_str(), status));
            }
            for test in &file.tests {
                let mut case = TestCase::new(test.path.join(" > "), status(test));
                case.set_classname(file.file.as_str()).set_time(test.took);
                suite.add_test_case(case);
            }
            report.add_test_suite(suite);
        }
        report.to_string()
    }
}

fn status(test: &FinishedTest) -> TestCaseStatus {
    match &test.end {
        End::Passed => TestCaseStatus::success(),
        End::Skipped | End::Todo => TestCaseStatus::skipped(),
        End::Failed(problems) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            if let Some(first) = problems.first() {
                status.set_type(first.name.as_str()).set_message(first.message.as_str());
            }
            let all: Vec<String> = problems
                .iter()
                .map(|problem| {
                    let diff = problem.diff.as_deref().unwrap_or_default();
                    [&problem.message, diff, &problem.stack].map(str::trim_end).join("\n").trim_end().to_owned()
                })
                .collect();
            status.set_description(all.join("\n\n"));
            status
        }
    }
}

/// A line of a stack that names a place in a file.
struct Frame<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Frame<'a> {
    /// Reads `at name (file:line:column)` or `at file:line:column`; none for what is the engine's own, or the joint's.
    fn parse(line: &'a str) -> Option<Self> {
        let text = line.trim().strip_prefix("at ")?;
        let place = text.rsplit_once('(').map_or(text, |(_, place)| place).trim_end_matches(')');
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let internal = file.starts_with('<') || file.starts_with("elias:") || file.contains(".elias/tests/");
        (!internal && !file.is_empty()).then_some(Self { file, line, column })
    }

    /// The line and those around it, if the file can be read.
    fn excerpt(&self, paint: Paint) -> String {
        let Ok(source) = std::fs::read_to_string(self.file) else { return String::new() };
        let first = self.line.saturating_sub(CONTEXT_LINES + 1);
        let mut text = String::new();
        for (index, line) in source.lines().enumerate().skip(first).take(2 * CONTEXT_LINES + 1) {
            if line.len() > LINE_BYTES_MAX {
                continue;
            }
            let number = index + 1;
            let mark = if number == self.line { ">" } else { " " };
            let _ = writeln!(text, "      {}", paint.dim(&format!("{mark}{number:>4} | {line}")));
            if number == self.line {
                let _ = writeln!(text, "      {}{}", " ".repeat(7 + self.column), paint.red("^"));
            }
        }
        text
    }
}

/// Colours, if there is a terminal that shows them.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// Tells a person. Whoever closed standard error does not want to know.
fn tell(text: &str) {
    logging::flush(); // what the tests logged stands before their results
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// So many snapshots.
fn snapshots(count: usize) -> String {
    format!("{count} snapshot{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_engine_are_left_out() {
        let frame = Frame::parse("    at f (test/a.test.ts:3:7)").expect("it is a frame");
        assert_eq!((frame.file, frame.line, frame.column), ("test/a.test.ts", 3, 7));
        for internal in
            ["at <null>:0:1", "at x (elias:web/testing/index.js:1:2)", "at .elias/tests/a.mjs:1:2", "at native"]
        {
            assert!(Frame::parse(internal).is_none(), "{internal}");
        }
    }
}
