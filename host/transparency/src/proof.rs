//! A proof that an entry is in the log, with all that checking it takes: neither the log nor a network.

use super::{Checkpoint, LogEntry, LogError};
use elias_contract::note::VerifyingKey;
use serde::{Deserialize, Serialize};
use tlog_tiles::{Hash, record_hash};

/// A proof that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The entry, byte by byte.
    pub record: String,
    /// Its index, from 0.
    pub index: u64,
    /// The inclusion proof of RFC 6962, section 2.1.1, in Base64.
    pub hashes: Vec<String>,
    /// The checkpoint that the proof leads to, as a signed note.
    pub checkpoint: String,
}

impl Proof {
    /// The entry, if a checkpoint that one of `keys` signed commits to it.
    ///
    /// # Errors
    /// [`LogError`] if the checkpoint is refused, the proof does not lead to its root, or the record is not an entry.
    pub fn open(&self, keys: &[VerifyingKey]) -> Result<LogEntry, LogError> {
        let Checkpoint { size, root, .. } = Checkpoint::open(&self.checkpoint, keys)?;
        let hashes = self.hashes.iter().map(|hash| Hash::parse_hash(hash)).collect::<Result<Vec<_>, _>>()?;
        tlog_tiles::check_record(&hashes, size, root, self.index, record_hash(self.record.as_bytes()))?;
        LogEntry::parse(self.record.as_bytes())
    }
}
