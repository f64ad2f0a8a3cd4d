//! Acquiring workers and giving them up.

use super::{OwnedWorker, PlatformWorkerStore, of_store};
use crate::workers::heaps::{self, of_api};
use crate::workers::versions::HeapVersion;
use elias_api::Result;
use elias_local_workers::{AcquiredWorker, StoreError, WorkerRecord};
use elias_store::WorkerAcquisition;
use elias_workers::WorkerKey;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// How long another host is waited for to give a worker up, and how often it is looked whether it has: as often as
/// hosts look whether they are asked, it takes the end of a turn more.
const OWNER_WAIT: Duration = Duration::from_secs(5);
const OWNER_LOOK: Duration = Duration::from_millis(100);

impl PlatformWorkerStore {
    pub(super) async fn acquire_now(&self, key: WorkerKey, asks: bool) -> Result<AcquiredWorker, StoreError> {
        // From here on: whoever wants it of this host is given it by its actor.
        self.owned.lock().entry(key.clone()).or_default();
        let acquired = self.try_acquire(&key, asks).await;
        if acquired.is_err() {
            self.owned.lock().remove(&key);
            self.versions.forget(&key);
        }
        acquired
    }

    async fn try_acquire(&self, key: &WorkerKey, asks: bool) -> Result<AcquiredWorker, StoreError> {
        let (worker, record) = self.acquire_row(key, asks).await?;
        let (record, heap_bytes) = match self.read_acquired(key, worker.turns, record).await {
            Ok(read) => read,
            Err(error) => {
                // Nobody here has it: another host may read it.
                if let Err(error) = self.release_row(key, worker.epoch).await {
                    tracing::warn!(service = %self.service, worker = %key, %error, "a worker cannot be released");
                }
                return Err(error);
            }
        };
        let version = match (worker.version, worker.component_digest) {
            (Some(number), Some(digest)) => Some(HeapVersion { number, digest }),
            _ => None,
        };
        if let Some(version) = &version {
            self.versions.set(key, version);
        }
        let (given, stored) = (worker.epoch, Some(worker.epoch));
        self.owned.lock().insert(key.clone(), OwnedWorker { given, stored, version, heap_bytes, former: None });
        Ok(AcquiredWorker { epoch: worker.epoch, record })
    }

    /// The record of a worker that was acquired, and the bytes of its heap; of one that does not exist yet whether
    /// there may be another.
    async fn read_acquired(
        &self,
        key: &WorkerKey,
        turn: u64,
        sealed: Option<Vec<u8>>,
    ) -> Result<(Option<WorkerRecord>, u64), StoreError> {
        let Some(sealed) = sealed else {
            self.check_new().await?;
            return Ok((None, 0));
        };
        let cipher = self.parts.keys.of(&self.service.tenant).await.map_err(of_api)?;
        let record = heaps::open_record(&cipher, &self.service, key, turn, sealed).await?;
        let heap_bytes = self.summary_row(key).await?.map_or(0, |row| row.heap_bytes);
        Ok((Some(record), heap_bytes))
    }

    /// Acquires the row of a worker; gives its sealed record beside it. Another host that has it is asked to give it
    /// up, and waited for; or it stays that host's.
    pub(super) async fn acquire_row(
        &self,
        key: &WorkerKey,
        asks: bool,
    ) -> Result<(elias_store::AcquiredWorker, Option<Vec<u8>>), StoreError> {
        self.parts.lease.ensure(&self.parts.store).await.map_err(of_api)?;
        let until = Instant::now() + OWNER_WAIT;
        loop {
            let acquiring = async {
                let mut scope = self.parts.store.worker_write(&self.service.tenant).await?;
                let acquisition = scope.acquire_worker(&self.service, key, &self.parts.owner).await?;
                // Else that it was asked for is undone with the transaction.
                if asks || matches!(acquisition, WorkerAcquisition::Acquired(_)) {
                    scope.commit().await?;
                }
                Result::<_, elias_api::Error>::Ok(acquisition)
            };
            match acquiring.await.map_err(of_api)? {
                WorkerAcquisition::Acquired(mut worker) => {
                    let record = worker.record.take();
                    return Ok((worker, record));
                }
                WorkerAcquisition::OwnedElsewhere { owner } if !asks || Instant::now() >= until => {
                    let host = owner.split('/').next().unwrap_or_default().to_owned();
                    return Err(StoreError::OwnedElsewhere { owner: host });
                }
                WorkerAcquisition::OwnedElsewhere { .. } => tokio::time::sleep(OWNER_LOOK).await,
            }
        }
    }

    /// Refuses a worker that does not exist yet, if it is one too many.
    async fn check_new(&self) -> Result<(), StoreError> {
        let (store, tenant) = (&self.parts.store, &self.service.tenant);
        let most = self.parts.services.find(&self.service).map_or(0, |served| served.quotas.workers);
        let refusal = self.parts.quotas.check_workers(store, tenant, most, 0).await.map_err(of_api)?;
        self.parts.quotas.began(tenant);
        refusal.map_or(Ok(()), |refusal| Err(StoreError::QuotaExceeded(refusal)))
    }

    /// Gives up a worker that the store has as this host's, though nothing of it is here: what gave it up could not
    /// tell the store.
    pub(in crate::workers) async fn give_back(&self, key: &WorkerKey) -> Result<(), StoreError> {
        let (worker, _) = self.acquire_row(key, true).await?;
        self.release_row(key, worker.epoch).await
    }

    pub(super) async fn release_row(&self, key: &WorkerKey, epoch: u64) -> Result<(), StoreError> {
        let mut scope = self.parts.store.worker_write(&self.service.tenant).await.map_err(of_store)?;
        scope.release_worker(&self.service, key, epoch).await.map_err(of_store)?;
        scope.commit().await.map_err(of_store)
    }

    /// Removes the row of a worker whose record cannot be read.
    pub(super) async fn discard_now(&self, key: &WorkerKey) -> Result<(), StoreError> {
        let (worker, _) = self.acquire_row(key, true).await?;
        let mut scope = self.parts.store.worker_write(&self.service.tenant).await.map_err(of_store)?;
        let was_own = scope.remove_worker(&self.service, key, worker.epoch).await.map_err(of_store)?;
        scope.commit().await.map_err(of_store)?;
        if !was_own {
            return Err(StoreError::NotOwner);
        }
        self.publish(key, "worker.stopped", json!({ "class": key.class, "name": key.name }));
        Ok(())
    }
}
