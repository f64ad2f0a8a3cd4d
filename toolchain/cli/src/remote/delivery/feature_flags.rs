//! Feature flags: `elias flags`.

use crate::remote::connection::client::{Client, named, read};
use crate::remote::connection::input::{input_name, read_json};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{FeatureFlag, FlagRevision};
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_delivery::flag::{DEFINITION_BYTES_MAX, FLAGS_MAX, FlagDefinition, FlagState, ValueType};
use elias_names::Environment;
use std::path::{Path, PathBuf};

/// Bytes of a file with a definition: written for people, it is longer than what counts.
const FILE_BYTES_MAX: usize = 8 * DEFINITION_BYTES_MAX;

/// The arguments of `flags`.
#[derive(Debug, Args)]
pub(crate) struct FlagsArguments {
    #[command(subcommand)]
    command: FlagsCommand,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production", global = true)]
    environment: Environment,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum FlagsCommand {
    /// List the tenant's feature flags
    List,
    /// Show a flag with its definition
    Show {
        /// Flag name
        name: String,
    },
    /// Create or change a flag; its definition is the JSON on standard input
    Set {
        /// Flag name
        name: String,
        /// Read the definition from this file instead
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
        /// Enable the flag as it is defined already
        #[arg(long, conflicts_with_all = ["from_file", "disable"])]
        enable: bool,
        /// Disable the flag: components get the default values of their own code
        #[arg(long, conflicts_with = "from_file")]
        disable: bool,
        /// Refuse the change unless the flag is at this revision
        #[arg(long, value_name = "REVISION")]
        revision: Option<u64>,
    },
    /// Delete a flag; components get the default values of their own code
    Delete {
        /// Flag name
        name: String,
    },
    /// List the revisions of a flag, newest first
    History {
        /// Flag name
        name: String,
        /// Maximum number of revisions
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
}

/// Lists, shows, sets and deletes flags.
///
/// # Errors
/// If the platform refuses, or the definition cannot be read.
pub(crate) fn flags(arguments: &FlagsArguments) -> Result<(), Failure> {
    let FlagsArguments { command, environment, target } = arguments;
    let client = Client::of(target)?;
    let json = target.json;
    let of_environment = ["environments", environment.as_str(), "flags"];
    let url = |parts: &[&str]| client.tenant_url(&[&of_environment[..], parts].concat());
    match command {
        FlagsCommand::List => {
            let response = client.list(&url(&[]), FLAGS_MAX)?;
            let row = |flag: FeatureFlag| {
                let by = named(&response, &flag.changed_by);
                let FeatureFlag { name, definition, changed_at, .. } = flag;
                let (state, rules) = (state(&definition).to_owned(), definition.rules.len().to_string());
                [name, type_of(&definition).to_owned(), state, definition.default_variant, rules, time(changed_at), by]
            };
            let header = ["flag", "type", "state", "default", "rules", "changed", "by"];
            output::print_list(json, &response, header, row)
        }
        FlagsCommand::Show { name } => {
            let response = client.get(url(&[name]))?;
            output::print_item(json, &response, |flag: FeatureFlag| describe(&flag))
        }
        FlagsCommand::Set { name, from_file, enable, disable, revision } => {
            let flag_url = || url(&[name]);
            let response = if *enable || *disable {
                let FeatureFlag { definition, revision: is, .. } = read(&client.get(flag_url())?)?;
                let state = if *enable { FlagState::Enabled } else { FlagState::Disabled };
                let definition = FlagDefinition { state, ..definition };
                client.put_at(flag_url(), &definition, revision.unwrap_or(is))?
            } else {
                let definition = read_definition(from_file.as_deref())?;
                match revision {
                    Some(revision) => client.put_at(flag_url(), &definition, *revision)?,
                    None => client.put(flag_url(), &definition)?,
                }
            };
            let FeatureFlag { name, definition, revision, .. } = read(&response)?;
            let done = format!("{name} is {} in {environment}, at revision {revision}", state(&definition));
            output::print_done(json, &response, &done)
        }
        FlagsCommand::Delete { name } => {
            let response = client.delete(url(&[name]))?;
            output::print_done(json, &response, &format!("{} is deleted in {environment}", plain(name)))
        }
        FlagsCommand::History { name, limit } => {
            let response = client.list(&url(&[name, "history"]), *limit)?;
            let row = |revision: FlagRevision| {
                let by = named(&response, &revision.changed_by);
                let FlagRevision { revision, definition, changed_at, .. } = revision;
                let change = definition.map_or_else(|| "deleted".to_owned(), |definition| definition.json());
                [revision.to_string(), time(changed_at), by, change]
            };
            output::print_list(json, &response, ["revision", "changed", "by", "definition"], row)
        }
    }
}

fn state(definition: &FlagDefinition) -> &'static str {
    match definition.state {
        FlagState::Enabled => "enabled",
        FlagState::Disabled => "disabled",
    }
}

fn type_of(definition: &FlagDefinition) -> &'static str {
    definition.variants.values().next().and_then(ValueType::of).map_or("", ValueType::as_str)
}

fn describe(flag: &FeatureFlag) -> String {
    let FeatureFlag { environment, name, definition, revision, changed_at, changed_by } = flag;
    let facts = output::facts([
        ("flag", name.clone()),
        ("environment", environment.to_string()),
        ("state", state(definition).to_owned()),
        ("type", type_of(definition).to_owned()),
        ("default", definition.default_variant.clone()),
        ("description", definition.description.clone()),
        ("revision", revision.to_string()),
        ("changed", time(*changed_at)),
        ("by", changed_by.clone()),
    ]);
    let variants = definition.variants.iter().map(|(name, value)| [name.clone(), value.to_string()]);
    let rules = definition.rules.iter().enumerate().map(|(index, rule)| {
        // A rule is shown as it is written.
        [(index + 1).to_string(), serde_json::to_string(rule).unwrap_or_default()]
    });
    let (variants, rules) = (output::table(["variant", "value"], variants), output::table(["rule", ""], rules));
    format!("{facts}\n{variants}\n{rules}")
}

/// The definition, from a file or standard input.
fn read_definition(file: Option<&Path>) -> Result<FlagDefinition, Failure> {
    let definition: FlagDefinition = read_json(file, FILE_BYTES_MAX)?;
    definition.check().map_err(|error| {
        let message = format!("the definition of a flag in {}: {error}", input_name(file));
        Failure::new(CliErrorCode::BadInput, message)
    })?;
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_checked_before_it_is_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("flag.json");
        let good = r#"{ "variants": { "on": true, "off": false }, "defaultVariant": "off" }"#;
        for (text, refused) in [
            (good.to_owned(), None),
            ("{".to_owned(), Some("EOF")),
            (good.replace(r#""off" }"#, r#""none" }"#), Some("defaultVariant is `none`")),
            (good.replace("variants", "targeting"), Some("unknown field `targeting`")),
            (" ".repeat(FILE_BYTES_MAX + 1), Some("more than")),
        ] {
            std::fs::write(&file, &text).expect("writing");
            let read = read_definition(Some(&file)).map_err(|failure| failure.to_string());
            match refused {
                None => assert_eq!(read.map(|definition| type_of(&definition)), Ok("boolean")),
                Some(why) => assert!(read.as_ref().is_err_and(|message| message.contains(why)), "{why}: {read:?}"),
            }
        }
        assert!(read_definition(Some(&folder.path().join("none"))).is_err());
    }
}
