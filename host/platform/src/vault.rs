//! The key of the host, which encrypts secrets with AES-256-GCM (NIST SP 800-38D), a random nonce each. A secret is
//! bound to its service and name.

use aes_gcm::aead::rand_core::RngCore;
use aes_gcm::aead::{Aead, KeyInit, OsRng, Payload};
use aes_gcm::{AeadCore, Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cap_std::fs::Dir;
use elias_api::{Code, Error, Result};
use elias_atomic_write::{Access, Fsync};
use elias_names::{ReceiverName, ServiceId, TenantId};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::io::ErrorKind;
use std::path::Path;
use zeroize::Zeroizing;

/// The environment's variable with the key in Base64, for hosts that share a store.
pub const KEY_VARIABLE: &str = "ELIAS_SECRET_KEY";
/// The key's file in the data directory.
const KEY_FILE: &str = "secret.key";
/// Likewise the former key. After a rotation, some of the stored data may still be encrypted with it.
pub const FORMER_KEY_VARIABLE: &str = "ELIAS_SECRET_KEY_FORMER";
pub(crate) const FORMER_KEY_FILE: &str = "secret.key.former";
const NONCE_BYTES: usize = 12;

/// Bytes of the key of a tenant's data.
pub(crate) const DATA_KEY_BYTES: usize = 32;

/// The key of a tenant's data.
pub(crate) type DataKey = Zeroizing<[u8; DATA_KEY_BYTES]>;

/// The key that encrypts secrets, and the keys of tenants' data.
pub(crate) struct Vault {
    cipher: Aes256Gcm,
    /// The key before it, while some of what is stored may be encrypted with that.
    former: Option<Aes256Gcm>,
    /// An id of the key, from which it cannot be found.
    key_id: String,
}

impl Vault {
    /// The vault with the environment's key, or with that of the data directory, where a missing one is generated.
    pub(crate) fn open(folder: &Dir) -> Result<Self> {
        if let Some(vault) = Self::of_environment()? {
            return Ok(vault);
        }
        let vault = Self::of(&read_or_make(folder, KEY_FILE, || BASE64.encode(Aes256Gcm::generate_key(OsRng)))?)?;
        match folder.read_to_string(FORMER_KEY_FILE) {
            Ok(text) => vault.with_former(&Zeroizing::new(text), FORMER_KEY_FILE),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(vault),
            Err(error) => Err(error.into()),
        }
    }

    /// The vault with the environment's key, if that has one.
    pub(crate) fn of_environment() -> Result<Option<Self>> {
        let Ok(text) = std::env::var(KEY_VARIABLE) else { return Ok(None) };
        let vault = Self::of(&Zeroizing::new(text))?;
        match std::env::var(FORMER_KEY_VARIABLE) {
            Ok(text) => vault.with_former(&Zeroizing::new(text), FORMER_KEY_VARIABLE).map(Some),
            Err(_) => Ok(Some(vault)),
        }
    }

    /// The vault with the key of this text.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let cipher = cipher(text, &format!("{KEY_VARIABLE} or the file {KEY_FILE}"))?;
        Ok(Self { cipher, former: None, key_id: key_id(text)? })
    }

    /// This vault, which also decrypts with the former key `text`, which was read from `place`.
    pub(crate) fn with_former(self, text: &str, place: &str) -> Result<Self> {
        Ok(Self { former: Some(cipher(text, place)?), ..self })
    }

    /// Says which key it is, among hosts, without giving it away.
    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether some of the stored data may be encrypted with a former key.
    pub(crate) fn has_former(&self) -> bool {
        self.former.is_some()
    }

    /// Encrypts a secret of a service.
    pub(crate) fn seal(&self, service: &ServiceId, name: &str, secret: &str) -> Result<String> {
        self.encrypt(&format!("{service}/{name}"), secret.as_bytes())
    }

    /// Decrypts a secret of a service.
    pub(crate) fn open_sealed(&self, service: &ServiceId, name: &str, sealed: &str) -> Result<Zeroizing<String>> {
        let failed = || {
            let message = format!(
                "the secret {name} of {service} cannot be decrypted: the host's key is another one; set it again"
            );
            Error::new(Code::MissingConfiguration, message)
        };
        let opened = self.decrypt(&format!("{service}/{name}"), sealed).ok_or_else(failed)?;
        String::from_utf8(opened.to_vec()).map(Zeroizing::new).map_err(|_| failed())
    }

    /// Re-encrypts a secret that is encrypted with the former key; `None` if it is not.
    pub(crate) fn reseal(&self, service: &ServiceId, name: &str, sealed: &str) -> Result<Option<String>> {
        self.encrypt_anew(&format!("{service}/{name}"), sealed)
    }

    /// Encrypts the settings of a receiver of notifications.
    pub(crate) fn seal_receiver(&self, tenant: &TenantId, name: &ReceiverName, settings: &str) -> Result<String> {
        self.encrypt(&of_receiver(tenant, name), settings.as_bytes())
    }

    /// Decrypts the settings of a receiver.
    pub(crate) fn open_receiver(
        &self,
        tenant: &TenantId,
        name: &ReceiverName,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.decrypt(&of_receiver(tenant, name), sealed).ok_or_else(|| {
            let message = format!(
                "the settings of the receiver {name} cannot be decrypted: the host's key is another one; set them again"
            );
            Error::new(Code::MissingConfiguration, message)
        })
    }

    /// Re-encrypts the settings of a receiver that are encrypted with the former key; `None` if they are not.
    pub(crate) fn reseal_receiver(
        &self,
        tenant: &TenantId,
        name: &ReceiverName,
        sealed: &str,
    ) -> Result<Option<String>> {
        self.encrypt_anew(&of_receiver(tenant, name), sealed)
    }

    /// A new data key of a tenant, and the same encrypted.
    pub(crate) fn make_data_key(&self, tenant: &TenantId) -> Result<(DataKey, String)> {
        let mut key = DataKey::default();
        OsRng.fill_bytes(&mut *key);
        let sealed = self.encrypt(&of_data_key(tenant), &*key)?;
        Ok((key, sealed))
    }

    /// Decrypts the data key of a tenant.
    pub(crate) fn open_data_key(&self, tenant: &TenantId, sealed: &str) -> Result<DataKey> {
        let failed = || {
            let message = format!(
                "the data key of the tenant {tenant} cannot be decrypted: the host's key is another one; its service \
                 workers can be read with that one only ({FORMER_KEY_VARIABLE}, or the file {FORMER_KEY_FILE})"
            );
            Error::new(Code::MissingConfiguration, message)
        };
        let opened = self.decrypt(&of_data_key(tenant), sealed).ok_or_else(failed)?;
        <[u8; DATA_KEY_BYTES]>::try_from(&**opened).map(Zeroizing::new).map_err(|_| failed())
    }

    /// Re-encrypts a data key that is encrypted with the former key; `None` if it is not.
    pub(crate) fn reseal_data_key(&self, tenant: &TenantId, sealed: &str) -> Result<Option<String>> {
        self.encrypt_anew(&of_data_key(tenant), sealed)
    }

    /// Encrypts bytes, bound to what they are.
    fn encrypt(&self, bound: &str, bytes: &[u8]) -> Result<String> {
        let nonce = Aes256Gcm::generate_nonce(OsRng);
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: bytes, aad: bound.as_bytes() });
        let sealed = sealed.map_err(|_| Error::new(Code::Internal, "a secret cannot be encrypted"))?;
        Ok(BASE64.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts them, if they were encrypted with this key or the former one and bound to this.
    fn decrypt(&self, bound: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        decrypt(&self.cipher, bound, sealed).or_else(|| decrypt(self.former.as_ref()?, bound, sealed))
    }

    fn encrypt_anew(&self, bound: &str, sealed: &str) -> Result<Option<String>> {
        if decrypt(&self.cipher, bound, sealed).is_some() {
            return Ok(None);
        }
        let former = self.former.as_ref().and_then(|former| decrypt(former, bound, sealed));
        former.map(|bytes| self.encrypt(bound, &bytes)).transpose()
    }
}

/// What a tenant's data key is bound to. No secret is like it: services have three parts, and the name after them.
fn of_data_key(tenant: &TenantId) -> String {
    format!("data-key/{tenant}")
}

/// What the settings of a receiver are bound to: nothing else is three parts of which this is the first.
fn of_receiver(tenant: &TenantId, name: &ReceiverName) -> String {
    format!("receiver/{tenant}/{name}")
}

fn cipher(text: &str, place: &str) -> Result<Aes256Gcm> {
    let key = BASE64.decode(text.trim()).map(Zeroizing::new).unwrap_or_default();
    Aes256Gcm::new_from_slice(&key)
        .map_err(|_| Error::new(Code::BadInput, format!("{place} must be 32 bytes in Base64")))
}

/// The beginning of an HMAC-SHA-256 by the key of this text: of 256 random bits it tells nothing.
fn key_id(text: &str) -> Result<String> {
    let key = BASE64.decode(text.trim()).map(Zeroizing::new).unwrap_or_default();
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(&key);
    let mut mac = mac.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    mac.update(b"elias/host-key-id/1");
    Ok(BASE64.encode(&mac.finalize().into_bytes()[..12]))
}

fn decrypt(cipher: &Aes256Gcm, bound: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = BASE64.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: bound.as_bytes() };
    cipher.decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

/// Removes the former key's file, once nothing is encrypted with it any more.
pub(crate) fn forget_former(data_dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(data_dir.join(FORMER_KEY_FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The text of a file that only this user may read. If the file does not exist, it is created with the text of `make`.
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
        assert_eq!(again.key_id(), vault.key_id());
        assert_eq!(*again.open_sealed(&service("a"), "TOKEN", &sealed).expect("decrypted"), "s3cret");
        assert!(again.open_sealed(&service("b"), "TOKEN", &sealed).is_err(), "another tenant's");
        assert!(again.open_sealed(&service("a"), "OTHER", &sealed).is_err(), "another name's");
        assert!(again.open_sealed(&service("a"), "TOKEN", "AAAA").is_err());
    }

    #[test]
    fn what_a_former_key_has_encrypted_is_read_and_encrypted_anew() {
        let key = |byte: u8| BASE64.encode([byte; 32]);
        let (before, after) = (Vault::of(&key(1)).expect("a key"), Vault::of(&key(2)).expect("a key"));
        assert_ne!(before.key_id(), after.key_id());
        let service = ServiceId {
            tenant: "a".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let sealed = before.seal(&service, "TOKEN", "s3cret").expect("encrypted");
        let (data_key, sealed_key) = before.make_data_key(&service.tenant).expect("a key");
        assert!(after.open_sealed(&service, "TOKEN", &sealed).is_err());
        assert_eq!(after.reseal(&service, "TOKEN", &sealed).expect("it is no error"), None, "nobody can");
        let both = after.with_former(&key(1), "a test").expect("a key");
        assert_eq!(*both.open_sealed(&service, "TOKEN", &sealed).expect("decrypted"), "s3cret");
        let resealed = both.reseal(&service, "TOKEN", &sealed).expect("encrypted").expect("it was by the former");
        let resealed_key =
            both.reseal_data_key(&service.tenant, &sealed_key).expect("encrypted").expect("it was by the former");
        assert_eq!(both.reseal(&service, "TOKEN", &resealed).expect("it is no error"), None, "once is enough");
        let after = Vault::of(&key(2)).expect("a key");
        assert_eq!(*after.open_sealed(&service, "TOKEN", &resealed).expect("decrypted"), "s3cret");
        assert_eq!(after.open_data_key(&service.tenant, &resealed_key).expect("decrypted"), data_key);
        let other = "b".parse().expect("a name");
        let error = after.open_data_key(&other, &resealed_key).expect_err("another tenant's");
        assert_eq!(error.code(), Code::MissingConfiguration);
        assert!(after.open_data_key(&service.tenant, &sealed_key).is_err(), "by the former key");
        assert!(
            after.with_former("short", "the file").err().is_some_and(|error| error.to_string().contains("the file"))
        );
    }
}
