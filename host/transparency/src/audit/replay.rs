//! Reading a whole log, as an auditor does.

use super::super::{LogEntry, TILE_WIDTH, record_hash};
use super::{AuditError, Frontier, Log};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The most entries that are searched or replayed: a replay remembers some 50 bytes of each.
pub const REPLAY_ENTRIES_MAX: u64 = 1 << 22;

impl Log<'_> {
    /// Reads every entry, computes the tree anew, and compares the root. No version of a component may have two
    /// digests. `each` sees the entries in order, before it is known whether they are what the checkpoint commits to.
    ///
    /// # Errors
    /// [`AuditError::Tampered`] if the entries do not have the checkpoint's root, [`AuditError::VersionReused`],
    /// [`AuditError::TooMany`].
    pub fn replay(&self, mut each: impl FnMut(u64, &LogEntry)) -> Result<(), AuditError> {
        let mut frontier = Frontier::default();
        let mut versions = HashMap::new();
        let mut reused = None;
        for tile in self.bundles()? {
            let bundle = self.bundle(tile)?;
            for (index, record) in (tile * u64::from(TILE_WIDTH)..).zip(&bundle) {
                frontier.push(record_hash(record));
                let entry = LogEntry::parse(record)?;
                let digest = short(&[entry.sha256.as_bytes()]);
                if *versions.entry(identity(&entry)).or_insert(digest) != digest && reused.is_none() {
                    let LogEntry { tenant, component, version, .. } = entry.clone();
                    reused = Some(AuditError::VersionReused { index, tenant, component, version });
                }
                each(index, &entry);
            }
        }
        if frontier.root() != self.checkpoint.root {
            return Err(AuditError::Tampered("the list of entries".to_owned()));
        }
        // Only what is known to be in the log is held against it.
        reused.map_or(Ok(()), Err)
    }
}

/// Which version of which component an entry is about.
fn identity(entry: &LogEntry) -> u128 {
    short(&[entry.tenant.as_bytes(), b"\0", entry.component.as_bytes(), b"\0", &entry.version.to_be_bytes()])
}

/// 128 bits of SHA-256: enough that no two things have the same by chance or by intent.
fn short(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}
