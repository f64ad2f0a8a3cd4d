//! The arguments of `elias db`.

use crate::target::Target;
use clap::Args;
use elias_names::{ComponentName, Environment};
use serde_json::Value;
use std::path::PathBuf;
use std::str::FromStr;

/// The arguments of `db`.
#[derive(Debug, Args)]
pub struct DbArguments {
    /// Component name
    pub component: ComponentName,
    /// SQL statement [default: list the tables]
    pub sql: Option<String>,
    /// Values of the parameters $1, $2, ... as a JSON array
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub params: Parameters,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    pub environment: Environment,
    /// Maximum number of rows to print
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Allow the statement to write; requires the permission `write-data` on the platform
    #[arg(long)]
    pub write: bool,
    /// Read the SQLite file in this data directory, without a server [default: .elias, if no platform is configured]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "token_file"])]
    pub data_dir: Option<PathBuf>,
    /// The platform, if there is one.
    #[command(flatten)]
    pub target: Target,
}

/// The values of a statement's parameters.
#[derive(Debug, Clone)]
pub struct Parameters(pub Vec<Value>);

impl FromStr for Parameters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("must be a JSON array such as [1, \"a\"]: {error}"))
    }
}
