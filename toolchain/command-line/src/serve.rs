//! The arguments of `serve` and `dev`.

use crate::platform::PlatformArguments;
use crate::setting_flags::SettingFlags;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The arguments of `serve`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct ServeArguments {
    /// Component file, or source file with --watch; none with --platform
    #[arg(required_unless_present = "platform")]
    pub file: Option<PathBuf>,
    /// Show exceptions with stack traces in responses
    #[arg(long)]
    pub dev: bool,
    /// Reload the component, or rebuild the source, on changes
    #[arg(long)]
    pub watch: bool,
    /// Directory for the heaps of service workers [default: none, they are kept in memory]
    #[arg(long, value_name = "DIR", conflicts_with = "platform")]
    pub workers_dir: Option<PathBuf>,
    /// Those of a platform.
    #[command(flatten)]
    pub platform: PlatformArguments,
    /// Those that `serve` and `dev` have in common.
    #[command(flatten)]
    pub server: ServerArguments,
}

/// The arguments of `dev`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct DevArguments {
    /// Entry module [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    pub entry: Option<PathBuf>,
    /// Rebuild and reload on changes: always on, accepted for scripts that state it
    #[arg(long = "watch")]
    _watch: bool,
    /// Those that `serve` and `dev` have in common.
    #[command(flatten)]
    pub server: ServerArguments,
}

/// How a component or a platform is served: the arguments that `serve` and `dev` have in common.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Address and port to listen on [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Configuration file [default: elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for the databases of components [default: .elias]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Do not cache compiled code
    #[arg(long)]
    pub no_cache: bool,
    /// Serve every request without the rules of [gateway]; not with --platform
    #[arg(long)]
    pub no_gateway: bool,
    /// Format of log lines [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// The limits that were given.
    #[command(flatten)]
    pub limits: SettingFlags,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event
    Text,
    /// One JSON object per event
    Json,
}
