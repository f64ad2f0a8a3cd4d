//! A watcher of files, by which `elias dev` rebuilds.

use elias_command_line::{CliErrorCode, Failure};
use notify::event::{Event, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Editors write a file in several steps; what follows within this time belongs to the same save.
const SETTLE: Duration = Duration::from_millis(5);

/// Follows a set of files that grows and shrinks.
pub(crate) struct FileChanges {
    watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<()>,
    files: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Their folders, which are watched: a watch on a file ends when an editor replaces it.
    folders: BTreeSet<PathBuf>,
}

impl FileChanges {
    /// Follows nothing yet.
    pub(crate) fn new() -> Result<Self, Failure> {
        let (changed, changes) = mpsc::unbounded_channel();
        let files = Arc::new(Mutex::new(BTreeSet::new()));
        let known = Arc::clone(&files);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| matters(&event, &known.lock())) {
                let _ = changed.send(()); // nobody listens any more: the program is ending
            }
        });
        let watcher = watcher.map_err(|error| unwatchable(&error))?;
        Ok(Self { watcher, changes, files, folders: BTreeSet::new() })
    }

    /// Follows these files, given by absolute paths, and no others; says whether there are folders that it did not
    /// watch before.
    pub(crate) fn follow(&mut self, files: BTreeSet<PathBuf>) -> Result<bool, Failure> {
        let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
        *self.files.lock() = files;
        let mut new = false;
        for folder in folders {
            if !self.folders.contains(&folder) {
                self.watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(|error| unwatchable(&error))?;
                self.folders.insert(folder);
                new = true;
            }
        }
        Ok(new)
    }

    /// Waits for the next change, and for its end.
    pub(crate) async fn next(&mut self) -> Option<()> {
        self.changes.recv().await?;
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.changes.recv()).await {}
        Some(())
    }
}

fn unwatchable(error: &notify::Error) -> Failure {
    Failure::new(CliErrorCode::Io, format_args!("changes cannot be followed: {error}"))
}

/// Whether an event can change the outcome: it is about a file that went in, or a file came or went, which can change
/// what an import means. What editors leave behind cannot.
fn matters(event: &Event, files: &BTreeSet<PathBuf>) -> bool {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let litter = |name: &str| name.starts_with('.') || name.ends_with('~') || name.ends_with(".swp");
    let known = || event.paths.iter().any(|path| files.contains(path));
    match event.kind {
        EventKind::Modify(_) => known(),
        EventKind::Create(_) | EventKind::Remove(_) => known() || event.paths.iter().any(|path| !litter(&name(path))),
        _ => false,
    }
}
