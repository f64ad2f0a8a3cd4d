//! The signed head of a log (C2SP tlog-checkpoint).
//!
//! ```text
//! example.com/log
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! - example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5...
//! ```
//!
//! The lines are the log's *origin*, which is also the name of its keys; how many entries it has; and the root of their
//! tree.

use super::{LogError, TREE_SIZE_MAX};
use elias_contract::note::{self, SigningKey, VerifyingKey};
use tlog_tiles::Hash;

/// The verified content of a checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root of the tree of its entries.
    pub root: Hash,
    /// The signed note that says so: the evidence.
    pub note: String,
}

/// The checkpoint of a log, signed with each of `keys`: while a key is exchanged, with the old and the new.
///
/// # Errors
/// [`LogError::Checkpoint`] if `origin` is not the name of every key or the size is too large; [`LogError::Note`] if
/// there is no key.
pub fn sign(origin: &str, size: u64, root: Hash, keys: &[SigningKey]) -> Result<String, LogError> {
    if size > TREE_SIZE_MAX {
        return Err(LogError::OutOfRange(size));
    }
    if keys.iter().any(|key| key.id().name != origin) {
        return Err(LogError::Checkpoint("the log's origin is not the name of its key"));
    }
    let text = tlog_tiles::Checkpoint::new(origin, size, root, "");
    let text = text.map_err(|_| LogError::Checkpoint("the log has no origin"))?.to_bytes();
    let text = String::from_utf8(text).map_err(|_| LogError::Checkpoint("it is not UTF-8"))?;
    Ok(note::sign(&text, keys)?)
}

impl Checkpoint {
    /// Opens a checkpoint, as untrusted input.
    ///
    /// # Errors
    /// [`LogError::Note`] if it is not signed by one of `keys`; [`LogError::Checkpoint`] if the note is not a
    /// checkpoint of the log that the key belongs to.
    pub fn open(note: &str, keys: &[VerifyingKey]) -> Result<Self, LogError> {
        let opened = note::open(note, keys)?;
        let text = tlog_tiles::Checkpoint::from_bytes(opened.text.as_bytes());
        let text = text.map_err(|_| LogError::Checkpoint("it has not the lines origin, size and root"))?;
        if !opened.signers.iter().any(|signer| signer.name == text.origin()) {
            return Err(LogError::Checkpoint("the key that signed it is another log's"));
        }
        if text.size() > TREE_SIZE_MAX || (text.size() == 0 && *text.hash() != tlog_tiles::EMPTY_HASH) {
            return Err(LogError::Checkpoint("its size is impossible"));
        }
        Ok(Self { origin: text.origin().to_owned(), size: text.size(), root: *text.hash(), note: note.to_owned() })
    }
}
