//! The workers of a service in the platform's store: what their managers ask of it. `acquire` says whose they are.

mod acquire;

use super::cipher::TenantKeys;
use super::commits::{Commits, PreparedCommit};
use super::heaps::{self, aside, of_api};
use super::memory::TenantMemory;
use super::meters::WorkerMeters;
use super::ownership::OwnerLease;
use super::quota::WorkerQuotas;
use super::services::WorkerServices;
use super::versions::{HeapVersion, HeapVersions, event_of};
use crate::artifacts::Artifacts;
use elias_api::{Code, Result};
use elias_local_workers::{
    AcquiredWorker, HeapCommit, StoreError, TurnEvents, WorkerCommit, WorkerStore, WorkerSummary,
};
use elias_names::ServiceId;
use elias_store::{
    CommitOutcome, HeapCommitRow, NewEvent, Store, TurnPages, WorkerCommitRow, WorkerFilter, WorkerRetention,
    WorkerSummaryRow,
};
use elias_workers::WorkerKey;
use elias_workers::config::HistoryConfig;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Former turns of which one is looked for that can be read, where the last cannot.
const FORMER_TURNS: u32 = 100;
/// Workers of a service that are read at a time where all of some kind are read.
const PAGE: u32 = 1_000;

/// What the stores of all services of a host share.
pub(super) struct StoreParts {
    pub(super) store: Store,
    pub(super) artifacts: Artifacts,
    pub(super) keys: TenantKeys,
    /// This process, as the store knows owners.
    pub(super) owner: String,
    pub(super) lease: OwnerLease,
    pub(super) services: Arc<dyn WorkerServices>,
    pub(super) commits: Commits,
    pub(super) quotas: WorkerQuotas,
    pub(super) memory: TenantMemory,
    /// What may wait for the clients of their sockets, by tenant.
    pub(super) socket_memory: TenantMemory,
    pub(super) meters: Arc<WorkerMeters>,
}

/// The workers of one service.
pub(crate) struct PlatformWorkerStore {
    parts: Arc<StoreParts>,
    service: ServiceId,
    versions: Arc<HeapVersions>,
    owned: Mutex<HashMap<WorkerKey, OwnedWorker>>,
}

/// A worker that this host owns.
#[derive(Debug, Default)]
struct OwnedWorker {
    /// The epoch that its actor knows.
    given: u64,
    /// The epoch in the store; none after it was removed, until it is committed anew.
    stored: Option<u64>,
    /// The version that its heap belonged to when it was committed last; none if it never was.
    version: Option<HeapVersion>,
    /// Bytes of its heap, changes that are not merged among them.
    heap_bytes: u64,
    /// The whole heap of a former turn that it goes on from, since that of the last one is damaged: what is committed
    /// next has to be whole.
    former: Option<Vec<u8>>,
}

impl PlatformWorkerStore {
    pub(super) fn new(parts: Arc<StoreParts>, service: ServiceId, versions: Arc<HeapVersions>) -> Self {
        Self { parts, service, versions, owned: Mutex::default() }
    }

    /// Why there cannot be this worker, if it does not exist yet and would be one too many.
    pub(super) async fn refusal_of_new(&self, key: &WorkerKey) -> Result<Option<String>> {
        let (store, tenant) = (&self.parts.store, &self.service.tenant);
        let most = self.parts.services.find(&self.service).map_or(0, |served| served.quotas.workers);
        let is_full = most > 0 && self.parts.quotas.known(store, tenant).await?.workers >= most;
        if !is_full || self.owns(key) {
            return Ok(None);
        }
        let exists = store.read(tenant).await?.worker(&self.service, key).await?.is_some();
        Ok(if exists { None } else { self.parts.quotas.check_workers(store, tenant, most, 1).await? })
    }

    /// How many workers of the service this host owns: those in memory, and those for which something waits.
    pub(super) fn owned(&self) -> usize {
        self.owned.lock().len()
    }

    /// The heap of a worker belongs to this version.
    pub(super) fn set_version(&self, key: &WorkerKey, version: HeapVersion) {
        self.versions.set(key, &version);
    }

    /// Whether a worker is this host's.
    pub(super) fn owns(&self, key: &WorkerKey) -> bool {
        self.owned.lock().contains_key(key)
    }

    async fn heap_now(&self, key: WorkerKey, turn: u64) -> Result<Vec<u8>, StoreError> {
        self.parts.meters.wake();
        let (heap, former) = match self.read_heap(&key, turn).await {
            Err(StoreError::Damaged(why)) => {
                let former = self.former_heap(&key, turn, why).await?;
                (former.clone(), Some(former))
            }
            read => (read?, None),
        };
        if let Some(owned) = self.owned.lock().get_mut(&key) {
            owned.heap_bytes = heap.len() as u64;
            owned.former = former;
        }
        Ok(heap)
    }

    /// The heap of a turn that is kept.
    pub(super) async fn read_heap(&self, key: &WorkerKey, turn: u64) -> Result<Vec<u8>, StoreError> {
        let reading = async {
            let mut scope = self.parts.store.read(&self.service.tenant).await?;
            Result::<_, elias_api::Error>::Ok(scope.heap_parts(&self.service, key, turn).await?)
        };
        let parts = reading.await.map_err(of_api)?.ok_or(StoreError::NoSuchTurn(turn))?;
        let cipher = self.parts.keys.of(&self.service.tenant).await.map_err(of_api)?;
        heaps::read(&self.parts.artifacts, &cipher, &self.service, key, parts).await
    }

    /// The heap of the last turn before this one that can be read, for a worker whose own is damaged. It goes on from
    /// there, which is said.
    async fn former_heap(&self, key: &WorkerKey, turn: u64, why: String) -> Result<Vec<u8>, StoreError> {
        let listing = async {
            let mut scope = self.parts.store.read(&self.service.tenant).await?;
            Result::<_, elias_api::Error>::Ok(scope.worker_history(&self.service, key, Some(turn), FORMER_TURNS).await?)
        };
        for former in listing.await.map_err(of_api)? {
            let Ok(heap) = self.read_heap(key, former.turn).await else { continue };
            tracing::error!(
                service = %self.service, worker = %key, turn, former = former.turn, %why,
                "the heap of a worker is damaged: it goes on from a former turn"
            );
            let data =
                json!({ "class": key.class, "name": key.name, "turn": turn, "former": former.turn, "reason": why });
            self.publish(key, "worker.failed", data);
            return Ok(heap);
        }
        tracing::error!(service = %self.service, worker = %key, turn, %why, "the heap of a worker is damaged");
        Err(StoreError::Damaged(why))
    }

    /// Publishes an event about a worker.
    pub(super) fn publish(&self, key: &WorkerKey, event_type: &'static str, data: serde_json::Value) {
        self.parts.services.publish(&self.service, key, event_type, data);
    }

    async fn commit_now(&self, commit: WorkerCommit) -> Result<(), StoreError> {
        let WorkerCommit { epoch, record, heap, events } = commit;
        let (key, turn) = (record.key.clone(), record.turns);
        let Some(version) = self.versions.get(&key) else {
            let why = format!("no turn of the worker {key} has run here");
            return Err(StoreError::Damaged(why));
        };
        let epoch = self.stored_epoch(&key, epoch).await?;
        let former = self.owned.lock().get_mut(&key).and_then(|owned| owned.former.clone());
        let heap = match (heap, former) {
            (HeapCommit::Change(change), Some(former)) => {
                let bytes = former.len() + change.len();
                let merged = aside(bytes, move || heaps::merge(former, &[change])).await?;
                HeapCommit::Whole(merged.map_err(StoreError::Damaged)?)
            }
            // The last turn's own heap is damaged.
            (HeapCommit::Unchanged, Some(former)) => HeapCommit::Whole(former),
            (heap, _) => heap,
        };
        let is_readable = matches!(heap, HeapCommit::Whole(_) | HeapCommit::BackTo(_));
        let before = self.owned.lock().get(&key).map_or(0, |owned| owned.heap_bytes);
        let (heap, heap_bytes) = match heap {
            HeapCommit::Unchanged => (HeapCommitRow::Unchanged, before),
            HeapCommit::BackTo(turn) => (HeapCommitRow::BackTo(turn), before),
            HeapCommit::Change(change) => {
                let bytes = before.saturating_add(change.len() as u64);
                (HeapCommitRow::Change(self.pages(&key, turn, change).await?), bytes)
            }
            HeapCommit::Whole(whole) => {
                let bytes = whole.len() as u64;
                (HeapCommitRow::Whole(self.pages(&key, turn, whole).await?), bytes)
            }
        };
        let back_to = if let HeapCommitRow::BackTo(turn) = heap { Some(turn) } else { None };
        let cipher = self.parts.keys.of(&self.service.tenant).await.map_err(of_api)?;
        let row = WorkerCommitRow {
            service: self.service.clone(),
            epoch,
            turns: turn,
            is_waiting: record.is_waiting(),
            next_due: record.next_due(),
            has_calls: record.has_calls(),
            restorable_turn: record.restorable_turn(),
            upgraded_from_turn: record.upgraded_from_turn(),
            record: heaps::seal_record(&cipher, &self.service, record).await?,
            heap_bytes,
            version: version.number,
            component_digest: version.digest.clone(),
            heap,
            key: key.clone(),
        };
        let served = self.parts.services.find(&self.service);
        let quotas = served.as_ref().map(|served| served.quotas);
        let retention = served.map_or_else(WorkerRetention::default, |served| retention(&served.config.history));
        let events = self.new_events(&key, events).await?;
        let publishes = !events.is_empty();
        match self.parts.commits.commit(PreparedCommit { row, retention, events, quotas }).await.map_err(of_commit)? {
            CommitOutcome::Committed if publishes => self.parts.services.events_published(),
            CommitOutcome::Committed | CommitOutcome::AlreadyCommitted => {}
            CommitOutcome::NotOwner => return Err(StoreError::NotOwner),
            CommitOutcome::NoSuchTurn => return Err(StoreError::NoSuchTurn(turn)),
        }
        let mut before = None;
        if let Some(owned) = self.owned.lock().get_mut(&key) {
            owned.heap_bytes = heap_bytes;
            if is_readable {
                owned.former = None;
            }
            before = owned.version.replace(version.clone());
        }
        // The commit itself is one more than the turns that are lost.
        let restored = back_to.map(|back_to| (back_to, turn.saturating_sub(back_to).saturating_sub(1)));
        if let Some((event_type, data)) = event_of(&key, before.as_ref(), &version, restored) {
            self.publish(&key, event_type, data);
        }
        Ok(())
    }

    /// What is published of the events of turns, in the transaction that commits them.
    async fn new_events(&self, key: &WorkerKey, turns: Vec<TurnEvents>) -> Result<Vec<NewEvent>, StoreError> {
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = turns.iter().flat_map(|turn| &turn.events).map(|event| event.value.len()).sum();
        let (services, service, key) = (Arc::clone(&self.parts.services), self.service.clone(), key.clone());
        aside(bytes, move || services.new_events(&service, &key, &turns)).await
    }

    /// Encrypts pages, within the tenant's quota of bytes.
    async fn pages(&self, key: &WorkerKey, turn: u64, pages: Vec<u8>) -> Result<TurnPages, StoreError> {
        let tenant = &self.service.tenant;
        let most = self.parts.services.find(&self.service).map_or(0, |served| served.quotas.worker_bytes);
        let more = pages.len() as u64;
        let refusal = self.parts.quotas.check_bytes(&self.parts.store, tenant, most, more).await.map_err(of_api)?;
        if let Some(refusal) = refusal {
            return Err(StoreError::QuotaExceeded(refusal));
        }
        let cipher = self.parts.keys.of(tenant).await.map_err(of_api)?;
        heaps::write(&self.parts.artifacts, &cipher, &self.service, key, turn, pages).await
    }

    /// The epoch of a worker in the store, by the one that its actor knows. One that was removed is acquired again.
    async fn stored_epoch(&self, key: &WorkerKey, given: u64) -> Result<u64, StoreError> {
        match self.owned.lock().get(key) {
            Some(owned) if owned.given != given => return Err(StoreError::NotOwner),
            Some(OwnedWorker { stored: Some(stored), .. }) => return Ok(*stored),
            Some(_) => {}
            None => return Err(StoreError::NotOwner),
        }
        let (worker, record) = self.acquire_row(key, true).await?;
        if record.is_some() {
            // Another host has begun it meanwhile.
            return Err(StoreError::NotOwner);
        }
        if let Some(owned) = self.owned.lock().get_mut(key) {
            owned.stored = Some(worker.epoch);
        }
        Ok(worker.epoch)
    }

    async fn remove_now(&self, key: WorkerKey, given: u64) -> Result<(), StoreError> {
        let (epoch, has_begun) = match self.owned.lock().get(&key) {
            Some(owned) if owned.given == given => (owned.stored, owned.version.is_some()),
            _ => return Err(StoreError::NotOwner),
        };
        let Some(epoch) = epoch else { return Ok(()) };
        let mut scope = self.parts.store.worker_write(&self.service.tenant).await.map_err(of_store)?;
        let was_own = scope.remove_worker(&self.service, &key, epoch).await.map_err(of_store)?;
        scope.commit().await.map_err(of_store)?;
        if !was_own {
            return Err(StoreError::NotOwner);
        }
        if let Some(owned) = self.owned.lock().get_mut(&key) {
            *owned = OwnedWorker { given, ..OwnedWorker::default() };
        }
        if has_begun {
            self.publish(&key, "worker.stopped", json!({ "class": key.class, "name": key.name }));
        }
        Ok(())
    }

    async fn release_now(&self, key: WorkerKey, given: u64) -> Result<(), StoreError> {
        let stored = {
            let mut owned = self.owned.lock();
            if owned.get(&key).is_none_or(|worker| worker.given != given) {
                return Ok(());
            }
            owned.remove(&key).and_then(|worker| worker.stored)
        };
        self.versions.forget(&key);
        match stored {
            Some(epoch) => self.release_row(&key, epoch).await,
            None => Ok(()),
        }
    }

    async fn summary_row(&self, key: &WorkerKey) -> Result<Option<WorkerSummaryRow>, StoreError> {
        let mut scope = self.parts.store.read(&self.service.tenant).await.map_err(of_store)?;
        scope.worker(&self.service, key).await.map_err(of_store)
    }

    async fn pending_now(&self) -> Result<Vec<WorkerSummary>, StoreError> {
        let (mut all, mut after): (Vec<WorkerSummary>, Option<WorkerKey>) = (Vec::new(), None);
        loop {
            let mut scope = self.parts.store.read(&self.service.tenant).await.map_err(of_store)?;
            let owner = &self.parts.owner;
            let page = scope.pending_workers(&self.service, owner, after.as_ref(), PAGE).await.map_err(of_store)?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|row| row.key.clone());
            all.extend(page.into_iter().map(summary));
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Whether a worker of the service has to go on without a message.
    pub(super) async fn has_pending(&self) -> Result<bool> {
        let mut scope = self.parts.store.read(&self.service.tenant).await?;
        Ok(!scope.pending_workers(&self.service, &self.parts.owner, None, 1).await?.is_empty())
    }
}

impl WorkerStore for PlatformWorkerStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        self.pending_now().boxed()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        async move {
            let mut scope = self.parts.store.read(&self.service.tenant).await.map_err(of_store)?;
            let limit = u32::try_from(limit).unwrap_or(PAGE).min(PAGE);
            let rows = scope.workers(&self.service, &WorkerFilter::default(), after.as_ref(), limit).await;
            Ok(rows.map_err(of_store)?.into_iter().map(summary).collect())
        }
        .boxed()
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        let key = key.clone();
        async move { Ok(self.summary_row(&key).await?.map(summary)) }.boxed()
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        self.acquire_now(key.clone(), true).boxed()
    }

    fn acquire_unasked(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        self.acquire_now(key.clone(), false).boxed()
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.heap_now(key.clone(), turn).boxed()
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        self.commit_now(commit).boxed()
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.remove_now(key.clone(), epoch).boxed()
    }

    fn discard<'a>(&'a self, key: &'a WorkerKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.discard_now(key).boxed()
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.release_now(key.clone(), epoch).boxed()
    }
}

/// The history that a service keeps, and when its changes are made one heap.
fn retention(history: &HistoryConfig) -> WorkerRetention {
    WorkerRetention { history_turns: history.turns, history_ms: history.age.as_millis(), ..WorkerRetention::default() }
}

fn summary(row: WorkerSummaryRow) -> WorkerSummary {
    let WorkerSummaryRow { key, turns, is_waiting, next_due, has_calls, heap_bytes, .. } = row;
    WorkerSummary { key, turns, is_waiting, next_due, has_calls, heap_bytes }
}

/// An error of a commit: what a turn may not publish is told to whoever sent its message.
fn of_commit(error: elias_api::Error) -> StoreError {
    match error.code() {
        Code::QuotaExceeded => StoreError::QuotaExceeded(error.to_string()),
        _ => of_api(error),
    }
}

fn of_store(error: elias_store::Error) -> StoreError {
    of_api(error.into())
}
