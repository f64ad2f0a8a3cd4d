//! `elias check`: whether a project would build and be loaded, and what TypeScript says of it.

use crate::failure::{Failure, failed};
use crate::trial::Trial;
use crate::{config_file, origin, types};
use clap::Args;
use elias_build::command::cache_dir;
use elias_build::project::Project;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What `check` is told.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Entry module [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    entry: Option<PathBuf>,
    /// Configuration file [default: the project's elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Checks, and tells on standard error. Exit code 0 if nothing is wrong.
///
/// # Errors
/// If there is no project, or its configuration is wrong.
pub(crate) fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let entry = arguments.entry.as_deref();
    let project = Project::find(None, entry, arguments.config.as_deref()).map_err(|error| failed(&error))?;
    let entry = project.entry(entry).map_err(|error| failed(&error))?;
    types::write(&project).map_err(|error| Failure::new("io", error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("io", error))?;
    let loaded = runtime.block_on(load(&project, entry, arguments.cache_dir.as_deref()));
    let mut good = loaded.map_err(|failure| failure.report()).is_ok();
    good &= compiler(&project.root)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the component, and tries to load it.
async fn load(project: &Project, entry: PathBuf, cache: Option<&Path>) -> Result<(), Failure> {
    let settings = config_file::read(project.config.as_deref())?;
    settings.service.check()?;
    let cache = cache_dir(cache);
    let built = origin::build(project, entry, cache.clone(), None).await?;
    let trial = Trial::load(project, &settings, cache.as_deref(), &built.wasm).await?;
    let app = &trial.app;
    let imports = app.manifest().map(|manifest| manifest.imports.join(", ")).unwrap_or_default();
    eprintln!("{} {} builds: {:.2} MB, imports {imports}", app.name(), app.version(), built.wasm.len() as f64 / 1e6);
    Ok(())
}

/// Runs the TypeScript compiler of the project, if it has one and a tsconfig.json; says whether it is content.
fn compiler(root: &Path) -> Result<bool, Failure> {
    if !root.join("tsconfig.json").is_file() {
        return Ok(true);
    }
    let Some(compiler) = root.ancestors().map(|at| at.join("node_modules/.bin/tsc")).find(|tsc| tsc.is_file()) else {
        eprintln!("types are not checked: the project has no TypeScript (npm install --save-dev typescript)");
        return Ok(true);
    };
    let status = Command::new(&compiler).args(["--noEmit", "--project", "tsconfig.json"]).current_dir(root).status();
    let status =
        status.map_err(|error| Failure::new("io", format_args!("cannot run {}: {error}", compiler.display())))?;
    if status.success() {
        eprintln!("types are right");
    }
    Ok(status.success())
}
