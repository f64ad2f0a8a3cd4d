//! Keeping an answer while it is given.

use super::{AnswerKey, Answers, Entry, Kept};
use bytes::{Bytes, BytesMut};
use elias_gateway::StoredHeaders;
use http::request::Parts;
use std::sync::Arc;
use tokio::sync::watch;

/// The right to keep the answer to a request, of which there is one at a time. Dropped before [`finish`](Self::finish) it lets the next one try.
pub struct Fill {
    answers: Arc<Answers>,
    key: AnswerKey,
    /// Boxed, for it is large.
    answer: Option<Box<Begun>>,
    /// Closed for those who wait.
    _done: watch::Sender<()>,
}

/// An answer that has begun.
struct Begun {
    request: Parts,
    head: StoredHeaders,
    body: BytesMut,
    bytes_max: u64,
}

impl Fill {
    pub(super) fn new(answers: Arc<Answers>, key: AnswerKey, done: watch::Sender<()>) -> Self {
        Self { answers, key, answer: None, _done: done }
    }

    /// Whether the release with this number is whose answer is wanted.
    #[must_use]
    pub fn is_of(&self, release: u64) -> bool {
        self.key.release == release
    }

    /// The answer has this head, and is kept if its body has at most `bytes_max` bytes.
    pub fn begin(&mut self, request: Parts, head: StoredHeaders, bytes_max: u64) {
        self.answer = Some(Box::new(Begun { request, head, body: BytesMut::new(), bytes_max }));
    }

    /// More of the body has come.
    pub fn push(&mut self, chunk: &Bytes) {
        let Some(begun) = &mut self.answer else { return };
        if (begun.body.len() + chunk.len()) as u64 > begun.bytes_max {
            self.pass();
            return;
        }
        begun.body.extend_from_slice(chunk);
    }

    /// The body has come whole.
    pub fn finish(mut self) {
        if let Some(begun) = self.answer.take() {
            let Begun { request, head, body, .. } = *begun;
            // A copy of just that length: what was read into may be twice as long.
            self.answers.keep(&self.key, &request, Kept { head, body: Bytes::copy_from_slice(&body) });
        }
    }

    /// The answer is none to keep, and so neither will be the next ones: they need not wait for each other.
    pub fn pass(&mut self) {
        self.answer = None;
        self.answers.insert(&self.key, Entry::Pass);
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        super::lock(&self.answers.filling).remove(&self.key);
    }
}
