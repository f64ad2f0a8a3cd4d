//! Records executions in the store, in batches and off the requests' path.

use crate::access::{SESSION_IDLE, millis};
use crate::execution_feed::ExecutionFeeds;
use crate::platform_events;
use elias_api::ExecutionRecord;
use elias_names::{ServiceId, TenantId};
use elias_store::{AllowedServices, Store, now_ms};
use elias_workers::is_uuid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// Records that may wait to be written.
const WAITING: usize = 20_000;
/// Records of one batch.
const BATCH: usize = 2_000;
/// How long a record waits for others to be written with.
const GATHER: Duration = Duration::from_millis(250);
/// Tenants of which one batch publishes that executions ended, and services of each.
const TENANTS_TOLD: usize = 20;
const SERVICES_TOLD: usize = 20;
/// The source of a turn begins with this word.
pub(crate) const WORKER: &str = "worker";
/// The events that say so.
const FAILED: &str = "execution.failed";
const COMPLETED: &str = "execution.completed";
/// How long to wait before a store that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the store.
const FLUSH: Duration = Duration::from_secs(3);

/// How long recorded executions are kept, and how many of each tenant.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// Executions of each tenant.
    pub per_tenant: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 7, per_tenant: 100_000 }
    }
}

/// The messages to the writer.
enum Item {
    Record(Box<ExecutionRecord>),
    /// Answered when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// Records executions; a cheap handle.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Item>,
    /// Ends the time for which records are gathered: a batch is full, or somebody waits.
    urgent: Arc<Notify>,
    recorded: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    /// Executions that were more than are recorded in a second: of requests, and of triggers.
    unrecorded: Arc<[AtomicU64; 2]>,
    runs_per_second: u32,
    feeds: ExecutionFeeds,
}

impl Recorder {
    /// A recorder, and the work that it needs done. Of each service `runs_per_second` runs of triggers are recorded
    /// that went well.
    pub(crate) fn new(store: Store, runs_per_second: u32) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let this = Self {
            sender,
            urgent: Arc::default(),
            recorded: Arc::default(),
            dropped: Arc::default(),
            unrecorded: Arc::default(),
            runs_per_second,
            feeds: ExecutionFeeds::default(),
        };
        let (recorded, dropped) = (Arc::clone(&this.recorded), Arc::clone(&this.dropped));
        let (urgent, feeds) = (Arc::clone(&this.urgent), this.feeds.clone());
        (this, write(store, receiver, urgent, recorded, dropped, feeds))
    }

    /// Those who follow executions as they are recorded.
    pub(crate) fn feeds(&self) -> &ExecutionFeeds {
        &self.feeds
    }

    /// The number of successful runs of triggers that are recorded of each service a second.
    pub(crate) fn runs_per_second(&self) -> u32 {
        self.runs_per_second
    }

    /// Records what ran if its service has no more than are recorded, and the store can keep up; counts it otherwise.
    pub(crate) fn record_if(&self, is_taken: bool, record: ExecutionRecord) {
        if !is_taken {
            self.unrecorded[usize::from(is_run(&record))].fetch_add(1, Ordering::Relaxed);
        } else if self.sender.try_send(Item::Record(Box::new(record))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else if self.sender.max_capacity() - self.sender.capacity() >= BATCH {
            self.urgent.notify_one();
        }
    }

    /// Waits until all records so far are written, or could not be: the process is about to end.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Item::Flush(done)).await.is_ok() {
            self.urgent.notify_one();
            let _ = timeout(FLUSH, written).await;
        }
    }

    /// Records that were written since the host began.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Executions that were more than are recorded in a second, since the host began: of requests, and of triggers.
    pub(crate) fn unrecorded(&self) -> [u64; 2] {
        [0, 1].map(|kind: usize| self.unrecorded[kind].load(Ordering::Relaxed))
    }

    /// Records that were not written since the host began.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn write(
    store: Store,
    mut receiver: mpsc::Receiver<Item>,
    urgent: Arc<Notify>,
    recorded: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    feeds: ExecutionFeeds,
) {
    let (mut batch, mut flushes) = (Vec::with_capacity(BATCH), Vec::new());
    let mut told = 0;
    while let Some(first) = receiver.recv().await {
        // Nobody waits at the channel meanwhile, so that a record wakes nobody.
        if matches!(first, Item::Record(_)) && receiver.len() < BATCH {
            let _ = timeout(GATHER, urgent.notified()).await;
        }
        let mut next = Some(first);
        while let Some(item) = next.take() {
            match item {
                Item::Record(record) => batch.push(*record),
                Item::Flush(done) => {
                    flushes.push(done);
                    break;
                }
            }
            if batch.len() < BATCH {
                next = receiver.try_recv().ok();
            }
        }
        // While the store is away records wait, and then those that follow are dropped and counted.
        while let Err(error) = insert(&store, &batch).await {
            tracing::warn!(%error, records = batch.len(), "executions cannot be recorded; retrying");
            sleep(RETRY).await;
            if receiver.is_closed() {
                return;
            }
        }
        recorded.fetch_add(batch.len() as u64, Ordering::Relaxed);
        feeds.publish(&batch);
        batch.clear();
        for done in flushes.drain(..) {
            // Whoever waited has given up.
            let _ = done.send(());
        }
        let dropped = dropped.load(Ordering::Relaxed);
        if dropped > told {
            tracing::warn!(executions = dropped - told, "executions were not recorded: the store is too slow");
            told = dropped;
        }
    }
}

async fn insert(store: &Store, batch: &[ExecutionRecord]) -> elias_api::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut scope = store.host_write().await?;
    scope.insert_executions(batch).await?;
    scope.commit().await?;
    if let Err(error) = tell(store, batch).await {
        tracing::debug!(%error, "that executions ended was not published");
    }
    Ok(())
}

/// Whether an execution ran a job, and is not a worker's turn for a message of somebody else.
fn is_run(record: &ExecutionRecord) -> bool {
    let is_turn = record.source.strip_prefix(WORKER).is_some_and(|rest| rest.starts_with(' '));
    record.run.as_ref().is_some_and(|run| !is_turn || !is_uuid(&run.job))
}

/// Of the executions of a batch that ended in the same way, by service and event: the first one, and how many.
type Ended<'a> = BTreeMap<(ServiceId, &'static str), (&'a ExecutionRecord, u32)>;

/// Publishes that executions ended: once for each service, outcome and batch, and only if a subscription of its tenant
/// asks for it. Runs of jobs and events are left out: a handler of such an event would have itself run again and again.
async fn tell(store: &Store, batch: &[ExecutionRecord]) -> elias_api::Result<()> {
    let mut ended: BTreeMap<&TenantId, Ended<'_>> = BTreeMap::new();
    for record in batch {
        let event_type = match record.outcome.as_str() {
            "failed" => FAILED,
            "completed" => COMPLETED,
            _ => continue,
        };
        if is_run(record) && !record.source.starts_with("schedule ") {
            continue;
        }
        let (tenant, component) = (record.tenant.clone(), record.component.clone());
        let service = ServiceId { tenant, component, environment: record.environment };
        let of_tenant = ended.entry(&record.tenant).or_default();
        of_tenant.entry((service, event_type)).or_insert((record, 0)).1 += 1;
    }
    for (tenant, ended) in ended.into_iter().take(TENANTS_TOLD) {
        let subscriptions = store.read(tenant).await?.subscriptions(&AllowedServices::All).await?;
        let is_wanted = |event_type: &str| subscriptions.iter().any(|one| wants(&one.config, event_type));
        let wanted = ended.into_iter().filter(|((_, event_type), _)| is_wanted(event_type));
        let wanted: Vec<_> = wanted.take(SERVICES_TOLD).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut scope = store.write(tenant).await?;
        for ((service, event_type), (record, count)) in wanted {
            let data = json!({
                "component": service.component,
                "environment": service.environment,
                "version": record.version,
                "execution": record.id,
                "source": record.source,
                "code": record.code,
                "error": record.error,
                "count": count,
            });
            platform_events::publish(&mut scope, event_type, service.subject(), &data).await?;
        }
        scope.commit().await?;
    }
    Ok(())
}

/// Whether a subscription asks for an event about executions. Completed ones are told of only to those who name them: a
/// subscription to everything would get an event for nearly each request.
fn wants(config: &Value, event_type: &str) -> bool {
    let names_executions = || config["type"].as_str().is_some_and(|text| text.starts_with("execution."));
    platform_events::is_wanted(config, event_type) && (event_type != COMPLETED || names_executions())
}

/// Deletes what is kept no longer.
pub(crate) async fn prune(store: &Store, retention: Retention) -> elias_api::Result<()> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    /// Lines of a tenant's audit trail, and deployments of a service, that are kept.
    const AUDIT_MAX: u32 = 100_000;
    const DEPLOYMENTS_MAX: u32 = 1_000;
    /// Requests with an idempotency key that one transaction deletes.
    const REQUESTS_AT_ONCE: u32 = 500;
    let mut scope = store.host_write().await?;
    let before = now_ms().saturating_sub(i64::from(retention.days).saturating_mul(DAY_MS));
    scope.prune_executions(before, retention.per_tenant).await?;
    scope.prune_idempotency(now_ms().saturating_sub(DAY_MS)).await?;
    scope.prune_sessions(now_ms(), now_ms().saturating_sub(millis(SESSION_IDLE))).await?;
    scope.prune_audit(AUDIT_MAX).await?;
    scope.prune_deployments(DEPLOYMENTS_MAX).await?;
    scope.commit().await?;
    loop {
        // Their responses are large: one transaction of all would keep the requests of others waiting.
        let mut scope = store.host_write().await?;
        let deleted = scope.prune_idempotent_requests(REQUESTS_AT_ONCE).await?;
        scope.commit().await?;
        if deleted < u64::from(REQUESTS_AT_ONCE) {
            return Ok(());
        }
    }
}
