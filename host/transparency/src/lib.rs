//! The transparency log: every accepted version is a leaf of an append-only Merkle tree (RFC 6962), whose head is
//! signed. Whoever has seen a head can tell later that nothing before it was changed, left out or put in.
//!
//! The log is what C2SP tlog-tiles says (<https://c2sp.org/tlog-tiles>): [entries](LogEntry), *tiles* of hashes, and a
//! signed [checkpoint] (<https://c2sp.org/tlog-checkpoint>), files that any web server can serve. [`audit`] is the
//! other side.
//!
//! The functions here do no input or output. The hashes of all complete subtrees are kept in a store, each under its
//! *stored index*, a number that follows from its place in the tree. What a function reads is told by its other half:
//!
//! ```text
//! indexes = append_needs(size);   known = store.hashes(indexes)
//! appended = append(size, &record, &known)
//! store.insert(size, record);     store.insert_hashes(appended.stored)
//! checkpoint::sign(origin, size + 1, appended.root, &keys)
//! ```
//!
//! All of it belongs into the transaction that accepts the version, which must not run beside another that appends.

pub mod audit;
pub mod checkpoint;
mod entry;
mod proof;
mod tile;
mod tree;

#[cfg(test)]
mod tests;

pub use checkpoint::Checkpoint;
pub use entry::{ENTRY_BYTES_MAX, ENTRY_FORMAT, LogEntry};
pub use proof::Proof;
pub use tile::{TILE_WIDTH, TileKind, TileNeeds, TilePath, entry_bundle, hash_tile, read_bundle, static_tiles};
pub use tlog_tiles::{Hash, record_hash};
pub use tree::{
    AppendResult, TREE_SIZE_MAX, append, append_needs, consistency, consistency_needs, inclusion, inclusion_needs,
    root, root_needs,
};

use elias_contract::note::NoteError;

elias_contract::error_codes! {
    /// Why the log does not take or give something.
    #[derive(Debug, thiserror::Error)]
    pub enum LogError {
        /// The caller did not bring a hash that `*_needs` names: the store has lost it.
        #[error("the log's stored hash {0} is missing: restore the store from a backup")]
        MissingHash(u64) => "log-incomplete",
        /// A size, an index or a tile that is not in the tree.
        #[error("that is not in a log of {0} entries")]
        OutOfRange(u64) => "not-found",
        /// An entry with a field that is wrong or too long, or bytes that are not an entry.
        #[error("an entry of the log is wrong: {0}")]
        Entry(String) => "log-malformed",
        /// Not the path of a tile.
        #[error("that is not the path of a tile: tile/LEVEL/INDEX or tile/entries/INDEX")]
        TilePath => "not-found",
        /// A tile's bytes are not a tile.
        #[error("a tile of the log is malformed")]
        Tile => "log-malformed",
        /// A text that is signed well and is not a checkpoint, or not one of this log.
        #[error("the log's checkpoint is wrong: {0}")]
        Checkpoint(&'static str) => "log-malformed",
        /// A note or key is refused.
        #[error("the log's checkpoint is refused: {0}")]
        Note(#[from] NoteError) as error => error.code(),
        /// The tree's arithmetic failed, which only hashes that contradict each other can cause.
        #[error("the log's hashes contradict each other: {0}")]
        Hashes(#[from] tlog_tiles::Error) => "log-tampered",
    }
}
