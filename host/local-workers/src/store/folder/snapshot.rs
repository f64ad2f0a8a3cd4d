//! A worker as the bytes of a file: `89 "ELWRK" 0a 02`, the length of a header, the header as JSON and its SHA-256, the
//! heap, the heap of before a handler that waits, and the SHA-256 of all that. Digests are in hexadecimal, and the
//! length has four bytes, the least significant first.

use crate::store::WorkerRecord;
use serde::{Deserialize, Serialize};
use std::io::Read;

const MAGIC: &[u8; 8] = b"\x89ELWRK\n\x02";
const DIGEST_BYTES: usize = 64;

/// All of a worker but its heaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The number of its last commit.
    pub(super) seq: u64,
    /// Bytes of its heap.
    pub(super) heap_bytes: u64,
    /// Where a handler waits: bytes of the heap of before it.
    #[serde(default)]
    pub(super) before_bytes: Option<u64>,
    pub(super) record: WorkerRecord,
}

/// The worker as bytes.
///
/// # Errors
/// Why it cannot be written.
pub(super) fn write(header: &Header, heap: &[u8], before: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(header).map_err(|error| error.to_string())?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u32::try_from(json.len()).map_err(|_| "its record is too large")?.to_le_bytes());
    bytes.extend(&json);
    let digest = elias_contract::digest(&bytes);
    bytes.extend(digest.as_bytes());
    bytes.extend(heap);
    bytes.extend(before.unwrap_or_default());
    let digest = elias_contract::digest(&bytes);
    bytes.extend(digest.as_bytes());
    Ok(bytes)
}

/// Reads the header of a file with so many bytes, and nothing else. Gives where the heap begins.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_header(file: &mut impl Read, file_bytes: u64) -> Result<(Header, u64), String> {
    let mut bytes = vec![0; MAGIC.len() + size_of::<u32>()];
    let cut = |_| "it is cut short".to_owned();
    file.read_exact(&mut bytes).map_err(cut)?;
    let (magic, length) = bytes.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err("it is not a worker's file of this version".to_owned());
    }
    let length = u32::from_le_bytes(length.try_into().map_err(|_| "it is cut short")?);
    if u64::from(length) > file_bytes {
        return Err("it is cut short".to_owned());
    }
    let end = bytes.len() + length as usize;
    bytes.resize(end + DIGEST_BYTES, 0);
    file.read_exact(&mut bytes[MAGIC.len() + size_of::<u32>()..]).map_err(cut)?;
    if elias_contract::digest(&bytes[..end]).as_bytes() != &bytes[end..] {
        return Err("the checksum of its header is wrong".to_owned());
    }
    let json = &bytes[MAGIC.len() + size_of::<u32>()..end];
    let header: Header = serde_json::from_slice(json).map_err(|error| format!("its header: {error}"))?;
    let heap_at = bytes.len() as u64;
    let heaps = header.heap_bytes.checked_add(header.before_bytes.unwrap_or(0));
    let expected = heaps.and_then(|heaps| heaps.checked_add(heap_at + DIGEST_BYTES as u64));
    if expected != Some(file_bytes) {
        return Err("it is cut short".to_owned());
    }
    Ok((header, heap_at))
}

/// Checks all of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(bytes: &[u8]) -> Result<(Header, u64), String> {
    let (content, digest) =
        bytes.len().checked_sub(DIGEST_BYTES).map(|at| bytes.split_at(at)).ok_or("it is cut short")?;
    if elias_contract::digest(content).as_bytes() != digest {
        return Err("its checksum is wrong: it was altered or cut short".to_owned());
    }
    read_header(&mut &*bytes, bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_workers::WorkerKey;

    #[test]
    fn what_is_read_was_written_and_every_other_byte_is_refused() {
        let record = WorkerRecord::new(WorkerKey::new("Cart", "a/../\0b"));
        for before in [None, Some([7; 9].as_slice())] {
            let before_bytes = before.map(|before| before.len() as u64);
            let header = Header { seq: 9, heap_bytes: 3, before_bytes, record: record.clone() };
            let bytes = write(&header, &[1, 2, 3], before).expect("it is written");
            let (read, heap_at) = check(&bytes).expect("it is whole");
            assert_eq!((&read, &bytes[heap_at as usize..][..3]), (&header, [1, 2, 3].as_slice()));
            assert_eq!(read_header(&mut bytes.as_slice(), bytes.len() as u64), Ok((header, heap_at)));
            for position in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[position] ^= 1;
                assert!(check(&altered).is_err(), "{position}");
                assert!(check(&bytes[..position]).is_err(), "{position}");
            }
        }
    }
}
