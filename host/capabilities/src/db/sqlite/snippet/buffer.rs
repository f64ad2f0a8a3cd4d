//! The text that `snippet` and `highlight` make, within the bytes that a value may have.

use super::Result;
use rusqlite::ffi;

/// A text that is made of parts of another.
pub(super) struct HighlightBuffer<'a> {
    text: Vec<u8>,
    most: usize,
    source: &'a [u8],
    /// How far the other was copied.
    copied: usize,
}

impl<'a> HighlightBuffer<'a> {
    /// An empty one, of at most `most` bytes, for parts of `source`.
    pub(super) fn new(source: &'a [u8], most: usize) -> Self {
        Self { text: Vec::new(), most, source, copied: 0 }
    }

    /// Leaves out the source up to there.
    pub(super) fn skip_to(&mut self, start: usize) {
        self.copied = start;
    }

    /// The position up to which the source was copied or left out.
    pub(super) fn copied(&self) -> usize {
        self.copied
    }

    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.text.len() + bytes.len() > self.most {
            return Err(ffi::SQLITE_TOOBIG);
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends the source up to there.
    pub(super) fn copy_to(&mut self, end: usize) -> Result<()> {
        let source = self.source;
        self.append(source.get(self.copied..end).unwrap_or_default())?;
        self.copied = end;
        Ok(())
    }
}
