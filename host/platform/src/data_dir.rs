//! The data directory. Only its owner may access it and the files in it: files 0600, folders 0700.

use elias_api::{Code, Error, Result};
use elias_store::{BESIDE, IDENTITY_FILE, STORE_FILE};
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The entries of the data directory that are ours; other files may be there too.
const FILES: [&str; 7] =
    ["secret.key", "secret.key.former", "log.key", "operator-token", "host-id", "lock", IDENTITY_FILE];
const FOLDERS: [&str; 8] = ["artifacts", "databases", "files", "flags", "former", "proofs", "services", "usage"];
/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Makes a folder, with those above it, that its owner alone can enter.
pub(crate) fn create_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the rights of others from the data directory, and from all that is in it if the directory was open to them: a
/// release before had it so, or somebody has changed it. What belongs to another user stays as it is, and `elias
/// doctor` tells of it.
pub(crate) fn restrict(data_dir: &Path) -> Result<()> {
    let metadata = std::fs::metadata(data_dir)?;
    if metadata.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    tracing::warn!(
        folder = %data_dir.display(),
        "the data directory was accessible to other users; its mode was changed to owner-only"
    );
    for (path, metadata) in ours(data_dir)?.into_iter().chain([(data_dir.to_owned(), metadata)]) {
        if metadata.permissions().mode() & OTHERS == 0 {
            continue;
        }
        let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
        if let Err(error) = std::fs::set_permissions(&path, Permissions::from_mode(mode)) {
            tracing::warn!(
                path = %path.display(), %error,
                "the mode of a file in the data directory cannot be changed; other users can still read it"
            );
        }
    }
    Ok(())
}

/// The entries that others than the owner can read, write or enter; all of it.
pub(crate) fn open_to_others(data_dir: &Path) -> Result<Vec<PathBuf>> {
    let metadata = std::fs::metadata(data_dir)?;
    let all = ours(data_dir)?.into_iter().chain([(data_dir.to_owned(), metadata)]);
    let open = all.filter(|(_, metadata)| metadata.permissions().mode() & (OTHERS | 0o6000) != 0);
    Ok(open.map(|(path, _)| path).collect())
}

/// Everything of a platform in a data directory. Links are not followed.
fn ours(data_dir: &Path) -> std::io::Result<Vec<(PathBuf, Metadata)>> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = FOLDERS.contains(&name.split('.').next().unwrap_or_default());
        if is_folder {
            folders.push(entry.path());
        }
        if is_folder || FILES.contains(&&*name) || name == STORE_FILE || BESIDE.contains(&&*name) {
            found.extend(metadata_of(&entry)?.map(|metadata| (entry.path(), metadata)));
        }
    }
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Some(metadata) = metadata_of(&entry)? else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            found.push((entry.path(), metadata));
        }
    }
    Ok(found)
}

/// The metadata of a file or a folder; `None` for a link, and for what is gone by now.
fn metadata_of(entry: &std::fs::DirEntry) -> std::io::Result<Option<Metadata>> {
    match entry.metadata() {
        Ok(metadata) if metadata.is_symlink() => Ok(None),
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps other processes out of the data directory. The system lets go of it when the process ends, however it ends.
pub(crate) fn lock(data_dir: &Path) -> Result<File> {
    let file = {
        let mut options = File::options();
        OpenOptionsExt::mode(options.create(true).truncate(false).write(true), 0o600).open(data_dir.join("lock"))?
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let message =
                format!("another process serves from the data directory {}; stop it first", data_dir.display());
            Err(Error::new(Code::InUse, message))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_a_platforms_is_made_its_owners_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path();
        let path = |name: &str| data.join(name);
        std::fs::create_dir_all(path("artifacts/ab")).expect("a folder");
        for name in ["platform.sqlite", "platform.sqlite-wal", "secret.key", "artifacts/ab/abcd", "notes.txt"] {
            std::fs::write(path(name), "x").expect("a file");
            std::fs::set_permissions(path(name), Permissions::from_mode(0o664)).expect("ours");
        }
        for name in ["", "artifacts", "artifacts/ab"] {
            std::fs::set_permissions(path(name), Permissions::from_mode(0o755)).expect("ours");
        }
        std::os::unix::fs::symlink("/etc/hostname", path("artifacts/ab/link")).expect("a link");
        assert_eq!(open_to_others(data).expect("read").len(), 7);
        restrict(data).expect("it is ours");
        assert_eq!(open_to_others(data).expect("read"), Vec::<PathBuf>::new());
        assert_eq!((mode(data), mode(&path("artifacts/ab"))), (0o700, 0o700));
        assert_eq!((mode(&path("platform.sqlite-wal")), mode(&path("artifacts/ab/abcd"))), (0o600, 0o600));
        assert_eq!(mode(&path("notes.txt")), 0o664, "it is not the platform's");
        // Permissions that a file's owner gives to others are told.
        std::fs::set_permissions(path("secret.key"), Permissions::from_mode(0o6600)).expect("ours");
        assert_eq!(open_to_others(data).expect("read"), [path("secret.key")]);
    }
}
