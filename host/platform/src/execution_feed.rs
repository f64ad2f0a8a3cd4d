//! Executions as they are recorded, for those who follow those of a tenant.

use crate::feed::{Feed, FeedBounds, Follower};
use elias_api::ExecutionRecord;
use elias_names::TenantId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The executions of a tenant that wait for its followers: those that are slower lose some.
const BOUNDS: FeedBounds = FeedBounds { items: 1_000, bytes: 4 << 20 };
/// How long executions are kept for a follower that may come back.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// What a record takes beside its texts, about.
const RECORD_BYTES: usize = 1 << 10;

/// The feeds of the tenants that somebody follows; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct ExecutionFeeds(Arc<Mutex<HashMap<TenantId, TenantFeed>>>);

struct TenantFeed {
    feed: Feed<Arc<ExecutionRecord>>,
    /// When somebody followed it last.
    followed_at: Instant,
}

impl ExecutionFeeds {
    /// Gives executions, which were recorded just now, to those who follow them.
    pub(crate) fn publish(&self, batch: &[ExecutionRecord]) {
        let mut feeds = self.0.lock();
        if feeds.is_empty() {
            return;
        }
        let now = Instant::now();
        feeds.retain(|_, tenant| {
            if tenant.feed.is_followed() {
                tenant.followed_at = now;
            }
            now.duration_since(tenant.followed_at) < KEPT_FOR
        });
        for record in batch {
            if let Some(tenant) = feeds.get(&record.tenant) {
                tenant.feed.push(Arc::new(record.clone()), bytes_of(record));
            }
        }
    }

    /// Follows the executions of a tenant after the one at the position `after`, or from now on.
    pub(crate) fn follow(&self, tenant: &TenantId, after: Option<u64>) -> Follower<Arc<ExecutionRecord>> {
        let mut feeds = self.0.lock();
        let new = || TenantFeed { feed: Feed::new(BOUNDS), followed_at: Instant::now() };
        feeds.entry(tenant.clone()).or_insert_with(new).feed.follow(after)
    }
}

/// The bytes of a record, about: its texts are what can be large.
fn bytes_of(record: &ExecutionRecord) -> usize {
    let texts = record.log_lines().map(|(_, message)| message.len() + 64);
    RECORD_BYTES + record.source.len() + record.error.as_ref().map_or(0, String::len) + texts.sum::<usize>()
}
