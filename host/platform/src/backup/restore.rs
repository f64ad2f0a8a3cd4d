//! Restores a data directory from an archive. The archive is untrusted: all of it is checked.
//!
//! Names are matched with the few that a backup has, modes are ours, sizes are bounded by what is read, and everything
//! is unpacked beside the place that it is for: what is refused leaves nothing behind.

use super::archive::ArchiveEntry;
use super::{CONTENTS, Contents, KEYS};
use crate::artifacts::hex;
use crate::data_dir::create_folder;
use crate::vault::Vault;
use elias_api::{Actor, Code, Error, Result};
use elias_contract::note::SigningKey;
use elias_names::{Digest, TenantId};
use elias_store::{NOTHING, STORE_FILE, Store};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes of a key's file, and of what an archive says of itself.
const KEY_BYTES_MAX: u64 = 4 << 10;
const CONTENTS_BYTES_MAX: u64 = 64 << 20;

/// The content of an archive that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Artifacts, each checked against its digest.
    pub artifacts: u64,
    /// Records of the transparency log, whose hashes were checked.
    pub log_size: u64,
    /// Databases of components, each checked by SQLite.
    pub databases: u64,
    /// Secrets that the key opens.
    pub secrets: u64,
    /// Unexpected findings that hinder nothing.
    pub notes: Vec<String>,
}

/// Makes a data directory of an archive, and checks that it is whole. `data_dir` must be new or empty; where the
/// archive is refused, it is as it was.
///
/// # Errors
/// `wrong-state` if there is something in it; `bad-input` for what is not an archive of
/// [`Platform::backup`](crate::Platform::backup), or one that is damaged.
pub async fn restore(archive: impl Read, data_dir: &Path) -> Result<RestoreReport> {
    let staging = StagingFolder::new(data_dir)?;
    let unpacked = unpack(archive, &staging.path)?;
    let restored = check(&staging.path, &unpacked).await?;
    staging.take_its_place()?;
    Ok(restored)
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(Code::BadInput, format!("the archive: {why}"))
}

/// Where an archive is unpacked. It is removed unless it takes the place of the data directory.
struct StagingFolder {
    path: PathBuf,
    target: PathBuf,
    /// Whether the data directory was there, and may be another file system's: what was unpacked is moved within it.
    inside: bool,
}

impl StagingFolder {
    fn new(target: &Path) -> Result<Self> {
        let name = format!(".restore.{}", ulid::Ulid::new());
        let inside = match std::fs::read_dir(target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let message = format!("{} is not empty; name a new folder", target.display());
                    return Err(Error::new(Code::WrongState, message));
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = if inside { target.join(name) } else { parent.join(name) };
        create_folder(&path)?;
        Ok(Self { path, target: target.to_owned(), inside })
    }

    fn take_its_place(self) -> Result<()> {
        if !self.inside {
            std::fs::rename(&self.path, &self.target)?;
            return Ok(());
        }
        std::fs::set_permissions(&self.target, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            names.push(entry?.file_name());
        }
        // The store last: a host does not start without it where the rest is.
        names.sort_by_key(|name| name == STORE_FILE);
        for name in names {
            std::fs::rename(self.path.join(&name), self.target.join(&name))?;
        }
        Ok(())
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        // Not there any more, or empty, if it has taken its place.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The content of the folder after unpacking.
#[derive(Debug, Default)]
struct UnpackedArchive {
    contents: Option<Contents>,
    databases: Vec<String>,
}

/// Unpacks what a backup may have, each entry once, with modes of ours.
fn unpack(archive: impl Read, folder: &Path) -> Result<UnpackedArchive> {
    let mut archive = tar::Archive::new(archive);
    let mut unpacked = UnpackedArchive::default();
    // As they stand: long names and extended headers, which the reader would hold in memory, are entries of kinds that
    // no backup has.
    for entry in archive.entries().map_err(refused)?.raw(true) {
        let mut entry = entry.map_err(refused)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() && ["artifacts", "databases"].iter().any(|top| name.trim_end_matches('/').starts_with(top)) {
            continue; // folders are made as they are needed
        }
        let known = ArchiveEntry::of(&name).filter(|_| kind == tar::EntryType::Regular);
        let Some(known) = known else {
            return Err(refused(format_args!("it has {name:?} ({kind:?}), which no backup has")));
        };
        let bytes = entry.size();
        let most = match known {
            ArchiveEntry::Contents => CONTENTS_BYTES_MAX,
            ArchiveEntry::Key(_) => KEY_BYTES_MAX,
            ArchiveEntry::Store | ArchiveEntry::Artifact(_) | ArchiveEntry::Database(_) => u64::MAX,
        };
        if bytes > most {
            return Err(refused(format_args!("{name} has {bytes} bytes, and at most {most} are taken")));
        }
        let found = write(&mut entry, &folder.join(known.path()), bytes).map_err(|error| told(&name, error))?;
        match known {
            ArchiveEntry::Artifact(digest) if found != digest => {
                return Err(refused(format_args!("{name} is damaged: its SHA-256 is {found}")));
            }
            ArchiveEntry::Contents => {
                let text = std::fs::read(folder.join(CONTENTS))?;
                let contents =
                    serde_json::from_slice(&text).map_err(|error| refused(format_args!("{CONTENTS}: {error}")))?;
                unpacked.contents = Some(contents);
                std::fs::remove_file(folder.join(CONTENTS))?;
            }
            ArchiveEntry::Database(name) => unpacked.databases.push(name),
            ArchiveEntry::Artifact(_) | ArchiveEntry::Key(_) | ArchiveEntry::Store => {}
        }
    }
    Ok(unpacked)
}

/// Why an entry cannot be written: the archive's fault, or the disk's.
fn told(name: &str, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => refused(format_args!("it has {name} twice")),
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::Other => {
            refused(format_args!("it breaks off in {name}: {error}"))
        }
        _ => error.into(),
    }
}

/// Writes a file that is not there yet, for its owner alone; the SHA-256 of what it has.
fn write(content: &mut impl Read, path: &Path, bytes: u64) -> io::Result<Digest> {
    if let Some(parent) = path.parent() {
        create_folder(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let (mut hash, mut buffer, mut left) = (Sha256::new(), vec![0; 64 << 10], bytes);
    while left > 0 {
        let read = content.read(&mut buffer)?;
        if read == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{left} bytes are missing")));
        }
        hash.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        left = left.saturating_sub(read as u64);
    }
    file.sync_all()?;
    hex(&hash.finalize()).parse().map_err(|_| io::Error::from(ErrorKind::InvalidData))
}

/// Reads everything, and checks what can be checked: SQLite's files, digests, the log's tree, the keys.
async fn check(folder: &Path, unpacked: &UnpackedArchive) -> Result<RestoreReport> {
    let store_file = folder.join(STORE_FILE);
    if !store_file.is_file() {
        return Err(refused("it must contain a store"));
    }
    sound(&store_file).map_err(|error| refused(format_args!("its store is damaged: {error}")))?;
    if !has_schema(&store_file).unwrap_or(false) {
        return Err(refused("its store is not a platform's: it has no tenants"));
    }
    if let Some(contents) = &unpacked.contents {
        let missing = contents.databases.iter().find(|name| !unpacked.databases.contains(name));
        if let Some(name) = missing {
            return Err(refused(format_args!("the database {name} that it says it has is missing")));
        }
    }
    for name in &unpacked.databases {
        let path = folder.join(ArchiveEntry::Database(name.clone()).path());
        sound(&path).map_err(|error| refused(format_args!("the database {name} is damaged: {error}")))?;
    }
    let store = Store::open(folder, None)?;
    let checked = check_store(&store, folder, unpacked).await;
    store.close().await?;
    checked
}

async fn check_store(store: &Store, folder: &Path, unpacked: &UnpackedArchive) -> Result<RestoreReport> {
    let of_store = |error: elias_store::Error| refused(format_args!("its store: {error}"));
    let referenced = store.host_read().await.map_err(of_store)?.referenced_artifacts().await.map_err(of_store)?;
    check_artifacts(folder, &referenced)?;
    let log_size = store.check_log().await.map_err(of_store)?;
    let mut scope = store.host_read().await?;
    let known = scope.log_hashes(&elias_transparency::root_needs(log_size)).await.map_err(of_store)?;
    drop(scope);
    elias_transparency::root(log_size, &known).map_err(refused)?;
    let mut notes = Vec::new();
    let secrets = check_keys(store, folder, &mut notes).await?;
    let mut scope = store.write(&TenantId::system()).await?;
    scope.audit(&Actor::host(), "host.restore", "host", NOTHING, NOTHING).await?;
    scope.commit().await?;
    let (artifacts, databases) = (referenced.len() as u64, unpacked.databases.len() as u64);
    Ok(RestoreReport { artifacts, log_size, databases, secrets, notes })
}

/// Whether SQLite finds a file to be sound.
fn sound(path: &Path) -> Result<(), String> {
    use rusqlite::{Connection, OpenFlags};
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let checked = Connection::open_with_flags(path, flags).and_then(|connection| {
        // The file's own functions and views are run by nobody here.
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
    });
    match checked {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(found),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a SQLite file has the schema of a platform: an empty one would become a new platform.
fn has_schema(path: &Path) -> rusqlite::Result<bool> {
    use rusqlite::{Connection, OpenFlags};
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let select = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'tenants'";
    connection.query_row(select, [], |row| row.get::<_, i64>(0)).map(|count| count == 1)
}

/// Whether the artifacts are those that the store knows: their bytes were held against their names when they were
/// unpacked.
fn check_artifacts(folder: &Path, referenced: &HashSet<String>) -> Result<()> {
    let folder = folder.join("artifacts");
    create_folder(&folder)?;
    for digest in referenced {
        let digest: Digest = digest.parse()?;
        if !folder.join(&digest.as_str()[..2]).join(digest.as_str()).is_file() {
            return Err(refused(format_args!("the artifact {digest} that its store knows is missing")));
        }
    }
    for parent in std::fs::read_dir(&folder)? {
        for file in std::fs::read_dir(parent?.path())? {
            let name = file?.file_name().to_string_lossy().into_owned();
            if !referenced.contains(&name) {
                return Err(refused(format_args!("its store does not refer to the artifact {name}")));
            }
        }
    }
    Ok(())
}

/// Whether the keys are keys, and those of this store; says how many secrets they open.
async fn check_keys(store: &Store, folder: &Path, notes: &mut Vec<String>) -> Result<u64> {
    let text = |name: &str| match File::open(folder.join(name)) {
        Ok(mut file) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text).map_err(|error| refused(format_args!("{name}: {error}")));
            read.map(|_| Some(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    };
    let [secret_key, former_key, log_key, operator] = KEYS;
    if let Some(token) = text(operator)?
        && !(token.trim().starts_with("elias_") && token.trim().bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(refused(format_args!("{operator} must contain a token")));
    }
    if let Some(text) = text(log_key)? {
        let key = SigningKey::parse(text.trim()).map_err(|error| refused(format_args!("{log_key}: {error}")))?;
        let (found, wanted) = (key.verifying_key().to_string(), store.log_key().await?);
        if wanted.as_ref().is_some_and(|wanted| *wanted != found) {
            return Err(refused(format_args!("{log_key} is not the key that its log is signed with")));
        }
    }
    let vault = match text(secret_key)? {
        Some(own) => {
            let vault = Vault::of(&own).and_then(|vault| match text(former_key)? {
                Some(former) => vault.with_former(&former, former_key),
                None => Ok(vault),
            });
            Some(vault.map_err(|error| refused(format_args!("{secret_key}: {error}")))?)
        }
        None => Vault::of_environment()?,
    };
    let mut scope = store.host_read().await?;
    let (secrets, data_keys) = (scope.all_secrets().await?, scope.all_data_keys().await?);
    drop(scope);
    let Some(vault) = vault else {
        if !data_keys.is_empty() {
            let count = data_keys.len();
            notes.push(format!(
                "it has service workers of {count} tenants and no key: serve it with the variable ELIAS_SECRET_KEY \
                 that they were kept with, or they cannot be read"
            ));
        }
        if !secrets.is_empty() {
            let count = secrets.len();
            notes.push(format!(
                "it has {count} secrets and no key: serve it with the variable ELIAS_SECRET_KEY that they were set with"
            ));
        }
        return Ok(0);
    };
    for (tenant, _) in data_keys.iter().filter(|(tenant, sealed)| vault.open_data_key(tenant, sealed).is_err()).take(10)
    {
        notes.push(format!("the service workers of {tenant} cannot be read: their key was encrypted with another key"));
    }
    let opens = |(service, name, sealed): &&(_, String, String)| vault.open_sealed(service, name, sealed).is_ok();
    let opened = secrets.iter().filter(opens).count();
    if opened == 0 && !secrets.is_empty() {
        let count = secrets.len();
        return Err(refused(format_args!(
            "its key opens none of its {count} secrets: it is another host's ({secret_key}, or ELIAS_SECRET_KEY)"
        )));
    }
    for (service, name, _) in secrets.iter().filter(|secret| !opens(secret)).take(10) {
        notes.push(format!("the secret {name} of {service} was set with another key: set it again"));
    }
    Ok(opened as u64)
}
