//! The file of a store on SQLite: made for its owner alone, and watched while the host runs.
//!
//! A file that was removed, or that another one took the place of, stays open, and everything that is written to it is
//! lost with the process. So each transaction looks whether the names still lead to the files that were opened, before
//! it begins and after it was committed: what is acknowledged is in the file that the next start finds.

use crate::error::{Error, Result};
use elias_api::Code;
use sqlx::{AnyConnection, Connection};
use std::fs::{Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tokio::sync::Mutex;

/// The file's name in the data directory.
pub const STORE_FILE: &str = "platform.sqlite";
/// The suffixes of the files that SQLite has beside the database.
pub const BESIDE: [&str; 2] = ["platform.sqlite-wal", "platform.sqlite-shm"];

/// The file of a store.
pub(super) struct StoreFile {
    folder: PathBuf,
    opened: OnceLock<OpenFiles>,
}

struct OpenFiles {
    /// Device and inode of the file, and of its write-ahead log.
    files: [Option<(u64, u64)>; 2],
    /// Open as long as the store is: with its last connection SQLite would delete the log, and the next one make
    /// another.
    anchor: Mutex<Option<AnyConnection>>,
}

impl StoreFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), opened: OnceLock::new() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(STORE_FILE)
    }

    /// Whether there is a file with anything in it.
    pub(super) fn exists(&self) -> Result<bool> {
        match std::fs::metadata(self.path()) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the file, empty, for its owner alone. What SQLite makes beside it has the same mode.
    pub(super) fn create(&self) -> Result<()> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path()) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes the rights of others from files that an earlier release made. Those of another owner are left to `elias
    /// doctor`.
    pub(super) fn restrict(&self) {
        for name in std::iter::once(STORE_FILE).chain(BESIDE) {
            // By its name: a file that is opened and closed here would end SQLite's locks on it.
            let _ = std::fs::set_permissions(self.folder.join(name), Permissions::from_mode(0o600));
        }
    }

    /// Remembers which files are open, with a connection that keeps them so.
    pub(super) fn watch(&self, anchor: AnyConnection) {
        let _ = self.opened.set(OpenFiles { files: self.files(), anchor: Mutex::new(Some(anchor)) });
    }

    /// Closes what keeps the files open.
    pub(super) async fn close(&self) -> Result<()> {
        let Some(opened) = self.opened.get() else { return Ok(()) };
        match opened.anchor.lock().await.take() {
            Some(anchor) => Ok(anchor.close().await?),
            None => Ok(()),
        }
    }

    fn files(&self) -> [Option<(u64, u64)>; 2] {
        let inode = |metadata: Metadata| (metadata.dev(), metadata.ino());
        [STORE_FILE, BESIDE[0]].map(|name| std::fs::metadata(self.folder.join(name)).ok().map(inode))
    }

    /// Whether the names lead to the files that were opened.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) fn check(&self) -> Result<()> {
        let Some(opened) = self.opened.get() else { return Ok(()) };
        let found = self.files();
        if found == opened.files {
            return Ok(());
        }
        let wrong = usize::from(found[0] == opened.files[0]);
        let name = [STORE_FILE, BESIDE[0]][wrong];
        let what = if found[wrong].is_some() { "was replaced" } else { "was removed" };
        let message = format!(
            "the file {name} in {} {what} while the host runs, and what is written now would be lost. Put back the \
            file that was there, or restart the host with the store that it is to have",
            self.folder.display()
        );
        Err(Error::new(Code::StoreUnavailable, message))
    }
}
