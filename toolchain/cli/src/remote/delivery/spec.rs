//! `elias spec`: the specification of a component's file, or of a version on a platform, and how two of them differ.

use super::{files, version_settings};
use crate::remote::connection::client::{Client, read};
use clap::Args;
use elias_api::{Error, Specification};
use elias_command_line::text::{plain, print};
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{ComponentName, Digest};
use elias_project::{ConfigFile, Project};
use std::path::{Path, PathBuf};

/// The arguments of `spec`.
#[derive(Debug, Args)]
pub(crate) struct SpecArguments {
    /// Component file, saved specification, or version on a platform as NAME@NUMBER
    #[arg(value_name = "COMPONENT", required_unless_present = "diff")]
    component: Option<String>,
    /// Print the OpenAPI 3.1 document of its endpoints and routes instead
    #[arg(long)]
    openapi: bool,
    /// Print the differences between two components, each named like COMPONENT
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["component", "openapi"])]
    diff: Vec<String>,
    /// Configuration file of a component file [default: elias.toml beside it, or in the current folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Where a specification comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    File(&'a Path),
    Version(ComponentName, u32),
}

impl<'a> Source<'a> {
    /// A text that could be both is the file, if that is there.
    fn of(text: &'a str) -> Self {
        let version = || {
            let (name, number) = text.rsplit_once('@')?;
            Some(Self::Version(name.parse().ok()?, number.parse().ok()?))
        };
        let file = Path::new(text);
        if file.exists() { Self::File(file) } else { version().unwrap_or(Self::File(file)) }
    }
}

/// Prints a specification as JSON, its OpenAPI document, or what differs between two.
///
/// # Errors
/// `io`, `not-a-component`, what elias.toml beside a file is refused for, and what the platform refuses.
pub(crate) fn spec(arguments: &SpecArguments) -> Result<(), Failure> {
    if let [before, after] = arguments.diff.as_slice() {
        let changes = load(before, arguments)?.changes(&load(after, arguments)?);
        let json = || serde_json::to_string_pretty(&changes).unwrap_or_default(); // texts always serialise
        let lines = || changes.iter().map(|change| plain(change)).collect::<Vec<_>>().join("\n");
        let text = if arguments.target.json { json() } else { lines() };
        print(&if text.is_empty() { text } else { format!("{text}\n") });
        return Ok(());
    }
    let specification = load(arguments.component.as_deref().unwrap_or_default(), arguments)?;
    let document = match arguments.openapi {
        true => serde_json::to_string_pretty(&specification.openapi()),
        false => serde_json::to_string_pretty(&specification),
    };
    let document = document.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    print(&format!("{document}\n"));
    Ok(())
}

/// The specification that is named.
fn load(named: &str, arguments: &SpecArguments) -> Result<Specification, Failure> {
    match Source::of(named) {
        Source::File(file) => of_file(file, arguments.config.as_deref()),
        Source::Version(component, number) => {
            let client = Client::of(&arguments.target)?;
            let number = number.to_string();
            read(&client.get(client.tenant_url(&["components", component.as_str(), "versions", &number, "spec"]))?)
        }
    }
}

/// The specification of a component's file with the settings of the elias.toml that `elias deploy` would take, or one
/// that was saved.
fn of_file(file: &Path, config: Option<&Path>) -> Result<Specification, Failure> {
    let bytes = files::read(file)?;
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return Specification::parse(&bytes).map_err(|error| refused(file, &error));
    }
    let project = Project::find(None, Some(file), config)?;
    let config = ConfigFile::read(project.config.as_deref())?;
    let folder = project.config.as_deref().and_then(Path::parent).unwrap_or(&project.root);
    let assets = version_settings::assets(&config)?;
    let beside = files::collect(folder, config.capabilities.get("db"), assets.as_deref())?;
    let mut settings = version_settings::of(config)?;
    for (name, path) in beside {
        settings.files.insert(name, Digest::of(&files::read(&path)?));
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Specification::of(&name, &bytes, &settings).map_err(|error| match error.code() {
        elias_api::Code::Component(_) => {
            Failure::new(CliErrorCode::NotAComponent, format_args!("{}: {error}", file.display()))
        }
        _ => refused(file, &error),
    })
}

fn refused(file: &Path, error: &Error) -> Failure {
    Failure::new(error.code().as_str(), format_args!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_a_platform_is_told_from_a_file() {
        let shop = || "shop".parse::<ComponentName>().expect("a name");
        assert_eq!(Source::of("shop@3"), Source::Version(shop(), 3));
        for file in ["shop.wasm", "shop@x", "Shop@3", "dist/shop@3", "shop@-1", ""] {
            assert_eq!(Source::of(file), Source::File(Path::new(file)), "{file}");
        }
    }

    #[test]
    fn a_saved_specification_is_read_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("writing");
            file
        };
        let code = |file: &Path| of_file(file, None).expect_err("no component").to_string();
        assert!(code(&write("other.json", "{}")).contains("error[bad-input]"));
        assert!(code(&write("text.wasm", "text")).contains("error[not-a-component]"));
        assert!(code(&folder.path().join("none.wasm")).contains("error[io]"));
    }
}
