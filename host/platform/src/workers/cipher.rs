//! What is kept of service workers, encrypted: their pages with a key of the tenant.
//!
//! A tenant has one data key, 256 random bits, which is stored encrypted with the key of the hosts. Each text has a key
//! of its own, derived from that by HMAC-SHA-256 over what the text is bound to, and is encrypted with AES-256-GCM
//! under a random nonce: a key sees one turn and its repetitions, so that random nonces never get near their bound,
//! however many turns a tenant has. A text of another tenant, service, worker or turn, and one with a flipped byte, is
//! refused.

use crate::vault::{DataKey, Vault};
use aes_gcm::aead::{Aead, KeyInit, OsRng, Payload};
use aes_gcm::{AeadCore, Aes256Gcm, Key, Nonce};
use elias_api::Result;
use elias_names::{ServiceId, TenantId};
use elias_store::Store;
use elias_workers::WorkerKey;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;

/// The version of the format: a byte, the nonce, and what AES-GCM makes of the text.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The data keys of tenants, each read or made when it is first needed.
pub(super) struct TenantKeys {
    store: Store,
    vault: Arc<Vault>,
    known: Mutex<HashMap<TenantId, Arc<TenantCipher>>>,
}

impl TenantKeys {
    pub(super) fn new(store: Store, vault: Arc<Vault>) -> Self {
        Self { store, vault, known: Mutex::default() }
    }

    /// The cipher of a tenant.
    ///
    /// # Errors
    /// `missing-configuration` if the host's key is another one; `store-unavailable`.
    pub(super) async fn of(&self, tenant: &TenantId) -> Result<Arc<TenantCipher>> {
        if let Some(cipher) = self.known.lock().get(tenant) {
            return Ok(Arc::clone(cipher));
        }
        let stored = self.store.read(tenant).await?.data_key().await?;
        let sealed = match stored {
            Some(sealed) => sealed,
            None => {
                let (_, made) = self.vault.make_data_key(tenant)?;
                let mut scope = self.store.write(tenant).await?;
                // Another host may have been faster.
                let sealed = scope.put_data_key(&made).await?;
                scope.commit().await?;
                sealed
            }
        };
        let cipher = Arc::new(TenantCipher { key: self.vault.open_data_key(tenant, &sealed)? });
        self.known.lock().insert(tenant.clone(), Arc::clone(&cipher));
        Ok(cipher)
    }
}

/// What a text is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealContext<'a> {
    pub(super) service: &'a ServiceId,
    pub(super) key: &'a WorkerKey,
    /// The turn whose commit it belongs to.
    pub(super) turn: u64,
    pub(super) content: Content,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Pages of a heap.
    Pages,
    /// What is kept of the worker beside its heap.
    Record,
}

impl SealContext<'_> {
    /// All of it, unambiguously.
    fn bytes(&self) -> Vec<u8> {
        let Self { service: ServiceId { tenant, component, environment }, key, turn, content } = self;
        let mut bytes = match content {
            Content::Pages => b"elias/worker-pages/1".to_vec(),
            Content::Record => b"elias/worker-record/1".to_vec(),
        };
        for part in [tenant.as_str(), component.as_str(), environment.as_str(), &key.class, &key.name] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes.extend(turn.to_le_bytes());
        bytes
    }
}

/// Encrypts for one tenant.
pub(super) struct TenantCipher {
    key: DataKey,
}

impl TenantCipher {
    /// Encrypts a text.
    ///
    /// # Errors
    /// Why it cannot be encrypted, for people.
    pub(super) fn seal(&self, context: SealContext<'_>, text: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let nonce = Aes256Gcm::generate_nonce(OsRng);
        let bound = context.bytes();
        let payload = Payload { msg: text, aad: &bound };
        let encrypted =
            self.cipher(&bound)?.encrypt(&nonce, payload).map_err(|_| "it cannot be encrypted".to_owned())?;
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + encrypted.len());
        sealed.push(FORMAT);
        sealed.extend(nonce);
        sealed.extend(encrypted);
        Ok(sealed)
    }

    /// Decrypts a text.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn open(&self, context: SealContext<'_>, sealed: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let rest = match sealed.split_first() {
            Some((&FORMAT, rest)) => rest,
            Some((format, _)) => return Err(format!("its format is {format}, which this release does not know")),
            None => return Err("it is empty".to_owned()),
        };
        let (nonce, encrypted) = rest.split_at_checked(NONCE_BYTES).ok_or("it is cut short")?;
        let bound = context.bytes();
        let payload = Payload { msg: encrypted, aad: &bound };
        let refused = "it was altered, or is another tenant's, worker's or turn's";
        self.cipher(&bound)?.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| refused.to_owned())
    }

    /// The cipher with the key of what is bound to this.
    fn cipher(&self, bound: &[u8]) -> std::result::Result<Aes256Gcm, String> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&*self.key).map_err(|error| error.to_string())?;
        mac.update(bound);
        let key = mac.finalize().into_bytes();
        Ok(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    fn service(tenant: &str) -> ServiceId {
        ServiceId {
            tenant: tenant.parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        }
    }

    #[test]
    fn a_text_is_read_as_what_it_was_written_as_and_every_other_byte_is_refused() {
        let cipher = TenantCipher { key: DataKey::from([7; 32]) };
        let (acme, other) = (service("acme"), service("other"));
        let (cart, near) = (WorkerKey::new("Cart", "a\0b"), WorkerKey::new("Carta", "\0b"));
        let context = SealContext { service: &acme, key: &cart, turn: 5, content: Content::Pages };
        let text = b"pages";
        let sealed = cipher.seal(context, text).expect("encrypted");
        assert_eq!(cipher.open(context, &sealed).expect("decrypted"), text);
        assert_ne!(cipher.seal(context, text).expect("encrypted"), sealed, "each has a nonce of its own");
        for wrong in [
            SealContext { service: &other, ..context },
            SealContext { key: &near, ..context },
            SealContext { turn: 6, ..context },
            SealContext { content: Content::Record, ..context },
        ] {
            let error = cipher.open(wrong, &sealed).expect_err("it is bound to something else");
            assert!(error.contains("another tenant's"), "{error}");
        }
        let others = TenantCipher { key: DataKey::from([8; 32]) };
        assert!(others.open(context, &sealed).is_err(), "another tenant's key");
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(cipher.open(context, &altered).is_err(), "{position}");
            assert!(cipher.open(context, &sealed[..position]).is_err(), "{position}");
        }
    }
}
