//! Storing a response while it is sent.

use super::{CacheEntry, CacheKey, CachedResponse, ResponseCache};
use bytes::{Bytes, BytesMut};
use elias_gateway::StoredHeaders;
use http::request::Parts;
use std::sync::Arc;
use tokio::sync::watch;

/// The right to store the response of a key: one request has it at a time. Dropped before [`finish`](Self::finish), it
/// goes to the next request.
pub struct CacheFill {
    cache: Arc<ResponseCache>,
    key: CacheKey,
    /// Boxed, for it is large.
    response: Option<Box<PendingResponse>>,
    /// Closed for those who wait.
    _done: watch::Sender<()>,
}

/// A response whose body is not complete yet.
struct PendingResponse {
    request: Parts,
    headers: StoredHeaders,
    body: BytesMut,
    bytes_max: u64,
}

impl CacheFill {
    pub(super) fn new(cache: Arc<ResponseCache>, key: CacheKey, done: watch::Sender<()>) -> Self {
        Self { cache, key, response: None, _done: done }
    }

    /// Whether the response to store is that of the release with this number.
    #[must_use]
    pub fn is_of(&self, release: u64) -> bool {
        self.key.release == release
    }

    /// Begins to store a response, if its body has at most `bytes_max` bytes.
    pub fn begin(&mut self, request: Parts, headers: StoredHeaders, bytes_max: u64) {
        self.response = Some(Box::new(PendingResponse { request, headers, body: BytesMut::new(), bytes_max }));
    }

    /// Adds a chunk of the body.
    pub fn push(&mut self, chunk: &Bytes) {
        let Some(pending) = &mut self.response else { return };
        if (pending.body.len() + chunk.len()) as u64 > pending.bytes_max {
            self.pass();
            return;
        }
        pending.body.extend_from_slice(chunk);
    }

    /// Stores the response: its body is complete.
    pub fn finish(mut self) {
        if let Some(pending) = self.response.take() {
            let PendingResponse { request, headers, body, .. } = *pending;
            // A copy of just that length: what was read into may be twice as long.
            self.cache.store(&self.key, &request, CachedResponse { headers, body: Bytes::copy_from_slice(&body) });
        }
    }

    /// Gives up: the response cannot be cached, and presumably neither can the next ones, so they do not wait for each
    /// other.
    pub fn pass(&mut self) {
        self.response = None;
        self.cache.insert(&self.key, CacheEntry::Pass);
    }
}

impl Drop for CacheFill {
    fn drop(&mut self) {
        super::lock(&self.cache.filling).remove(&self.key);
    }
}
