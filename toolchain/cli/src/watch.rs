//! Where the served component comes from, and following its changes.

use crate::failure::Failure;
use elias_build::command::project_of;
use elias_build::{BuildOptions, Builder};
use elias_host::engine::CompiledCache;
use elias_host::{App, Host};
use elias_server::AppSource;
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Editors write a file in several steps; what follows within this time belongs to the same save.
const SETTLE: Duration = Duration::from_millis(5);

/// Where the component comes from.
pub(crate) enum Origin {
    /// A component's file.
    Component(PathBuf),
    /// A source file, built here.
    Source { options: BuildOptions, builder: Box<Builder> },
}

impl Origin {
    /// What `file` is, by its ending.
    pub(crate) fn of(file: &Path, cache: Option<PathBuf>) -> Result<Self, Failure> {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !matches!(ending, "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx") {
            return Ok(Self::Component(file.to_owned()));
        }
        let cache = cache.map(|dir| CompiledCache::open(&dir)).transpose();
        let cache = cache.map_err(|error| Failure::new("cache-unwritable", error))?;
        let builder = Builder::new(cache.as_ref()).map_err(|error| Failure::new(error.name(), error))?;
        let entry = std::path::absolute(file).map_err(|error| Failure::new("io", error))?;
        let options = BuildOptions::new(entry, project_of(file));
        Ok(Self::Source { options, builder: Box::new(builder) })
    }

    pub(crate) fn is_source(&self) -> bool {
        matches!(self, Self::Source { .. })
    }

    /// Builds if need be, and loads; with the files whose change makes that stale.
    pub(crate) async fn load(&self, host: &Host) -> Result<(App, BTreeSet<PathBuf>), Failure> {
        match self {
            Self::Component(file) => Ok((host.load_file(file).await?, BTreeSet::from([file.clone()]))),
            Self::Source { options, builder } => {
                let built = builder.build(options).await.map_err(|error| {
                    Failure::new(error.name(), error.render(std::io::stderr().is_terminal()).trim_start())
                })?;
                for warning in &built.warnings {
                    tracing::warn!("{}", warning.details());
                }
                Ok((host.load(&built.wasm).await?, built.watch.into_iter().collect()))
            }
        }
    }

    /// The folders whose files are watched.
    fn folders(&self) -> (PathBuf, RecursiveMode) {
        match self {
            Self::Component(file) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                (folder.to_owned(), RecursiveMode::NonRecursive)
            }
            Self::Source { options, .. } => (options.project.clone(), RecursiveMode::Recursive),
        }
    }
}

/// Loads again at every change, and exchanges what is served once that went well; until then the last good one serves.
pub(crate) fn follow(origin: Origin, host: Host, source: AppSource) -> Result<(), Failure> {
    let (changed, mut changes) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && (event.kind.is_modify() || event.kind.is_create() || event.kind.is_remove())
            && event.paths.iter().any(|path| matters(path))
        {
            let _ = changed.send(()); // nobody listens any more: the server is ending
        }
    });
    let fail = |error: notify::Error| Failure::new("io", format_args!("changes cannot be followed: {error}"));
    let mut watcher = watcher.map_err(fail)?;
    let (folder, mode) = origin.folders();
    watcher.watch(&folder, mode).map_err(fail)?;
    tokio::spawn(async move {
        let _watcher = watcher; // it watches as long as it lives
        while changes.recv().await.is_some() {
            while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.recv()).await {}
            let started = Instant::now();
            match origin.load(&host).await {
                Ok((app, _)) => {
                    let milliseconds = started.elapsed().as_millis() as u64;
                    tracing::info!(
                        component = app.name(),
                        digest = app.digest(),
                        milliseconds,
                        "serving the new version"
                    );
                    source.swap(app);
                }
                Err(failure) => {
                    failure.report();
                    tracing::warn!("the last good version goes on serving");
                }
            }
        }
    });
    Ok(())
}

/// Whether a change of this file can matter: hidden folders and what editors leave behind cannot.
fn matters(path: &Path) -> bool {
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.') && name != "." && name != "..";
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !hidden(path.file_name().unwrap_or_default()) && !name.ends_with('~') && !name.ends_with(".swp")
}
