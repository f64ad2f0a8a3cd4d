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
    /// Why a tenant cannot have the worker that it has one more of by now, if it cannot; `most` is its quota, 0 for
    /// none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn check_workers(&self, store: &Store, tenant: &TenantId, most: u64) -> Result<Option<String>> {
        if most == 0 {
            return Ok(None);
        }
        // What counts is rare: a worker that begins.
        let used = store.read(tenant).await?.worker_use().await?.workers;
        Ok((used > most).then(|| over(tenant, "workers", most, used.saturating_sub(1), 1, "some are stopped")))
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
        let used = match self.add(tenant, more) {
            Some(used) => used,
            None => {
                let used = store.read(tenant).await?.worker_use().await?;
                self.0.lock().insert(tenant.clone(), KnownUse { read: Instant::now(), used });
                self.add(tenant, more).unwrap_or(used.bytes)
            }
        };
        let when = "former turns are deleted, or workers are stopped";
        Ok((used.saturating_add(more) > most).then(|| over(tenant, "worker-bytes", most, used, more, when)))
    }

    /// Adds bytes to what a tenant uses; gives what that was before, if it was read lately.
    fn add(&self, tenant: &TenantId, more: u64) -> Option<u64> {
        let mut known = self.0.lock(); // the map is whole after every operation
        let known = known.get_mut(tenant).filter(|known| known.read.elapsed() < KNOWN_FOR)?;
        let before = known.used.bytes;
        known.used.bytes = before.saturating_add(more);
        Some(before)
    }
}

fn over(tenant: &TenantId, quota: &str, most: u64, used: u64, more: u64, when: &str) -> String {
    format!(
        "the quota `{quota}` of tenant {tenant} is {most}: {used} are in use, and {more} more would be too many; there is \
         room when {when}"
    )
}
