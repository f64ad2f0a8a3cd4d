//! `elias`: build components, look into them, test and serve them, and deploy them to a platform.

mod changes;
mod check;
mod config_file;
mod database;
mod database_access;
mod failure;
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

use clap::{CommandFactory, Parser, Subcommand};
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
    /// Writes a small project to begin with
    Init(init::InitArguments),
    /// Compiles JavaScript or TypeScript into a component
    Build(BuildArguments),
    /// Says whether a project would build and be loaded, and whether its types are right
    Check(check::CheckArguments),
    /// Shows what a component is: manifest, sizes, digest, imports
    Inspect(InspectArguments),
    /// Writes TypeScript's declarations of capabilities that the host adds
    Types(TypesArguments),
    /// Compiles the engine ahead of the first build, which then takes no longer than any other
    Prepare(PrepareArguments),
    /// Makes, shows, adds and revokes keys that components are signed with
    Keys(keys::KeysArguments),
    /// Builds a project, serves it, and follows its changes
    Dev(serve::DevArguments),
    /// Serves a component over HTTP, or a platform of many
    Serve(Box<serve::ServeArguments>),
    /// Runs a project's tests in the engine
    Test(testing::TestArguments),
    /// Says whether a component is signed, is in a transparency log, and whether that log only grew
    Verify(verify::VerifyArguments),
    /// Restore a platform's data directory from the archive that `backup` wrote, and check it
    Restore(restore::RestoreArguments),
    /// Move a platform's store from SQLite to PostgreSQL
    MoveStore(move_store::MoveStoreArguments),
    /// Query a component's database, on a platform or in a data directory
    Db(Box<database::DbArguments>),
    #[command(flatten)]
    Remote(Box<remote::RemoteCommand>),
    /// Prints what a shell needs to complete commands
    Completions(manual::CompletionsArguments),
    /// Prints or writes the manual's pages
    Man(manual::ManArguments),
}

fn main() -> ExitCode {
    // A platform has components compiled by this program in a process of its own; see `elias_host::compiler`. It is no
    // command: nobody types it.
    let mut given = std::env::args_os().skip(1);
    if given.next().is_some_and(|first| first == elias_host::compiler::ARGUMENT) {
        return elias_host::compiler::main(given.filter_map(|argument| argument.into_string().ok()));
    }
    let outcome = match Arguments::parse().command {
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
            manual::completions(&arguments, Arguments::command());
            return ExitCode::SUCCESS;
        }
        Command::Man(arguments) => manual::man(&arguments, Arguments::command()).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_put_together_rightly() {
        Arguments::command().debug_assert();
    }
}
