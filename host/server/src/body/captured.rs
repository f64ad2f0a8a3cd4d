//! The beginning of a body as it passes by, for whoever shows it.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// Bytes of a body that are kept.
pub(crate) const CAPTURED_BYTES_MAX: usize = 64 << 10;

/// A body that passes by: its beginning is kept.
#[derive(Debug, Default)]
pub(crate) struct CapturedBody(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    beginning: BytesMut,
    bytes: u64,
    is_ended: bool,
}

/// What is known of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BodyBeginning {
    /// Its first bytes.
    pub(crate) beginning: Bytes,
    /// The bytes that passed by.
    pub(crate) bytes: u64,
    /// Whether these first bytes are all that it has.
    pub(crate) is_whole: bool,
}

impl CapturedBody {
    /// A body that was not read yet. One that `is_empty` is known to be whole.
    pub(crate) fn new(is_empty: bool) -> Self {
        Self(Mutex::new(State { is_ended: is_empty, ..State::default() }))
    }

    /// A piece of the body passes by.
    pub(crate) fn push(&self, piece: &[u8]) {
        let mut state = self.0.lock();
        let room = CAPTURED_BYTES_MAX.saturating_sub(state.beginning.len());
        state.beginning.extend_from_slice(&piece[..piece.len().min(room)]);
        state.bytes += piece.len() as u64;
    }

    /// The body has ended as it should.
    pub(crate) fn end(&self) {
        self.0.lock().is_ended = true;
    }

    /// What is known so far.
    pub(crate) fn beginning(&self) -> BodyBeginning {
        let state = self.0.lock();
        let is_whole = state.is_ended && state.bytes == state.beginning.len() as u64;
        BodyBeginning { beginning: Bytes::copy_from_slice(&state.beginning), bytes: state.bytes, is_whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_it_is_known_whether_that_is_all() {
        let body = CapturedBody::default();
        body.push(b"abc");
        assert!(!body.beginning().is_whole, "more may come");
        body.end();
        let known = body.beginning();
        assert_eq!((&known.beginning[..], known.bytes, known.is_whole), (&b"abc"[..], 3, true));
        let large = CapturedBody::default();
        large.push(&[1; CAPTURED_BYTES_MAX]);
        large.end();
        assert!(large.beginning().is_whole);
        large.push(&[2; 3]);
        let known = large.beginning();
        let (kept, bytes) = (known.beginning.len(), known.bytes as usize);
        assert_eq!((kept, bytes, known.is_whole), (CAPTURED_BYTES_MAX, CAPTURED_BYTES_MAX + 3, false));
        assert!(CapturedBody::new(true).beginning().is_whole);
    }
}
