//! `elias-serve`: the commands that need a host. `elias` hands them on to it.

mod changes;
mod check;
mod data_dir;
mod database;
mod database_access;
mod failure;
mod host;
mod logging;
mod memory;
mod move_store;
mod origin;
mod platform;
mod restore;
mod serve;
mod service_tables;
mod settings;
mod shutdown;
mod testing;
mod trial;
mod types;
mod watch;

use clap::Parser;
use elias_command_line::{Failure, HostCommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "elias-serve", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: HostCommand,
}

fn main() -> ExitCode {
    // A platform has components compiled by this program in a process of its own; see `elias_host::compiler`. It is no
    // command: nobody types it.
    let mut given = std::env::args_os().skip(1);
    if given.next().is_some_and(|first| first == elias_host::compiler::ARGUMENT) {
        return elias_host::compiler::main(given.filter_map(|argument| argument.into_string().ok()));
    }
    run(Arguments::parse().command).unwrap_or_else(|failure| failure::report(&failure))
}

fn run(command: HostCommand) -> Result<ExitCode, Failure> {
    match command {
        HostCommand::Check(arguments) => return check::check(&arguments),
        HostCommand::Dev(arguments) => serve::dev(arguments)?,
        HostCommand::Serve(arguments) => serve::serve(*arguments)?,
        HostCommand::Test(arguments) => return testing::test(&arguments),
        HostCommand::Restore(arguments) => restore::restore(&arguments)?,
        HostCommand::MoveStore(arguments) => move_store::move_store(&arguments)?,
        HostCommand::Db(arguments) => database::db(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_put_together_rightly() {
        Arguments::command().debug_assert();
    }
}
