//! Brotli (RFC 7932).

use super::{CHUNK_BYTES, Failure, TRAILING, TrailingBytes};
use brotli::CompressorWriter;
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// The quality where none is asked for: the highest, which is the format's own default, would take most of a
/// request's fuel for what gzip does at once.
const QUALITY: u32 = 5;

/// The base-two logarithm of the window where none is asked for; larger ones cost memory and gain little for what a
/// response is.
const WINDOW: u32 = 18;

/// Compresses with that quality (0 to 11) and window (10 to 24).
pub(super) fn brotli_writer(quality: Option<u32>, window: Option<u32>) -> CompressorWriter<Vec<u8>> {
    let quality = quality.unwrap_or(QUALITY).min(11);
    CompressorWriter::new(Vec::new(), CHUNK_BYTES, quality, window.unwrap_or(WINDOW).clamp(10, 24))
}

/// Decompresses.
pub(super) struct Unbrotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    trailing: TrailingBytes,
    over: bool,
}

impl Unbrotli {
    pub(super) fn new(trailing: TrailingBytes) -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), trailing, over: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Adds input, and returns the output that is ready.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let (mut left, mut at, mut total) = (bytes.len(), 0, 0);
        while !self.over {
            let mut written = out.len();
            out.resize(written + CHUNK_BYTES, 0);
            let mut room = CHUNK_BYTES;
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut room,
                &mut written,
                &mut out,
                &mut total,
                &mut self.state,
            );
            out.truncate(written);
            match result {
                BrotliResult::ResultSuccess => self.over = true,
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(out),
                BrotliResult::ResultFailure => return Err(format!("brotli {}", self.state.error_code as i32).into()),
            }
        }
        if left > 0 && self.trailing == TrailingBytes::Refuse { Err(TRAILING) } else { Ok(out) }
    }
}
