//! Writes what ran into the store, in batches and off the requests' path.

use crate::platform_events;
use elias_api::ExecutionRecord;
use elias_names::ServiceId;
use elias_store::{Store, now_ms};
use elias_triggers::event::TypePattern;
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
/// Services of which one batch publishes that executions failed.
const FAILURES_TOLD: usize = 20;
/// The event that says so.
const FAILED: &str = "execution.failed";
/// How long to wait before a store that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the store.
const FLUSH: Duration = Duration::from_secs(3);

/// How many executions are kept.
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

/// Where to put what ran; a cheap handle.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Item>,
    /// Ends the time for which records are gathered: a batch is full, or somebody waits.
    urgent: Arc<Notify>,
    recorded: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// A recorder, and the work that it needs done.
    pub(crate) fn new(store: Store) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let this = Self { sender, urgent: Arc::default(), recorded: Arc::default(), dropped: Arc::default() };
        let (recorded, dropped) = (Arc::clone(&this.recorded), Arc::clone(&this.dropped));
        let urgent = Arc::clone(&this.urgent);
        (this, write(store, receiver, urgent, recorded, dropped))
    }

    /// Records what ran, unless so many wait already that the store cannot keep up: those are counted.
    pub(crate) fn record(&self, record: ExecutionRecord) {
        if self.sender.try_send(Item::Record(Box::new(record))).is_err() {
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
    if let Err(error) = tell_failures(store, batch).await {
        tracing::debug!(%error, "that executions failed was not published");
    }
    Ok(())
}

/// Publishes that executions failed: once for each service and batch, and only if a subscription of its tenant asks for
/// it. Runs of jobs and events are left out: a handler of this event that fails would have itself run again and again.
async fn tell_failures(store: &Store, batch: &[ExecutionRecord]) -> elias_api::Result<()> {
    let mut failed: BTreeMap<ServiceId, (&ExecutionRecord, u32)> = BTreeMap::new();
    for record in batch {
        let counts = record.run.is_none() || record.source.starts_with("schedule ");
        if record.outcome == "failed" && counts {
            let (tenant, component) = (record.tenant.clone(), record.component.clone());
            let service = ServiceId { tenant, component, environment: record.environment };
            failed.entry(service).or_insert((record, 0)).1 += 1;
        }
    }
    for (service, (record, count)) in failed.into_iter().take(FAILURES_TOLD) {
        let subscriptions = store.read(&service.tenant).await?.subscriptions().await?;
        let wants = |config: &Value| {
            let pattern = config.get("type").and_then(Value::as_str).and_then(|text| text.parse::<TypePattern>().ok());
            pattern.is_some_and(|pattern| pattern.matches(FAILED))
        };
        if !subscriptions.iter().any(|subscription| wants(&subscription.config)) {
            continue;
        }
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
        let mut scope = store.write(&service.tenant).await?;
        platform_events::publish(&mut scope, FAILED, service.subject(), &data).await?;
        scope.commit().await?;
    }
    Ok(())
}

/// Deletes what is kept no longer.
pub(crate) async fn prune(store: &Store, retention: Retention) -> elias_api::Result<()> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    /// Lines of a tenant's audit trail, and deployments of a service, that are kept.
    const AUDIT_MAX: u32 = 100_000;
    const DEPLOYMENTS_MAX: u32 = 1_000;
    let mut scope = store.host_write().await?;
    let before = now_ms().saturating_sub(i64::from(retention.days).saturating_mul(DAY_MS));
    scope.prune_executions(before, retention.per_tenant).await?;
    scope.prune_idempotency(now_ms().saturating_sub(DAY_MS)).await?;
    scope.prune_audit(AUDIT_MAX).await?;
    scope.prune_deployments(DEPLOYMENTS_MAX).await?;
    Ok(scope.commit().await?)
}
