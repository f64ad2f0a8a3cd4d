//! The response cache: responses of components in the memory of this host.
//!
//! A cached response belongs to the release that made it: after a deployment, a rollback or a new secret, a response of
//! another release is never served. The cache is bounded, and each tenant has a share: a tenant that has used up its
//! share waits until some of its responses expire, and no other tenant notices.

mod fill;

pub use fill::CacheFill;

use crate::serving::Service;
use bytes::Bytes;
use elias_gateway::cache::key_uri;
use elias_gateway::{Freshness, StoredHeaders};
use elias_names::{ServiceId, TenantId};
use http::request::Parts;
use moka::Expiry;
use moka::sync::Cache;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Bytes of all cached responses, and of a tenant's.
const HOST_BYTES_MAX: u64 = 256 << 20;
const TENANT_BYTES_MAX: u64 = HOST_BYTES_MAX / 4;
/// The least that an entry counts, so that their number is bounded too.
const ENTRY_BYTES_MIN: usize = 1 << 10;
/// Responses to one path, for requests that the component tells apart by their headers.
const VARIANTS_MAX: usize = 8;
/// How long requests for what cannot be cached do not wait for each other.
const PASS_FOR: Duration = Duration::from_secs(5);
/// How long a request waits for the response to another one.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The service, its release and what was requested of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    service: ServiceId,
    release: u64,
    uri: String,
    /// Whether the component knew the client: a response to an anonymous client is not served to an identified one.
    identified: bool,
}

impl CacheKey {
    fn bytes(&self) -> usize {
        self.uri.len() + self.service.tenant.as_str().len() + self.service.component.as_str().len()
    }
}

/// A cached response.
#[derive(Debug)]
pub struct CachedResponse {
    /// Its status and headers.
    pub headers: StoredHeaders,
    /// Its body.
    pub body: Bytes,
}

/// The entry of a key.
#[derive(Clone)]
enum CacheEntry {
    /// Responses, the latest last.
    Responses(Arc<Vec<Arc<CachedResponse>>>),
    /// The latest response could not be cached: requests need not wait for each other.
    Pass,
}

impl CacheEntry {
    fn weight(&self, key: &CacheKey) -> u32 {
        let of = |cached: &Arc<CachedResponse>| cached.body.len() + cached.headers.bytes();
        let bytes = match self {
            Self::Responses(all) => all.iter().map(of).sum(),
            Self::Pass => 0,
        };
        u32::try_from((bytes + key.bytes()).max(ENTRY_BYTES_MIN)).unwrap_or(u32::MAX)
    }
}

/// The result of a lookup.
pub enum LookupResult {
    /// A cached response; a stale one with the fill that revalidates it, unless another request has that.
    Hit(Arc<CachedResponse>, Option<CacheFill>),
    /// No cached response, and the fill that stores the component's, unless that is not to be stored.
    Miss(Option<CacheFill>),
}

/// The cached responses of all services.
pub struct ResponseCache {
    entries: Cache<CacheKey, CacheEntry>,
    /// The keys that are being filled.
    filling: Mutex<HashMap<CacheKey, watch::Receiver<()>>>,
    /// Bytes by tenant.
    used: Arc<Mutex<HashMap<TenantId, u64>>>,
    tenant_bytes_max: u64,
}

struct Lifetimes;

impl Expiry<CacheKey, CacheEntry> for Lifetimes {
    fn expire_after_create(&self, _: &CacheKey, entry: &CacheEntry, _: Instant) -> Option<Duration> {
        Some(match entry {
            CacheEntry::Responses(all) => all.iter().map(|cached| cached.headers.lifetime()).max().unwrap_or_default(),
            CacheEntry::Pass => PASS_FOR,
        })
    }

    fn expire_after_update(
        &self,
        key: &CacheKey,
        entry: &CacheEntry,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, at)
    }
}

impl ResponseCache {
    pub(crate) fn new() -> Arc<Self> {
        Self::within(HOST_BYTES_MAX, TENANT_BYTES_MAX)
    }

    fn within(host_bytes_max: u64, tenant_bytes_max: u64) -> Arc<Self> {
        let used: Arc<Mutex<HashMap<TenantId, u64>>> = Arc::default();
        let given_back = Arc::clone(&used);
        let entries = Cache::builder()
            .max_capacity(host_bytes_max)
            .weigher(|key: &CacheKey, entry: &CacheEntry| entry.weight(key))
            .expire_after(Lifetimes)
            .support_invalidation_closures()
            .eviction_listener(move |key: Arc<CacheKey>, entry: CacheEntry, _| {
                let mut used = lock(&given_back);
                if let Some(bytes) = used.get_mut(&key.service.tenant) {
                    *bytes = bytes.saturating_sub(entry.weight(&key).into());
                    if *bytes == 0 {
                        used.remove(&key.service.tenant);
                    }
                }
            })
            .build();
        Arc::new(Self { entries, filling: Mutex::default(), used, tenant_bytes_max })
    }

    /// Looks up the response to a request. Of concurrent requests for the same key, one fills the cache and the others
    /// wait for it.
    pub(crate) async fn find(self: &Arc<Self>, key: &CacheKey, request: &Parts) -> LookupResult {
        let mut waited = false;
        loop {
            match self.entries.get(key) {
                Some(CacheEntry::Pass) => return LookupResult::Miss(None),
                Some(CacheEntry::Responses(all)) => {
                    let now = SystemTime::now();
                    let newest = |wanted| {
                        all.iter().rev().find(|cached| cached.headers.freshness(request, now) == wanted).cloned()
                    };
                    if let Some(cached) = newest(Freshness::Fresh) {
                        return LookupResult::Hit(cached, None);
                    }
                    if let Some(cached) = newest(Freshness::Stale) {
                        return LookupResult::Hit(cached, self.begin(key).ok());
                    }
                }
                None => {}
            }
            match self.begin(key) {
                Ok(fill) => return LookupResult::Miss(Some(fill)),
                Err(_) if waited => return LookupResult::Miss(None),
                Err(mut filled) => {
                    // It changes never, and is closed when the other one is done.
                    let _ = tokio::time::timeout(WAIT_MAX, filled.changed()).await;
                    waited = true;
                }
            }
        }
    }

    /// The fill of a key, or, if another request has it, what tells when that is done.
    fn begin(self: &Arc<Self>, key: &CacheKey) -> std::result::Result<CacheFill, watch::Receiver<()>> {
        let mut filling = lock(&self.filling);
        if let Some(other) = filling.get(key) {
            return Err(other.clone());
        }
        let (done, filled) = watch::channel(());
        filling.insert(key.clone(), filled);
        Ok(CacheFill::new(Arc::clone(self), key.clone(), done))
    }

    /// Stores a response, in addition to those for other values of the headers that it varies by, unless the tenant's
    /// share is used up.
    fn store(&self, key: &CacheKey, request: &Parts, response: CachedResponse) {
        let now = SystemTime::now();
        let mut all: Vec<_> = match self.entries.get(key) {
            Some(CacheEntry::Responses(all)) => {
                all.iter().filter(|cached| !cached.headers.is_of(request, now)).cloned().collect()
            }
            _ => Vec::new(),
        };
        all.push(Arc::new(response));
        let surplus = all.len().saturating_sub(VARIANTS_MAX);
        all.drain(..surplus);
        self.insert(key, CacheEntry::Responses(Arc::new(all)));
    }

    fn insert(&self, key: &CacheKey, entry: CacheEntry) {
        // The weight of entries that have expired is given back first.
        self.entries.run_pending_tasks();
        let weight = u64::from(entry.weight(key));
        {
            let mut used = lock(&self.used);
            let bytes = used.entry(key.service.tenant.clone()).or_default();
            if *bytes + weight > self.tenant_bytes_max {
                return;
            }
            *bytes += weight;
        }
        self.entries.insert(key.clone(), entry);
    }

    /// Looks up the response to a request to a service; none if callers are given different versions, or it is stopped.
    pub async fn look_up(
        self: &Arc<Self>,
        service: &Service,
        request: &Parts,
        identified: bool,
    ) -> Option<LookupResult> {
        let key = {
            let state = service.state();
            if state.chooses() || state.snapshot.target.stopped {
                return None;
            }
            let (service, release) = (service.id.clone(), state.release.serial);
            CacheKey { service, release, uri: key_uri(&request.uri), identified }
        };
        Some(self.find(&key, request).await)
    }

    /// Removes a service's responses.
    pub(crate) fn purge(&self, service: &ServiceId) {
        let service = service.clone();
        // An error would say that closures are not supported, which they are.
        let _ = self.entries.invalidate_entries_if(move |key, _| key.service == service);
        self.entries.run_pending_tasks();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock() // a map is whole after every operation
}

#[cfg(test)]
mod tests;
