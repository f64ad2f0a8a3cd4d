//! A worker as the bytes of a file: `89 "ELWRK" 0a`, the version, then the lengths of three parts and these, the record
//! as JSON, the heap, and the heap of before a handler that waits; and the SHA-256 of all that, in hexadecimal. Numbers
//! have four bytes, the least significant first; a heap that is not there has the length 2^32 - 1.

use super::{StoredWorker, WorkerRecord};

const MAGIC: &[u8; 8] = b"\x89ELWRK\n\x01";
const NONE: u32 = u32::MAX;
const DIGEST_BYTES: usize = 64;

/// The worker as bytes.
///
/// # Errors
/// Why it cannot be written.
pub(super) fn write(worker: &StoredWorker) -> Result<Vec<u8>, String> {
    let record = serde_json::to_vec(&worker.record).map_err(|error| error.to_string())?;
    let mut bytes = MAGIC.to_vec();
    for part in [Some(&record), Some(&worker.heap), worker.before.as_ref()] {
        let length = match part {
            None => NONE,
            Some(part) => u32::try_from(part.len()).ok().filter(|length| *length != NONE).ok_or("it is too large")?,
        };
        bytes.extend(length.to_le_bytes());
        bytes.extend(part.into_iter().flatten());
    }
    let digest = elias_contract::digest(&bytes);
    bytes.extend(digest.as_bytes());
    Ok(bytes)
}

/// Reads such bytes.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read(bytes: &[u8]) -> Result<StoredWorker, String> {
    let (content, digest) =
        bytes.len().checked_sub(DIGEST_BYTES).map(|at| bytes.split_at(at)).ok_or("it is cut short")?;
    if !content.starts_with(MAGIC) {
        return Err("it is not a worker's file of this version".to_owned());
    }
    if elias_contract::digest(content).as_bytes() != digest {
        return Err("its checksum is wrong: it was altered or cut short".to_owned());
    }
    let mut rest = &content[MAGIC.len()..];
    let mut part = || -> Result<Option<&[u8]>, String> {
        let (length, after) = rest.split_first_chunk::<4>().ok_or("a part is missing")?;
        let length = u32::from_le_bytes(*length);
        if length == NONE {
            rest = after;
            return Ok(None);
        }
        let (part, after) = after.split_at_checked(length as usize).ok_or("a part is cut short")?;
        rest = after;
        Ok(Some(part))
    };
    let record = part()?.ok_or("it has no record")?;
    let record: WorkerRecord = serde_json::from_slice(record).map_err(|error| format!("its record: {error}"))?;
    let heap = part()?.ok_or("it has no heap")?.to_vec();
    let before = part()?.map(<[u8]>::to_vec);
    Ok(StoredWorker { record, heap, before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_workers::WorkerKey;

    #[test]
    fn what_is_read_was_written_and_every_other_byte_is_refused() {
        let record = WorkerRecord::new(WorkerKey::new("Cart", "a/../\0b"));
        for before in [None, Some(vec![]), Some(vec![7; 9])] {
            let worker = StoredWorker { record: record.clone(), heap: vec![1, 2, 3], before };
            let bytes = write(&worker).expect("it is written");
            assert_eq!(read(&bytes), Ok(worker));
            for position in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[position] ^= 1;
                assert!(read(&altered).is_err(), "{position}");
                assert!(read(&bytes[..position]).is_err(), "{position}");
            }
        }
    }
}
