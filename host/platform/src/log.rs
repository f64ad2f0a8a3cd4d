//! The transparency log as files that anyone may read: its checkpoint and its tiles.

use crate::platform::Platform;
use crate::vault::read_or_make;
use cap_std::fs::Dir;
use elias_api::{Code, Error, Result};
use elias_contract::note::SigningKey;
use elias_transparency::{self, LogError, TileNeeds, TilePath, checkpoint};
use rand::RngCore;
use rand::rngs::OsRng;

/// The file of the key that signs checkpoints. Hosts that share a store share it too.
const KEY_FILE: &str = "log.key";

/// The key that signs checkpoints of the log of this origin; made if it is not there.
pub(crate) fn open_key(folder: &Dir, origin: &str) -> Result<SigningKey> {
    let wrong =
        |error: elias_contract::note::NoteError| Error::new(Code::BadInput, format!("the file {KEY_FILE}: {error}"));
    let mut seed = [0; 32];
    OsRng.fill_bytes(&mut seed);
    let made = SigningKey::from_seed(origin, &seed).map_err(wrong)?;
    let text = read_or_make(folder, KEY_FILE, || made.to_text())?;
    SigningKey::parse(text.trim()).map_err(wrong)
}

impl Platform {
    /// The log's verifier key, which auditors check its checkpoints with.
    #[must_use]
    pub fn log_key(&self) -> String {
        self.log_signing_key().verifying_key().to_string()
    }

    /// The log's signed head, as C2SP tlog-checkpoint.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn log_checkpoint(&self) -> Result<String> {
        let mut scope = self.store().host_read().await?;
        let size = scope.log_size().await?;
        let known = scope.log_hashes(&elias_transparency::root_needs(size)).await?;
        let root = elias_transparency::root(size, &known).map_err(refused)?;
        let key = self.log_signing_key();
        checkpoint::sign(&key.id().name, size, root, std::slice::from_ref(key)).map_err(refused)
    }

    /// A tile of the log, by its path in C2SP tlog-tiles: `tile/0/000`, `tile/entries/000.p/5`.
    ///
    /// # Errors
    /// `not-found`, `store-unavailable`.
    pub async fn log_tile(&self, path: &str) -> Result<Vec<u8>> {
        let tile = TilePath::parse(path).map_err(refused)?;
        let mut scope = self.store().host_read().await?;
        let size = scope.log_size().await?;
        match tile.needs(size).map_err(refused)? {
            TileNeeds::Hashes(positions) => {
                let known = scope.log_hashes(&positions).await?;
                let hashes = positions
                    .iter()
                    .map(|position| known.get(position).copied().ok_or(LogError::MissingHash(*position)));
                Ok(elias_transparency::hash_tile(&hashes.collect::<Result<Vec<_>, _>>().map_err(refused)?))
            }
            TileNeeds::Entries(range) => {
                let records = scope.log_records(range.start, range.end).await?;
                elias_transparency::entry_bundle(records.iter().map(String::as_bytes)).map_err(refused)
            }
        }
    }
}

fn refused(error: LogError) -> Error {
    let code = match error.code() {
        "not-found" => Code::NotFound,
        _ => Code::Internal,
    };
    Error::new(code, error.to_string())
}
