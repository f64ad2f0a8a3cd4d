//! The arguments of `elias test`.

use crate::setting_flags::SettingFlags;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArguments {
    /// Run test files whose path contains one of these strings [default: all]
    pub filters: Vec<String>,
    /// Run tests whose full name, including suites, contains this text
    #[arg(short = 't', long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Update snapshots and delete unused ones
    #[arg(short, long)]
    pub update: bool,
    /// Run the tests again on changes
    #[arg(short, long)]
    pub watch: bool,
    /// Stop after this number of failed tests
    #[arg(long, value_name = "N")]
    pub bail: Option<u32>,
    /// Format of the results
    #[arg(long, value_enum, default_value_t = Reporter::Default)]
    pub reporter: Reporter,
    /// Write the report to a file, and a summary to standard error
    #[arg(short, long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Entry module of the component [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    #[arg(long, value_name = "FILE")]
    pub entry: Option<PathBuf>,
    /// Configuration file [default: the project's elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// The limits that were given.
    #[command(flatten)]
    pub limits: SettingFlags,
}

/// How results are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reporter {
    /// Text for terminals
    Default,
    /// JUnit XML for continuous integration
    Junit,
    /// A JSON array
    Json,
}
