//! `elias`: build components, look into them, test and serve them, and deploy them to a platform.

mod changes;
mod check;
mod config_file;
mod database;
mod database_access;
mod failure;
mod help;
mod init;
mod keys;
mod logging;
mod manual;
mod memory;
mod move_store;
mod origin;
mod platform;
mod remote;
mod restore;
mod serve;
mod service_tables;
mod settings;
mod testing;
mod trial;
mod types;
mod verify;
mod watch;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use elias_build::command::{self, BuildArguments, InspectArguments, PrepareArguments, TypesArguments};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "elias", version, about = "Write JavaScript. Deploy once. Run forever.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a project with an example and a test
    Init(init::InitArguments),
    /// Build a component from JavaScript or TypeScript
    Build(BuildArguments),
    /// Check that a project builds, loads and has correct types
    Check(check::CheckArguments),
    /// Show a component's manifest, sizes, digest and imports
    Inspect(InspectArguments),
    /// Write TypeScript declarations of embedder capabilities
    Types(TypesArguments),
    /// Compile the engine ahead of the first build
    Prepare(PrepareArguments),
    /// Create, show, add, list and revoke signing keys
    Keys(keys::KeysArguments),
    /// Build a project, serve it and reload it on changes
    Dev(serve::DevArguments),
    /// Serve a component, or a platform of many, over HTTP
    Serve(Box<serve::ServeArguments>),
    /// Run a project's tests in the engine
    Test(testing::TestArguments),
    /// Verify a component's signature and a transparency log
    Verify(verify::VerifyArguments),
    /// Restore a data directory from a backup and check it
    Restore(restore::RestoreArguments),
    /// Move a platform's store from SQLite to PostgreSQL
    MoveStore(move_store::MoveStoreArguments),
    /// Query a component's database
    Db(Box<database::DbArguments>),
    #[command(flatten)]
    Remote(Box<remote::RemoteCommand>),
    /// Print a completion script for a shell
    Completions(manual::CompletionsArguments),
    /// Print the manual page, or write one for each command
    Man(manual::ManArguments),
}

/// The definition of the command line, with its help.
fn command_line() -> clap::Command {
    help::describe(Arguments::command())
}

fn main() -> ExitCode {
    // A platform has components compiled by this program in a process of its own; see `elias_host::compiler`. It is no
    // command: nobody types it.
    let mut given = std::env::args_os().skip(1);
    if given.next().is_some_and(|first| first == elias_host::compiler::ARGUMENT) {
        return elias_host::compiler::main(given.filter_map(|argument| argument.into_string().ok()));
    }
    let matches = command_line().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match arguments.command {
        Command::Build(arguments) => return command::build(&arguments),
        Command::Inspect(arguments) => return command::inspect(&arguments),
        Command::Types(arguments) => return command::types(&arguments),
        Command::Prepare(arguments) => return command::prepare(&arguments),
        Command::Init(arguments) => init::init(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Keys(arguments) => keys::keys(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Check(arguments) => check::check(&arguments),
        Command::Dev(arguments) => serve::dev(arguments).map(|()| ExitCode::SUCCESS),
        Command::Serve(arguments) => serve::serve(*arguments).map(|()| ExitCode::SUCCESS),
        Command::Test(arguments) => testing::test(&arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Restore(arguments) => restore::restore(&arguments).map(|()| ExitCode::SUCCESS),
        Command::MoveStore(arguments) => move_store::move_store(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Db(arguments) => database::db(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Remote(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Completions(arguments) => {
            manual::completions(&arguments, command_line());
            return ExitCode::SUCCESS;
        }
        Command::Man(arguments) => manual::man(&arguments, command_line()).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_put_together_rightly() {
        command_line().debug_assert();
    }
}
