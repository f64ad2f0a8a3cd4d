//! Where the served component comes from.

use crate::failure::Failure;
use elias_build::command::project_of;
use elias_build::{BuildOptions, Builder, config};
use elias_host::engine::CompiledCache;
use elias_host::{App, Host, LoadOptions};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Where the component comes from.
pub(crate) enum Origin {
    /// A component's file.
    Component(PathBuf),
    /// A source file, built here.
    Source { options: BuildOptions, builder: Box<Builder> },
}

impl Origin {
    /// What `file` is, by its ending. A source is built as `config`, or else the project's elias.toml, says.
    pub(crate) fn of(file: &Path, config: Option<&Path>, cache: Option<PathBuf>) -> Result<Self, Failure> {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let file = std::path::absolute(file).map_err(|error| Failure::new("io", error))?;
        if !matches!(ending, "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx") {
            return Ok(Self::Component(file));
        }
        let cache = cache.map(|dir| CompiledCache::open(&dir)).transpose();
        let cache = cache.map_err(|error| Failure::new("cache-unwritable", error))?;
        let builder = Builder::new(cache.as_ref()).map_err(|error| Failure::new(error.name(), error))?;
        let project = project_of(&file);
        let eval = config::read(config, &project)
            .map_err(|error| Failure::new(error.name(), error.render(std::io::stderr().is_terminal()).trim_start()))?
            .eval;
        Ok(Self::Source {
            options: BuildOptions { eval, ..BuildOptions::new(file, project) },
            builder: Box::new(builder),
        })
    }

    pub(crate) fn is_source(&self) -> bool {
        matches!(self, Self::Source { .. })
    }

    /// The file that was named.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::Component(file) => file,
            Self::Source { options, .. } => &options.entry,
        }
    }

    /// Builds if need be, and loads; with the files whose change makes that stale.
    pub(crate) async fn load(&self, host: &Host, given: &LoadOptions) -> Result<(App, BTreeSet<PathBuf>), Failure> {
        match self {
            Self::Component(file) => Ok((host.load_file_with(file, given).await?, BTreeSet::from([file.clone()]))),
            Self::Source { options, builder } => {
                let built = builder.build(options).await.map_err(|error| {
                    Failure::new(error.name(), error.render(std::io::stderr().is_terminal()).trim_start())
                        .plain(error.render(false).trim_start())
                })?;
                for warning in &built.warnings {
                    tracing::warn!("{}", warning.details());
                }
                Ok((host.load_with(&built.wasm, given).await?, built.watch.into_iter().collect()))
            }
        }
    }
}
