//! Which workers are this host's: its lease, workers that other hosts ask for, and those that nobody has.
//!
//! A process owns workers for as long as its lease lasts, which it renews. Whoever wants a worker of another process
//! marks it in the store; a host looks there each second while others share the store. Two hosts cannot both commit
//! whatever they believe: each commit names the epoch of its acquisition, and the store compares it.

use super::awake::WorkerOfService;
use super::runner::WorkerRunner;
use super::store::StoreParts;
use elias_api::Result;
use elias_names::ServiceId;
use elias_store::{Lease, Store, WorkerRef, now_ms, worker_lease_name};
use elias_workers::WorkerKey;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often others' wishes and workers without an owner are looked for.
const SECOND: Duration = Duration::from_secs(1);
/// How long a lease lasts, and after how much of it it is renewed.
const LEASE: Duration = Duration::from_secs(30);
const RENEW_AFTER: Duration = Duration::from_secs(10);
/// Workers that are given up or taken over in one look.
const LOOK_MAX: u32 = 500;
/// Services whose components are loaded at a time, and workers that are given up at a time.
const AT_ONCE: usize = 16;
/// How late a timer is before another host takes its worker over: the host that had it last is given this long.
const LATE_MS: i64 = 3_000;

/// The lease of this process.
pub(super) struct OwnerLease {
    owner: String,
    held: tokio::sync::Mutex<Option<Lease>>,
    /// Until when it need not be renewed.
    fresh_until: Mutex<Option<Instant>>,
}

impl OwnerLease {
    pub(super) fn new(owner: String) -> Self {
        Self { owner, held: tokio::sync::Mutex::default(), fresh_until: Mutex::default() }
    }

    /// Has the lease: acquires it, or renews it if it is time for that.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(super) async fn ensure(&self, store: &Store) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        let mut held = self.held.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        let began = Instant::now();
        let mut scope = store.host_write().await?;
        let is_renewed = match &*held {
            Some(lease) => scope.renew_lease(lease, millis(LEASE)).await?,
            None => false,
        };
        if !is_renewed {
            let name = worker_lease_name(&self.owner);
            if held.is_some() {
                tracing::warn!("the lease of this host for its workers had ended: others may have taken them over");
            }
            *held = match scope.acquire_lease(&name, &self.owner, millis(LEASE)).await? {
                Some(lease) => Some(lease),
                // It was acquired by an attempt whose end was not seen.
                None => scope.lease(&name).await?,
            };
        }
        scope.commit().await?;
        *self.fresh_until.lock() = Some(began + RENEW_AFTER);
        Ok(())
    }

    fn is_fresh(&self) -> bool {
        self.fresh_until.lock().is_some_and(|until| Instant::now() < until)
    }

    /// Ends it: all that the process owns is anybody's.
    async fn end(&self, store: &Store) -> Result<()> {
        let Some(lease) = self.held.lock().await.take() else { return Ok(()) };
        *self.fresh_until.lock() = None;
        let mut scope = store.host_write().await?;
        scope.release_lease(&lease).await?;
        Ok(scope.commit().await?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A part of the work of each second. What takes long in one delays no other: the lease lasts for seconds, and other
/// hosts wait for what they have asked for.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The lease, and workers that others have asked for.
    Others,
    /// Versions that were deployed, and workers that nobody has.
    Own,
}

/// Does a part of the work, each second; ends with the runner.
pub(super) async fn keep(runner: Weak<WorkerRunner>, part: Part) {
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_away, mut has_begun, mut passed) = (false, false, 0);
    loop {
        seconds.tick().await;
        let Some(runner) = runner.upgrade() else { return };
        if runner.is_stopping() {
            return;
        }
        let done = match (part, has_begun) {
            (Part::Others, _) => give_up_wanted(&runner).await,
            (Part::Own, false) => begin(&runner).await,
            (Part::Own, true) => take_over(&runner, &mut passed).await,
        };
        match done {
            Ok(()) => (is_away, has_begun) = (false, true),
            Err(error) if !is_away => {
                tracing::warn!(%error, "service workers wait for the store; retrying");
                is_away = true;
            }
            Err(_) => {}
        }
    }
}

/// The first look: the workers of this host's former processes are free, and services with workers that have to go on
/// get their managers, which fire timers when they are due.
async fn begin(runner: &Arc<WorkerRunner>) -> Result<()> {
    let StoreParts { store, owner, lease, .. } = &*runner.parts;
    // The data directory is locked: no other process of this host runs.
    let host = owner.split_inclusive('/').next().unwrap_or_default();
    let mut scope = store.host_write().await?;
    scope.end_worker_leases(host, owner).await?;
    scope.commit().await?;
    lease.ensure(store).await?;
    let (mut services, mut passed) = (BTreeSet::new(), 0);
    loop {
        let pending = store.host_read().await?.orphaned_workers(i64::MAX, LOOK_MAX, passed).await?;
        passed = next_look(passed, pending.len());
        services.extend(pending.into_iter().map(|worker| worker.service));
        if passed == 0 {
            break;
        }
    }
    let begun = stream::iter(services).for_each_concurrent(AT_ONCE, |service| async move {
        let Ok(workers) = runner.workers(&service) else { return };
        if let Err(error) = workers.running().await {
            tracing::warn!(%service, %error, "workers with timers or calls wait: their component cannot run");
        }
    });
    begun.await;
    Ok(())
}

async fn give_up_wanted(runner: &Arc<WorkerRunner>) -> Result<()> {
    let StoreParts { store, owner, lease, .. } = &*runner.parts;
    lease.ensure(store).await?;
    if !store.is_shared() {
        return Ok(());
    }
    let wanted = store.host_read().await?.wanted_workers(owner, LOOK_MAX).await?;
    // One that has gone to another host meanwhile is waited for.
    let given_up = stream::iter(wanted).for_each_concurrent(AT_ONCE, |WorkerRef { service, key }| async move {
        runner.entry(&service).give_up(&key).await;
    });
    given_up.await;
    Ok(())
}

/// Where the next look begins after one that passed so many workers and found so many: those that cannot run here are
/// found again and again, and must not hide others behind them.
fn next_look(passed: u32, found: usize) -> u32 {
    if found < LOOK_MAX as usize { 0 } else { passed.saturating_add(LOOK_MAX) }
}

async fn take_over(runner: &Arc<WorkerRunner>, passed: &mut u32) -> Result<()> {
    runner.stop_stopped();
    let followed = stream::iter(runner.all()).for_each_concurrent(AT_ONCE, |workers| async move {
        // A version that was deployed; one that cannot be loaded is told to whoever calls.
        if workers.existing().is_some() && workers.follow().await.is_err() {
            tracing::debug!(service = %workers.service(), "the version that serves cannot run workers now");
        }
    });
    followed.await;
    let late = now_ms().saturating_sub(LATE_MS);
    let orphans = runner.parts.store.host_read().await?.orphaned_workers(late, LOOK_MAX, *passed).await?;
    *passed = next_look(*passed, orphans.len());
    let mut by_service: BTreeMap<ServiceId, Vec<WorkerKey>> = BTreeMap::new();
    for WorkerRef { service, key } in orphans {
        by_service.entry(service).or_default().push(key);
    }
    let resumed = stream::iter(by_service).for_each_concurrent(AT_ONCE, |(service, keys)| async move {
        // Of a service that is stopped, or that this host does not serve, they wait.
        let Ok(workers) = runner.workers(&service) else { return };
        if let Err(error) = workers.resume(&keys).await {
            tracing::debug!(%service, %error, "workers that nobody has are left to others");
        }
    });
    resumed.await;
    Ok(())
}

/// Gives up all that is this host's, for the end of the process.
pub(super) async fn end(runner: &WorkerRunner) -> Result<()> {
    runner.parts.lease.end(&runner.parts.store).await
}

/// Has workers leave memory that others need the places of; ends with the runner.
pub(super) async fn evict(runner: Weak<WorkerRunner>, mut evicted: mpsc::UnboundedReceiver<WorkerOfService>) {
    while let Some((service, key)) = evicted.recv().await {
        let Some(runner) = runner.upgrade() else { return };
        if let Some(workers) = runner.existing(&service) {
            workers.evict(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_go_on_behind_those_that_are_always_found_and_begin_anew_at_the_end() {
        let most = LOOK_MAX as usize;
        assert_eq!((next_look(0, most), next_look(LOOK_MAX, most)), (LOOK_MAX, 2 * LOOK_MAX));
        assert_eq!((next_look(2 * LOOK_MAX, most - 1), next_look(0, 0)), (0, 0));
    }
}
