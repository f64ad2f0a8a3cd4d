//! Files that a worker serves itself, by its methods `onWalk`, `onRead` and `onWrite`. Each call is a turn.

use super::Visit;
use super::errors::refused;
use super::tree::WorkerPath;
use elias_nine_p::{Errno, FileError, FileResult, OpenFile, OpenMode};
use elias_platform::WorkerFile;
use elias_platform::access::Permission;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Bytes of a path within what a worker serves.
const PATH_BYTES_MAX: usize = 4_096;

/// A path within what a worker serves.
#[derive(Clone)]
pub(super) struct SubtreePath {
    pub(super) worker: WorkerPath,
    /// None for the root.
    pub(super) names: Vec<String>,
}

impl SubtreePath {
    pub(super) fn root(worker: WorkerPath) -> Self {
        Self { worker, names: Vec::new() }
    }

    /// The path of an entry.
    ///
    /// # Errors
    /// `ENOENT` for an empty name, `ENAMETOOLONG` for a path that is too long.
    pub(super) fn child(&self, name: String) -> FileResult<Self> {
        if name.is_empty() {
            return Err(FileError::not_found());
        }
        let bytes = self.names.iter().map(|name| name.len() + 1).sum::<usize>() + name.len();
        if bytes > PATH_BYTES_MAX {
            return Err(FileError::new(Errno::NameTooLong, format!("a path has at most {PATH_BYTES_MAX} bytes")));
        }
        let names = self.names.iter().cloned().chain([name]).collect();
        Ok(Self { worker: self.worker.clone(), names })
    }

    /// What the worker says of the file.
    pub(super) async fn walk(&self, visit: &Visit) -> FileResult<WorkerFile> {
        let WorkerPath { service, key } = &self.worker;
        visit.confirm(Permission::CallWorkers, service).await?;
        visit.platform.walk_worker_file(&visit.session, service, key, &self.names).await.map_err(refused)
    }
}

/// A worker's file that is open.
pub(super) struct SubtreeFile {
    visit: Arc<Visit>,
    path: SubtreePath,
}

impl SubtreeFile {
    pub(super) async fn open(
        visit: Arc<Visit>,
        path: SubtreePath,
        file: &WorkerFile,
        mode: OpenMode,
    ) -> FileResult<Self> {
        if (mode.write || mode.truncate) && !file.writable {
            return Err(FileError::new(Errno::AccessDenied, "the file is read only"));
        }
        visit.confirm(Permission::CallWorkers, &path.worker.service).await?;
        let open = Self { visit, path };
        if mode.truncate {
            open.put(&[], 0, true).await?;
        }
        Ok(open)
    }

    async fn put(&self, bytes: &[u8], offset: u64, truncate: bool) -> FileResult<u32> {
        let (visit, WorkerPath { service, key }) = (&self.visit, &self.path.worker);
        visit.confirm(Permission::CallWorkers, service).await?;
        let content = (bytes, offset, truncate);
        let taken = visit.platform.write_worker_file(&visit.session, service, key, &self.path.names, content).await;
        // At most as many as there were, which is within a message of the protocol.
        taken.map(|taken| u32::try_from(taken).unwrap_or(u32::MAX)).map_err(refused)
    }

    async fn part(&self, offset: u64, count: u32) -> FileResult<Vec<u8>> {
        let (visit, WorkerPath { service, key }) = (&self.visit, &self.path.worker);
        visit.confirm(Permission::CallWorkers, service).await?;
        let part = (offset, count);
        visit.platform.read_worker_file(&visit.session, service, key, &self.path.names, part).await.map_err(refused)
    }
}

impl OpenFile for SubtreeFile {
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
        self.part(offset, count).boxed()
    }

    fn write(&self, offset: u64, data: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
        async move { self.put(&data, offset, false).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, FileResult<()>> {
        std::future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::{Environment, ServiceId, TenantId};
    use elias_workers::WorkerKey;

    #[test]
    fn a_path_has_a_bound() {
        let component = "shop".parse().expect("a name");
        let service = ServiceId { tenant: TenantId::system(), component, environment: Environment::Production };
        let root = SubtreePath::root(WorkerPath { service, key: WorkerKey::new("Files", "ada") });
        let path = root.child("a".repeat(PATH_BYTES_MAX - 2)).expect("within");
        assert_eq!(path.child("b".to_owned()).expect("just within").names.len(), 2);
        assert_eq!(path.child("bc".to_owned()).err().expect("beyond").errno, Errno::NameTooLong);
        assert_eq!(root.child(String::new()).err().expect("no name").errno, Errno::NotFound);
    }
}
