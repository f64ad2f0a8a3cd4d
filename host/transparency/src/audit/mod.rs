//! The side that does not trust the log: checks its checkpoint, that an entry is in it, and that it only grew.
//!
//! Whatever is fetched is checked against the signed checkpoint, so that it does not matter where it comes from: a
//! server, a mirror, or a folder with a copy of the log's files.

mod fetch;
mod replay;
mod state;

pub use fetch::{Directory, Fetch, FetchError};
pub use replay::REPLAY_ENTRIES_MAX;
pub use state::{Consistency, StateFile};

use super::{Checkpoint, LogEntry, LogError, TILE_WIDTH, TilePath, read_bundle};
use elias_contract::note::{NOTE_BYTES_MAX, VerifyingKey};
use std::cell::RefCell;
use tlog_tiles::{Error, Hash, Tile, TileHashReader, TileReader, record_hash, stored_hash_index};

elias_contract::error_codes! {
    /// Why a log is not believed.
    #[derive(Debug, thiserror::Error)]
    pub enum AuditError {
        /// A file of the log cannot be had.
        #[error("the log's {path} cannot be read: {error}")]
        Unavailable {
            /// The file, below the log's prefix.
            path: String,
            /// Why.
            error: FetchError,
        } => "log-unavailable",
        /// The checkpoint, a tile or an entry is refused.
        #[error(transparent)]
        Log(#[from] LogError) as error => error.code(),
        /// The data that the log served do not match its checkpoint.
        #[error("{0} is not what the log's checkpoint commits to: it was altered")]
        Tampered(String) => "log-tampered",
        /// Two checkpoints, both signed by the log, that exclude each other: the history was rewritten, or others are
        /// shown another.
        #[error("{0}: keep both checkpoints, they prove it")]
        Forked(Box<Conflict>) => "log-forked",
        /// The log has fewer entries than it was seen to have.
        #[error("{0}: either this is an old copy of the log, or entries were taken out")]
        Shrunk(Box<Conflict>) => "log-shrunk",
        /// No entry has the digest.
        #[error("none of the log's {size} entries has the digest {digest}")]
        NotInLog {
            /// How many entries were looked at.
            size: u64,
            /// The digest.
            digest: String,
        } => "not-in-log",
        /// One version, two files.
        #[error(
            "entry {index} gives version {version} of {component} (tenant {tenant}) another digest than an earlier \
             entry"
        )]
        VersionReused {
            /// The later entry's index.
            index: u64,
            /// Its tenant.
            tenant: String,
            /// Its component.
            component: String,
            /// Its version.
            version: u64,
        } => "version-reused",
        /// More entries than are read by one call.
        #[error("the log has {0} entries; at most {REPLAY_ENTRIES_MAX} are searched")]
        TooMany(u64) => "log-too-large",
        /// The file with the checkpoint that was seen last cannot be used.
        #[error("the state file {file}: {problem}")]
        State {
            /// The file.
            file: String,
            /// The defect.
            problem: String,
        } => "bad-state",
    }
}

/// Two checkpoints that exclude each other.
#[derive(Debug)]
pub struct Conflict {
    /// The one that was seen earlier.
    pub seen: Checkpoint,
    /// The one that the log gives out now.
    pub now: Checkpoint,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seen, now } = self;
        write!(f, "the log {} was seen with {} entries and the root {}", seen.origin, seen.size, seen.root)?;
        write!(f, ", and now shows {} entries and the root {}", now.size, now.root)
    }
}

impl AuditError {
    /// The two checkpoints that exclude each other, where that is the failure.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Forked(conflict) | Self::Shrunk(conflict) => Some(conflict),
            _ => None,
        }
    }
}

/// An entry that was found and proved to be in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// Its index, from 0.
    pub index: u64,
    /// The entry.
    pub entry: LogEntry,
}

/// A log at one checkpoint.
pub struct Log<'a> {
    fetch: &'a dyn Fetch,
    checkpoint: Checkpoint,
}

impl<'a> Log<'a> {
    /// Opens a log at the checkpoint that it gives out now, which one of `keys` must have signed.
    ///
    /// # Errors
    /// [`AuditError::Unavailable`], or [`AuditError::Log`] with the reason why the checkpoint is refused.
    pub fn open(fetch: &'a dyn Fetch, keys: &[VerifyingKey]) -> Result<Self, AuditError> {
        let note = get(fetch, "checkpoint", NOTE_BYTES_MAX)?;
        let note = String::from_utf8(note).map_err(|_| LogError::Checkpoint("it is not UTF-8"))?;
        Ok(Self { fetch, checkpoint: Checkpoint::open(&note, keys)? })
    }

    /// The checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Finds the newest entry for the file with this digest, and checks that it is in the log. That there is none is
    /// what the server says: it can hide an entry, and not make one up.
    ///
    /// # Errors
    /// [`AuditError::NotInLog`] if there is none, [`AuditError::Tampered`] if what is given out is not in the log.
    pub fn find(&self, digest: &str) -> Result<ProvenEntry, AuditError> {
        let size = self.checkpoint.size;
        for tile in self.bundles()?.rev() {
            let bundle = self.bundle(tile)?;
            let begin = tile * u64::from(TILE_WIDTH);
            for (at, record) in bundle.iter().enumerate().rev() {
                if !contains(record, digest) {
                    continue;
                }
                let entry = LogEntry::parse(record)?;
                if entry.sha256 == digest {
                    let index = begin + at as u64;
                    self.check_inclusion(index, record)?;
                    return Ok(ProvenEntry { index, entry });
                }
            }
        }
        Err(AuditError::NotInLog { size, digest: digest.to_owned() })
    }

    /// Checks that `record` is the entry at `index`.
    ///
    /// # Errors
    /// [`AuditError::Tampered`] if it is not.
    pub fn check_inclusion(&self, index: u64, record: &[u8]) -> Result<(), AuditError> {
        let Checkpoint { size, root, .. } = self.checkpoint;
        let proof = self.with_hashes(|hashes| tlog_tiles::prove_record(size, index, hashes))?;
        tlog_tiles::check_record(&proof, size, root, index, record_hash(record))
            .map_err(|_| AuditError::Tampered(format!("entry {index}")))
    }

    /// Checks that this log begins with what `seen` commits to.
    ///
    /// # Errors
    /// [`AuditError::Shrunk`] and [`AuditError::Forked`], with both checkpoints.
    pub fn check_extends(&self, seen: &Checkpoint) -> Result<(), AuditError> {
        let now = &self.checkpoint;
        let conflict = || Box::new(Conflict { seen: seen.clone(), now: now.clone() });
        if seen.size > now.size {
            return Err(AuditError::Shrunk(conflict()));
        }
        if seen.size == now.size {
            return if seen.root == now.root { Ok(()) } else { Err(AuditError::Forked(conflict())) };
        }
        if seen.size == 0 {
            return Ok(());
        }
        let proof = self.with_hashes(|hashes| tlog_tiles::prove_tree(now.size, seen.size, hashes))?;
        tlog_tiles::check_tree(&proof, now.size, now.root, seen.size, seen.root)
            .map_err(|_| AuditError::Forked(conflict()))
    }

    /// The tiles of entries, by their index.
    fn bundles(&self) -> Result<std::ops::Range<u64>, AuditError> {
        let size = self.checkpoint.size;
        if size > REPLAY_ENTRIES_MAX {
            return Err(AuditError::TooMany(size));
        }
        Ok(0..size.div_ceil(u64::from(TILE_WIDTH)))
    }

    /// The entries of one tile, not yet checked.
    fn bundle(&self, tile: u64) -> Result<Vec<Vec<u8>>, AuditError> {
        let size = self.checkpoint.size;
        let path = TilePath::of_entry(tile * u64::from(TILE_WIDTH), size).ok_or(LogError::OutOfRange(size))?;
        let bytes = get_tile(self.fetch, path)?;
        Ok(read_bundle(&bytes, path.width())?.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// Computes on the log's hashes, each of which is checked against the checkpoint before it is used.
    fn with_hashes<T>(&self, run: impl FnOnce(&TileHashReader<'_>) -> Result<T, Error>) -> Result<T, AuditError> {
        let tiles = Tiles { fetch: self.fetch, size: self.checkpoint.size, failure: RefCell::new(None) };
        let result = run(&TileHashReader::new(self.checkpoint.size, self.checkpoint.root, &tiles));
        result.map_err(|error| {
            let tampered = || match error {
                Error::InvalidInput(_) | Error::IndexesNotInTree => LogError::OutOfRange(self.checkpoint.size).into(),
                _ => AuditError::Tampered("a tile of hashes".to_owned()),
            };
            tiles.failure.into_inner().unwrap_or_else(tampered)
        })
    }
}

/// Whether the record has the text in it, which is cheaper than to parse it.
fn contains(record: &[u8], text: &str) -> bool {
    std::str::from_utf8(record).is_ok_and(|record| record.contains(text))
}

/// The tiles of hashes, as the log gives them out.
struct Tiles<'a> {
    fetch: &'a dyn Fetch,
    size: u64,
    /// Why a tile could not be had; the trait's own error has no place for it.
    failure: RefCell<Option<AuditError>>,
}

impl Tiles<'_> {
    fn read(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, AuditError> {
        let mut all = Vec::with_capacity(tiles.len());
        for tile in tiles {
            let path = TilePath::try_from(tile)?;
            let mut bytes = get_tile(self.fetch, path)?;
            bytes.truncate(path.bytes_max());
            if bytes.len() < path.bytes_max() {
                return Err(LogError::Tile.into());
            }
            all.push(bytes);
        }
        self.check_full_tiles(tiles, &all)?;
        Ok(all)
    }

    /// Checks that full tiles are what the tiles above them say. `TileHashReader` checks partial tiles against the
    /// root, and full ones too, but of those it leaves out the first few when subtrees of the root share a tile.
    fn check_full_tiles(&self, tiles: &[Tile], all: &[Vec<u8>]) -> Result<(), AuditError> {
        for (tile, bytes) in tiles.iter().zip(all).filter(|(tile, _)| tile.width() == u32::from(TILE_WIDTH)) {
            let hash = tile.parent(1, self.size).and_then(|above| {
                let bytes = &all[tiles.iter().position(|tile| *tile == above)?];
                above.hash_at_index(bytes, stored_hash_index(above.level() * above.height(), tile.level_index())).ok()
            });
            if hash != Some(Tile::subtree_hash(bytes)) {
                return Err(AuditError::Tampered(TilePath::try_from(tile)?.to_string()));
            }
        }
        Ok(())
    }
}

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        self.read(tiles).map_err(|error| {
            *self.failure.borrow_mut() = Some(error);
            Error::InvalidTile
        })
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// A tile, or where a partial one is not kept any more the full one in its place.
fn get_tile(fetch: &dyn Fetch, path: TilePath) -> Result<Vec<u8>, AuditError> {
    match get(fetch, &path.to_string(), path.bytes_max()) {
        Err(missing @ AuditError::Unavailable { error: FetchError::NotFound, .. }) if path.width() < TILE_WIDTH => {
            let full = path.full();
            get(fetch, &full.to_string(), full.bytes_max()).map_err(|_| missing)
        }
        other => other,
    }
}

fn get(fetch: &dyn Fetch, path: &str, limit: usize) -> Result<Vec<u8>, AuditError> {
    fetch.get(path, limit).map_err(|error| AuditError::Unavailable { path: path.to_owned(), error })
}

/// The root of a tree whose leaves come one after the other.
#[derive(Default)]
struct Frontier(Vec<(u8, Hash)>);

impl Frontier {
    fn push(&mut self, leaf: Hash) {
        let (mut level, mut hash) = (0, leaf);
        while let Some((_, left)) = self.0.pop_if(|(of, _)| *of == level) {
            hash = tlog_tiles::node_hash(left, hash);
            level += 1;
        }
        self.0.push((level, hash));
    }

    fn root(&self) -> Hash {
        let mut subtrees = self.0.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = subtrees.next() else { return tlog_tiles::EMPTY_HASH };
        subtrees.fold(last, |right, left| tlog_tiles::node_hash(left, right))
    }
}
