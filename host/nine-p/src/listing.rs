//! Reading a directory piece by piece, while it changes.

use crate::errno::{Errno, FileError, FileResult};
use crate::limits::LISTED_NAME_BYTES_MAX;
use crate::namespace::Node;
use crate::reply::{linux_entry, plain_entry};
use crate::request::Dialect;

/// Entries that are asked for at once.
const ENTRIES_MAX: usize = 1_000;

/// Bytes of an entry, at least: how many can be in a response.
const ENTRY_BYTES_MIN: usize = 25;

/// Where a client is in a directory that it has open.
///
/// An offset stands for the *name* behind which the listing goes on, not for a number of entries: what comes and goes
/// before it makes no other entry appear twice or not at all. The offsets of the last response are known, and 0 for the
/// beginning; that is where clients go on. Those of all responses would be a list as long as the directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Offsets of the last response, each with the name of its entry.
    known: Vec<(u64, String)>,
}

impl Listing {
    /// The entries behind an offset, as many as `count` bytes have room for; none at the end.
    ///
    /// # Errors
    /// `EINVAL` for another offset, and where there is no room for one entry; what the node fails with.
    pub(crate) async fn read(
        &mut self,
        node: &dyn Node,
        dialect: Dialect,
        offset: u64,
        count: usize,
    ) -> FileResult<Vec<u8>> {
        let (mut after, mut position) = match offset {
            0 => (None, 0),
            _ => {
                let known = self.known.iter().find(|(known, _)| *known == offset);
                let unknown = || FileError::new(Errno::Invalid, "a directory is read from where the last read ended");
                (Some(known.ok_or_else(unknown)?.1.clone()), offset)
            }
        };
        let (mut bytes, mut known) = (Vec::new(), Vec::new());
        let limit = (count / ENTRY_BYTES_MIN).clamp(1, ENTRIES_MAX);
        'response: loop {
            let entries = node.list(after.as_deref(), limit).await?;
            let is_last = entries.len() < limit;
            for entry in entries {
                after = Some(entry.name.clone());
                if entry.name.len() > LISTED_NAME_BYTES_MAX {
                    continue;
                }
                let record = match dialect {
                    Dialect::Linux => linux_entry(&entry, position + 1),
                    Dialect::Plain => plain_entry(&entry),
                };
                if bytes.len() + record.len() > count {
                    if bytes.is_empty() {
                        return Err(FileError::new(Errno::Invalid, "the read has no room for an entry"));
                    }
                    break 'response;
                }
                // In 9P2000 the offset is the number of bytes, in 9P2000.L that of the entry.
                position += if dialect == Dialect::Linux { 1 } else { record.len() as u64 };
                bytes.extend_from_slice(&record);
                known.push((position, entry.name));
            }
            // Names that are left out must not look like the end.
            if is_last || !bytes.is_empty() {
                break;
            }
        }
        if dialect == Dialect::Plain {
            known = known.split_off(known.len().saturating_sub(1));
        }
        if !known.is_empty() {
            self.known = known;
        }
        Ok(bytes)
    }
}
