//! `elias deploy`: from a project, or a component's file, to a version that serves.

use super::canary::CanaryArguments;
use super::stages::{self, StageArguments};
use super::{files, version_settings};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output;
use crate::remote::observe::status;
use clap::Args;
use elias_api::{DeployRequest, Deployment, DeploymentState, UploadedVersion, Version, VersionSettings};
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Program, Target};
use elias_contract::manifest::Manifest;
use elias_contract::{key_file, layout, signature};
use elias_names::{ComponentName, Digest, Environment, NAME_BYTES_MAX};
use elias_project::{ConfigFile, Project, is_source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The arguments of `deploy`.
#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    /// Component, or entry module of a project [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    file: Option<PathBuf>,
    /// Component name [default: the name in its manifest, as a label: @acme/shop becomes shop]
    #[arg(long, value_name = "COMPONENT")]
    name: Option<ComponentName>,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Reason to record in the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Upload the version without serving it
    #[arg(long)]
    no_serve: bool,
    /// Sign the component with the key in this file; repeatable
    #[arg(long, value_name = "KEYFILE", conflicts_with = "signature")]
    sign: Vec<PathBuf>,
    /// File with the component's signature, as `elias build --sign` writes it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Configuration file [default: the project's elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    canary: CanaryArguments,
    #[command(flatten)]
    stage: StageArguments,
    #[command(flatten)]
    target: Target,
}

/// A version before it is uploaded.
struct PackedVersion {
    name: ComponentName,
    wasm: Vec<u8>,
    signature: Option<String>,
    settings: VersionSettings,
    files: BTreeMap<String, PathBuf>,
    /// As what it is put beside what serves, if it is.
    stage: Option<String>,
}

/// Builds if need be, uploads, and serves.
///
/// # Errors
/// Whatever is wrong with the project, and what the platform refuses. What serves has not changed then.
pub(crate) fn deploy(arguments: &DeployArguments) -> Result<(), Failure> {
    // Errors of the command are reported before anything is built.
    let client = Client::of(&arguments.target)?;
    let rollout = arguments.canary.plan()?;
    let packed = pack(arguments)?;
    let (component, stage) = (packed.name.clone(), packed.stage.clone());
    if stage.is_some() {
        stages::state(&client, &component, arguments.environment)?;
    }
    let (response, version) = upload(&client, packed)?;
    let number = version.number;
    if let Some(name) = stage {
        let stage = (number, name.as_str(), &arguments.stage);
        return stages::add_variant(&client, &component, arguments.environment, stage, arguments.target.json);
    }
    if arguments.no_serve {
        let said = format!(
            "{component} {number} is uploaded and serves nothing yet: elias promote {component} --version {number}"
        );
        return output::print_done(arguments.target.json, &response, &said);
    }
    let request = DeployRequest {
        version: Some(number),
        stage: None,
        promote_from: None,
        rollout,
        reason: arguments.reason.clone(),
        revision: None,
    };
    serve(&client, &component, arguments.environment, &request, arguments.target.json)
}

/// Asks for a deployment, and says what serves where.
pub(crate) fn serve(
    client: &Client,
    component: &ComponentName,
    environment: Environment,
    request: &DeployRequest,
    json: bool,
) -> Result<(), Failure> {
    let response = client.post(client.service_url(component, &environment, &["deployments"]), request)?;
    output::print_response(json, &response, || {
        let deployment: Deployment = read(&response)?;
        let status = status::of(client, component, environment)?;
        let at = status.as_ref().map_or_else(String::new, |status| format!(" at {}", plain(status.address())));
        let number = deployment.version;
        let rollout = status.and_then(|status| status.rollout).filter(|_| deployment.state == DeploymentState::Canary);
        let said = match rollout {
            Some(rollout) => {
                let waiting = plain(&rollout.waiting);
                format!("{component} {number} gets {} % of {environment}{at}; waiting: {waiting}\n", rollout.percent)
            }
            None if deployment.state == DeploymentState::Canary => {
                format!("{component} {number} is the canary of {environment}{at}\n")
            }
            None => {
                // A canary needs something to be compared with.
                let all = if request.rollout.is_some() { ", all of it: nothing served there before" } else { "" };
                format!("{component} {number} serves {environment}{at}{all}\n")
            }
        };
        Ok(said + &changed_triggers(&deployment))
    })
}

/// The lines that say what a deployment or a rollback changes in the table `[triggers]`, such as the cron line of a
/// schedule.
pub(super) fn changed_triggers(deployment: &Deployment) -> String {
    deployment.trigger_changes.iter().map(|change| format!("  {}\n", plain(change))).collect()
}

/// Prepares the upload, from the project or the component's file.
fn pack(arguments: &DeployArguments) -> Result<PackedVersion, Failure> {
    let file = arguments.file.as_deref();
    let project = Project::find(None, file, arguments.config.as_deref())?;
    let config = ConfigFile::read(project.config.as_deref())?;
    let wasm = match file.filter(|file| !is_source(file)) {
        Some(component) => files::read(component)?,
        None => build(arguments)?,
    };
    let manifest = layout::read(&wasm).map_err(|error| Failure::new(CliErrorCode::NotAComponent, error))?.manifest;
    let stage = arguments.stage.stage.as_ref().map(|name| stage_name(name.as_deref(), manifest.as_ref()));
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => name_of(manifest, file)?,
    };
    let signature = match &arguments.signature {
        Some(file) => {
            let note = String::from_utf8(files::read(file)?);
            Some(note.map_err(|_| {
                Failure::new(CliErrorCode::BadSignature, format_args!("{} is not a signature", file.display()))
            })?)
        }
        None => sign(&arguments.sign, &wasm)?,
    };
    let folder = project.config.as_deref().and_then(Path::parent).unwrap_or(&project.root);
    let assets = version_settings::assets(&config)?;
    let files = files::collect(folder, config.capabilities.get("db"), assets.as_deref())?;
    Ok(PackedVersion { name, wasm, signature, settings: version_settings::of(config)?, files, stage })
}

/// The name that a stage was given, else that of the component's place in its source.
fn stage_name(given: Option<&str>, manifest: Option<&Manifest>) -> String {
    let number = manifest.and_then(|manifest| manifest.stage).map_or(1, |stage| stage.number);
    given.map_or_else(|| format!("stage{}", number.max(2)), str::to_owned)
}

/// Builds the project: of several implementations the one that the stage's name stands for, else the first.
fn build(arguments: &DeployArguments) -> Result<Vec<u8>, Failure> {
    let wasm = run_build(arguments, None)?;
    let manifest = layout::read(&wasm).map_err(|error| Failure::new(CliErrorCode::NotAComponent, error))?.manifest;
    let Some(stage) = manifest.and_then(|manifest| manifest.stage) else { return Ok(wasm) };
    let wanted = match arguments.stage.stage.as_ref().map(Option::as_deref) {
        Some(Some(name)) => name.strip_prefix("stage").and_then(|number| number.parse().ok()),
        Some(None) if stage.number == 1 && stage.of > 2 => {
            let message = format!("the source has implementations up to stage{}: say which one", stage.of);
            return Err(Failure::new(CliErrorCode::BadInput, message).help("elias deploy --stage stage2"));
        }
        Some(None) if stage.number == 1 => Some(2),
        Some(None) | None => None,
    };
    match wanted.filter(|wanted| *wanted != stage.number && (1..=stage.of).contains(wanted)) {
        Some(wanted) => run_build(arguments, Some(wanted)),
        None => {
            if stage.number == 1 {
                let of = stage.of;
                eprintln!(
                    "note: this is the first implementation; the source has more, up to stage{of}: compare one with it \
                    by --stage stage{of}"
                );
            }
            Ok(wasm)
        }
    }
}

/// Runs `elias-build`, which reports on standard error what is wrong with the source: the component that it makes of
/// the project, or of the implementation with the number `stage`.
fn run_build(arguments: &DeployArguments, stage: Option<u32>) -> Result<Vec<u8>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let output = folder.path().join("component.wasm");
    let mut command = Program::Build.command()?;
    command.args(["build", "--quiet", "--output"]).arg(&output);
    for (flag, path) in [("--config", &arguments.config), ("--cache-dir", &arguments.cache_dir)] {
        command.args(path.iter().flat_map(|path| [OsStr::new(flag), path.as_os_str()]));
    }
    if let Some(stage) = stage {
        command.args(["--stage", &stage.to_string()]);
    }
    command.arg("--").args(&arguments.file);
    match command.status() {
        Ok(status) if status.success() => files::read(&output),
        Ok(_) => Err(Failure::reported()),
        Err(error) => Err(Failure::new(CliErrorCode::Io, format_args!("elias-build cannot be started: {error}"))),
    }
}

fn sign(keys: &[PathBuf], wasm: &[u8]) -> Result<Option<String>, Failure> {
    if keys.is_empty() {
        return Ok(None);
    }
    let keys = keys.iter().map(|file| key_file::read(file)).collect::<Result<Vec<_>, _>>()?;
    let signed = signature::sign(&keys, wasm);
    signed
        .map(Some)
        .map_err(|error| Failure::new(CliErrorCode::BadKey, format_args!("the component cannot be signed: {error}")))
}

/// Stores the bytes that the platform has not yet, and makes a version of them.
fn upload(client: &Client, packed: PackedVersion) -> Result<(Value, Version), Failure> {
    let PackedVersion { name, wasm, signature, mut settings, files, stage: _ } = packed;
    let digest = Digest::of(&wasm);
    client.upload(&digest, wasm.into())?;
    settings.files = files::upload(client, &files)?;
    let uploaded = UploadedVersion { digest, settings, signature };
    let response = client.post(client.tenant_url(&["components", name.as_str(), "versions"]), &uploaded)?;
    let version = read(&response)?;
    Ok((response, version))
}

/// The component's name by its manifest, or its file's if other tools made it.
fn name_of(manifest: Option<Manifest>, file: Option<&Path>) -> Result<ComponentName, Failure> {
    let of_file = || Some(file?.file_stem()?.to_string_lossy().into_owned());
    let name = manifest.map(|manifest| manifest.name).or_else(of_file).unwrap_or_default();
    label(&name).ok_or_else(|| {
        let message = format!("`{}` cannot be made a name on the platform", plain(&name));
        Failure::new(CliErrorCode::BadName, message)
            .help("name the component with --name: letters a to z, digits and hyphens")
    })
}

/// A package's name as a label: without its scope, and with hyphens for all that no label can have.
fn label(name: &str) -> Option<ComponentName> {
    let last = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let words = last.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = words.collect::<Vec<_>>().join("-");
    label.truncate(NAME_BYTES_MAX);
    label.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_name_becomes_a_label() {
        let cut = "a".repeat(NAME_BYTES_MAX - 1);
        let long = format!("{cut}-b");
        for (name, wanted) in [
            ("shop", "shop"),
            ("@acme/shop", "shop"),
            ("@acme/Shop.Front_end", "shop-front-end"),
            ("--a--b--", "a-b"),
            ("café 2", "caf-2"),
            (long.as_str(), cut.as_str()),
        ] {
            assert_eq!(label(name).expect(name).as_str(), wanted);
        }
        for name in ["", "/", "@acme/", "日本", "---"] {
            assert!(label(name).is_none(), "{name}");
        }
    }
}
