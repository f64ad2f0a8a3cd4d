//! Answers that components gave and that are given again: in memory, of this host alone.
//!
//! An answer belongs to the release that gave it, so that neither a deployment, nor a rollback, nor a new secret gives anybody the answer of
//! another. All together they are bounded, and each tenant has a share: whoever has used that up has to wait for some of it to end, and
//! nobody else notices.

mod fill;

pub use fill::Fill;

use crate::access::Permission;
use crate::error::{Error, Result};
use crate::name::{ServiceId, TenantId};
use crate::platform::Platform;
use crate::serving::Service;
use crate::session::Session;
use crate::store::NOTHING;
use bytes::Bytes;
use elias_gateway::cache::key_uri;
use elias_gateway::{Freshness, StoredHeaders};
use http::request::Parts;
use moka::Expiry;
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Bytes of all cached responses, and of a tenant's.
const HOST_BYTES_MAX: u64 = 256 << 20;
const TENANT_BYTES_MAX: u64 = HOST_BYTES_MAX / 4;
/// What an entry counts at least, so that their number is bounded too.
const ENTRY_BYTES_MIN: usize = 1 << 10;
/// Answers to one path, for requests that the component tells apart by their headers.
const VARIANTS_MAX: usize = 8;
/// How long requests for what is not kept do not wait for each other.
const PASS_FOR: Duration = Duration::from_secs(5);
/// How long a request waits for the answer to another one.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What is asked for, and of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AnswerKey {
    service: ServiceId,
    release: u64,
    uri: String,
    /// Whether the component was told who asked: what it says to nobody in particular is not for somebody whom it knows.
    identified: bool,
}

impl AnswerKey {
    fn bytes(&self) -> usize {
        self.uri.len() + self.service.tenant.as_str().len() + self.service.component.as_str().len()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Kept {
    /// Its head.
    pub head: StoredHeaders,
    /// Its body.
    pub body: Bytes,
}

/// What is known of a key.
#[derive(Clone)]
enum Entry {
    /// Answers, the latest last.
    Answers(Arc<Vec<Arc<Kept>>>),
    /// The latest answer was none to keep: requests need not wait for each other.
    Pass,
}

impl Entry {
    fn weight(&self, key: &AnswerKey) -> u32 {
        let of = |kept: &Arc<Kept>| kept.body.len() + kept.head.bytes();
        let bytes = match self {
            Self::Answers(all) => all.iter().map(of).sum(),
            Self::Pass => 0,
        };
        u32::try_from((bytes + key.bytes()).max(ENTRY_BYTES_MIN)).unwrap_or(u32::MAX)
    }
}

/// What there is for a request.
pub enum Found {
    /// An answer; a stale one with the right to fetch another, unless somebody is at it.
    Answer(Arc<Kept>, Option<Fill>),
    /// None, and perhaps the right to keep the component's.
    None(Option<Fill>),
}

/// All cached responses.
pub(crate) struct Answers {
    entries: Cache<AnswerKey, Entry>,
    /// Those that are being fetched.
    filling: Mutex<HashMap<AnswerKey, watch::Receiver<()>>>,
    /// Bytes by tenant.
    used: Arc<Mutex<HashMap<TenantId, u64>>>,
    tenant_bytes_max: u64,
}

struct Lifetimes;

impl Expiry<AnswerKey, Entry> for Lifetimes {
    fn expire_after_create(&self, _: &AnswerKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(match entry {
            Entry::Answers(all) => all.iter().map(|kept| kept.head.lifetime()).max().unwrap_or_default(),
            Entry::Pass => PASS_FOR,
        })
    }

    fn expire_after_update(
        &self,
        key: &AnswerKey,
        entry: &Entry,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, at)
    }
}

impl Answers {
    pub(crate) fn new() -> Arc<Self> {
        Self::within(HOST_BYTES_MAX, TENANT_BYTES_MAX)
    }

    fn within(host_bytes_max: u64, tenant_bytes_max: u64) -> Arc<Self> {
        let used: Arc<Mutex<HashMap<TenantId, u64>>> = Arc::default();
        let given_back = Arc::clone(&used);
        let entries = Cache::builder()
            .max_capacity(host_bytes_max)
            .weigher(|key: &AnswerKey, entry: &Entry| entry.weight(key))
            .expire_after(Lifetimes)
            .support_invalidation_closures()
            .eviction_listener(move |key: Arc<AnswerKey>, entry: Entry, _| {
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

    /// What there is for a request. One that has to be asked of the component is asked once: who wants the same meanwhile waits for it.
    pub(crate) async fn find(self: &Arc<Self>, key: &AnswerKey, request: &Parts) -> Found {
        let mut waited = false;
        loop {
            match self.entries.get(key) {
                Some(Entry::Pass) => return Found::None(None),
                Some(Entry::Answers(all)) => {
                    let now = SystemTime::now();
                    let newest =
                        |wanted| all.iter().rev().find(|kept| kept.head.freshness(request, now) == wanted).cloned();
                    if let Some(kept) = newest(Freshness::Fresh) {
                        return Found::Answer(kept, None);
                    }
                    if let Some(kept) = newest(Freshness::Stale) {
                        return Found::Answer(kept, self.begin(key).ok());
                    }
                }
                None => {}
            }
            match self.begin(key) {
                Ok(fill) => return Found::None(Some(fill)),
                Err(_) if waited => return Found::None(None),
                Err(mut filled) => {
                    // It changes never, and is closed when the other one is done.
                    let _ = tokio::time::timeout(WAIT_MAX, filled.changed()).await;
                    waited = true;
                }
            }
        }
    }

    /// The right to fetch an answer, or what tells when who has it is done.
    fn begin(self: &Arc<Self>, key: &AnswerKey) -> std::result::Result<Fill, watch::Receiver<()>> {
        let mut filling = lock(&self.filling);
        if let Some(other) = filling.get(key) {
            return Err(other.clone());
        }
        let (done, filled) = watch::channel(());
        filling.insert(key.clone(), filled);
        Ok(Fill::new(Arc::clone(self), key.clone(), done))
    }

    /// Keeps an answer beside those to requests that differ in what it varies by; unless the tenant has used up its share.
    fn keep(&self, key: &AnswerKey, request: &Parts, kept: Kept) {
        let now = SystemTime::now();
        let mut all: Vec<_> = match self.entries.get(key) {
            Some(Entry::Answers(all)) => all.iter().filter(|kept| !kept.head.is_of(request, now)).cloned().collect(),
            _ => Vec::new(),
        };
        all.push(Arc::new(kept));
        let surplus = all.len().saturating_sub(VARIANTS_MAX);
        all.drain(..surplus);
        self.insert(key, Entry::Answers(Arc::new(all)));
    }

    fn insert(&self, key: &AnswerKey, entry: Entry) {
        // What has ended by now is given back first.
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

    /// Forgets a service's answers.
    fn purge(&self, service: &ServiceId) {
        let service = service.clone();
        // An error would say that closures are not supported, which they are.
        let _ = self.entries.invalidate_entries_if(move |key, _| key.service == service);
        self.entries.run_pending_tasks();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after every operation
}

impl Platform {
    /// What there is for a request to a service; nothing is looked for where callers are given different versions, or it is stopped.
    pub async fn kept_answer(&self, service: &Service, request: &Parts, identified: bool) -> Option<Found> {
        let key = {
            let state = service.state();
            if state.chooses() || state.snapshot.target.stopped {
                return None;
            }
            let (service, release) = (service.id.clone(), state.release.serial);
            AnswerKey { service, release, uri: key_uri(&request.uri), identified }
        };
        Some(self.answers().find(&key, request).await)
    }

    /// Forgets what this host keeps of a service's answers.
    ///
    /// # Errors
    /// `forbidden`; `not-found` if the service is not served here; `store-unavailable` if it cannot be put on record, but is done.
    pub async fn purge_answers(&self, session: &Session, id: &ServiceId) -> Result<()> {
        let permission = Permission::deploy(id.environment);
        session.require(permission, &id.tenant, id)?;
        if self.serving().service(id).is_none() {
            return Err(Error::not_found(format_args!("service {id}")));
        }
        self.answers().purge(id);
        let mut scope = self.write(session, permission, &id.tenant, id).await?;
        scope.audit(&session.actor(), "answers.purge", id.subject(), NOTHING, NOTHING).await?;
        scope.commit().await
    }
}

#[cfg(test)]
mod tests;
