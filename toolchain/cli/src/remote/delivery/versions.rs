//! `elias versions`, `elias diff` and `elias promote`.

use super::canary::CanaryArguments;
use super::deploy;
use crate::remote::connection::client::{Client, named, read};
use crate::remote::connection::output::{self, bytes, short, time};
use clap::{Args, Subcommand};
use elias_api::{Component, DeployRequest, Diff, Version};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};

/// The arguments of `versions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct VersionsArguments {
    #[command(subcommand)]
    command: Option<VersionsCommand>,
    /// Component to list the versions of [default: list the components]
    component: Option<ComponentName>,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum VersionsCommand {
    /// Show a version's manifest, settings and author
    Show(VersionArguments),
    /// Delete a version that is not deployed
    Delete(VersionArguments),
}

#[derive(Debug, Args)]
struct VersionArguments {
    /// Component name
    component: ComponentName,
    /// Version number
    number: u32,
}

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// Component name
    component: ComponentName,
    /// Version number to compare from
    from: u32,
    /// Version number to compare to
    to: u32,
    #[command(flatten)]
    target: Target,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    /// Component name
    component: ComponentName,
    /// Environment to take the version from: dev, staging or production
    #[arg(long, value_name = "ENVIRONMENT", required_unless_present_any = ["version", "stage"])]
    #[arg(conflicts_with_all = ["version", "stage"])]
    from: Option<Environment>,
    /// Version number to serve
    #[arg(long, value_name = "N", conflicts_with = "stage")]
    version: Option<u32>,
    /// Variant of the experiment to serve
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Environment to serve it in: dev, staging or production
    #[arg(long = "to", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Reason to record in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    canary: CanaryArguments,
    #[command(flatten)]
    target: Target,
}

/// Lists components or versions, shows or deletes one.
pub(crate) fn versions(arguments: &VersionsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    match (&arguments.command, &arguments.component) {
        (Some(VersionsCommand::Show(version)), _) => {
            let response = client.get(client.tenant_url(&path(version).each_ref().map(String::as_str)))?;
            output::print_response(json, &response, || {
                let found: Version = read(&response)?;
                // The names are in the list alone, of which the next version's page begins with this one.
                let mut page = client.tenant_url(&["components", version.component.as_str(), "versions"]);
                page.query_pairs_mut().append_pair("after", &version.number.saturating_add(1).to_string());
                let by = named(&client.list(&page, 1)?, &found.created_by);
                Ok(describe(&found, &by))
            })
        }
        (Some(VersionsCommand::Delete(version)), _) => {
            let response = client.delete(client.tenant_url(&path(version).each_ref().map(String::as_str)))?;
            output::print_done(
                json,
                &response,
                &format!("version {} of {} is deleted", version.number, version.component),
            )
        }
        (None, Some(component)) => {
            let url = client.tenant_url(&["components", component.as_str(), "versions"]);
            let response = client.list(&url, arguments.limit)?;
            let row = |version: Version| {
                [
                    version.number.to_string(),
                    time(version.created_at),
                    named(&response, &version.created_by),
                    bytes(version.bytes),
                    short(version.digest.as_str()),
                    version.signed_by.unwrap_or_default(),
                ]
            };
            let header = ["version", "uploaded", "by", "size", "digest", "signed by"];
            output::print_list(json, &response, header, row)
        }
        (None, None) => {
            let response = client.list(&client.tenant_url(&["components"]), arguments.limit)?;
            let row =
                |found: Component| [found.component.to_string(), found.versions.to_string(), time(found.created_at)];
            output::print_list(json, &response, ["component", "newest", "since"], row)
        }
    }
}

fn path(version: &VersionArguments) -> [String; 4] {
    let (component, number) = (version.component.to_string(), version.number.to_string());
    ["components".to_owned(), component, "versions".to_owned(), number]
}

/// A version, and who uploaded it.
fn describe(version: &Version, by: &str) -> String {
    let settings = &version.settings;
    let names = |names: Vec<&str>| names.join(", ");
    let limits: Vec<_> = settings.limits.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
    output::facts([
        ("version", format!("{} of {}", version.number, version.component)),
        ("digest", version.digest.to_string()),
        ("size", bytes(version.bytes)),
        ("uploaded", format!("{} by {by}", time(version.created_at))),
        ("signed by", version.signed_by.clone().unwrap_or_default()),
        ("log entry", version.log_index.to_string()),
        ("capabilities", names(settings.capabilities.keys().map(String::as_str).collect())),
        ("limits", limits.join(", ")),
        ("files", names(settings.files.keys().map(String::as_str).collect())),
        ("gateway", settings.gateway.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("supervision", settings.supervision.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("triggers", settings.triggers.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("workers", settings.workers.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("manifest", version.manifest.as_ref().map(ToString::to_string).unwrap_or_default()),
    ])
}

/// Shows how two versions differ.
pub(crate) fn diff(arguments: &DiffArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let (from, to) = (arguments.from.to_string(), arguments.to.to_string());
    let component = arguments.component.as_str();
    let response = client.get(client.tenant_url(&["components", component, "versions", &from, "diff", &to]))?;
    output::print_item(arguments.target.json, &response, |diff: Diff| differences(&diff))
}

fn differences(diff: &Diff) -> String {
    let mut text = String::new();
    if diff.bytes.0 != diff.bytes.1 {
        text.push_str(&format!("size: {} -> {}\n", bytes(diff.bytes.0), bytes(diff.bytes.1)));
    }
    diff.changes.iter().for_each(|change| text.push_str(&format!("{}\n", plain(change))));
    for (what, added, removed) in [
        ("import", &diff.imports_added, &diff.imports_removed),
        ("package", &diff.packages_added, &diff.packages_removed),
        ("source", &diff.sources_added, &diff.sources_removed),
    ] {
        let signed = removed.iter().map(|name| ('-', name)).chain(added.iter().map(|name| ('+', name)));
        signed.for_each(|(sign, name)| text.push_str(&format!("{sign} {what} {}\n", plain(name))));
    }
    if text.is_empty() { "no difference that is listed\n".to_owned() } else { text }
}

/// Serves a version that is there already.
pub(crate) fn promote(arguments: &PromoteArguments) -> Result<(), Failure> {
    let request = DeployRequest {
        version: arguments.version,
        stage: arguments.stage.clone(),
        promote_from: arguments.from,
        rollout: arguments.canary.plan()?,
        reason: arguments.reason.clone(),
        revision: None,
    };
    let client = Client::of(&arguments.target)?;
    deploy::serve(&client, &arguments.component, arguments.environment, &request, arguments.target.json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_listed_with_its_sign() {
        let diff = Diff {
            from: 1,
            to: 2,
            bytes: (1_000, 2_000),
            imports_added: vec!["elias:db".into()],
            imports_removed: Vec::new(),
            changes: vec!["settings.limits.fuel: 1 -> 2".into()],
            packages_added: Vec::new(),
            packages_removed: vec!["left-pad@1.0.0".into()],
            sources_added: Vec::new(),
            sources_removed: Vec::new(),
        };
        let wanted =
            "size: 1.0 kB -> 2.0 kB\nsettings.limits.fuel: 1 -> 2\n+ import elias:db\n- package left-pad@1.0.0\n";
        assert_eq!(differences(&diff), wanted);
    }
}
