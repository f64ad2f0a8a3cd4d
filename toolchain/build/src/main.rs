//! `elias-build`: JavaScript or TypeScript in, a WebAssembly component out.

use clap::{Parser, Subcommand};
use elias_build::command::{self, BuildArguments, InspectArguments, PrepareArguments, TypesArguments};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "elias-build", version, about, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    build: Option<BuildArguments>,
}

#[derive(Subcommand)]
enum Command {
    /// Show a component's manifest, sizes, digest and imports
    Inspect(InspectArguments),
    /// Write TypeScript declarations of embedder capabilities
    Types(TypesArguments),
    /// Compile the engine ahead of the first build
    Prepare(PrepareArguments),
}

fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments { command: Some(Command::Inspect(arguments)), .. } => command::inspect(&arguments),
        Arguments { command: Some(Command::Types(arguments)), .. } => command::types(&arguments),
        Arguments { command: Some(Command::Prepare(arguments)), .. } => command::prepare(&arguments),
        Arguments { build: Some(arguments), .. } => command::build(&arguments),
        Arguments { .. } => ExitCode::from(2), // clap has shown the help
    }
}
