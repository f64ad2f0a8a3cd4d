//! Records of the journal as bytes.
//!
//! A segment begins with `89 "ELWJ" 0a 01 0a` and its salt, a UUID. Each record is a frame: `89 "fr" 0a`, the salt, the
//! length of the body, the body, and the SHA-256 of all that in hexadecimal. Numbers have their least significant byte
//! first. The salt keeps bytes that a worker wrote into its heap from being taken for a frame where one is damaged.

use crate::store::{HeapCommit, WorkerRecord};
use elias_workers::WorkerKey;

const SEGMENT_MAGIC: &[u8; 8] = b"\x89ELWJ\n\x01\n";
const FRAME_MAGIC: &[u8; 4] = b"\x89fr\n";
pub(super) const SALT_BYTES: usize = 36;
const DIGEST_BYTES: usize = 64;
/// Bytes of a frame before its body.
const HEAD_BYTES: usize = FRAME_MAGIC.len() + SALT_BYTES + size_of::<u32>();
/// Bytes of a body before the record: two numbers of commits, the kind, a turn, and the record's length.
const BODY_HEAD_BYTES: usize = 8 + 8 + 1 + 8 + 4;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Commit { record: Box<WorkerRecord>, heap: HeapCommit },
    Removed(WorkerKey),
}

/// A record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// The commit's number among all of the folder.
    pub(super) seq: u64,
    /// The number of the worker's commit before it; 0 if it had none.
    pub(super) follows: u64,
    pub(super) change: Change,
}

impl Frame {
    /// Which worker it is about.
    pub(super) fn key(&self) -> &WorkerKey {
        match &self.change {
            Change::Commit { record, .. } => &record.key,
            Change::Removed(key) => key,
        }
    }
}

/// Where the bytes of a frame's heap are, from the beginning of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeapRange {
    pub(super) offset: usize,
    pub(super) bytes: usize,
}

/// The beginning of a segment.
pub(super) fn segment_head(salt: &str) -> Vec<u8> {
    [SEGMENT_MAGIC, salt.as_bytes()].concat()
}

/// The salt of a segment, and where its frames begin; none if these bytes do not begin as one.
pub(super) fn read_segment_head(bytes: &[u8]) -> Option<(String, usize)> {
    let salt = bytes.strip_prefix(SEGMENT_MAGIC)?.get(..SALT_BYTES)?;
    Some((String::from_utf8(salt.to_vec()).ok()?, SEGMENT_MAGIC.len() + SALT_BYTES))
}

/// Appends a frame. Gives where its heap is.
///
/// # Errors
/// Why it cannot be written.
pub(super) fn write(out: &mut Vec<u8>, salt: &str, frame: &Frame) -> Result<HeapRange, String> {
    let (kind, back_to, record, heap) = match &frame.change {
        Change::Commit { record, heap } => {
            let record = serde_json::to_vec(record).map_err(|error| error.to_string())?;
            match heap {
                HeapCommit::Unchanged => (0, 0, record, [].as_slice()),
                HeapCommit::Change(bytes) => (1, 0, record, bytes.as_slice()),
                HeapCommit::Whole(bytes) => (2, 0, record, bytes.as_slice()),
                HeapCommit::BackTo(turn) => (3, *turn, record, [].as_slice()),
            }
        }
        Change::Removed(key) => (4, 0, serde_json::to_vec(key).map_err(|error| error.to_string())?, [].as_slice()),
    };
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| "it is too large".to_owned());
    let body_bytes = length(BODY_HEAD_BYTES + record.len() + heap.len())?;
    let start = out.len();
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(salt.as_bytes());
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(&frame.seq.to_le_bytes());
    out.extend_from_slice(&frame.follows.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&back_to.to_le_bytes());
    out.extend_from_slice(&length(record.len())?.to_le_bytes());
    out.extend_from_slice(&record);
    let range = HeapRange { offset: out.len() - start, bytes: heap.len() };
    out.extend_from_slice(heap);
    let digest = elias_contract::digest(&out[start..]);
    out.extend_from_slice(digest.as_bytes());
    Ok(range)
}

/// Reads the frame at the beginning of these bytes. Gives how many bytes it has, and where its heap is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(bytes: &[u8], salt: &str) -> Result<(Frame, usize, HeapRange), &'static str> {
    let head = bytes.get(..HEAD_BYTES).ok_or("it is cut short")?;
    let (magic, rest) = head.split_at(FRAME_MAGIC.len());
    let (frame_salt, length) = rest.split_at(SALT_BYTES);
    if magic != FRAME_MAGIC || frame_salt != salt.as_bytes() {
        return Err("it does not begin as one");
    }
    let length = u32::from_le_bytes(length.try_into().map_err(|_| "it is cut short")?) as usize;
    let end = HEAD_BYTES + length;
    let digest = bytes.get(end..end + DIGEST_BYTES).ok_or("it is cut short")?;
    if elias_contract::digest(&bytes[..end]).as_bytes() != digest {
        return Err("its checksum is wrong");
    }
    let mut body = Reader(&bytes[HEAD_BYTES..end]);
    let (seq, follows) = (body.number()?, body.number()?);
    let kind = *body.take(1)?.first().ok_or("it is cut short")?;
    let back_to = body.number()?;
    let record_bytes = u32::from_le_bytes(body.take(4)?.try_into().map_err(|_| "it is cut short")?);
    let record = body.take(record_bytes as usize)?;
    let heap = body.0;
    let range = HeapRange { offset: end - heap.len(), bytes: heap.len() };
    let change = if kind == 4 {
        Change::Removed(serde_json::from_slice(record).map_err(|_| "its key is not one")?)
    } else {
        let record = Box::new(serde_json::from_slice(record).map_err(|_| "its record is not one")?);
        let heap = match kind {
            0 => HeapCommit::Unchanged,
            1 => HeapCommit::Change(heap.to_vec()),
            2 => HeapCommit::Whole(heap.to_vec()),
            3 => HeapCommit::BackTo(back_to),
            _ => return Err("it is of a kind that this version does not know"),
        };
        Change::Commit { record, heap }
    };
    Ok((Frame { seq, follows, change }, end + DIGEST_BYTES, range))
}

/// Where the next whole frame begins, at `from` or later; none if there is none.
pub(super) fn find_next(bytes: &[u8], from: usize, salt: &str) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        let found = at + rest.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC)?;
        if read(&bytes[found..], salt).is_ok() {
            return Some(found);
        }
        at = found + 1;
    }
}

/// What was not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| "it is cut short")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "f81d4fae-7dec-4000-8000-00a0c91e6bf6";

    fn frames() -> Vec<Frame> {
        let key = WorkerKey::new("Cart", "a/../\0b");
        let record = Box::new(WorkerRecord::new(key.clone()));
        let heaps = [
            HeapCommit::Unchanged,
            HeapCommit::Change(vec![1, 2, 3]),
            HeapCommit::Whole(b"\x89fr\n".to_vec()),
            HeapCommit::BackTo(7),
        ];
        let commits = heaps.map(|heap| Change::Commit { record: record.clone(), heap });
        let changes = commits.into_iter().chain([Change::Removed(key)]);
        changes.zip(1..).map(|(change, seq)| Frame { seq, follows: seq - 1, change }).collect()
    }

    #[test]
    fn what_is_read_was_written_and_every_other_byte_is_refused() {
        for frame in frames() {
            let mut bytes = Vec::new();
            let range = write(&mut bytes, SALT, &frame).expect("it is written");
            assert_eq!(read(&bytes, SALT), Ok((frame, bytes.len(), range)));
            for position in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[position] ^= 1;
                assert!(read(&altered, SALT).is_err(), "{position}");
                assert!(read(&bytes[..position], SALT).is_err(), "{position}");
            }
            assert!(read(&bytes, &SALT.replace('f', "e")).is_err(), "of another segment");
        }
    }

    #[test]
    fn frames_after_a_damaged_one_are_found() {
        let mut bytes = segment_head(SALT);
        let mut starts = Vec::new();
        for frame in frames() {
            starts.push(bytes.len());
            write(&mut bytes, SALT, &frame).expect("it is written");
        }
        let (salt, start) = read_segment_head(&bytes).expect("it begins as one");
        assert_eq!((salt.as_str(), start), (SALT, starts[0]));
        // The heap of the third has the beginning of a frame in it.
        bytes[starts[2] + 60] ^= 1;
        assert_eq!(find_next(&bytes, starts[2], SALT), Some(starts[3]));
        assert_eq!(find_next(&bytes, starts[4] + 1, SALT), None);
    }
}
