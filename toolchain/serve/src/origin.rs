//! Where the served component comes from.

use crate::builder::{Builder, BuiltComponent};
use crate::failure;
use elias_build::BuildOptions;
use elias_command_line::{CliErrorCode, Failure};
use elias_host::{App, Host, LoadOptions};
use elias_project::{Project, is_source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the component comes from.
pub(crate) enum Origin {
    /// A component's file.
    Component(PathBuf),
    /// A source file, which is built.
    Source { entry: PathBuf, config: PathBuf, builder: Box<Builder> },
}

impl Origin {
    /// The kind of `file`, by its ending. A source is built as `config` says, if that is there.
    pub(crate) fn of(file: &Path, config: &Path, cache: Option<PathBuf>) -> Result<Self, Failure> {
        let source = is_source(file);
        let file = std::path::absolute(file).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
        if !source {
            return Ok(Self::Component(file));
        }
        Ok(Self::Source { entry: file, config: config.to_owned(), builder: Box::new(Builder::new(cache)) })
    }

    /// The file that was named.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::Component(file) => file,
            Self::Source { entry, .. } => entry,
        }
    }

    /// Builds if need be, and loads; with the files whose change makes that stale.
    pub(crate) async fn load(&self, host: &Host, given: &LoadOptions) -> Result<(App, BTreeSet<PathBuf>), Failure> {
        match self {
            Self::Component(file) => {
                let app = host.load_file_with(file, given).await.map_err(failure::of_host)?;
                Ok((app, BTreeSet::from([file.clone()])))
            }
            Self::Source { entry, config, builder } => {
                let built = builder.build(&options(entry, config)?).await?;
                for warning in &built.warnings {
                    tracing::warn!(code = warning.code.as_str(), place = warning.place.as_str(), "{}", warning.message);
                }
                let app = host.load_bytes(built.wasm.into(), given).await.map_err(failure::of_host)?;
                Ok((app, built.watch.into_iter().collect()))
            }
        }
    }
}

/// Builds a project once, and shows its warnings on standard error.
pub(crate) async fn build(
    project: &Project,
    entry: PathBuf,
    cache: Option<PathBuf>,
) -> Result<BuiltComponent, Failure> {
    let options = BuildOptions::of_project(project, entry).map_err(failure::of_build)?;
    let built = Builder::new(cache).build(&options).await?;
    for warning in &built.warnings {
        eprint!("{}", warning.report);
    }
    Ok(built)
}

/// The configuration is read anew for each build, since it may have changed.
fn options(entry: &Path, config: &Path) -> Result<BuildOptions, Failure> {
    let config = config.is_file().then_some(config);
    let project = Project::find(None, Some(entry), config).map_err(failure::of_build)?;
    BuildOptions::of_project(&project, entry).map_err(failure::of_build)
}
