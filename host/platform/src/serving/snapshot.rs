//! Snapshots of what each service serves, one file per service: a host starts and rolls back from these while the store
//! is unavailable.

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use elias_api::{Actor, Code, Deployment, Error, Result};
use elias_atomic_write::{Access, Fsync};
use elias_names::ServiceId;
use elias_store::{ReleaseTarget, ServiceTarget};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::sync::Arc;

/// Releases that are remembered for going back to.
const HISTORY: usize = 5;

/// The target of a service, and its former releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceSnapshot {
    /// The target that it serves.
    pub(crate) target: ServiceTarget,
    /// The releases that it served before, the latest first.
    pub(crate) history: Vec<ReleaseTarget>,
    /// Whether a rollback was made that the store has not been told of.
    pub(crate) pending: bool,
    /// The rollbacks of which it has not been told, the first one first: each was acknowledged to somebody.
    #[serde(default)]
    pub(crate) acts: Vec<PendingAct>,
}

/// A rollback that was made while the store was away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingAct {
    /// The deployment that its client was told of.
    pub(crate) deployment: Deployment,
    /// The actor who made it.
    pub(crate) actor: Actor,
}

impl ServiceSnapshot {
    /// The snapshot once the service serves `target`.
    pub(crate) fn with_target(&self, target: ServiceTarget) -> Self {
        let mut history = self.history.clone();
        if target.release.version != self.target.release.version {
            history.retain(|release| release.version != target.release.version);
            history.retain(|release| release.version != self.target.release.version);
            history.insert(0, self.target.release.clone());
            history.truncate(HISTORY);
        }
        Self { target, history, pending: false, acts: Vec::new() }
    }

    /// The snapshot of a service that served nothing before.
    pub(crate) fn new(target: ServiceTarget) -> Self {
        Self { target, history: Vec::new(), pending: false, acts: Vec::new() }
    }
}

/// The folder with the files of the snapshots.
pub(crate) struct SnapshotStore {
    folder: Arc<Dir>,
}

impl SnapshotStore {
    pub(crate) fn open(folder: Dir) -> Self {
        Self { folder: Arc::new(folder) }
    }

    /// All snapshots. A file that cannot be read is skipped and logged: a killed process may have left it half written,
    /// or a later version wrote it.
    pub(crate) fn all(&self) -> Result<Vec<ServiceSnapshot>> {
        let mut all = Vec::new();
        for tenant in self.folder.entries()? {
            let tenant = tenant?;
            if !tenant.file_type()?.is_dir() {
                continue;
            }
            for file in tenant.open_dir()?.entries()? {
                let file = file?;
                let name = file.file_name();
                if !name.to_string_lossy().ends_with(".json") {
                    continue;
                }
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut file.open()?, &mut text)?;
                match serde_json::from_slice(&text) {
                    Ok(snapshot) => all.push(snapshot),
                    Err(error) => tracing::error!(file = ?name, %error, "the saved state of a service cannot be read"),
                }
            }
        }
        Ok(all)
    }

    /// Saves a service's snapshot. The file is replaced atomically.
    pub(crate) async fn save(&self, snapshot: &ServiceSnapshot) -> Result<()> {
        let text = serde_json::to_vec(snapshot).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let (folder, tenant, name) =
            (Arc::clone(&self.folder), snapshot.target.id.tenant.to_string(), file_name(&snapshot.target.id));
        blocking(move || {
            folder.create_dir_with(&tenant, DirBuilder::new().recursive(true).mode(0o700))?;
            // A rollback that the store has not been told of is nowhere else, and was acknowledged.
            let folder = folder.open_dir(&tenant)?;
            elias_atomic_write::write(&folder, &name, &text, Access::OwnerOnly, Fsync::FileAndFolder)
        })
        .await
    }

    /// Removes a service's snapshot.
    pub(crate) async fn remove(&self, id: &ServiceId) -> Result<()> {
        let (folder, path) = (Arc::clone(&self.folder), format!("{}/{}", id.tenant, file_name(id)));
        blocking(move || match folder.remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }
}

fn file_name(id: &ServiceId) -> String {
    format!("{}.{}.json", id.component, id.environment)
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(panic) => Err(Error::new(Code::Internal, format!("writing what a service serves: {panic}"))),
    }
}
