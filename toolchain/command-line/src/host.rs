//! The commands of `elias-serve`, and the arguments of those of them that have few.

use crate::database::DbArguments;
use crate::serve::{DevArguments, ServeArguments};
use crate::test::TestArguments;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands that need a host: those of `elias-serve`.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Check that a project builds, loads and has correct types
    Check(CheckArguments),
    /// Build a project, serve it and reload it on changes
    Dev(DevArguments),
    /// Serve a component, or a platform of many, over HTTP
    Serve(Box<ServeArguments>),
    /// Run a project's tests in the engine
    Test(TestArguments),
    /// Restore a data directory from a backup and check it
    Restore(RestoreArguments),
    /// Move a platform's store from SQLite to PostgreSQL
    MoveStore(MoveStoreArguments),
    /// Query a component's database
    Db(Box<DbArguments>),
}

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Entry module [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    pub entry: Option<PathBuf>,
    /// Configuration file [default: the project's elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// Archive file that `elias backup` wrote
    pub archive: PathBuf,
    /// Data directory to create; must be empty or missing
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// The arguments of `move-store`.
#[derive(Debug, Args)]
pub struct MoveStoreArguments {
    /// Data directory of a stopped platform
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// URL of an empty PostgreSQL database, postgres://...
    #[arg(long, value_name = "URL", env = "ELIAS_STORE", hide_env_values = true)]
    pub to: String,
}
