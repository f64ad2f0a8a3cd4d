//! The responses, as both dialects write them.

use crate::errno::FileError;
use crate::namespace::{DirectoryEntry, Metadata, NodeId};
use crate::request::{Dialect, HEADER_BYTES};

/// Bytes of an error's text that 9P2000 sends.
const ERROR_BYTES_MAX: usize = 256;

/// The types of files in a qid.
const DIRECTORY: u8 = 0x80;
const AUTHENTICATION: u8 = 0x08;
const FILE: u8 = 0;

/// Bytes of an entry of a listing without its name, in 9P2000.L.
const LINUX_ENTRY_BYTES: usize = 13 + 8 + 1 + 2;

/// The owner of every file, in 9P2000: there are no users here but those of tokens.
const OWNER: &str = "elias";

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Version { msize: u32, version: &'static str },
    Auth,
    Attach(NodeId),
    Error(FileError),
    Flush,
    Walk(Vec<NodeId>),
    Open { id: NodeId, io_unit: u32 },
    Create { id: NodeId, io_unit: u32 },
    Read(Vec<u8>),
    ReadDirectory(Vec<u8>),
    Write(u32),
    Clunk,
    Stat { name: String, metadata: Metadata },
    Change,
    Attributes(Metadata),
    FileSystem,
    Sync,
}

impl Reply {
    /// The whole message.
    pub(crate) fn encode(&self, dialect: Dialect, tag: u16) -> Vec<u8> {
        let mut to = Encoder(vec![0; HEADER_BYTES]);
        let kind = self.body(dialect, &mut to);
        let Encoder(mut bytes) = to;
        // A message has at most the bytes that were agreed on, which are a u32.
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        bytes[4] = kind;
        bytes[5..HEADER_BYTES].copy_from_slice(&tag.to_le_bytes());
        bytes
    }

    /// Writes the body; gives the type.
    fn body(&self, dialect: Dialect, to: &mut Encoder) -> u8 {
        let linux = dialect == Dialect::Linux;
        match self {
            Self::Version { msize, version } => {
                to.u32(*msize);
                to.string(version);
                101
            }
            Self::Auth => {
                to.qid(AUTHENTICATION, 0);
                103
            }
            Self::Attach(id) => {
                to.id(*id);
                105
            }
            Self::Error(error) if linux => {
                to.u32(error.errno as u32);
                7
            }
            Self::Error(error) => {
                to.string(cut(&error.message, ERROR_BYTES_MAX));
                107
            }
            Self::Flush => 109,
            Self::Walk(ids) => {
                // As many as were asked for, which is 16 at most.
                to.u16(u16::try_from(ids.len()).unwrap_or(u16::MAX));
                ids.iter().for_each(|id| to.id(*id));
                111
            }
            Self::Open { id, io_unit } | Self::Create { id, io_unit } => {
                to.id(*id);
                to.u32(*io_unit);
                let is_open = matches!(self, Self::Open { .. });
                match (is_open, linux) {
                    (true, true) => 13,
                    (true, false) => 113,
                    (false, true) => 15,
                    (false, false) => 115,
                }
            }
            Self::Read(bytes) | Self::ReadDirectory(bytes) => {
                to.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                to.0.extend_from_slice(bytes);
                if matches!(self, Self::Read(_)) { 117 } else { 41 }
            }
            Self::Write(count) => {
                to.u32(*count);
                119
            }
            Self::Clunk => 121,
            Self::Stat { name, metadata } => {
                let mut record = Encoder(Vec::new());
                record.stat(name, metadata);
                to.u16(u16::try_from(record.0.len()).unwrap_or(u16::MAX));
                to.0.append(&mut record.0);
                125
            }
            Self::Change => {
                if linux {
                    27
                } else {
                    127
                }
            }
            Self::Attributes(metadata) => {
                to.attributes(metadata);
                25
            }
            Self::FileSystem => {
                to.file_system();
                9
            }
            Self::Sync => 51,
        }
    }
}

/// An entry of a listing as 9P2000.L has it; a read goes on behind it with `cookie`.
pub(crate) fn linux_entry(entry: &DirectoryEntry, cookie: u64) -> Vec<u8> {
    let mut to = Encoder(Vec::with_capacity(LINUX_ENTRY_BYTES + entry.name.len()));
    let id = entry.metadata.id;
    to.id(id);
    to.u64(cookie);
    to.0.push(if id.is_directory { 4 } else { 8 }); // DT_DIR, DT_REG
    to.string(&entry.name);
    to.0
}

/// An entry of a listing as 9P2000 has it.
pub(crate) fn plain_entry(entry: &DirectoryEntry) -> Vec<u8> {
    let mut to = Encoder(Vec::new());
    to.stat(&entry.name, &entry.metadata);
    to.0
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        let text = cut(text, u16::MAX.into());
        // It was cut to that.
        self.u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    fn qid(&mut self, kind: u8, path: u64) {
        self.0.push(kind);
        self.u32(0); // nothing may be cached by its version
        self.u64(path);
    }

    fn id(&mut self, id: NodeId) {
        self.qid(if id.is_directory { DIRECTORY } else { FILE }, id.path);
    }

    /// A record with its own size before it.
    fn stat(&mut self, name: &str, metadata: &Metadata) {
        const DIRECTORY_BIT: u32 = 1 << 31;
        let start = self.0.len();
        self.u16(0);
        self.u16(0); // type
        self.u32(0); // device
        self.id(metadata.id);
        self.u32(metadata.permissions | if metadata.id.is_directory { DIRECTORY_BIT } else { 0 });
        let modified = u32::try_from(metadata.modified).unwrap_or(u32::MAX);
        self.u32(modified); // accessed
        self.u32(modified);
        self.u64(metadata.length);
        for text in [name, OWNER, OWNER, OWNER] {
            self.string(text);
        }
        let size = u16::try_from(self.0.len() - start - 2).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&size.to_le_bytes());
    }

    fn attributes(&mut self, metadata: &Metadata) {
        /// Mode, links, owner, group, device, times, number, size and blocks.
        const BASIC: u64 = 0x7ff;
        const BLOCK: u64 = 4_096;
        const DIRECTORY_MODE: u32 = 0o040_000;
        const FILE_MODE: u32 = 0o100_000;
        self.u64(BASIC);
        self.id(metadata.id);
        self.u32(metadata.permissions | if metadata.id.is_directory { DIRECTORY_MODE } else { FILE_MODE });
        self.u32(0); // owner
        self.u32(0); // group
        self.u64(1); // links
        self.u64(0); // device
        self.u64(metadata.length);
        self.u64(BLOCK);
        self.u64(metadata.length.div_ceil(512));
        // Accessed, modified, changed: seconds and nanoseconds.
        for _ in 0..3 {
            self.u64(metadata.modified);
            self.u64(0);
        }
        // Made, which is not known; generation and version of the data.
        for _ in 0..4 {
            self.u64(0);
        }
    }

    /// What `df` shows: nothing is stored here.
    fn file_system(&mut self) {
        /// What Linux has for 9P.
        const MAGIC: u32 = 0x0102_1997;
        self.u32(MAGIC);
        self.u32(4_096);
        for _ in 0..6 {
            self.u64(0); // blocks, free, available, files, free, number
        }
        self.u32(255); // bytes of a name
    }
}
