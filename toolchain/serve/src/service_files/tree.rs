//! The directories, and which file is which.

use super::errors::refused;
use super::mailbox::Mailbox;
use super::streams::{EventStream, LogStream};
use super::subtree::{SubtreeFile, SubtreePath};
use super::texts::{Control, Snapshot};
use super::{Visit, names};
use elias_api::{WorkerFilter, WorkerStatus};
use elias_names::ServiceId;
use elias_nine_p::{DirectoryEntry, Errno, FileError, FileResult, Metadata, NewFile, Node, NodeId, OpenFile, OpenMode};
use elias_platform::access::Permission;
use elias_platform::{WorkerFile, WorkerFileEntry, WorkerFileKind};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// The directory in which the services are.
const SERVICES: &str = "services";

/// The directory of the files that a worker serves itself.
const FILES: &str = "files";

/// A file of every worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerFileName {
    /// Commands.
    Control,
    /// Events, as they come.
    Events,
    /// Log lines, as they come.
    Log,
    /// A message, and its answer.
    Mailbox,
    /// The state, as JSON.
    State,
    /// What it does, as JSON.
    Status,
}

impl WorkerFileName {
    /// All of them, by name.
    const ALL: [(&'static str, Self); 6] = [
        ("ctl", Self::Control),
        ("events", Self::Events),
        ("log", Self::Log),
        ("mailbox", Self::Mailbox),
        ("state", Self::State),
        ("status", Self::Status),
    ];

    fn is_written(self) -> bool {
        matches!(self, Self::Control | Self::Mailbox)
    }
}

/// A service worker, wherever its service is.
#[derive(Clone)]
pub(super) struct WorkerPath {
    pub(super) service: ServiceId,
    pub(super) key: WorkerKey,
}

/// Where a file is.
#[derive(Clone)]
pub(super) enum Location {
    Root,
    Services,
    Service(ServiceId),
    Class(ServiceId, String),
    Worker(WorkerPath),
    WorkerFile(WorkerPath, WorkerFileName),
    /// A file that the worker serves itself, and what it said of it.
    Subtree(SubtreePath, WorkerFile),
}

/// A file or a directory, as somebody who has attached sees it.
pub(super) struct TreeNode {
    visit: Arc<Visit>,
    location: Location,
}

impl TreeNode {
    pub(super) fn new(visit: Arc<Visit>, location: Location) -> Self {
        Self { visit, location }
    }

    fn at(&self, location: Location) -> Self {
        Self { visit: Arc::clone(&self.visit), location }
    }

    fn facts(&self) -> Metadata {
        let (is_directory, permissions, length, modified) = match &self.location {
            Location::WorkerFile(_, name) => (false, if name.is_written() { 0o666 } else { 0o444 }, 0, 0),
            Location::Subtree(_, file) => {
                let is_directory = file.kind == WorkerFileKind::Directory;
                let readable = if is_directory { 0o555 } else { 0o444 };
                let writable = if file.writable { 0o222 } else { 0 };
                (is_directory, readable | writable, if is_directory { 0 } else { file.size }, file.modified / 1_000)
            }
            _ => (true, 0o555, 0, 0),
        };
        let id = NodeId { is_directory, path: self.visit.number(&self.location.path()) };
        Metadata { id, permissions, length, modified }
    }

    async fn facts_now(&self) -> FileResult<Metadata> {
        // The root of what a worker serves is known without asking it, or `ls` of a worker would start it.
        match &self.location {
            Location::Subtree(path, _) if !path.names.is_empty() => {
                let file = path.walk(&self.visit).await?;
                Ok(self.at(Location::Subtree(path.clone(), file)).facts())
            }
            Location::WorkerFile(worker, _) => {
                self.visit.confirm(Permission::Read, &worker.service).await?;
                Ok(self.facts())
            }
            _ => Ok(self.facts()),
        }
    }

    async fn child(&self, name: &str) -> FileResult<Self> {
        let visit = &self.visit;
        let location = match &self.location {
            Location::Root if name == SERVICES => Location::Services,
            Location::Services => {
                let service = names::to_service(&visit.tenant, name)?;
                visit.confirm(Permission::Read, &service).await?;
                if !visit.platform.is_served(&visit.session, &service).map_err(refused)? {
                    return Err(FileError::not_found());
                }
                Location::Service(service)
            }
            Location::Service(service) => {
                let class = names::decode(name)?;
                check(&WorkerKey::new(class.clone(), "x"))?;
                Location::Class(service.clone(), class)
            }
            Location::Class(service, class) => {
                let key = WorkerKey::new(class.clone(), names::decode(name)?);
                check(&key)?;
                Location::Worker(WorkerPath { service: service.clone(), key })
            }
            Location::Worker(worker) if name == FILES => {
                Location::Subtree(SubtreePath::root(worker.clone()), root_of_files())
            }
            Location::Worker(worker) => {
                let found = WorkerFileName::ALL.iter().find(|(known, _)| *known == name);
                let (_, file) = found.ok_or_else(FileError::not_found)?;
                Location::WorkerFile(worker.clone(), *file)
            }
            Location::Subtree(path, _) => {
                let path = path.child(names::decode(name)?)?;
                // A client may have many directories: what is in them is asked for when they are listed.
                let file = WorkerFile { entries: Vec::new(), ..path.walk(visit).await? };
                Location::Subtree(path, file)
            }
            Location::Root | Location::WorkerFile(..) => return Err(FileError::not_found()),
        };
        Ok(self.at(location))
    }

    async fn entries(&self, after: Option<&str>, limit: usize) -> FileResult<Vec<DirectoryEntry>> {
        let visit = &self.visit;
        match &self.location {
            Location::Root => Ok(page(vec![self.entry(SERVICES.to_owned(), Location::Services)], after, limit)),
            Location::Services => {
                visit.confirm_tenant().await?;
                let services = visit.platform.served_services(&visit.session, &visit.tenant).map_err(refused)?;
                let entry = |service: ServiceId| self.entry(names::of_service(&service), Location::Service(service));
                Ok(page(services.into_iter().map(entry).collect(), after, limit))
            }
            Location::Service(service) => self.classes(service, after, limit).await,
            Location::Class(service, class) => self.workers(service, class, after, limit).await,
            Location::Worker(worker) => {
                let files = WorkerFileName::ALL
                    .iter()
                    .map(|(name, file)| self.entry((*name).to_owned(), Location::WorkerFile(worker.clone(), *file)));
                let served = Location::Subtree(SubtreePath::root(worker.clone()), root_of_files());
                let all = files.chain([self.entry(FILES.to_owned(), served)]).collect();
                Ok(page(all, after, limit))
            }
            Location::Subtree(path, _) => {
                let file = path.walk(visit).await?;
                if file.kind != WorkerFileKind::Directory {
                    return Err(FileError::new(Errno::NotADirectory, "not a directory"));
                }
                // A name that is empty or too long is none that could be walked to.
                let entry = |(name, file): (String, WorkerFile)| {
                    let encoded = names::encode(&name);
                    path.child(name).ok().map(|path| self.entry(encoded, Location::Subtree(path, file)))
                };
                let entries = file.entries.into_iter().map(WorkerFileEntry::split).filter_map(entry);
                Ok(page(entries.collect(), after, limit))
            }
            Location::WorkerFile(..) => Err(FileError::new(Errno::NotADirectory, "not a directory")),
        }
    }

    /// The classes of which a service has workers: one worker of each is looked up.
    async fn classes(&self, service: &ServiceId, after: Option<&str>, limit: usize) -> FileResult<Vec<DirectoryEntry>> {
        let visit = &self.visit;
        visit.confirm(Permission::Read, service).await?;
        let mut last = after.map(names::decode).transpose()?;
        let mut found = Vec::new();
        while found.len() < limit {
            // Behind all workers of the class: no name is greater.
            let behind = last.as_ref().map(|class| WorkerKey::new(class.clone(), last_name()));
            let all = WorkerFilter::default();
            let next = visit.platform.list_workers(&visit.session, service, &all, behind, 1).await.map_err(refused)?;
            let Some(worker) = next.into_iter().next() else { break };
            let location = Location::Class(service.clone(), worker.class.clone());
            found.push(self.entry(names::encode(&worker.class), location));
            last = Some(worker.class);
        }
        Ok(found)
    }

    /// The workers of a class.
    async fn workers(
        &self,
        service: &ServiceId,
        class: &str,
        after: Option<&str>,
        limit: usize,
    ) -> FileResult<Vec<DirectoryEntry>> {
        let visit = &self.visit;
        visit.confirm(Permission::Read, service).await?;
        let after = after.map(names::decode).transpose()?.unwrap_or_default();
        let behind = Some(WorkerKey::new(class, after));
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let of_class = WorkerFilter { class: Some(class.to_owned()), ..WorkerFilter::default() };
        let found = visit.platform.list_workers(&visit.session, service, &of_class, behind, limit).await;
        let found = found.map_err(refused)?;
        let entry = |worker: WorkerStatus| {
            let modified = worker.updated_at.and_then(|ms| u64::try_from(ms / 1_000).ok()).unwrap_or_default();
            let name = names::encode(&worker.name);
            let key = WorkerKey::new(worker.class, worker.name);
            let mut entry = self.entry(name, Location::Worker(WorkerPath { service: service.clone(), key }));
            entry.metadata.modified = modified;
            entry
        };
        Ok(found.into_iter().map(entry).collect())
    }

    fn entry(&self, name: String, location: Location) -> DirectoryEntry {
        DirectoryEntry { name, metadata: self.at(location).facts() }
    }

    async fn open(&self, mode: OpenMode) -> FileResult<Box<dyn OpenFile>> {
        let visit = Arc::clone(&self.visit);
        match &self.location {
            Location::WorkerFile(_, name) if mode.write && !name.is_written() => {
                Err(FileError::new(Errno::AccessDenied, "the file is read only"))
            }
            Location::WorkerFile(worker, name) => {
                let worker = worker.clone();
                let file: Box<dyn OpenFile> = match name {
                    WorkerFileName::Control => Box::new(Control::open(visit, worker, mode).await?),
                    WorkerFileName::Mailbox => Box::new(Mailbox::open(visit, worker, mode).await?),
                    WorkerFileName::Status => Box::new(Snapshot::of_status(visit, worker).await?),
                    WorkerFileName::State => Box::new(Snapshot::of_state(visit, worker).await?),
                    WorkerFileName::Events => Box::new(EventStream::open(visit, worker).await?),
                    WorkerFileName::Log => Box::new(LogStream::open(visit, worker).await?),
                };
                Ok(file)
            }
            Location::Subtree(path, file) => Ok(Box::new(SubtreeFile::open(visit, path.clone(), file, mode).await?)),
            _ => Err(FileError::new(Errno::IsADirectory, "is a directory")),
        }
    }

    /// A worker's own file can be emptied; the others hold nothing.
    async fn cut(&self, length: u64) -> FileResult<()> {
        match &self.location {
            _ if length != 0 => Err(FileError::not_permitted()),
            Location::Subtree(path, file) if file.kind == WorkerFileKind::File => {
                let mode = OpenMode { truncate: true, ..OpenMode::default() };
                SubtreeFile::open(Arc::clone(&self.visit), path.clone(), file, mode).await.map(drop)
            }
            Location::WorkerFile(_, name) if name.is_written() => Ok(()),
            _ => Err(FileError::new(Errno::AccessDenied, "the file is read only")),
        }
    }

    async fn make(&self, name: &str, mode: OpenMode) -> FileResult<(Self, Box<dyn OpenFile>)> {
        let Location::Subtree(path, directory) = &self.location else { return Err(FileError::not_permitted()) };
        // The root of what a worker serves was not asked for yet.
        let is_writable = directory.writable || path.names.is_empty() && path.walk(&self.visit).await?.writable;
        if !is_writable {
            return Err(FileError::new(Errno::AccessDenied, "the worker has no files made here"));
        }
        let path = path.child(names::decode(name)?)?;
        let made = WorkerFile { writable: true, ..WorkerFile::default() };
        let mode = OpenMode { truncate: true, ..mode };
        let file = SubtreeFile::open(Arc::clone(&self.visit), path.clone(), &made, mode).await?;
        Ok((self.at(Location::Subtree(path, made)), Box::new(file)))
    }
}

impl Node for TreeNode {
    fn id(&self) -> NodeId {
        self.facts().id
    }

    fn metadata(&self) -> BoxFuture<'_, FileResult<Metadata>> {
        self.facts_now().boxed()
    }

    fn walk<'a>(&'a self, name: &'a str) -> BoxFuture<'a, FileResult<Arc<dyn Node>>> {
        async move { Ok(Arc::new(self.child(name).await?) as Arc<dyn Node>) }.boxed()
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, FileResult<Vec<DirectoryEntry>>> {
        self.entries(after, limit).boxed()
    }

    fn open(&self, mode: OpenMode) -> BoxFuture<'_, FileResult<Box<dyn OpenFile>>> {
        Self::open(self, mode).boxed()
    }

    fn resize(&self, length: u64) -> BoxFuture<'_, FileResult<()>> {
        self.cut(length).boxed()
    }

    fn create<'a>(&'a self, name: &'a str, mode: OpenMode) -> BoxFuture<'a, FileResult<NewFile>> {
        async move {
            let (node, file) = self.make(name, mode).await?;
            Ok((Arc::new(node) as Arc<dyn Node>, file))
        }
        .boxed()
    }
}

impl Location {
    /// The path, which no other file has.
    fn path(&self) -> String {
        let of_worker = |WorkerPath { service, key }: &WorkerPath| {
            let (class, name) = (names::encode(&key.class), names::encode(&key.name));
            format!("/{SERVICES}/{}/{class}/{name}", names::of_service(service))
        };
        match self {
            Self::Root => "/".to_owned(),
            Self::Services => format!("/{SERVICES}"),
            Self::Service(service) => format!("/{SERVICES}/{}", names::of_service(service)),
            Self::Class(service, class) => {
                format!("/{SERVICES}/{}/{}", names::of_service(service), names::encode(class))
            }
            Self::Worker(worker) => of_worker(worker),
            Self::WorkerFile(worker, file) => {
                let name = WorkerFileName::ALL.iter().find(|(_, known)| known == file).map_or("", |(name, _)| *name);
                format!("{}/{name}", of_worker(worker))
            }
            Self::Subtree(path, _) => {
                let mut text = format!("{}/{FILES}", of_worker(&path.worker));
                for name in &path.names {
                    text.push('/');
                    text.push_str(&names::encode(name));
                }
                text
            }
        }
    }
}

/// The directory that each worker has for its own files.
fn root_of_files() -> WorkerFile {
    WorkerFile { kind: WorkerFileKind::Directory, ..WorkerFile::default() }
}

/// The greatest name that a worker can have.
fn last_name() -> String {
    // Each of these characters counts twice.
    "\u{10ffff}".repeat(WorkerKey::CHARACTERS_MAX / 2)
}

/// `ENOENT` for a class or a name that no worker can have.
fn check(key: &WorkerKey) -> FileResult<()> {
    key.problem().map_or(Ok(()), |problem| Err(FileError::new(Errno::NotFound, problem)))
}

/// The entries of a whole list behind the one of a name.
fn page(mut entries: Vec<DirectoryEntry>, after: Option<&str>, limit: usize) -> Vec<DirectoryEntry> {
    entries.retain(|entry| after.is_none_or(|after| entry.name.as_str() > after));
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries.dedup_by(|a, b| a.name == b.name);
    entries.truncate(limit);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_behind_a_name_that_has_gone() {
        let id = NodeId { is_directory: false, path: 0 };
        let metadata = Metadata { id, permissions: 0, length: 0, modified: 0 };
        let entries = |names: &[&str]| {
            names.iter().map(|name| DirectoryEntry { name: (*name).to_owned(), metadata }).collect::<Vec<_>>()
        };
        let names = |entries: Vec<DirectoryEntry>| entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>();
        assert_eq!(names(page(entries(&["c", "a", "d", "a"]), None, 2)), ["a", "c"]);
        assert_eq!(names(page(entries(&["c", "a", "d"]), Some("b"), 9)), ["c", "d"]);
    }

    #[test]
    fn no_name_is_greater_than_the_last() {
        let last = last_name();
        assert_eq!(WorkerKey::new("Cart", last.clone()).problem(), None);
        assert!(WorkerKey::new("Cart", format!("{last}a")).problem().is_some());
    }
}
