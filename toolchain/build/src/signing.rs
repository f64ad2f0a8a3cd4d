//! The files of signing keys, and the signature beside a component.

use crate::diagnostic::{BuildError, Details};
use elias_contract::note::{KEY_BYTES_MAX, SigningKey};
use elias_contract::signature::{self, EXTENSION};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads a file with a signing key, `PRIVATE+KEY+NAME+HASH+BASE64` on one line.
///
/// # Errors
/// [`BuildError::Io`] if it cannot be read, [`BuildError::ExposedKey`] if others than its owner may read or write it, and
/// [`BuildError::BadKey`] if there is no key in it.
pub fn read_key(path: &Path) -> Result<SigningKey, BuildError> {
    let unreadable = |error| BuildError::io(format_args!("read the signing key {}", path.display()), &error);
    // What is checked is the file that is open, not another that has taken its name.
    let file = File::open(path).map_err(unreadable)?;
    check_permissions(path, &file)?;
    let mut text = String::new();
    file.take(2 * KEY_BYTES_MAX as u64).read_to_string(&mut text).map_err(unreadable)?;
    SigningKey::parse(text.trim_ascii()).map_err(|error| {
        let help = "make one with `elias keys new NAME`";
        BuildError::BadKey(Box::new(Details::new(format!("{}: {error}", path.display())).help(help)))
    })
}

#[cfg(unix)]
fn check_permissions(path: &Path, file: &File) -> Result<(), BuildError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata();
    let metadata =
        metadata.map_err(|error| BuildError::io(format_args!("read the signing key {}", path.display()), &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    let message = format!("others than its owner have access to the signing key {path} (its mode is {mode:04o})");
    let help = format!("run `chmod 600 {path}`, and make a new key if someone may have read this one");
    Err(BuildError::ExposedKey(Box::new(Details::new(message).help(help))))
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &File) -> Result<(), BuildError> {
    Ok(())
}

/// The signature of a component that was just made.
///
/// # Errors
/// [`BuildError::BadKey`] if it cannot be signed with these keys.
pub fn sign(keys: &[SigningKey], component: &[u8]) -> Result<String, BuildError> {
    signature::sign(keys, component)
        .map_err(|error| BuildError::BadKey(Box::new(Details::new(format!("the component cannot be signed: {error}")))))
}

/// Where a component's signature is: beside it, `app.wasm.sig`.
#[must_use]
pub fn signature_path(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".");
    name.push(EXTENSION);
    name.into()
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
            let found = read_key(&path).map_or_else(
                |error| error.name(),
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
            assert_eq!(read_key(&path).unwrap_err().name(), "bad-key");
        }
        assert_eq!(read_key(&folder.path().join("none")).unwrap_err().name(), "io");
    }

    #[test]
    fn a_signature_is_beside_its_component() {
        assert_eq!(signature_path(Path::new("out/app.wasm")), Path::new("out/app.wasm.sig"));
    }
}
