//! `elias check`: whether a project would build and be loaded, and what TypeScript says of it.

use crate::settings::Settings;
use crate::trial::TrialComponent;
use crate::{failure, origin, service_tables, types};
use elias_build::command::cache_dir;
use elias_command_line::{CheckArguments, CliErrorCode, Failure};
use elias_project::{ConfigFile, Project};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Checks, and tells on standard error. Exit code 0 if nothing is wrong.
///
/// # Errors
/// If there is no project, or its configuration is wrong.
pub(crate) fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let entry = arguments.entry.as_deref();
    let project = Project::find(None, entry, arguments.config.as_deref()).map_err(failure::of_build)?;
    let entry = project.entry(entry).map_err(failure::of_build)?;
    types::write(&project).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let loaded = runtime.block_on(load(&project, entry, arguments.cache_dir.as_deref()));
    let mut good = loaded.map_err(|failure| failure::report(&failure)).is_ok();
    good &= compiler(&project.root)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the component, and tries to load it.
async fn load(project: &Project, entry: PathBuf, cache: Option<&Path>) -> Result<(), Failure> {
    let config = ConfigFile::read(project.config.as_deref())?;
    service_tables::check(&config)?;
    let settings = Settings::of(config.clone());
    let cache = cache_dir(cache);
    let built = origin::build(project, entry, cache.clone()).await?;
    let trial = TrialComponent::load(project, &settings, cache.as_deref(), &built.wasm, |host| host).await?;
    let app = &trial.app;
    if let Some(manifest) = app.manifest() {
        service_tables::check_handlers(&config, &manifest.handlers, &manifest.workers)?;
        service_tables::check_classes(&config, &manifest.workers)?;
    }
    let imports = app.manifest().map(|manifest| manifest.imports.join(", ")).unwrap_or_default();
    eprintln!("{} {} builds: {:.2} MB, imports {imports}", app.name(), app.version(), built.wasm.len() as f64 / 1e6);
    Ok(())
}

/// Runs the TypeScript compiler of the project, if it has one and a tsconfig.json; says whether it is content.
fn compiler(root: &Path) -> Result<bool, Failure> {
    if !root.join("tsconfig.json").is_file() {
        return Ok(true);
    }
    let Some(compiler) = types::compiler(root) else {
        eprintln!("types are not checked: the project has no TypeScript (npm install --save-dev typescript)");
        return Ok(true);
    };
    let status = Command::new(&compiler).args(["--noEmit", "--project", "tsconfig.json"]).current_dir(root).status();
    let status = status
        .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("cannot run {}: {error}", compiler.display())))?;
    if status.success() {
        eprintln!("types are right");
    }
    Ok(status.success())
}
