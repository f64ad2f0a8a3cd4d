//! The outcomes of tests.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A test as its file declares it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct DeclaredTest {
    pub(super) id: u32,
    /// The names of the suites around it, and its own.
    pub(super) path: Vec<String>,
    pub(super) mode: Mode,
}

impl DeclaredTest {
    pub(super) fn name(&self) -> String {
        self.path.join(" > ")
    }
}

/// Whether a test is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Run,
    Skip,
    Todo,
}

/// The result of one run of a test.
#[derive(Debug, Deserialize)]
pub(super) struct TestOutput {
    #[serde(default)]
    pub(super) skipped: bool,
    pub(super) errors: Vec<Problem>,
    #[serde(default)]
    pub(super) snapshots: Vec<ComparedSnapshot>,
}

/// A snapshot that a test compared.
#[derive(Debug, Deserialize)]
pub(super) struct ComparedSnapshot {
    pub(super) key: String,
    pub(super) text: String,
}

/// Why a test failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) name: String,
    pub(super) message: String,
    /// In positions of the original sources.
    pub(super) stack: String,
    /// The expected and the actual value.
    pub(super) diff: Option<String>,
}

/// The end of a test.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "errors")]
pub(super) enum End {
    Passed,
    Failed(Vec<Problem>),
    Skipped,
    Todo,
}

/// A test that is over.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FinishedTest {
    /// The names of the suites around it, and its own.
    pub(super) path: Vec<String>,
    #[serde(flatten)]
    pub(super) end: End,
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub(super) took: Duration,
    /// Units of fuel that the component and the test used.
    pub(super) fuel: u64,
}

/// The tests of one file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FileReport {
    /// Relative to the project.
    pub(super) file: String,
    /// Why none of its tests was run.
    pub(super) problem: Option<String>,
    pub(super) tests: Vec<FinishedTest>,
    /// Snapshots that were written, and that no test asked for.
    pub(super) snapshots_written: usize,
    pub(super) snapshots_obsolete: usize,
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub(super) took: Duration,
}

impl FileReport {
    pub(super) fn failed(&self) -> bool {
        self.problem.is_some() || self.tests.iter().any(|test| matches!(test.end, End::Failed(_)))
    }

    pub(super) fn count(&self, counts: impl Fn(&End) -> bool) -> usize {
        self.tests.iter().filter(|test| counts(&test.end)).count()
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}
