//! Compresses pages, by contexts of zstd that are used again: to make one takes longer than to compress what a turn
//! usually changes.

use parking_lot::Mutex;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// The level at which pages are compressed: quick enough for each commit.
const LEVEL: i32 = 1;

/// Contexts of each kind that are kept, of less than a megabyte each. Who finds none makes one.
const KEPT_MAX: usize = 8;

static COMPRESSORS: Contexts<Compressor<'static>> = Contexts(Mutex::new(Vec::new()));
static DECOMPRESSORS: Contexts<Decompressor<'static>> = Contexts(Mutex::new(Vec::new()));

/// Compresses pages, to one frame of zstd.
///
/// # Errors
/// If there is no memory for it.
pub(super) fn compress(pages: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSORS.with(|| Compressor::new(LEVEL), |compressor| compressor.compress(pages))
}

/// Decompresses pages that have `bytes_max` bytes at most.
///
/// # Errors
/// If the frame is damaged, or has more bytes.
pub(super) fn decompress(frame: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSORS.with(Decompressor::new, |decompressor| decompressor.decompress(frame, bytes_max))
}

/// Contexts that nobody uses now.
struct Contexts<T>(Mutex<Vec<T>>);

impl<T> Contexts<T> {
    /// Uses one of them, or one that is made. Each begins anew with what it is given.
    fn with<O>(
        &self,
        make: impl FnOnce() -> io::Result<T>,
        work: impl FnOnce(&mut T) -> io::Result<O>,
    ) -> io::Result<O> {
        let kept = self.0.lock().pop();
        let mut context = kept.map_or_else(make, Ok)?;
        let done = work(&mut context);
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX {
            kept.push(context);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_failed_begins_anew() {
        let pages = [[7_u8; 4096], [9; 4096]].concat();
        let frame = compress(&pages).expect("there is memory");
        for _ in 0..2 * KEPT_MAX {
            assert!(decompress(&frame[..frame.len() - 1], pages.len()).is_err(), "it is cut short");
            assert!(decompress(&frame, pages.len() - 1).is_err(), "there is no room for it");
            assert_eq!(decompress(&frame, pages.len()).expect("it is whole"), pages);
        }
        assert_eq!(compress(&pages).expect("there is memory"), frame, "whichever context it is");
        assert!(COMPRESSORS.0.lock().len() <= KEPT_MAX && DECOMPRESSORS.0.lock().len() <= KEPT_MAX);
    }
}
