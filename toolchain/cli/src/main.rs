//! `elias`: build components, look into them, serve them.

mod config_file;
mod failure;
mod logging;
mod origin;
mod serve;
mod settings;
mod watch;

use clap::{Parser, Subcommand};
use elias_build::command::{self, BuildArguments, InspectArguments};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "elias", version, about = "Write JavaScript. Deploy once. Run forever.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compiles JavaScript or TypeScript into a component
    Build(BuildArguments),
    /// Shows what a component is: manifest, sizes, digest, imports
    Inspect(InspectArguments),
    /// Builds a project, serves it, and follows its changes
    Dev(serve::DevArguments),
    /// Serves a component over HTTP
    Serve(serve::ServeArguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Build(arguments) => return command::build(&arguments),
        Command::Inspect(arguments) => return command::inspect(&arguments),
        Command::Dev(arguments) => serve::dev(arguments),
        Command::Serve(arguments) => serve::serve(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
