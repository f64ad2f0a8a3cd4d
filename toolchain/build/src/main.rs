//! `elias-build`: JavaScript or TypeScript in, a WebAssembly component out.

use clap::Parser;
use elias_build::command;
use elias_command_line::{BuildArguments, BuildCommand};
use std::process::ExitCode;

// `elias-build index.js` is `elias-build build index.js`; the latter is how `elias build` is handed on.
#[derive(Parser)]
#[command(name = "elias-build", version, about, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<BuildCommand>,
    #[command(flatten)]
    build: Option<BuildArguments>,
}

fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments { command: Some(BuildCommand::Build(arguments)), .. } => command::build(&arguments),
        Arguments { command: Some(BuildCommand::Inspect(arguments)), .. } => command::inspect(&arguments),
        Arguments { command: Some(BuildCommand::Types(arguments)), .. } => command::types(&arguments),
        Arguments { command: Some(BuildCommand::Prepare(arguments)), .. } => command::prepare(&arguments),
        Arguments { build: Some(arguments), .. } => command::build(&arguments),
        Arguments { .. } => ExitCode::from(2), // clap has shown the help
    }
}
