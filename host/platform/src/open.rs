//! Opens a platform: its parts, and the services that it serves from the start.

use crate::access::Access;
use crate::advisories::Advisories;
use crate::artifacts::Artifacts;
use crate::ceilings::Ceilings;
use crate::config::PlatformConfig;
use crate::connector_state::ConnectorState;
use crate::draft_builder::BuildTurns;
use crate::mail_limit::MailLimit;
use crate::notification_meters::NotificationMeters;
use crate::platform::{Inner, Platform};
use crate::recorder::{BatchObserver, Recorder, Telling};
use crate::reports::Reports;
use crate::response_cache::ResponseCache;
use crate::series_state::SeriesState;
use crate::serving::{Loader, Proofs, ServiceSnapshot, Serving, SnapshotStore, TableContext, compile_queue};
use crate::trigger_runs::ServedServices;
use crate::triggers::Runner;
use crate::usage_journal::UsageJournal;
use crate::vault::Vault;
use crate::workers::{WorkerParts, WorkerRunner};
use crate::{alerts, data_dir, key_rotation, log, maintenance, peers, security, usage};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_api::{Code, DEFAULT_TENANT, ExecutionRecord, Result};
use elias_host::{Host, Limits};
use elias_names::{ServiceId, TenantId};
use elias_store::{Store, TargetFilter};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

impl Platform {
    /// Opens a platform in its data directory, and serves what is deployed. If the store is away, it serves what it
    /// knows, and follows the store when that is back.
    ///
    /// # Errors
    /// `in-use` if another process has the data directory, `storage-failed`, `bad-input`, also for advisories that
    /// cannot be read; `store-unavailable` if the store is away and nothing is known.
    pub async fn open(config: PlatformConfig, host: Host, limits: Limits) -> Result<Self> {
        data_dir::create_folder(&config.data_dir)?;
        let lock = data_dir::lock(&config.data_dir)?;
        data_dir::restrict(&config.data_dir)?;
        let dir = Dir::open_ambient_dir(&config.data_dir, ambient_authority())?;
        let store = Store::open(&config.data_dir, config.store.as_deref())?;
        if config.abandon_former_store {
            store.abandon_former().await?;
        }
        let sub = |name: &str| -> Result<Dir> {
            data_dir::create_folder(&config.data_dir.join(name))?;
            Ok(dir.open_dir(name)?)
        };
        let artifacts = Artifacts::open(sub("artifacts")?, config.artifacts.as_deref())?;
        let access = Arc::new(Access::open(store.clone(), &dir, config.oidc.as_ref())?);
        let (artifact_bytes_max, concurrent_executions) = (limits.component_bytes, limits.concurrent_executions);
        let log_key = log::open_key(&dir, &config.log_origin)?;
        let proofs = if config.require_log {
            Some(Proofs::open(sub("proofs")?, store.clone(), log::open_key(&dir, &config.log_origin)?)?)
        } else {
            None
        };
        let vault = Arc::new(Vault::open(&dir)?);
        let loader = Loader {
            ceilings: Ceilings::new(&host, &limits, &config.ceilings)?,
            host,
            limits,
            artifacts: artifacts.clone(),
            vault: Arc::clone(&vault),
            proofs,
            files: sub("files")?,
            files_path: config.data_dir.join("files"),
            compile_timeout: Duration::from_millis(config.compile_timeout_ms),
            compiling: compile_queue(Duration::from_millis(config.compile_timeout_ms)),
        };
        let observed = Arc::clone(&access);
        let limits_hit: BatchObserver =
            Arc::new(move |batch: &[ExecutionRecord]| observed.security().executions(batch));
        let reports = Arc::new(Reports::new(&config)?);
        let offered = Arc::clone(&reports);
        let failures: BatchObserver = Arc::new(move |batch: &[ExecutionRecord]| offered.offer(batch));
        let host_id = peers::host_id(&dir)?;
        let telling = Telling { host: host_id.clone(), observers: vec![limits_hit, failures] };
        let (recorder, recording) =
            Recorder::new(store.clone(), config.recorded_runs_per_second, &config.traces, telling);
        let (transitions, received_transitions) = mpsc::unbounded_channel();
        let context = TableContext { domain: config.domain.clone(), artifacts: artifacts.clone() };
        let snapshots = SnapshotStore::open(sub("services")?);
        let run_id = ulid::Ulid::new().to_string();
        let usage_journal = UsageJournal::open(sub("usage")?, &run_id)?;
        let serving =
            Serving::new(loader, snapshots, recorder, usage_journal, Arc::clone(&access), context, transitions);
        let advisories = match config.advisories.clone() {
            Some(path) => Some(Advisories::open(path).await?),
            None => None,
        };
        let services = Arc::new(ServedServices::default());
        let slots = config.concurrent_jobs.unwrap_or(concurrent_executions / 2);
        let runner = Runner::new(store.clone(), run_id.clone(), Arc::clone(&services) as _, slots);
        config.triggers.bind(Arc::clone(&runner));
        config.flags.bind(store.clone(), sub("flags")?);
        let of_workers = WorkerParts {
            store: store.clone(),
            artifacts: artifacts.clone(),
            vault,
            owner: format!("{host_id}/{run_id}"),
            awake: config.awake_workers,
        };
        let workers = WorkerRunner::new(of_workers, Arc::clone(&services) as _);
        config.workers.bind(Arc::downgrade(&workers));
        let series = SeriesState::new(serving.clock.now().unix_ms());
        let inner = Inner {
            store,
            artifacts,
            access,
            serving,
            advisories,
            response_cache: ResponseCache::new(),
            runner,
            workers,
            connectors: ConnectorState::default(),
            builds: BuildTurns::default(),
            series,
            usage_folding: tokio::sync::Mutex::default(),
            notification_meters: NotificationMeters::default(),
            mail_limit: MailLimit::default(),
            reports,
            config,
            run_id,
            host_id,
            log_key,
            port: OnceLock::new(),
            behind: AtomicBool::new(false),
            artifact_bytes_max,
            _lock: lock,
        };
        let platform = Self::of(Arc::new(inner));
        services.bind(Arc::downgrade(&platform.inner));
        platform.reports().bind(platform.source_reader());
        platform.begin().await?;
        tokio::spawn(recording);
        platform.runner().start();
        platform.workers().start();
        maintenance::start(&platform, received_transitions);
        key_rotation::start(&platform);
        usage::start(&platform);
        alerts::start(&platform);
        security::start(&platform);
        Ok(platform)
    }

    /// Serves what the store says or, while it is unavailable, the snapshots. Services that the store does not know go
    /// on serving.
    async fn begin(&self) -> Result<()> {
        let snapshots = self.serving().snapshots.all()?;
        match self.targets(&snapshots).await {
            Ok((all, deleted)) => {
                self.serving().serve_snapshots(all, &deleted, &snapshots, &self.serving().turn().await).await?;
                self.tell_of_artifacts();
                let key = self.log_key();
                match self.store().set_log_key(&key).await {
                    Ok(None) => {}
                    Ok(Some(before)) => {
                        tracing::warn!(
                            %key, %before,
                            "this host signs the transparency log with another key than before"
                        );
                    }
                    Err(error) => tracing::warn!(%error, "the public key of the transparency log cannot be stored"),
                }
                Ok(())
            }
            Err(error) if error.code() == Code::StoreUnavailable && !snapshots.is_empty() => {
                tracing::error!(
                    %error, services = snapshots.len(),
                    "started without the store; serving the last known versions"
                );
                let turn = self.serving().turn().await;
                self.serving().serve_snapshots(snapshots.clone(), &HashSet::new(), &snapshots, &turn).await
            }
            Err(error) => Err(error),
        }
    }

    /// The targets in the store, with the history of the snapshots, and what only this host knows; and the
    /// tenants that were deleted.
    async fn targets(&self, snapshots: &[ServiceSnapshot]) -> Result<(Vec<ServiceSnapshot>, HashSet<TenantId>)> {
        let mut scope = self.store().host_write().await?;
        scope.ensure_tenant(&DEFAULT_TENANT.parse()?).await?;
        scope.commit().await?;
        let mut scope = self.store().host_read().await?;
        let targets = scope.targets(TargetFilter::All).await?;
        let deleted = scope.deleted_tenants(TargetFilter::All).await?;
        drop(scope);
        let mut past: HashMap<&ServiceId, &ServiceSnapshot> =
            snapshots.iter().map(|snapshot| (&snapshot.target.id, snapshot)).collect();
        let stored = targets.into_iter().map(|target| match past.remove(&target.id) {
            // The store is told of what was done here; if somebody has deployed meanwhile, that stands, and this host
            // follows it then.
            Some(snapshot) if snapshot.pending => snapshot.clone(),
            Some(snapshot) => snapshot.with_target(target),
            None => ServiceSnapshot::new(target),
        });
        let mut all: Vec<_> = stored.collect();
        for (id, snapshot) in past {
            if !deleted.contains(&id.tenant) {
                tracing::error!(
                    service = %id,
                    "the store does not have this service; this host keeps serving its last known version; run `elias \
                     doctor`"
                );
                all.push(snapshot.clone());
            }
        }
        Ok((all, deleted))
    }
}
