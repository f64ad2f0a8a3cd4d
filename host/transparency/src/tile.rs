//! The files of a log: their paths, what they are made of, and what is read out of them (C2SP tlog-tiles).

use super::{ENTRY_BYTES_MAX, LogError, TREE_SIZE_MAX};
use std::fmt;
use std::ops::Range;
use tlog_tiles::{Hash, stored_hash_index};

/// The hashes, or entries, of a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Bits of an index that a level of tiles takes.
const TILE_HEIGHT: u8 = 8;
/// The level above which a tree of [`TREE_SIZE_MAX`] has no tiles.
const LEVEL_MAX: u8 = 5;
/// More than any path of a tile has.
const PATH_BYTES_MAX: usize = 64;

/// The content of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes, at `level` 0 those of entries, above it each that of a full tile of the level below.
    Hashes {
        /// From 0 to 5.
        level: u8,
    },
    /// Entries.
    Entries,
}

/// The path of a tile below the log's prefix: `tile/LEVEL/INDEX[.p/WIDTH]` or `tile/entries/INDEX[.p/WIDTH]`, where
/// INDEX is written in threes of digits, all but the last with an `x` before: `x001/x234/067`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    /// 1 to [`TILE_WIDTH`]; below that, the tile is *partial*.
    width: u16,
}

/// The parts of which a tile is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TileNeeds {
    /// The hashes with these stored indexes: [`hash_tile`].
    Hashes(Vec<u64>),
    /// The entries with these indexes: [`entry_bundle`].
    Entries(Range<u64>),
}

impl TilePath {
    /// A tile, if a log can have it.
    fn new(kind: TileKind, index: u64, width: u16) -> Option<Self> {
        let path = Self { kind, index, width };
        let fits = path.level() <= LEVEL_MAX && index <= TREE_SIZE_MAX && (1..=TILE_WIDTH).contains(&width);
        (fits && path.end() <= u128::from(TREE_SIZE_MAX)).then_some(path)
    }

    /// Reads a path, as untrusted input. Only the one way to write a path is taken.
    ///
    /// # Errors
    /// [`LogError::TilePath`] if it is none, or that of a tile that no log of [`TREE_SIZE_MAX`] entries has.
    pub fn parse(path: &str) -> Result<Self, LogError> {
        Self::read(path).filter(|tile| tile.to_string() == path).ok_or(LogError::TilePath)
    }

    fn read(path: &str) -> Option<Self> {
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes { level: level.parse().ok()? },
        };
        let (digits, width) = match rest.rsplit_once(".p/") {
            Some((digits, width)) => (digits, width.parse().ok().filter(|width| *width < TILE_WIDTH)?),
            None => (rest, TILE_WIDTH),
        };
        let index = digits.split('/').try_fold(0_u64, |index, three| {
            let three: u64 = three.strip_prefix('x').unwrap_or(three).parse().ok()?;
            index.checked_mul(1000)?.checked_add(three)
        })?;
        Self::new(kind, index, width)
    }

    /// The tile of entries that has the entry at `index`, in a log of `size` entries.
    #[must_use]
    pub fn of_entry(index: u64, size: u64) -> Option<Self> {
        let tile = index / u64::from(TILE_WIDTH);
        let begin = tile * u64::from(TILE_WIDTH);
        let width = size.checked_sub(begin)?.min(u64::from(TILE_WIDTH));
        Self::new(TileKind::Entries, tile, u16::try_from(width).ok()?).filter(|_| index < size)
    }

    /// The content of the tile.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// How many hashes or entries the tile has, from 1 to [`TILE_WIDTH`].
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The full tile at the same place.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: TILE_WIDTH, ..*self }
    }

    /// The most bytes of the file.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        let each = match self.kind {
            TileKind::Hashes { .. } => tlog_tiles::HASH_SIZE,
            TileKind::Entries => 2 + ENTRY_BYTES_MAX,
        };
        each * usize::from(self.width)
    }

    /// The records to read in order to make the tile, in a log of `size` entries.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if the log does not have this tile, or not yet as many entries.
    pub fn needs(&self, size: u64) -> Result<TileNeeds, LogError> {
        if self.end() > u128::from(size) {
            return Err(LogError::OutOfRange(size));
        }
        let begin = self.index * u64::from(TILE_WIDTH);
        let range = begin..begin + u64::from(self.width);
        Ok(match self.kind {
            TileKind::Entries => TileNeeds::Entries(range),
            TileKind::Hashes { level } => {
                TileNeeds::Hashes(range.map(|n| stored_hash_index(TILE_HEIGHT * level, n)).collect())
            }
        })
    }

    fn level(&self) -> u8 {
        match self.kind {
            TileKind::Hashes { level } => level,
            TileKind::Entries => 0,
        }
    }

    /// How many entries a log has that has this tile.
    fn end(&self) -> u128 {
        (u128::from(self.index) * u128::from(TILE_WIDTH) + u128::from(self.width)) << (TILE_HEIGHT * self.level())
    }
}

impl TryFrom<&tlog_tiles::Tile> for TilePath {
    type Error = LogError;

    fn try_from(tile: &tlog_tiles::Tile) -> Result<Self, LogError> {
        let kind = if tile.is_data() { TileKind::Entries } else { TileKind::Hashes { level: tile.level() } };
        let width = u16::try_from(tile.width()).map_err(|_| LogError::TilePath)?;
        Self::new(kind, tile.level_index(), width).ok_or(LogError::TilePath)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut threes = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            threes.push(rest % 1000);
            rest /= 1000;
        }
        for three in threes.iter().skip(1).rev() {
            write!(f, "x{three:03}/")?;
        }
        write!(f, "{:03}", threes[0])?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// The bytes of a tile of hashes.
#[must_use]
pub fn hash_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The bytes of a tile of entries: each after its length, 16 bits, the high byte first.
///
/// # Errors
/// [`LogError::Entry`] if one is over [`ENTRY_BYTES_MAX`].
pub fn entry_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, LogError> {
    let mut bundle = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).ok().filter(|_| entry.len() <= ENTRY_BYTES_MAX);
        let length = length.ok_or_else(|| LogError::Entry(format!("it has {} bytes", entry.len())))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The first `count` entries of a tile of entries, as untrusted input.
///
/// # Errors
/// [`LogError::Tile`] if there are fewer, it is cut short, or one is over [`ENTRY_BYTES_MAX`].
pub fn read_bundle(mut bundle: &[u8], count: u16) -> Result<Vec<&[u8]>, LogError> {
    let mut entries = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, rest) = bundle.split_first_chunk().ok_or(LogError::Tile)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > ENTRY_BYTES_MAX {
            return Err(LogError::Tile);
        }
        let (entry, rest) = rest.split_at_checked(length).ok_or(LogError::Tile)?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}

/// The tiles of a log of `to` entries that a copy of it at `from` entries does not have; all for `from` 0. With the
/// checkpoint, written last, they are the files of a copy that any web server can serve.
pub fn static_tiles(from: u64, to: u64) -> impl Iterator<Item = TilePath> {
    let levels = (0..=LEVEL_MAX).map(|level| TileKind::Hashes { level });
    levels.chain([TileKind::Entries]).flat_map(move |kind| {
        let level = if let TileKind::Hashes { level } = kind { level } else { 0 };
        let count = |size: u64| size.min(TREE_SIZE_MAX) >> (TILE_HEIGHT * level);
        let (from, to) = (count(from), count(to));
        let width = u64::from(TILE_WIDTH);
        let full = (from / width..to / width).filter_map(move |index| TilePath::new(kind, index, TILE_WIDTH));
        let partial = u16::try_from(to % width).ok().filter(|_| to > from);
        full.chain(partial.and_then(|partial| TilePath::new(kind, to / width, partial)))
    })
}
