//! The file of a signing key, which only its owner may read.

use crate::note::{KEY_BYTES_MAX, NoteError, SigningKey};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

crate::error_codes! {
    /// Why the signing key in a file is not used.
    #[derive(Debug, thiserror::Error)]
    pub enum KeyFileError {
        /// The file cannot be read.
        #[error("cannot read the signing key {}: {error}", .path.display())]
        Io {
            /// The file.
            path: PathBuf,
            /// The system's error.
            error: std::io::Error,
        } => "io",
        /// Others than the file's owner may read or write it.
        #[error("others than its owner have access to the signing key {} (its mode is {mode:04o})", .path.display())]
        Exposed {
            /// The file.
            path: PathBuf,
            /// Its permission bits.
            mode: u32,
        } => "exposed-key",
        /// The file has no signing key.
        #[error("{}: {error}", .path.display())]
        Key {
            /// The file.
            path: PathBuf,
            /// The defect of its text.
            error: NoteError,
        } => "bad-key",
    }
}

impl KeyFileError {
    /// The remedy, where it is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::Exposed { path, .. } => {
                let path = path.display();
                Some(format!("run `chmod 600 {path}`, and make a new key if someone may have read this one"))
            }
            Self::Key { .. } => Some("make one with `elias keys new NAME`".to_owned()),
        }
    }
}

/// Reads a file with a signing key, `PRIVATE+KEY+NAME+HASH+BASE64` on one line.
///
/// # Errors
/// [`KeyFileError::Io`] if it cannot be read, [`KeyFileError::Exposed`] if others than its owner may read or write it,
/// and [`KeyFileError::Key`] if there is no key in it.
pub fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let unreadable = |error| KeyFileError::Io { path: path.to_owned(), error };
    // The open file is checked, not another that has taken its name.
    let file = File::open(path).map_err(unreadable)?;
    check_permissions(path, &file)?;
    let mut text = String::new();
    file.take(2 * KEY_BYTES_MAX as u64).read_to_string(&mut text).map_err(unreadable)?;
    SigningKey::parse(text.trim_ascii()).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })
}

#[cfg(unix)]
fn check_permissions(path: &Path, file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(KeyFileError::Exposed { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &File) -> Result<(), KeyFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_a_key_that_its_owner_alone_can_read_is_used() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("team.key");
        let key = SigningKey::from_seed("team", &[7; 32]).unwrap();
        std::fs::write(&path, format!("{}\n", key.to_text())).unwrap();
        for (mode, wanted) in [(0o600, "good"), (0o400, "good"), (0o640, "exposed-key"), (0o602, "exposed-key")] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = read(&path).map_or_else(
                |error| error.code(),
                |key| {
                    assert_eq!(key.id().name, "team");
                    "good"
                },
            );
            assert_eq!(found, wanted, "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "secret", &key.verifying_key().to_string(), &"x".repeat(1 << 20)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap_err().code(), "bad-key");
        }
        assert_eq!(read(&folder.path().join("none")).unwrap_err().code(), "io");
    }
}
