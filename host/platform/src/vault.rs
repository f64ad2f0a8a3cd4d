//! The key of the host, and what is encrypted with it: AES-256-GCM (NIST SP 800-38D), a random nonce each, bound to
//! whose secret it is.

use aes_gcm::aead::{Aead, KeyInit, OsRng, Payload};
use aes_gcm::{AeadCore, Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cap_std::fs::Dir;
use elias_api::{Code, Error, Result};
use elias_atomic_write::{Access, Fsync};
use elias_names::ServiceId;
use std::io::ErrorKind;
use zeroize::Zeroizing;

/// The environment's variable with the key in Base64, for hosts that share a store.
pub const KEY_VARIABLE: &str = "ELIAS_SECRET_KEY";
/// The key's file in the data directory.
const KEY_FILE: &str = "secret.key";
const NONCE_BYTES: usize = 12;

/// The key that encrypts secrets.
pub(crate) struct Vault {
    cipher: Aes256Gcm,
}

impl Vault {
    /// The vault with the environment's key, or with that of the data directory, where one is made if there is none.
    pub(crate) fn open(folder: &Dir) -> Result<Self> {
        match Self::of_environment()? {
            Some(vault) => Ok(vault),
            None => Self::of(&read_or_make(folder, KEY_FILE, || BASE64.encode(Aes256Gcm::generate_key(OsRng)))?),
        }
    }

    /// The vault with the environment's key, if that has one.
    pub(crate) fn of_environment() -> Result<Option<Self>> {
        std::env::var(KEY_VARIABLE).ok().map(|text| Self::of(&Zeroizing::new(text))).transpose()
    }

    /// The vault with the key of this text.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let key = BASE64.decode(text.trim()).map(Zeroizing::new).unwrap_or_default();
        let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| {
            Error::new(Code::BadInput, format!("{KEY_VARIABLE} or the file {KEY_FILE} must be 32 bytes in Base64"))
        })?;
        Ok(Self { cipher })
    }

    /// Encrypts a secret of a service.
    pub(crate) fn seal(&self, service: &ServiceId, name: &str, secret: &str) -> Result<String> {
        let nonce = Aes256Gcm::generate_nonce(OsRng);
        let bound = format!("{service}/{name}");
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: secret.as_bytes(), aad: bound.as_bytes() });
        let sealed = sealed.map_err(|_| Error::new(Code::Internal, "the secret cannot be encrypted"))?;
        Ok(BASE64.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts a secret of a service.
    pub(crate) fn open_sealed(&self, service: &ServiceId, name: &str, sealed: &str) -> Result<Zeroizing<String>> {
        let failed = || {
            let message = format!(
                "the secret {name} of {service} cannot be decrypted: the host's key is another one; set it again"
            );
            Error::new(Code::MissingConfiguration, message)
        };
        let bytes = BASE64.decode(sealed).map_err(|_| failed())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(failed)?;
        let bound = format!("{service}/{name}");
        let payload = Payload { msg: sealed, aad: bound.as_bytes() };
        let opened = self.cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| failed())?;
        String::from_utf8(opened).map(Zeroizing::new).map_err(|_| failed())
    }
}

/// The text of a file that only this user may read; made with what `make` gives if there is none.
pub(crate) fn read_or_make(folder: &Dir, name: &str, make: impl FnOnce() -> String) -> Result<Zeroizing<String>> {
    match folder.read_to_string(name) {
        Ok(text) if text.trim().is_empty() => {
            let message = format!(
                "the file {name} in the data directory is empty; restore it from a backup, or delete it to have a new \
                one made"
            );
            Err(Error::new(Code::BadInput, message))
        }
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = Zeroizing::new(make());
            // Anything encrypted or signed with a key from here on is worth nothing without it.
            elias_atomic_write::write(folder, name, text.as_bytes(), Access::OwnerOnly, Fsync::FileAndFolder)?;
            Ok(text)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    #[test]
    fn a_secret_is_read_back_by_its_own_service_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).expect("a folder");
        let vault = Vault::open(&folder).expect("a key is made");
        let service = |tenant: &str| ServiceId {
            tenant: tenant.parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let sealed = vault.seal(&service("a"), "TOKEN", "s3cret").expect("encrypted");
        assert!(!sealed.contains("s3cret"));
        assert_ne!(
            sealed,
            vault.seal(&service("a"), "TOKEN", "s3cret").expect("encrypted"),
            "each has a nonce of its own"
        );
        let again = Vault::open(&folder).expect("the key is found again");
        assert_eq!(*again.open_sealed(&service("a"), "TOKEN", &sealed).expect("decrypted"), "s3cret");
        assert!(again.open_sealed(&service("b"), "TOKEN", &sealed).is_err(), "another tenant's");
        assert!(again.open_sealed(&service("a"), "OTHER", &sealed).is_err(), "another name's");
        assert!(again.open_sealed(&service("a"), "TOKEN", "AAAA").is_err());
    }
}
