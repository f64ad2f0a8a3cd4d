//! The quotas of tenants for what their workers have in the store: their number, and their bytes.

use elias_api::Result;
use elias_names::TenantId;
use elias_store::{Store, WorkerUse};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a tenant's use is taken to be what was read, but for what this host adds.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// The use of each tenant, as this host knows it.
#[derive(Default)]
pub(super) struct WorkerQuotas(Mutex<HashMap<TenantId, KnownUse>>);

struct KnownUse {
    read: Instant,
    used: WorkerUse,
}

impl WorkerQuotas {
    /// The use of a tenant, as it was a moment ago.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn known(&self, store: &Store, tenant: &TenantId) -> Result<WorkerUse> {
        if let Some(known) = self.0.lock().get(tenant).filter(|known| known.read.elapsed() < KNOWN_FOR) {
            return Ok(known.used);
        }
        let used = store.read(tenant).await?.worker_use().await?;
        self.0.lock().insert(tenant.clone(), KnownUse { read: Instant::now(), used });
        Ok(used)
    }

    /// A worker of a tenant has begun.
    pub(super) fn began(&self, tenant: &TenantId) {
        if let Some(known) = self.0.lock().get_mut(tenant) {
            known.used.workers = known.used.workers.saturating_add(1);
        }
    }

    /// Why a tenant cannot have so many workers more than are counted by now, if it cannot; `most` is its quota, 0 for
    /// none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn check_workers(
        &self,
        store: &Store,
        tenant: &TenantId,
        most: u64,
        more: u64,
    ) -> Result<Option<String>> {
        if most == 0 {
            return Ok(None);
        }
        let counted = store.read(tenant).await?.worker_use().await?.workers.saturating_add(more);
        Ok((counted > most).then(|| over(tenant, "workers", most, counted.saturating_sub(1), 1, "some are stopped")))
    }

    /// Why a tenant cannot store so many bytes more, if it cannot; `most` is its quota, 0 for none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn check_bytes(
        &self,
        store: &Store,
        tenant: &TenantId,
        most: u64,
        more: u64,
    ) -> Result<Option<String>> {
        if most == 0 {
            return Ok(None);
        }
        let used = self.known(store, tenant).await?.bytes;
        if used.saturating_add(more) > most {
            let when = "former turns are deleted, or workers are stopped";
            return Ok(Some(over(tenant, "worker-bytes", most, used, more, when)));
        }
        if let Some(known) = self.0.lock().get_mut(tenant) {
            known.used.bytes = known.used.bytes.saturating_add(more);
        }
        Ok(None)
    }
}

fn over(tenant: &TenantId, quota: &str, most: u64, used: u64, more: u64, when: &str) -> String {
    format!(
        "the quota `{quota}` of tenant {tenant} is {most}: {used} are in use, and {more} more would be too many; there \
         is room when {when}"
    )
}
