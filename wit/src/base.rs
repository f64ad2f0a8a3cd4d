//! The memory with which all images of an engine begin.
//!
//! An engine that has started, with all web APIs evaluated, is megabytes, and the same for every application. Written
//! down once, as the *base*, it makes an application's image the few places in which that differs: a thin component
//! carries these alone, and names the base by its digest; a host maps one base into the memories of all.
//!
//! A base is a core module with a memory and its data, as an image is.

use crate::digest;
use crate::image::{ImageError, memory_of};

/// Runs of equal bytes shorter than this stay within a difference: a data segment costs some nine bytes.
const GAP_BYTES_MIN: usize = 12;

/// The most data segments of a difference; engines refuse modules with more than 100,000.
const SEGMENTS_MAX: usize = 60_000;

/// A base, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// SHA-256 of its module, in hexadecimal.
    pub digest: String,
    /// The initial content of memory.
    pub memory: Vec<u8>,
}

impl Base {
    /// Reads a base's core module.
    ///
    /// # Errors
    /// If it is not a module with one memory and its data in order.
    pub fn read(module: &[u8]) -> Result<Self, ImageError> {
        let (memory_bytes, data) = memory_of(module)?;
        let mut memory = vec![0; memory_bytes];
        for (start, bytes) in data {
            memory[start..start + bytes.len()].copy_from_slice(bytes);
        }
        Ok(Self { digest: digest(module), memory })
    }

    /// Where `memory` differs from this base, which counts as zeros beyond its end: places and what is there instead,
    /// in order.
    #[must_use]
    pub fn difference<'m>(&self, memory: &'m [u8]) -> Vec<(usize, &'m [u8])> {
        let mut gap_bytes_min = GAP_BYTES_MIN;
        loop {
            let segments = difference(&self.memory, memory, gap_bytes_min);
            if segments.len() <= SEGMENTS_MAX {
                return segments;
            }
            gap_bytes_min *= 2;
        }
    }
}

/// Bytes that are compared at once: most are equal.
const BLOCK_BYTES: usize = 256;

fn difference<'m>(base: &[u8], memory: &'m [u8], gap_bytes_min: usize) -> Vec<(usize, &'m [u8])> {
    let mut places: Vec<std::ops::Range<usize>> = Vec::new();
    let zeros = [0; BLOCK_BYTES];
    for (number, block) in memory.chunks(BLOCK_BYTES).enumerate() {
        let start = number * BLOCK_BYTES;
        let known = base.get(start.min(base.len())..(start + block.len()).min(base.len())).unwrap_or_default();
        let (within, beyond) = block.split_at(known.len());
        if within == known && *beyond == zeros[..beyond.len()] {
            continue;
        }
        for (index, byte) in block.iter().enumerate() {
            if *byte == known.get(index).copied().unwrap_or(0) {
                continue;
            }
            let at = start + index;
            match places.last_mut() {
                Some(last) if at - last.end < gap_bytes_min => last.end = at + 1,
                _ => places.push(at..at + 1),
            }
        }
    }
    places.into_iter().map(|place| (place.start, &memory[place])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Base {
        Base::read(&wat::parse_str(text).expect("valid text")).expect("a base")
    }

    #[test]
    fn a_difference_makes_the_memory_of_the_base() {
        let base = base(r#"(module (memory 1) (data (i32.const 100) "abcdef") (data (i32.const 65535) "z"))"#);
        let mut memory = vec![0; 2 << 16];
        memory[..base.memory.len()].copy_from_slice(&base.memory);
        memory[102] = 0; // a zero where the base has something
        memory[105] = b'x'; // near enough for the same segment
        memory[300] = 1;
        memory[65_535] = b'y';
        memory[65_536] = b'y';
        memory[131_071] = 9;
        let segments = base.difference(&memory);
        let places: Vec<_> = segments.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        assert_eq!(places, [(102, 4), (300, 1), (65_535, 2), (131_071, 1)]);
        let mut made = base.memory.clone();
        made.resize(memory.len(), 0);
        for (at, bytes) in segments {
            made[at..at + bytes.len()].copy_from_slice(bytes);
        }
        assert!(made == memory);
        assert!(base.difference(&base.memory).is_empty());
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for text in ["(module)", r#"(module (memory 1) (data (i32.const 65535) "ab"))"#, "(module (memory 0))"] {
            assert!(Base::read(&wat::parse_str(text).expect("valid text")).is_err(), "{text}");
        }
        assert!(Base::read(b"\0asm").is_err());
    }
}
