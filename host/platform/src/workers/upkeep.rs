//! The work beside turns: heaps of many changes are made whole, history that is not kept any more is deleted, counts
//! are corrected, and services without workers in memory are forgotten.

use super::heaps;
use super::runner::WorkerRunner;
use super::store::{PlatformWorkerStore, StoreParts};
use super::versions::HeapVersions;
use elias_api::{Code, Result};
use elias_local_workers::StoreError;
use elias_names::TenantId;
use elias_store::{CompactableWorker, WorkerRef};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

const SECOND: Duration = Duration::from_secs(1);
/// Heaps that are made whole after one look; looks follow each other for a second, as long as there are more.
const COMPACTED: u32 = 16;
/// How many seconds pass between looks at services without workers in memory, and between sweeps. What a sweep could
/// not do it goes on with in the next second: it has to be faster than commits are.
const RESTING_SECONDS: u64 = 5;
const SWEEP_SECONDS: u64 = 60;
/// Commits that are deleted in one transaction, and transactions of one sweep.
const SWEPT: u32 = 1_000;
const SWEEPS: u32 = 50;
/// Workers of deleted tenants that are deleted in one transaction.
const PRUNED: u32 = 100;
/// The counts of tenants are corrected by one host, once a day.
const COUNTS: &str = "worker-counts";
const DAY_MS: u64 = 86_400_000;

/// Does the work of each second; ends with the runner.
pub(super) async fn keep_up(runner: Weak<WorkerRunner>) {
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_away, mut is_behind, mut passed) = (false, false, 0);
    for count in 0_u64.. {
        seconds.tick().await;
        let Some(runner) = runner.upgrade() else { return };
        if runner.is_stopping() {
            return;
        }
        // What fails keeps nothing else from being done.
        let mut done = compact(&runner.parts, &mut passed).await;
        if count % RESTING_SECONDS == RESTING_SECONDS - 1 {
            runner.drop_resting().await;
        }
        let is_time = count % SWEEP_SECONDS == SWEEP_SECONDS - 1;
        if is_time || is_behind {
            let swept = sweep(&runner.parts).await;
            is_behind = swept.as_ref().is_ok_and(|is_done| !is_done);
            done = done.and(swept.map(drop));
        }
        if is_time {
            done = done.and(recount(&runner.parts).await);
        }
        if let Err(error) = &done
            && !is_away
        {
            tracing::warn!(%error, "the upkeep of service workers waits for the store; retrying");
        }
        is_away = done.is_err();
    }
}

/// Makes heaps whole that consist of many changes, for about a second. Those that cannot be are `passed` the next time:
/// they must not hide others, of other tenants, behind them.
async fn compact(parts: &Arc<StoreParts>, passed: &mut u32) -> Result<()> {
    let began = Instant::now();
    loop {
        let compactable = parts.store.host_read().await?.compactable_workers(&parts.owner, COMPACTED, *passed).await?;
        let is_last = compactable.len() < COMPACTED as usize;
        for worker in compactable {
            match compact_worker(parts, worker).await {
                Ok(true) => {}
                Ok(false) => *passed = passed.saturating_add(1),
                Err(error) if error.code() == Code::StoreUnavailable => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "the changes of a heap cannot be made one now");
                    *passed = passed.saturating_add(1);
                }
            }
        }
        if is_last {
            *passed = 0;
            return Ok(());
        }
        if began.elapsed() >= SECOND {
            return Ok(());
        }
    }
}

/// Makes a heap whole; says whether nothing of it is left to do.
async fn compact_worker(parts: &Arc<StoreParts>, worker: CompactableWorker) -> Result<bool> {
    let CompactableWorker { worker: WorkerRef { service, key }, turn, .. } = worker;
    let heap = PlatformWorkerStore::new(Arc::clone(parts), service.clone(), Arc::new(HeapVersions::default()));
    let pages = match heap.read_heap(&key, turn).await {
        Ok(heap) => {
            let cipher = parts.keys.of(&service.tenant).await?;
            heaps::write(&parts.artifacts, &cipher, &service, &key, turn, heap).await
        }
        Err(error) => Err(error),
    };
    let pages = match pages {
        Ok(pages) => Some(pages),
        // It is not kept any more, or the store is away: the next look finds out.
        Err(StoreError::NoSuchTurn(_) | StoreError::Unavailable(_)) => return Ok(false),
        Err(error) => {
            tracing::warn!(%service, worker = %key, turn, %error, "the changes of a heap cannot be made one");
            None
        }
    };
    let mut scope = parts.store.worker_write(&service.tenant).await?;
    let is_done = match pages {
        // Where that turn is not kept any more, another is looked for.
        Some(pages) => scope.compact_worker(&service, &key, turn, &pages).await?,
        None => {
            scope.skip_compaction(&service, &key).await?;
            true
        }
    };
    scope.commit().await?;
    Ok(is_done)
}

/// Deletes what is not kept any more; says whether nothing of it is left.
async fn sweep(StoreParts { store, .. }: &StoreParts) -> Result<bool> {
    for _ in 0..SWEEPS {
        let mut scope = store.host_write().await?;
        let swept = scope.sweep_worker_turns(SWEPT).await?;
        let pruned = scope.prune_workers(PRUNED).await?;
        scope.commit().await?;
        if swept.is_done && pruned < u64::from(PRUNED) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Corrects what was counted of tenants along the way.
async fn recount(StoreParts { store, owner, .. }: &StoreParts) -> Result<()> {
    let mut scope = store.host_write().await?;
    let lease = scope.acquire_lease(COUNTS, owner, DAY_MS).await?;
    scope.commit().await?;
    if lease.is_none() {
        return Ok(());
    }
    let tenants: Vec<TenantId> = store.host_read().await?.worker_use_by_tenant().await?.into_keys().collect();
    for tenant in tenants {
        // Nobody has to wait for a look at all workers, which finds that nothing is wrong.
        if store.host_read().await?.are_workers_counted(&tenant).await? {
            continue;
        }
        let mut scope = store.host_write().await?;
        if scope.recount_workers(&tenant).await? {
            tracing::warn!(%tenant, "the counts of the tenant's workers and their bytes were off; they are corrected");
        }
        scope.commit().await?;
    }
    Ok(())
}
