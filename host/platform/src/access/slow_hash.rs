//! Token hashes of former releases: argon2id, which takes 8 MiB and some milliseconds. A token is verified by such a
//! hash once; a fast hash then replaces it.

use super::token::Bearer;
use elias_api::{Code, Error, Result};
use elias_delivery::supervision::{TenantQueue, TenantSlot};
use elias_names::TenantId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Hashes that are computed at a time, one of each tenant at most: a tenant whose old tokens are guessed at holds up
/// no other.
const AT_ONCE: u32 = 2;
/// How long a request waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Verifies old hashes, off the asynchronous threads.
pub(super) struct SlowHashes {
    queue: TenantQueue,
    computed: AtomicU64,
}

impl SlowHashes {
    pub(super) fn new() -> Self {
        Self { queue: TenantQueue::new(AT_ONCE, WAIT_MAX), computed: AtomicU64::new(0) }
    }

    /// Whether a tenant's token is the one that was hashed.
    ///
    /// # Errors
    /// `rate-limited` if too many of the tenant's wait already.
    pub(super) async fn verify(&self, tenant: &TenantId, bearer: &Bearer, hash: String) -> Result<bool> {
        let slot = self.enter(tenant).await.ok_or_else(|| {
            let message = "too many tokens of the tenant are being checked; try again in a moment";
            Error::new(Code::RateLimited, message)
        })?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let bearer = bearer.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            bearer.matches_slow(&hash)
        });
        Ok(verified.await.unwrap_or(false))
    }

    /// The slot in which a tenant's hashes are computed.
    pub(super) async fn enter(&self, tenant: &TenantId) -> Option<TenantSlot> {
        self.queue.enter(tenant).await
    }

    /// The number of hashes that were computed.
    #[cfg(test)]
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }
}
