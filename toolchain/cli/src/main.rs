//! `elias`: the whole command line. What needs no engine is done here; the rest is handed to `elias-build` and
//! `elias-serve`.

mod help;
mod host_key;
mod init;
mod keys;
mod manual;
mod remote;
mod trigger;
mod verify;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use elias_command_line::{BuildCommand, Failure, HostCommand, Program};
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
    #[command(flatten)]
    Build(BuildCommand),
    #[command(flatten)]
    Host(Box<HostCommand>),
    /// Run a schedule, an event or a job on a running `elias dev`
    Trigger(trigger::TriggerArguments),
    /// Create, show, add, list and revoke signing keys
    Keys(keys::KeysArguments),
    /// Verify a component's signature and a transparency log
    Verify(verify::VerifyArguments),
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
    let matches = command_line().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    run(arguments.command).unwrap_or_else(|failure| failure.report())
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Init(arguments) => init::init(&arguments)?,
        Command::Build(_) => return Err(Program::Build.take_over()),
        Command::Host(command) => match *command {
            // Where a platform is meant, it is asked from here.
            HostCommand::Db(arguments) if remote::query_database(&arguments)? => {}
            _ => return Err(Program::Serve.take_over()),
        },
        Command::Trigger(arguments) => return trigger::trigger(&arguments),
        Command::Keys(arguments) => keys::keys(&arguments)?,
        Command::Verify(arguments) => return verify::verify(&arguments),
        Command::Remote(command) => command.run()?,
        Command::Completions(arguments) => manual::completions(&arguments, command_line()),
        Command::Man(arguments) => manual::man(&arguments, command_line())?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_put_together_rightly() {
        command_line().debug_assert();
    }
}
