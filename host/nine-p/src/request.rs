//! The requests of a client, as both dialects write them. What is the same in both is one request.

use crate::wire::{Decoder, Malformed};

/// Bytes before the body of a message: its size, type and tag.
pub(crate) const HEADER_BYTES: usize = 7;

/// Names of a walk, at most; the protocol says so.
pub(crate) const WALK_NAMES_MAX: usize = 16;

/// In place of a fid: none.
pub(crate) const NO_FID: u32 = u32::MAX;

/// What a client and the server speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 9P2000 as Plan 9 has it: errors are texts.
    Plain,
    /// 9P2000.L: the operations and the error numbers of Linux.
    Linux,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenMode {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// What it held is to be forgotten.
    pub truncate: bool,
    /// It must be a directory.
    pub directory: bool,
}

impl OpenMode {
    /// The access of the two lowest bits, which the dialects share.
    fn of_access(access: u32) -> Result<Self, Malformed> {
        let (read, write) = match access & 3 {
            0 => (true, false),
            1 => (false, true),
            2 => (true, true),
            // Plan 9: execute. Nothing here can be.
            _ => return Err(Malformed),
        };
        Ok(Self { read, write, ..Self::default() })
    }

    fn plain(mode: u8) -> Result<Self, Malformed> {
        const TRUNCATE: u8 = 0x10;
        if mode & !(3 | TRUNCATE) != 0 {
            return Err(Malformed);
        }
        Ok(Self { truncate: mode & TRUNCATE != 0, ..Self::of_access(mode.into())? })
    }

    /// Flags that say how a file is cached or locked are of no meaning here.
    fn linux(flags: u32) -> Result<Self, Malformed> {
        const TRUNCATE: u32 = 0o1000;
        const DIRECTORY: u32 = 0o200_000;
        let (truncate, directory) = (flags & TRUNCATE != 0, flags & DIRECTORY != 0);
        Ok(Self { truncate, directory, ..Self::of_access(flags)? })
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Version {
        msize: u32,
        version: String,
    },
    Auth {
        afid: u32,
        aname: String,
    },
    Attach {
        fid: u32,
        afid: u32,
        aname: String,
    },
    Flush {
        old_tag: u16,
    },
    Walk {
        fid: u32,
        new_fid: u32,
        names: Vec<String>,
    },
    Open {
        fid: u32,
        mode: OpenMode,
    },
    /// Makes a file and opens it; `is_file` is false for directories and what else there is.
    Create {
        fid: u32,
        name: String,
        mode: OpenMode,
        is_file: bool,
    },
    Read {
        fid: u32,
        offset: u64,
        count: u32,
    },
    Write {
        fid: u32,
        offset: u64,
        data: Vec<u8>,
    },
    Clunk {
        fid: u32,
    },
    Remove {
        fid: u32,
    },
    Stat {
        fid: u32,
    },
    /// A change of attributes: the length, if it is to be another one; `is_harmless` if the rest is only times.
    Change {
        fid: u32,
        is_harmless: bool,
        length: Option<u64>,
    },
    Attributes {
        fid: u32,
    },
    ReadDirectory {
        fid: u32,
        offset: u64,
        count: u32,
    },
    FileSystem {
        fid: u32,
    },
    Sync {
        fid: u32,
    },
    /// A message of the protocol that this server does not have: links, locks, extended attributes, new directories.
    Unsupported,
}

impl Request {
    /// Reads the body of a message of a type. Before a version was agreed on, the dialect is the plain one.
    pub(crate) fn decode(dialect: Dialect, kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(body);
        let request = Self::fields(dialect, kind, &mut decoder)?;
        if request != Self::Unsupported {
            decoder.end()?;
        }
        Ok(request)
    }

    fn fields(dialect: Dialect, kind: u8, from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let linux = dialect == Dialect::Linux;
        Ok(match kind {
            100 => Self::Version { msize: from.u32()?, version: from.string()? },
            102 => {
                let (afid, _user) = (from.u32()?, from.string()?);
                let aname = from.string()?;
                user_number(linux, from)?;
                Self::Auth { afid, aname }
            }
            104 => {
                let (fid, afid, _user) = (from.u32()?, from.u32()?, from.string()?);
                let aname = from.string()?;
                user_number(linux, from)?;
                Self::Attach { fid, afid, aname }
            }
            108 => Self::Flush { old_tag: from.u16()? },
            110 => {
                let (fid, new_fid, count) = (from.u32()?, from.u32()?, from.u16()?);
                if usize::from(count) > WALK_NAMES_MAX {
                    return Err(Malformed);
                }
                let names = (0..count).map(|_| from.string()).collect::<Result<_, _>>()?;
                Self::Walk { fid, new_fid, names }
            }
            116 => Self::Read { fid: from.u32()?, offset: from.u64()?, count: from.u32()? },
            118 => {
                let (fid, offset, count) = (from.u32()?, from.u64()?, from.u32()?);
                let count = usize::try_from(count).map_err(|_| Malformed)?;
                Self::Write { fid, offset, data: from.bytes(count)?.to_vec() }
            }
            120 => Self::Clunk { fid: from.u32()? },
            122 => Self::Remove { fid: from.u32()? },
            _ if linux => Self::linux_fields(kind, from)?,
            112 => Self::Open { fid: from.u32()?, mode: OpenMode::plain(from.u8()?)? },
            114 => {
                let (fid, name, permissions) = (from.u32()?, from.string()?, from.u32()?);
                // The upper bits: a directory, exclusive use, append only, and what Unix has.
                Self::Create { fid, name, mode: OpenMode::plain(from.u8()?)?, is_file: permissions >> 16 == 0 }
            }
            124 => Self::Stat { fid: from.u32()? },
            126 => {
                let fid = from.u32()?;
                let size = from.u16()?;
                let record = from.bytes(size.into())?;
                let (is_harmless, length) = changes_of_record(record)?;
                Self::Change { fid, is_harmless, length }
            }
            _ => return Err(Malformed),
        })
    }

    fn linux_fields(kind: u8, from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match kind {
            8 => Self::FileSystem { fid: from.u32()? },
            12 => Self::Open { fid: from.u32()?, mode: OpenMode::linux(from.u32()?)? },
            14 => {
                let (fid, name, flags) = (from.u32()?, from.string()?, from.u32()?);
                let (_mode, _group) = (from.u32()?, from.u32()?);
                Self::Create { fid, name, mode: OpenMode::linux(flags)?, is_file: true }
            }
            24 => {
                let (fid, _mask) = (from.u32()?, from.u64()?);
                Self::Attributes { fid }
            }
            26 => {
                let (fid, valid) = (from.u32()?, from.u32()?);
                let (_mode, _user, _group, size) = (from.u32()?, from.u32()?, from.u32()?, from.u64()?);
                for _ in 0..4 {
                    from.u64()?; // times
                }
                const OWNERSHIP: u32 = 1 | 2 | 4;
                const SIZE: u32 = 8;
                let length = (valid & SIZE != 0).then_some(size);
                Self::Change { fid, is_harmless: valid & OWNERSHIP == 0, length }
            }
            40 => Self::ReadDirectory { fid: from.u32()?, offset: from.u64()?, count: from.u32()? },
            50 => {
                let fid = from.u32()?;
                // Older clients do not say whether the data alone are meant.
                let _ = from.u32();
                Self::Sync { fid }
            }
            // symlink, mknod, rename, readlink, xattrwalk, xattrcreate, lock, getlock, link, mkdir, renameat, unlinkat
            16 | 18 | 20 | 22 | 30 | 32 | 52 | 54 | 70 | 72 | 74 | 76 => Self::Unsupported,
            _ => return Err(Malformed),
        })
    }
}

/// 9P2000.L adds the number of the user, which no one here is known by.
fn user_number(linux: bool, from: &mut Decoder<'_>) -> Result<(), Malformed> {
    if linux {
        from.u32()?;
    }
    Ok(())
}

/// Whether the record of a change changes nothing but times and the length, and the length if it does. What is not to
/// be changed has all bits set, or is an empty text.
fn changes_of_record(record: &[u8]) -> Result<(bool, Option<u64>), Malformed> {
    let mut from = Decoder::new(record);
    let (_size, kind, device) = (from.u16()?, from.u16()?, from.u32()?);
    let qid = from.bytes(13)?.iter().all(|byte| *byte == u8::MAX);
    let mode = from.u32()?;
    let (_accessed, _modified, length) = (from.u32()?, from.u32()?, from.u64()?);
    let mut texts_are_empty = true;
    for _ in 0..4 {
        texts_are_empty &= from.string()?.is_empty();
    }
    from.end()?;
    let is_left = kind == u16::MAX && device == u32::MAX && qid && mode == u32::MAX && texts_are_empty;
    Ok((is_left, (length != u64::MAX).then_some(length)))
}
