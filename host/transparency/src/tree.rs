//! The Merkle tree, over hashes that the caller brings.

use super::LogError;
use std::cell::RefCell;
use std::collections::HashMap;
use tlog_tiles::{Error, Hash, HashReader};

/// The most entries of a log. Stored indexes are below twice as much, and so fit what SQL calls BIGINT.
pub const TREE_SIZE_MAX: u64 = 1 << 40;

/// The effect of one more entry.
#[derive(Debug)]
pub struct AppendResult {
    /// The hashes to store, by their stored index: that of the entry, and those of the subtrees that it completes.
    pub stored: Vec<(u64, Hash)>,
    /// The root of the tree with the entry.
    pub root: Hash,
}

/// The stored indexes that [`append`] reads for a log of `size` entries: as many as `size` has binary ones.
#[must_use]
pub fn append_needs(size: u64) -> Vec<u64> {
    root_needs(size)
}

/// Appends an entry to a log that has `size` of them.
///
/// # Errors
/// [`LogError::MissingHash`] if `known` lacks one that [`append_needs`] names, [`LogError::OutOfRange`] if the log is
/// full.
pub fn append(size: u64, record: &[u8], known: &HashMap<u64, Hash>) -> Result<AppendResult, LogError> {
    if size >= TREE_SIZE_MAX {
        return Err(LogError::OutOfRange(size));
    }
    check_known(&append_needs(size), known)?;
    let mut known = KnownHashes { hashes: known, new: HashMap::new() };
    let hashes = tlog_tiles::stored_hashes(size, record, &known)?;
    let stored: Vec<_> = (tlog_tiles::stored_hash_index(0, size)..).zip(hashes).collect();
    known.new = stored.iter().copied().collect();
    let root = tlog_tiles::tree_hash(size + 1, &known)?;
    Ok(AppendResult { stored, root })
}

/// The stored indexes that [`root`] reads.
#[must_use]
pub fn root_needs(size: u64) -> Vec<u64> {
    if size > TREE_SIZE_MAX {
        return Vec::new();
    }
    needs(|reader| tlog_tiles::tree_hash(size, reader).map(drop))
}

/// The root of the tree of the first `size` entries.
///
/// # Errors
/// [`LogError::MissingHash`] if `known` lacks one that [`root_needs`] names, [`LogError::OutOfRange`] if it is too
/// large.
pub fn root(size: u64, known: &HashMap<u64, Hash>) -> Result<Hash, LogError> {
    if size > TREE_SIZE_MAX {
        return Err(LogError::OutOfRange(size));
    }
    check_known(&root_needs(size), known)?;
    Ok(tlog_tiles::tree_hash(size, &KnownHashes::new(known))?)
}

/// The stored indexes that [`inclusion`] reads.
#[must_use]
pub fn inclusion_needs(size: u64, index: u64) -> Vec<u64> {
    if size > TREE_SIZE_MAX {
        return Vec::new();
    }
    needs(|reader| tlog_tiles::prove_record(size, index, reader).map(drop))
}

/// The proof that the tree of `size` entries has the entry at `index` (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`LogError::MissingHash`] if `known` lacks one that [`inclusion_needs`] names, [`LogError::OutOfRange`] if there is
/// no such entry.
pub fn inclusion(size: u64, index: u64, known: &HashMap<u64, Hash>) -> Result<Vec<Hash>, LogError> {
    if size > TREE_SIZE_MAX || index >= size {
        return Err(LogError::OutOfRange(size));
    }
    check_known(&inclusion_needs(size, index), known)?;
    Ok(tlog_tiles::prove_record(size, index, &KnownHashes::new(known))?)
}

/// The stored indexes that [`consistency`] reads.
#[must_use]
pub fn consistency_needs(size: u64, older: u64) -> Vec<u64> {
    if size > TREE_SIZE_MAX {
        return Vec::new();
    }
    needs(|reader| tlog_tiles::prove_tree(size, older, reader).map(drop))
}

/// The proof that the tree of `size` entries begins with the tree of `older` entries (RFC 6962, section 2.1.2).
///
/// # Errors
/// [`LogError::MissingHash`] if `known` lacks one that [`consistency_needs`] names, [`LogError::OutOfRange`] if
/// `older` is 0 or above `size`.
pub fn consistency(size: u64, older: u64, known: &HashMap<u64, Hash>) -> Result<Vec<Hash>, LogError> {
    if size > TREE_SIZE_MAX || older == 0 || older > size {
        return Err(LogError::OutOfRange(size));
    }
    check_known(&consistency_needs(size, older), known)?;
    Ok(tlog_tiles::prove_tree(size, older, &KnownHashes::new(known))?)
}

/// Runs a computation on hashes of no meaning, to learn which it reads.
fn needs(run: impl FnOnce(&Recorder) -> Result<(), Error>) -> Vec<u64> {
    let recorder = Recorder::default();
    // It needs nothing for what it refuses; the computation itself will say why.
    let _ = run(&recorder);
    recorder.0.into_inner()
}

#[derive(Default)]
struct Recorder(RefCell<Vec<u64>>);

impl HashReader for Recorder {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend_from_slice(indexes);
        Ok(vec![Hash::default(); indexes.len()])
    }
}

/// Reads hashes from those that the caller has, and from those that a computation made.
struct KnownHashes<'a> {
    hashes: &'a HashMap<u64, Hash>,
    new: HashMap<u64, Hash>,
}

impl<'a> KnownHashes<'a> {
    fn new(hashes: &'a HashMap<u64, Hash>) -> Self {
        Self { hashes, new: HashMap::new() }
    }
}

impl HashReader for KnownHashes<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let hash = |index| self.new.get(index).or_else(|| self.hashes.get(index)).copied();
        indexes.iter().map(|index| hash(index).ok_or(Error::IndexesNotInTree)).collect()
    }
}

fn check_known(needed: &[u64], known: &HashMap<u64, Hash>) -> Result<(), LogError> {
    needed.iter().find(|index| !known.contains_key(*index)).map_or(Ok(()), |index| Err(LogError::MissingHash(*index)))
}
