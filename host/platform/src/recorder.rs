//! Records executions in the store, in batches and off the requests' path.

use crate::access::{SESSION_IDLE, millis};
use crate::execution_feed::ExecutionFeeds;
use crate::issues::{self, ChangedIssue, Unrecorded};
use crate::platform_events;
use crate::spans::{self, ExecutionTiming, Sampling, TelemetryExporter, TraceConfig};
use elias_api::{Code, ExecutionRecord, ExecutionTrace};
use elias_names::{ServiceId, TenantId};
use elias_store::{AllowedServices, Store, now_ms};
use elias_workers::is_uuid;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
/// Bytes of what waits for spans to be made of it; beyond it an execution has none, which is counted.
const TIMING_BYTES_MAX: usize = 16 << 20;
/// How long to wait before a store that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the store.
const FLUSH: Duration = Duration::from_secs(3);

/// How long recorded executions are kept, and how many of each tenant; and how long audit trails are.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// Executions of each tenant.
    pub per_tenant: u32,
    /// Days for which entries of audit trails are kept; 0 for no limit but that of their number.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 7, per_tenant: 100_000, audit_days: 0 }
    }
}

/// The messages to the writer.
enum Item {
    Record(Box<RecordedExecution>),
    /// Answered when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// An execution on its way to the store.
struct RecordedExecution {
    record: ExecutionRecord,
    /// Whether it is among those that are recorded; else only its spans are kept.
    is_listed: bool,
    timing: Option<Box<ExecutionTiming>>,
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
    /// Failures among them, and those that were dropped, since the last batch.
    unrecorded_failures: Arc<Mutex<Unrecorded>>,
    runs_per_second: u32,
    sampling: Arc<Sampling>,
    /// Bytes of what waits for spans to be made of it.
    timing_bytes: Arc<AtomicUsize>,
    /// Executions that were to have spans, and have none.
    spans_dropped: Arc<AtomicU64>,
    feeds: ExecutionFeeds,
}

/// Gets the executions of each batch once they are recorded, on the task that records: it must not wait.
pub(crate) type BatchObserver = Arc<dyn Fn(&[ExecutionRecord]) + Send + Sync>;

/// Who is told of executions, beside the store.
pub(crate) struct Telling {
    /// The host's name in spans.
    pub(crate) host: String,
    pub(crate) observers: Vec<BatchObserver>,
}

impl Recorder {
    /// A recorder, and the work that it needs done. Of each service `runs_per_second` runs of triggers are recorded
    /// that went well.
    pub(crate) fn new(
        store: Store,
        runs_per_second: u32,
        traces: &TraceConfig,
        telling: Telling,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let this = Self {
            sender,
            urgent: Arc::default(),
            recorded: Arc::default(),
            dropped: Arc::default(),
            unrecorded: Arc::default(),
            unrecorded_failures: Arc::default(),
            runs_per_second,
            sampling: Arc::new(Sampling::new(traces)),
            timing_bytes: Arc::default(),
            spans_dropped: Arc::default(),
            feeds: ExecutionFeeds::default(),
        };
        let writer = Writer {
            store,
            telling,
            exporter: traces.exporter.clone(),
            urgent: Arc::clone(&this.urgent),
            timing_bytes: Arc::clone(&this.timing_bytes),
            recorded: Arc::clone(&this.recorded),
            dropped: Arc::clone(&this.dropped),
            unrecorded_failures: Arc::clone(&this.unrecorded_failures),
            feeds: this.feeds.clone(),
        };
        (this, writer.write(receiver))
    }

    /// Those who follow executions as they are recorded.
    pub(crate) fn feeds(&self) -> &ExecutionFeeds {
        &self.feeds
    }

    /// By what executions are sampled.
    pub(crate) fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The number of successful runs of triggers that are recorded of each service a second.
    pub(crate) fn runs_per_second(&self) -> u32 {
        self.runs_per_second
    }

    /// Records what ran if its service has no more than are recorded, and the store can keep up; counts it otherwise.
    /// With `timing` it has spans, also if it is not recorded itself.
    pub(crate) fn record_if(&self, is_taken: bool, record: ExecutionRecord, timing: Option<Box<ExecutionTiming>>) {
        if !is_taken {
            self.unrecorded[usize::from(is_run(&record))].fetch_add(1, Ordering::Relaxed);
            self.count_failure(&record);
        }
        let timing = timing.filter(|timing| self.has_room(timing.bytes()));
        if !is_taken && timing.is_none() {
            return;
        }
        let execution = Box::new(RecordedExecution { record, is_listed: is_taken, timing });
        if let Err(full) = self.sender.try_send(Item::Record(execution)) {
            let Item::Record(lost) = full.into_inner() else { return };
            if let Some(timing) = lost.timing {
                self.timing_bytes.fetch_sub(timing.bytes(), Ordering::Relaxed);
                self.spans_dropped.fetch_add(1, Ordering::Relaxed);
            }
            if is_taken {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.count_failure(&lost.record);
            }
        } else if self.sender.max_capacity() - self.sender.capacity() >= BATCH {
            self.urgent.notify_one();
        }
    }

    /// Counts an execution that is not recorded, if it has failed.
    fn count_failure(&self, record: &ExecutionRecord) {
        if issues::is_failure(record) {
            let mut failures = self.unrecorded_failures.lock();
            match failures.get_mut(&record.tenant) {
                Some(count) => *count += 1,
                None => {
                    failures.insert(record.tenant.clone(), 1);
                }
            }
        }
    }

    /// Whether there is room for what spans are made of, which is then taken; counts the execution otherwise.
    fn has_room(&self, bytes: usize) -> bool {
        // Others may add between the look and the sum: by some executions more the bound is no other one.
        let has_room = self.timing_bytes.load(Ordering::Relaxed) + bytes <= TIMING_BYTES_MAX;
        if has_room {
            self.timing_bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Executions that were to have spans and have none since the host began: the store was too slow.
    pub(crate) fn spans_dropped(&self) -> u64 {
        self.spans_dropped.load(Ordering::Relaxed)
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

/// Writes what is recorded, and tells of it. It shares counts with the recorder, and not the channel's sender: with
/// that the channel would never end.
struct Writer {
    store: Store,
    telling: Telling,
    exporter: Option<Arc<dyn TelemetryExporter>>,
    urgent: Arc<Notify>,
    timing_bytes: Arc<AtomicUsize>,
    recorded: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    unrecorded_failures: Arc<Mutex<Unrecorded>>,
    feeds: ExecutionFeeds,
}

/// The rows of one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<ExecutionRecord>,
    traces: Vec<ExecutionTrace>,
    /// Executions that are in it.
    executions: usize,
    /// Failures that are not recorded, by tenant.
    unrecorded: Unrecorded,
}

impl Writer {
    /// Makes the spans of an execution, has them exported, and puts all of it into the batch.
    fn add(&self, execution: RecordedExecution, batch: &mut Batch) {
        let RecordedExecution { record, is_listed, timing } = execution;
        let link = timing.as_ref().map(|timing| timing.link);
        if let Some(exporter) = self.exporter.as_deref()
            && is_listed
            && exporter.takes_logs()
            && let Some(logs) = spans::logs(&record, link.as_ref(), &self.telling.host)
        {
            exporter.logs(&logs);
        }
        if let Some(mut timing) = timing {
            self.timing_bytes.fetch_sub(timing.bytes(), Ordering::Relaxed);
            let endpoint = timing.endpoint.take();
            let made = timing.into_spans(&record, &self.telling.host);
            batch.traces.push(spans::stored(&record, &made));
            if let Some(exporter) = self.exporter.as_deref() {
                exporter.spans(&record.tenant, endpoint.as_deref(), &made);
            }
        }
        if is_listed {
            batch.records.push(record);
        }
        batch.executions += 1;
    }

    async fn write(self, mut receiver: mpsc::Receiver<Item>) {
        let (mut batch, mut flushes) = (Batch::default(), Vec::new());
        let mut told = 0;
        while let Some(first) = receiver.recv().await {
            // Nobody waits at the channel meanwhile, so that a record wakes nobody.
            if matches!(first, Item::Record(_)) && receiver.len() < BATCH {
                let _ = timeout(GATHER, self.urgent.notified()).await;
            }
            let mut next = Some(first);
            while let Some(item) = next.take() {
                match item {
                    Item::Record(execution) => self.add(*execution, &mut batch),
                    Item::Flush(done) => {
                        flushes.push(done);
                        break;
                    }
                }
                if batch.executions < BATCH {
                    next = receiver.try_recv().ok();
                }
            }
            batch.unrecorded = std::mem::take(&mut *self.unrecorded_failures.lock());
            // While the store is away records wait, and then those that follow are dropped and counted.
            while let Err(error) = insert(&self.store, &batch).await {
                tracing::warn!(%error, records = batch.executions, "executions cannot be recorded; retrying");
                sleep(RETRY).await;
                if receiver.is_closed() {
                    return;
                }
            }
            self.recorded.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
            self.telling.observers.iter().for_each(|observer| observer(&batch.records));
            self.feeds.publish(&batch.records);
            batch = Batch::default();
            for done in flushes.drain(..) {
                // Whoever waited has given up.
                let _ = done.send(());
            }
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > told {
                tracing::warn!(executions = dropped - told, "executions were not recorded: the store is too slow");
                told = dropped;
            }
        }
    }
}

async fn insert(store: &Store, batch: &Batch) -> elias_api::Result<()> {
    if batch.executions == 0 && batch.unrecorded.is_empty() {
        return Ok(());
    }
    let changed = match insert_with_issues(store, batch).await {
        // What is wrong with an issue must not keep executions from being recorded.
        Err(error) if error.code() == Code::Internal => {
            tracing::error!(%error, "the failures of a batch of executions are in no issue");
            let mut scope = store.host_write().await?;
            scope.insert_executions(&batch.records).await?;
            scope.insert_spans(&batch.traces).await?;
            scope.commit().await?;
            Vec::new()
        }
        changed => changed?,
    };
    if let Err(error) = issues::tell(store, &changed).await {
        tracing::debug!(%error, "that issues are new or back was not published");
    }
    if let Err(error) = tell(store, &batch.records).await {
        tracing::debug!(%error, "that executions ended was not published");
    }
    Ok(())
}

/// Stores a batch, and counts its failures in their issues in the same transaction; gives the issues of which somebody
/// has to be told.
async fn insert_with_issues(store: &Store, batch: &Batch) -> elias_api::Result<Vec<ChangedIssue>> {
    let (records, unrecorded) = (&batch.records, &batch.unrecorded);
    let mut scope = store.host_write().await?;
    let inserted = scope.insert_executions(records).await?;
    scope.insert_spans(&batch.traces).await?;
    // All of a batch is there if the answer to the commit of a former try was lost; then its failures are counted too.
    let is_new = inserted > 0 || records.is_empty();
    let changed = if is_new { issues::record(&mut scope, records, unrecorded).await? } else { Vec::new() };
    scope.commit().await?;
    Ok(changed)
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
        let of_tenant = ended.entry(&record.tenant).or_default();
        of_tenant.entry((record.service(), event_type)).or_insert((record, 0)).1 += 1;
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
pub(crate) async fn prune(store: &Store, retention: Retention, traces: &TraceConfig) -> elias_api::Result<()> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    /// Lines of a tenant's audit trail, and deployments of a service, that are kept.
    const AUDIT_MAX: u32 = 100_000;
    const DEPLOYMENTS_MAX: u32 = 1_000;
    /// Days for which security events are kept, and events of a tenant.
    const SECURITY_DAYS: i64 = 90;
    const SECURITY_EVENTS_MAX: u32 = 10_000;
    /// Requests with an idempotency key that one transaction deletes.
    const REQUESTS_AT_ONCE: u32 = 500;
    let mut scope = store.host_write().await?;
    let days_ago = |days: i64| now_ms().saturating_sub(days.saturating_mul(DAY_MS));
    scope.prune_executions(days_ago(retention.days.into()), retention.per_tenant).await?;
    scope.prune_spans(days_ago(traces.days.into()), traces.per_tenant).await?;
    scope.prune_idempotency(days_ago(1)).await?;
    scope.prune_sessions(now_ms(), now_ms().saturating_sub(millis(SESSION_IDLE))).await?;
    scope.prune_audit(AUDIT_MAX).await?;
    if retention.audit_days > 0 {
        scope.prune_audit_before(days_ago(retention.audit_days.into())).await?;
    }
    scope.prune_issues(days_ago(issues::KEPT_DAYS)).await?;
    scope.prune_security_events(days_ago(SECURITY_DAYS), SECURITY_EVENTS_MAX).await?;
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
