//! `elias keys rotate`: another key in place of the one with which a host encrypts secrets.
//!
//! The old key stays beside it until the host starts, which encrypts everything anew: that takes the store, which this
//! program does not link.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use elias_atomic_write::{Access, Fsync, write_path};
use elias_command_line::{CliErrorCode, Failure};
use rand::RngCore;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

/// The files in a data directory: of the platform too.
const KEY_FILE: &str = "secret.key";
const FORMER_KEY_FILE: &str = "secret.key.former";
const LOCK_FILE: &str = "lock";

/// Exchanges the key in a data directory whose host is stopped.
///
/// # Errors
/// `io` if there is no key, a host runs, an exchange before was not finished, or a file cannot be written. Then the key
/// is as it was.
pub(crate) fn rotate(data_dir: &Path) -> Result<(), Failure> {
    let _lock = lock(data_dir)?;
    let (key, former) = (data_dir.join(KEY_FILE), data_dir.join(FORMER_KEY_FILE));
    let old = std::fs::read(&key).map_err(|error| {
        let failure = Failure::new(CliErrorCode::Io, format_args!("cannot read {}: {error}", key.display()));
        failure.help("name the data directory of a platform; a key in ELIAS_SECRET_KEY is exchanged there")
    })?;
    if former.exists() {
        let message = format!("{} is there: the last exchange is not finished", former.display());
        return Err(Failure::new(CliErrorCode::Io, message).help("start the host, and wait until its log says it is"));
    }
    let mut new = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut new).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    // The old key first: at no moment is it nowhere.
    write(&former, &old)?;
    write(&key, BASE64.encode(new).as_bytes())?;
    eprintln!("{} is new: start the host, which encrypts all secrets anew", key.display());
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let written = write_path(path, text, Access::OwnerOnly, Fsync::FileAndFolder);
    written.map_err(|error| Failure::new(CliErrorCode::Io, format_args!("cannot write {}: {error}", path.display())))
}

/// Keeps hosts from starting on a data directory.
fn lock(data_dir: &Path) -> Result<Option<File>, Failure> {
    let path = data_dir.join(LOCK_FILE);
    let file = match File::options().write(true).open(&path) {
        Ok(file) => file,
        // No host has ever run.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(CliErrorCode::Io, format_args!("cannot open {}: {error}", path.display())));
        }
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let message = format!("a host serves from the data directory {}", data_dir.display());
            Err(Failure::new(CliErrorCode::Io, message).help("stop it first"))
        }
        Err(TryLockError::Error(error)) => {
            Err(Failure::new(CliErrorCode::Io, format_args!("cannot lock {}: {error}", path.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_stays_until_the_host_has_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
        let refused = rotate(folder.path()).expect_err("there is no key").to_string();
        assert!(refused.contains("ELIAS_SECRET_KEY"), "{refused}");
        std::fs::write(folder.path().join(KEY_FILE), "old").expect("written");
        let running = File::create(folder.path().join(LOCK_FILE)).expect("a file");
        running.lock().expect("locked");
        let refused = rotate(folder.path()).expect_err("a host runs").to_string();
        assert!(refused.contains("a host serves from"), "{refused}");
        assert_eq!(read(KEY_FILE), "old");
        drop(running);
        rotate(folder.path()).expect("exchanged");
        assert_eq!(
            (read(FORMER_KEY_FILE).as_str(), BASE64.decode(read(KEY_FILE)).map(|key| key.len())),
            ("old", Ok(32))
        );
        let refused = rotate(folder.path()).expect_err("not finished").to_string();
        assert!(refused.contains("not finished"), "{refused}");
        assert_eq!(read(FORMER_KEY_FILE), "old");
    }
}
