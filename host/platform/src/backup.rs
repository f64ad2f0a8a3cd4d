//! Everything of a platform in one archive, and back.
//!
//! The archive is a tar: `platform.sqlite`, a copy of the store as of one moment; `artifacts/`, whatever its versions refer to; and the keys, without which
//! secrets cannot be read and the log has another signer. So it is as secret as the data directory itself.

use crate::access::Permission;
use crate::artifacts::Artifacts;
use crate::error::{Code, Error, Result};
use crate::name::{Digest, TenantId};
use crate::platform::Platform;
use crate::session::Session;
use crate::store::{Actor, NOTHING, Store};
use crate::transparency;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

/// What of the data directory is in an archive beside store and artifacts.
const KEYS: [&str; 3] = ["secret.key", "log.key", "operator-token"];
const STORE_FILE: &str = "platform.sqlite";

impl Platform {
    /// Writes everything into an archive; gives its file, which has no name any more. What changes meanwhile is in it or not, each change whole.
    ///
    /// # Errors
    /// `forbidden`; `wrong-state` for a store on PostgreSQL, which is backed up with its own tools; `storage-failed`.
    pub async fn backup(&self, session: &Session) -> Result<File> {
        session.require(Permission::Backup, &TenantId::system(), None)?;
        let data_dir = self.config().data_dir.clone();
        let copy = data_dir.join(format!("backup.{}.sqlite", ulid::Ulid::new()));
        let before = self.store().host_read().await?.referenced_artifacts().await?;
        let copied = self.store().copy_to(&copy).await;
        let archived = match copied {
            Ok(()) => self.archive(&data_dir, &copy, before).await,
            Err(error) => Err(error),
        };
        let _ = std::fs::remove_file(&copy);
        let archive = archived?;
        let mut scope = self.store().write(&TenantId::system()).await?;
        scope.audit(&session.actor(), "host.backup", "host", NOTHING, NOTHING).await?;
        scope.commit().await?;
        Ok(archive)
    }

    async fn archive(&self, data_dir: &Path, copy: &Path, before: HashSet<String>) -> Result<File> {
        // What the copy refers to was referred to before it was made, or is now: versions may come and go meanwhile.
        let mut referenced = self.store().host_read().await?.referenced_artifacts().await?;
        referenced.extend(before);
        for digest in &referenced {
            // A host whose artifacts are in a bucket may not have all of them.
            self.artifacts().get(&digest.parse()?).await?;
        }
        let (data_dir, copy) = (data_dir.to_owned(), copy.to_owned());
        let work = tokio::task::spawn_blocking(move || write(&data_dir, &copy, referenced.into_iter().collect()));
        let archive = work.await.map_err(|panic| Error::new(Code::Internal, format!("the backup: {panic}")))?;
        Ok(archive?)
    }
}

fn write(data_dir: &Path, copy: &Path, mut artifacts: Vec<String>) -> io::Result<File> {
    artifacts.sort();
    let path = data_dir.join(format!("backup.{}.tar", ulid::Ulid::new()));
    let file = File::options().create_new(true).read(true).write(true).open(&path)?;
    // From here on the space is given back when the file is closed, however that comes about.
    std::fs::remove_file(&path)?;
    let mut archive = tar::Builder::new(file);
    archive.append_path_with_name(copy, STORE_FILE)?;
    for key in KEYS {
        let path = data_dir.join(key);
        if path.exists() {
            archive.append_path_with_name(path, key)?;
        }
    }
    for digest in artifacts {
        let name = format!("artifacts/{}/{digest}", &digest[..2]);
        archive.append_path_with_name(data_dir.join(&name), &name)?;
    }
    let mut file = archive.into_inner()?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

/// What a restored archive was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Artifacts, each checked against its digest.
    pub artifacts: u64,
    /// Records of the transparency log, whose hashes were checked.
    pub log_size: u64,
}

/// Makes a data directory of an archive, and checks that it is whole. `data_dir` must be new or empty.
///
/// # Errors
/// `wrong-state` if there is something in it; `bad-input` for what is no archive of [`Platform::backup`], or one that is damaged.
pub async fn restore(archive: impl Read, data_dir: &Path) -> Result<Restored> {
    std::fs::create_dir_all(data_dir)?;
    if std::fs::read_dir(data_dir)?.next().is_some() {
        let message = format!("{} is not empty; name a new folder", data_dir.display());
        return Err(Error::new(Code::WrongState, message));
    }
    let damaged = |why: String| Error::new(Code::BadInput, format!("the archive: {why}"));
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_permissions(true);
    for entry in archive.entries().map_err(|error| damaged(error.to_string()))? {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        let path = entry.path().map_err(|error| damaged(error.to_string()))?.into_owned();
        let known = path == Path::new(STORE_FILE)
            || path.starts_with("artifacts")
            || KEYS.iter().any(|key| path == Path::new(key));
        let plain =
            path.components().all(|part| matches!(part, Component::Normal(_))) && entry.header().entry_type().is_file();
        if !known || !plain {
            return Err(damaged(format!("it has {}, which no backup has", path.display())));
        }
        entry.unpack_in(data_dir).map_err(|error| damaged(error.to_string()))?;
    }
    if !data_dir.join(STORE_FILE).is_file() {
        return Err(damaged("it has no store".to_owned()));
    }
    check(data_dir).await
}

/// Reads everything, and checks what can be checked: digests, the log's tree.
async fn check(data_dir: &Path) -> Result<Restored> {
    let dir = Dir::open_ambient_dir(data_dir, ambient_authority())?;
    dir.create_dir_all("artifacts")?;
    let artifacts = Artifacts::open(dir.open_dir("artifacts")?, None)?;
    let store = Store::open(data_dir, None)?;
    let referenced = store.host_read().await?.referenced_artifacts().await?;
    for digest in &referenced {
        artifacts.get(&digest.parse::<Digest>()?).await?;
    }
    let log_size = store.check_log().await?;
    let mut scope = store.host_read().await?;
    let known = scope.log_hashes(&transparency::root_needs(log_size)).await?;
    transparency::root(log_size, &known)
        .map_err(|error| Error::new(Code::BadInput, format!("the archive: {error}")))?;
    let mut scope = store.write(&TenantId::system()).await?;
    scope.audit(&Actor::host(), "host.restore", "host", NOTHING, NOTHING).await?;
    scope.commit().await?;
    Ok(Restored { artifacts: referenced.len() as u64, log_size })
}
