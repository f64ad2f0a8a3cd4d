//! `elias-serve`: the commands that need a host. `elias` hands them on to it.

mod builder;
mod changes;
mod check;
mod data;
mod database_access;
mod development;
mod draft_builder;
mod failure;
mod host;
mod logging;
mod memory;
mod origin;
mod serve;
mod service_files;
mod service_tables;
mod settings;
mod telemetry;
mod testing;
mod trial;
mod triggers;
mod types;
mod webhooks;
mod worker_events;
mod worker_messages;
mod workers;

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
        HostCommand::Restore(arguments) => data::restore::restore(&arguments)?,
        HostCommand::MoveStore(arguments) => data::move_store::move_store(&arguments)?,
        HostCommand::Db(arguments) => data::database::db(&arguments)?,
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
