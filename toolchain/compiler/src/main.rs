//! `elias-build`: JavaScript or TypeScript in, a WebAssembly component out.

use clap::Parser;
use elias_build::{child, command, draft};
use elias_command_line::{BuildArguments, BuildCommand};
use std::path::Path;
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
    // `elias-serve` has this program build what it serves. It is no command: nobody types it.
    let mut given = std::env::args_os().skip(1);
    let first = given.next();
    if first.as_deref().is_some_and(|first| first == child::ARGUMENT) {
        let (parent, cache) = (given.next(), given.next());
        return child::main(parent.as_deref(), cache.as_deref().map(Path::new));
    }
    // Neither is this one: `elias-serve --platform` has it build the drafts of tenants.
    if first.as_deref().is_some_and(|first| first == draft::ARGUMENT) {
        return draft::main(given.filter_map(|argument| argument.into_string().ok()));
    }
    match Arguments::parse() {
        Arguments { command: Some(BuildCommand::Build(arguments)), .. } => command::build(&arguments),
        Arguments { command: Some(BuildCommand::Inspect(arguments)), .. } => command::inspect(&arguments),
        Arguments { command: Some(BuildCommand::Types(arguments)), .. } => command::types(&arguments),
        Arguments { command: Some(BuildCommand::Prepare(arguments)), .. } => command::prepare(&arguments),
        Arguments { build: Some(arguments), .. } => command::build(&arguments),
        Arguments { .. } => ExitCode::from(2), // clap has shown the help
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn build_is_the_command_that_need_not_be_named() {
        Arguments::command().debug_assert();
        let named = Arguments::try_parse_from(["elias-build", "build", "--quiet", "--output", "a.wasm", "--", "a.js"]);
        let Ok(Arguments { command: Some(BuildCommand::Build(named)), build: None }) = named else {
            panic!("`build` is a command")
        };
        let unnamed = Arguments::try_parse_from(["elias-build", "a.js", "--quiet", "-o", "a.wasm"]);
        let Ok(Arguments { command: None, build: Some(unnamed) }) = unnamed else { panic!("it need not be named") };
        assert_eq!((&named.entry, &named.output), (&unnamed.entry, &unnamed.output));
        assert!(named.quiet && unnamed.quiet);
        assert!(Arguments::try_parse_from(["elias-build", "build"]).is_ok(), "a project's entry is found");
    }
}
