//! Periodic tasks of a platform: continues rollouts, follows the store, unloads idle components, deletes old
//! executions.

use crate::platform::{Inner, Platform};
use crate::recorder;
use crate::serving::{CircuitKind, RolloutTransition, gateway_now, proof_file};
use crate::ticks::PlatformTicks;
use elias_api::{Actor, Code};
use elias_delivery::clock::Now;
use elias_delivery::supervision::BreakerState;
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How often rollouts and what is loaded are looked at, and the store is asked whether something has changed.
const TICK: Duration = Duration::from_secs(1);
/// How many ticks pass between looks at experiments, and between deletions of old executions.
const EXPERIMENTS_TICKS: u64 = 10;
/// How many ticks pass between looks at the other hosts on the store.
const HOSTS_TICKS: u64 = 10;
const PRUNE_TICKS: u64 = 600;
/// How many ticks pass until the store is told of usage, and of the bytes that tenants have stored.
const USAGE_TICKS: u64 = 10;
const STORAGE_TICKS: u64 = 300;
/// How long the end of the process waits for metrics of variants to be stored.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// How many ticks pass between sweeps of artifacts, and how old what is swept is at least.
const SWEEP_TICKS: u64 = 3_600;
const SWEPT_AGE: Duration = Duration::from_secs(24 * 3600);

/// Starts the work; it ends with the platform.
pub(crate) fn start(platform: &Platform, transitions: mpsc::UnboundedReceiver<RolloutTransition>) {
    tokio::spawn(persist_transitions(Arc::downgrade(&platform.inner), transitions));
    tokio::spawn(tick(PlatformTicks::new(platform, TICK)));
    tokio::spawn(store_telemetry(PlatformTicks::new(platform, TICK)));
}

/// Stores the transitions of rollouts in their order.
async fn persist_transitions(platform: Weak<Inner>, mut transitions: mpsc::UnboundedReceiver<RolloutTransition>) {
    while let Some(transition) = transitions.recv().await {
        let Some(inner) = platform.upgrade() else { return };
        let platform = Platform::of(inner);
        // A write that fails here is tried again by `tick`: traffic goes by the decision already.
        if let Err(error) = platform.persist_transition(&transition, &Actor::host()).await {
            tracing::error!(
                service = %transition.service.id, %error,
                "the decision of a rollout cannot be stored; retrying"
            );
        }
    }
}

async fn tick(mut ticks: PlatformTicks) {
    let mut seen = None;
    let mut swept = Now::from_unix_ms(0);
    let mut unshared = None;
    for count in 0_u64.. {
        let Some(platform) = ticks.next().await else { return };
        look_at_rollouts(&platform).await;
        if let Err(error) = follow(&platform, &mut seen).await {
            tracing::warn!(%error, "the store is unavailable; serving the last known versions");
        }
        fetch_keys(&platform);
        if count == 0 {
            platform.tell_of_node("node.started").await;
        }
        if count % HOSTS_TICKS == 0
            && let Ok(found) = platform.meet_hosts().await
            && found != unshared
        {
            found.iter().for_each(|why| tracing::error!("{why}"));
            unshared = found;
        }
        if count % SWEEP_TICKS == SWEEP_TICKS - 1
            && let Err(error) = sweep(&platform, &mut swept).await
        {
            tracing::warn!(%error, "unused artifacts cannot be deleted");
        }
        let config = platform.config();
        platform.serving().unload(config.idle_unload_ms, config.loaded_components as usize);
        if count % EXPERIMENTS_TICKS == EXPERIMENTS_TICKS - 1 {
            update_experiments(&platform, true).await;
        }
        if count % PRUNE_TICKS == PRUNE_TICKS - 1
            && let Err(error) = recorder::prune(platform.store(), config.retention, &config.traces).await
        {
            tracing::warn!(%error, "old executions cannot be deleted");
        }
    }
}

/// Tells the store what this host has measured and counted. Beside [`tick`], which does not wait for it: a store that
/// is away takes seconds to say so.
async fn store_telemetry(mut ticks: PlatformTicks) {
    for count in 0_u64.. {
        let Some(platform) = ticks.next().await else { return };
        if let Err(error) = store_telemetry_at(&platform, count).await {
            tracing::warn!(%error, "metrics and usage cannot be stored; retrying");
        }
    }
}

async fn store_telemetry_at(platform: &Platform, count: u64) -> elias_api::Result<()> {
    let is_usage_due = count.is_multiple_of(USAGE_TICKS);
    let is_series_due = is_usage_due || platform.series().is_due(platform.serving().clock.now().unix_ms());
    // Each for itself: what the store does not take of one keeps the others from nothing.
    let series = if is_series_due { platform.store_series(false).await } else { Ok(()) };
    // At once after the start: a former run may have left something.
    let usage = if is_usage_due { platform.fold_usage().await } else { Ok(()) };
    let storage = if count.is_multiple_of(STORAGE_TICKS) { platform.note_storage().await } else { Ok(()) };
    let pruned = if count % PRUNE_TICKS == PRUNE_TICKS - 1 {
        platform.prune_series().await.and(platform.prune_usage().await)
    } else {
        Ok(())
    };
    series.and(usage).and(storage).and(pruned)
}

/// Lets every rollout know that time has passed, and stores what could not be stored before.
async fn look_at_rollouts(platform: &Platform) {
    let services: Vec<_> = platform.serving().table().services.values().cloned().collect();
    for service in services {
        let state = Arc::clone(&service.state());
        let Some(canary) = &state.canary else { continue };
        let now = platform.serving().clock.now();
        let (stats, base) = (&canary.release.stats, &state.release.stats);
        let is_stopped = |circuit| canary.release.breaker(circuit).state() == BreakerState::Stopped;
        let stopped = CircuitKind::ALL.into_iter().any(is_stopped);
        let event = canary.with_rollout(|rollout| {
            let stopped = stopped.then(|| rollout.roll_back("its circuit breaker gave up on it", now).ok()).flatten();
            stopped.or_else(|| rollout.on_tick(stats, base, now)).or_else(|| rollout.ended())
        });
        if let Some(event) = event {
            let deployment = canary.release.target.deployment.clone();
            let transition = RolloutTransition { service: Arc::clone(&service), deployment, event };
            if let Err(error) = platform.persist_transition(&transition, &Actor::host()).await {
                tracing::error!(service = %service.id, %error, "the decision of a rollout cannot be stored; retrying");
            }
        }
    }
}

/// Stores the metrics of experiments, and promotes variants where the plans say so if it `decides`.
async fn update_experiments(platform: &Platform, decides: bool) {
    let services: Vec<_> = platform.serving().table().services.values().cloned().collect();
    for service in services {
        let Some(experiment) = service.state().experiment.clone() else { continue };
        let update = async {
            match platform.store_variant_metrics(&service.id, &experiment).await? {
                Some(stored) if decides => platform.decide_experiment(&service.id, &experiment, stored).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = update.await {
            tracing::warn!(
                service = %service.id, %error,
                "the measurements of an experiment cannot be stored; retrying"
            );
            if error.code() == Code::StoreUnavailable {
                return;
            }
        }
    }
}

impl Platform {
    /// Waits until what ran so far is recorded, for the end of the process. A store that is away is not waited for.
    pub async fn flush(&self) {
        flush(self).await;
    }
}

/// Stores what is only in memory so far, at the end of the process.
async fn flush(platform: &Platform) {
    platform.tell_of_node("node.stopping").await;
    platform.workers().stop().await;
    platform.runner().stop().await;
    // A deployment is nothing to begin here.
    if timeout(FLUSH_MAX, update_experiments(platform, false)).await.is_err() {
        tracing::warn!("the store takes too long: the last measurements of experiments are lost");
    }
    platform.serving().recorder.flush().await;
    let telemetry = async {
        let series = platform.store_series(true).await;
        platform.fold_usage().await.and(series)
    };
    // What is not told of usage is in its file, for the next start.
    if timeout(FLUSH_MAX, telemetry).await.is_err() {
        tracing::warn!("the store takes too long: the metrics of the last minute are lost");
    }
    if !matches!(timeout(FLUSH_MAX, platform.store_security()).await, Ok(Ok(()))) {
        tracing::warn!("the store takes too long: the last security events are lost");
    }
    // One that is away finds out by itself.
    let _ = timeout(FLUSH_MAX, platform.leave_alerts()).await;
    let _ = timeout(FLUSH_MAX, platform.leave_hosts()).await;
}

/// Serves what other hosts have changed in the store, and tells it what was done while it was away.
async fn follow(platform: &Platform, seen: &mut Option<i64>) -> elias_api::Result<()> {
    let pending: Vec<_> = {
        let table = platform.serving().table();
        let pending = table.services.values().filter(|service| service.state().snapshot.pending);
        pending.map(|service| service.id.clone()).collect()
    };
    for id in pending {
        match platform.report_pending(&id).await {
            // Its tenant was deleted, or the store has lost it.
            Err(error) if error.code() == Code::NotFound => {
                tracing::warn!(
                    service = %id, %error,
                    "a rollback made while the store was unavailable cannot be stored: the store does not have the \
                     service"
                );
                platform.refresh().await?;
                platform.serving().forget_pending(&id).await?;
            }
            told => told?,
        }
    }
    if platform.was_behind() {
        platform.refresh().await?;
    }
    platform.flag_sets().catch_up().await?;
    // A store of this host alone changes by what this host does, and that is served already.
    if platform.store().is_shared() {
        let changes = platform.store().changes().await?;
        match *seen {
            Some(seen) if seen == changes => {}
            Some(seen) if seen < changes => {
                platform.follow_changes(seen, changes).await?;
                platform.flag_sets().follow_changes(seen).await?;
            }
            // The first look; or the store was put back to what it was.
            _ => {
                platform.refresh().await?;
                platform.flag_sets().refresh().await?;
            }
        }
        *seen = Some(changes);
    }
    Ok(())
}

/// Fetches the keys of identity providers that are due, each beside the other.
fn fetch_keys(platform: &Platform) {
    let Some(fetch) = &platform.config().fetch else { return };
    let now = gateway_now(&platform.serving().clock);
    let table = platform.serving().table();
    let of_services = table.services.values().flat_map(|service| service.state().shared.verifiers());
    for verifier in of_services.chain(platform.access().verifiers()).filter(|verifier| verifier.needs_keys(now)) {
        let (fetch, clock) = (Arc::clone(fetch), platform.serving().clock.clone());
        tokio::spawn(async move {
            let url = verifier.rules().jwks();
            let keys = fetch
                .fetch(url)
                .await
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
            match keys {
                Ok(keys) if verifier.set_keys(&keys, gateway_now(&clock)) == 0 => {
                    tracing::warn!(%url, "none of the identity provider's keys is for an allowed algorithm");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%url, %error, "the keys of an identity provider cannot be fetched"),
            }
        });
    }
}

/// Deletes artifacts that nothing refers to and compiled code that was not used for long, once a day.
async fn sweep(platform: &Platform, swept: &mut Now) -> elias_api::Result<()> {
    let now = platform.serving().clock.now();
    if u128::from(now.unix_ms().saturating_sub(swept.unix_ms())) < SWEPT_AGE.as_millis() {
        return Ok(());
    }
    let mut referenced = platform.store().host_read().await?.referenced_artifacts().await?;
    // This host can go back to these while the store is away.
    let mut proved = HashSet::new();
    for service in platform.serving().table().services.values() {
        let state = service.state();
        proved.extend(state.releases().map(|release| proof_file(&service.id, release.target.version)));
        for release in state.snapshot.history.iter().chain([&state.snapshot.target.release]) {
            proved.insert(proof_file(&service.id, release.version));
            referenced.insert(release.digest.to_string());
            referenced.extend(release.settings.files.values().map(ToString::to_string));
        }
    }
    if let Some(proofs) = &platform.serving().loader.proofs {
        proofs.sweep(&proved)?;
    }
    let before_ms = i64::try_from(now.unix_ms()).unwrap_or(i64::MAX).saturating_sub(SWEPT_AGE.as_millis() as i64);
    let mut scope = platform.store().host_write().await?;
    scope.forget_artifacts(&referenced, before_ms).await?;
    scope.commit().await?;
    let (artifacts, host) = (platform.artifacts().clone(), platform.serving().loader.host.clone());
    let compiled_bytes = platform.config().compiled_bytes;
    let work = tokio::task::spawn_blocking(move || {
        host.prune_cache(compiled_bytes);
        artifacts.sweep(&referenced, SWEPT_AGE)
    });
    if let Ok(count) = work.await {
        tracing::info!(artifacts = count?, "unused artifacts were deleted");
    }
    *swept = now;
    Ok(())
}
