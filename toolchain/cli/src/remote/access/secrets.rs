//! `elias secrets`: values that a component's configuration takes from its environment.

use crate::remote::connection::client::{Client, items};
use crate::remote::connection::output;
use clap::{Args, Subcommand};
use elias_api::SECRET_BYTES_MAX;
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{ComponentName, Environment};
use serde_json::json;
use std::fmt::Display;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// The arguments of `secrets`.
#[derive(Debug, Args)]
pub(crate) struct SecretsArguments {
    #[command(subcommand)]
    command: SecretsCommand,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production", global = true)]
    environment: Environment,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// List the names of a component's secrets; values cannot be read
    List {
        /// Component name
        component: ComponentName,
    },
    /// Set a secret to the value on standard input; deployed versions get it immediately
    Set {
        /// Component name
        component: ComponentName,
        /// Secret name: the variable that `env` in [capabilities.config] states
        name: String,
        /// Read the value from this file instead
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// Delete a secret
    Delete {
        /// Component name
        component: ComponentName,
        /// Secret name
        name: String,
    },
}

/// Lists, sets and deletes secrets.
pub(crate) fn secrets(arguments: &SecretsArguments) -> Result<(), Failure> {
    let SecretsArguments { command, environment, target } = arguments;
    let client = Client::of(target)?;
    match command {
        SecretsCommand::List { component } => {
            let response = client.get(client.service_url(component, environment, &["secrets"]))?;
            output::print_response(target.json, &response, || {
                let names: Vec<String> = items(&response)?;
                Ok(names.iter().map(|name| format!("{}\n", plain(name))).collect())
            })
        }
        SecretsCommand::Set { component, name, from_file } => {
            let value = value(from_file.as_deref())?;
            let url = client.service_url(component, environment, &["secrets", name]);
            let response = client.put(url, &json!({ "value": value }))?;
            output::print_done(
                target.json,
                &response,
                &format!("{} of {component} is set in {environment}", plain(name)),
            )
        }
        SecretsCommand::Delete { component, name } => {
            let response = client.delete(client.service_url(component, environment, &["secrets", name]))?;
            output::print_done(
                target.json,
                &response,
                &format!("{} of {component} is deleted in {environment}", plain(name)),
            )
        }
    }
}

/// The value, from a file or standard input.
fn value(file: Option<&Path>) -> Result<String, Failure> {
    let name = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let failed = |error: &dyn Display| Failure::new(CliErrorCode::Io, format_args!("cannot read {name}: {error}"));
    let text = match file {
        Some(file) => read(std::fs::File::open(file).map_err(|error| failed(&error))?),
        None => {
            if std::io::stdin().is_terminal() {
                eprintln!(
                    "Type the value, which is shown, and end it with Ctrl-D; --from-file takes one that is in a file."
                );
            }
            read(std::io::stdin().lock())
        }
    };
    let text = text.map_err(|error| failed(&error))?;
    if text.is_empty() || text.len() > SECRET_BYTES_MAX {
        let message = format!("a secret has 1 to {SECRET_BYTES_MAX} bytes, and what is read from {name} does not");
        return Err(Failure::new(CliErrorCode::BadSecret, message));
    }
    Ok(text)
}

/// The text without the line end that editors and `echo` put after it.
fn read(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(SECRET_BYTES_MAX as u64 + 3).read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.map_or_else(|| text.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_no_part_of_a_secret() {
        for (text, wanted) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\nb\n\n", "a\nb\n"), (" a ", " a "), ("", "")]
        {
            assert_eq!(read(text.as_bytes()).expect("it is text"), wanted);
        }
        assert!(read(&b"\xff"[..]).is_err());
    }

    #[test]
    fn a_secret_has_something_in_it_and_not_too_much() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("value");
        for (text, good) in
            [("x".to_owned(), true), ("\n".to_owned(), false), ("x".repeat(SECRET_BYTES_MAX + 1), false)]
        {
            std::fs::write(&file, text).expect("writing");
            assert_eq!(value(Some(&file)).is_ok(), good);
        }
        assert!(value(Some(&folder.path().join("none"))).is_err());
    }
}
