//! Backs up a whole platform into one archive, and restores it.
//!
//! The archive is a tar: `backup.json`, which says what it has; `platform.sqlite`, a copy of the store as of one
//! moment; `artifacts/`, whatever its versions refer to; `databases/`, the components' own on SQLite, each as of one
//! moment; and the keys, without which secrets cannot be read and the log has another signer. So it is as secret as the
//! data directory itself.

mod archive;
mod restore;
#[cfg(test)]
mod tests;

pub use restore::{RestoreReport, restore};

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::vault::FORMER_KEY_FILE;
use archive::Writer;
use elias_api::{Code, Error, Result};
use elias_names::TenantId;
use elias_store::{NOTHING, Store};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The files of the data directory that are in an archive beside store and artifacts.
const KEYS: [&str; 4] = ["secret.key", FORMER_KEY_FILE, "log.key", "operator-token"];
/// Where the db capability keeps the components' databases.
const DATABASES: &str = "databases/db";
/// The first entry: what an archive says of itself.
const CONTENTS: &str = "backup.json";

/// The description in an archive. Archives of earlier releases have none.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    /// The release that wrote it.
    version: String,
    /// The files of the components' databases that are in it.
    databases: Vec<String>,
}

impl Platform {
    /// Writes everything into an archive; gives its file, which has no name any more. What changes meanwhile is in it
    /// or not, each change whole.
    ///
    /// # Errors
    /// `forbidden`; `wrong-state` for a store on PostgreSQL, which is backed up with its own tools; `no-space-left`,
    /// `storage-failed`.
    pub async fn backup(&self, session: &Session) -> Result<File> {
        session.require(Permission::Backup, &TenantId::system(), None)?;
        let data_dir = self.config().data_dir.clone();
        let copy = Temporary::new(&data_dir, "sqlite")?;
        self.store().copy_to(&copy.0).await?;
        // The files that the copy refers to, and no others: versions may come and go. Artifacts stay for a day after
        // their last version.
        let referenced = Store::artifacts_of_copy(&copy.0).await?;
        for digest in &referenced {
            // A host whose artifacts are in a bucket may not have all of them.
            self.artifacts().get(&digest.parse()?).await?;
        }
        let work = tokio::task::spawn_blocking(move || write(&data_dir, &copy.0, referenced.into_iter().collect()));
        let archive = work.await.map_err(|panic| Error::new(Code::Internal, format!("the backup: {panic}")))??;
        let mut scope = self.store().write(&TenantId::system()).await?;
        scope.audit(&session.actor(), "host.backup", "host", NOTHING, NOTHING).await?;
        scope.commit().await?;
        Ok(archive)
    }
}

/// A file that is made empty, for its owner alone, and removed when it is not needed any more.
struct Temporary(PathBuf);

impl Temporary {
    fn new(data_dir: &Path, extension: &str) -> std::io::Result<Self> {
        let path = data_dir.join(format!("backup.{}.{extension}", ulid::Ulid::new()));
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600).open(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write(data_dir: &Path, store: &Path, mut artifacts: Vec<String>) -> Result<File> {
    artifacts.sort();
    let databases = databases(data_dir)?;
    let mut archive = Writer::new(data_dir)?;
    let contents = Contents { version: env!("CARGO_PKG_VERSION").to_owned(), databases };
    let text = serde_json::to_vec(&contents).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    archive.append(CONTENTS, text.len() as u64, &*text)?;
    archive.append_file(elias_store::STORE_FILE, store)?;
    for key in KEYS.into_iter().filter(|key| data_dir.join(key).exists()) {
        archive.append_file(key, &data_dir.join(key))?;
    }
    for digest in artifacts {
        let name = format!("artifacts/{}/{digest}", &digest[..2]);
        archive.append_file(&name, &data_dir.join(&name))?;
    }
    for name in contents.databases {
        let copy = Temporary::new(data_dir, "database")?;
        copy_database(&data_dir.join(DATABASES).join(&name), &copy.0).map_err(|error| {
            let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
            let code = if full { Code::NoSpaceLeft } else { Code::StorageFailed };
            Error::new(code, format!("the database {name} cannot be copied: {error}"))
        })?;
        archive.append_file(&format!("{DATABASES}/{name}"), &copy.0)?;
    }
    Ok(archive.finish()?)
}

/// The files of the components' databases.
fn databases(data_dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(data_dir.join(DATABASES)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && archive::is_database(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Copies a component's database as of one moment while the component writes to it, page by page: `VACUUM INTO` would
/// give other row ids.
fn copy_database(from: &Path, to: &Path) -> rusqlite::Result<()> {
    use rusqlite::backup::{Backup, StepResult};
    use rusqlite::{Connection, Error, OpenFlags, ffi};
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    source.busy_timeout(std::time::Duration::from_secs(10))?;
    let mut target = Connection::open(to)?;
    let backup = Backup::new(&source, &mut target)?;
    // In one step: it reads one snapshot, and who writes in WAL mode does not wait for it.
    if backup.step(-1)? != StepResult::Done {
        return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None));
    }
    drop(backup);
    // As its original it says that it is in WAL mode; the copy is whole, and has no log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")
}
