//! Failures on their way to servers that speak Sentry's protocol: the host's, and those of tenants.
//!
//! Each server has a queue and a task of its own, so that one that hangs keeps no other waiting. A queue is bounded by
//! number and bytes. Of each failure it is counted for each server whether it was sent or lost.

use crate::config::PlatformConfig;
use crate::envelope_sender::{EnvelopeResponse, EnvelopeSender, EnvelopeTarget};
use crate::issues::{group_of, is_failure};
use arc_swap::ArcSwap;
use elias_api::{Code, Error, ExecutionRecord, Result, TenantSettings};
use elias_names::{ServiceId, TenantId};
use elias_telemetry::issue::{Group, Place};
use elias_telemetry::sentry::{FailureReport, SentryTarget, SourceContext};
use futures::future::BoxFuture;
use moka::sync::Cache;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Failures that wait for one server, and their bytes.
const WAITING_MAX: usize = 100;
const WAITING_BYTES_MAX: usize = 4 << 20;
/// The waits before the second and the third try.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// The longest wait that a server may ask for.
const RETRY_AFTER_MAX: u64 = 60;
/// Places whose source is remembered.
const SOURCES_REMEMBERED: u64 = 500;

/// Reads the source around a place of a version of a component.
pub(crate) type ReadSource =
    Box<dyn Fn(ServiceId, u32, Place) -> BoxFuture<'static, Option<SourceContext>> + Send + Sync>;

/// The source around places: by service, version, file and line.
type Sources = Cache<(ServiceId, u32, String, u32), Option<SourceContext>>;

/// How many failures were sent and lost, since the host began.
#[derive(Debug, Default)]
pub(crate) struct ReportCounts {
    sent: AtomicU64,
    lost: AtomicU64,
}

impl ReportCounts {
    /// Failures that a server took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Failures that no server took: it could not be reached, refused them, or had too many waiting.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// A failure that waits, with its bytes.
struct Report {
    record: ExecutionRecord,
    bytes: usize,
}

/// A server with its queue. Its task ends with it, and what waits then is lost: a tenant that changes its server again
/// and again has one queue, and nothing is sent any more to a server that was removed.
struct Destination {
    dsn: String,
    may_be_private: bool,
    queue: mpsc::Sender<Report>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// The servers: of the host, and by tenant.
#[derive(Default)]
struct Destinations {
    host: Option<Arc<Destination>>,
    tenants: BTreeMap<TenantId, Arc<Destination>>,
}

/// Reports failures to the servers that are configured.
pub(crate) struct Reports {
    sender: Option<Arc<dyn EnvelopeSender>>,
    destinations: ArcSwap<Destinations>,
    counts: Arc<ReportCounts>,
    read_source: Arc<OnceLock<ReadSource>>,
    sources: Sources,
}

/// Reads a DSN of the settings.
///
/// # Errors
/// `bad-input`, without the DSN, which has a key in it.
pub(crate) fn read_dsn(dsn: &str) -> Result<SentryTarget> {
    SentryTarget::parse(dsn).map_err(|why| Error::new(Code::BadInput, format!("sentry-dsn: {why}")))
}

/// Checks the DSN of a tenant's settings, if there is one.
///
/// # Errors
/// `bad-input`.
pub(crate) fn check_settings(settings: &TenantSettings) -> Result<()> {
    settings.sentry_dsn.as_deref().map(read_dsn).transpose().map(drop)
}

impl Reports {
    /// Reports to the server of the host, if its configuration names one; those of tenants are told by
    /// [`update`](Self::update).
    ///
    /// # Errors
    /// `bad-input` for a DSN that is none.
    pub(crate) fn new(config: &PlatformConfig) -> Result<Self> {
        let this = Self {
            sender: config.envelopes.clone(),
            destinations: ArcSwap::default(),
            counts: Arc::default(),
            read_source: Arc::default(),
            sources: Cache::builder().max_capacity(SOURCES_REMEMBERED).build(),
        };
        if let Some(dsn) = &config.sentry_dsn {
            read_dsn(dsn)?;
            let host = this.destination(dsn, true);
            this.destinations.store(Arc::new(Destinations { host, ..Destinations::default() }));
        }
        Ok(this)
    }

    /// Says how the source of components is read.
    pub(crate) fn bind(&self, read_source: ReadSource) {
        let _ = self.read_source.set(read_source);
    }

    pub(crate) fn counts(&self) -> &ReportCounts {
        &self.counts
    }

    /// Says which servers the tenants have, by their DSNs, and whether each may be in a private network.
    pub(crate) fn update(&self, wanted: &BTreeMap<TenantId, (String, bool)>) {
        let present = self.destinations.load();
        let is_as_wanted = |tenant: &TenantId, dsn: &str, may_be_private: bool| {
            let known = present.tenants.get(tenant);
            known.is_some_and(|known| known.dsn == dsn && known.may_be_private == may_be_private)
        };
        if present.tenants.len() == wanted.len()
            && wanted.iter().all(|(tenant, (dsn, may_be_private))| is_as_wanted(tenant, dsn, *may_be_private))
        {
            return;
        }
        let tenants = wanted.iter().filter_map(|(tenant, (dsn, may_be_private))| {
            let known = present.tenants.get(tenant).filter(|_| is_as_wanted(tenant, dsn, *may_be_private));
            Some((tenant.clone(), known.cloned().or_else(|| self.destination(dsn, *may_be_private))?))
        });
        let next = Destinations { host: present.host.clone(), tenants: tenants.collect() };
        self.destinations.store(Arc::new(next));
    }

    /// The queue and the task of a server; none if nothing can be sent, or the DSN is none.
    fn destination(&self, dsn: &str, may_be_private: bool) -> Option<Arc<Destination>> {
        let sender = Arc::clone(self.sender.as_ref()?);
        let target = SentryTarget::parse(dsn).ok()?;
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let task = Task {
            sender,
            url: target.url(),
            authorization: target.authorization(),
            may_be_private,
            waiting,
            waiting_bytes: Arc::clone(&waiting_bytes),
            counts: Arc::clone(&self.counts),
            read_source: Arc::clone(&self.read_source),
            sources: self.sources.clone(),
        };
        tokio::spawn(task.run());
        Some(Arc::new(Destination { dsn: dsn.to_owned(), may_be_private, queue, waiting_bytes }))
    }

    /// Puts the failures of a batch into the queues, or counts them as lost. It does not wait.
    pub(crate) fn offer(&self, batch: &[ExecutionRecord]) {
        let destinations = self.destinations.load();
        if destinations.host.is_none() && destinations.tenants.is_empty() {
            return;
        }
        for record in batch.iter().filter(|record| is_failure(record)) {
            let of_tenant = destinations.tenants.get(&record.tenant);
            for destination in destinations.host.iter().chain(of_tenant) {
                if !destination.take(record) {
                    self.counts.lose();
                }
            }
        }
    }
}

impl Destination {
    /// Takes a failure into the queue; false if there is no room.
    fn take(&self, record: &ExecutionRecord) -> bool {
        let of_lines: usize = record.log_lines().map(|(_, message)| message.len()).sum();
        let bytes = record.error.as_ref().map_or(0, String::len) + of_lines + record.source.len();
        // The recorder is the only one that adds.
        if self.waiting_bytes.load(Ordering::Relaxed).saturating_add(bytes) > WAITING_BYTES_MAX {
            return false;
        }
        let Ok(permit) = self.queue.try_reserve() else { return false };
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        permit.send(Report { record: record.clone(), bytes });
        true
    }
}

/// Sends what waits for a server.
struct Task {
    sender: Arc<dyn EnvelopeSender>,
    url: String,
    authorization: String,
    may_be_private: bool,
    waiting: mpsc::Receiver<Report>,
    waiting_bytes: Arc<AtomicUsize>,
    counts: Arc<ReportCounts>,
    read_source: Arc<OnceLock<ReadSource>>,
    sources: Sources,
}

impl Task {
    async fn run(mut self) {
        while let Some(Report { record, bytes }) = self.waiting.recv().await {
            let is_sent = match self.envelope(&record).await {
                Some(envelope) if !self.waiting.is_closed() => self.send(envelope).await,
                _ => false,
            };
            // It counts until the server has it: retries hold it as well.
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if is_sent {
                self.counts.sent.fetch_add(1, Ordering::Relaxed);
            } else {
                self.counts.lose();
            }
        }
    }

    /// Sends an envelope, again if the server is away or has no time for it; says whether the server took it.
    async fn send(&self, envelope: String) -> bool {
        let mut waits = AGAIN_AFTER.iter();
        loop {
            let target = EnvelopeTarget {
                url: &self.url,
                authorization: &self.authorization,
                may_be_private: self.may_be_private,
            };
            let wait = match self.sender.send(target, envelope.clone()).await {
                Ok(EnvelopeResponse { status: 200..=299, .. }) => return true,
                Ok(EnvelopeResponse { status: 429 | 502..=504, retry_after }) => {
                    let asked = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
                    asked.map(|seconds| Duration::from_secs(seconds.min(RETRY_AFTER_MAX)))
                }
                Ok(EnvelopeResponse { status, .. }) => {
                    tracing::debug!(status, "a server for errors refused an envelope");
                    return false;
                }
                Err(error) => {
                    tracing::debug!(%error, "a server for errors cannot be reached");
                    None
                }
            };
            let Some(own) = waits.next() else { return false };
            sleep(wait.unwrap_or(*own)).await;
            if self.waiting.is_closed() {
                return false;
            }
        }
    }

    async fn envelope(&self, record: &ExecutionRecord) -> Option<String> {
        let group = group_of(record);
        let service = record.service();
        let context = self.source(&service, record.version, &group).await;
        let report = FailureReport {
            service: &service,
            version: record.version,
            execution: &record.id,
            at_ms: record.started_at,
            code: record.code.as_deref(),
            source: &record.source,
            error: record.error.as_deref(),
            trace: record.trace.as_deref(),
            lines: record.log_lines().collect(),
            group: &group,
            context: context.as_ref(),
        };
        report.envelope().ok()
    }

    /// The source around the place of an issue, read once for each place and version.
    async fn source(&self, service: &ServiceId, version: u32, group: &Group) -> Option<SourceContext> {
        let place = group.place.clone()?;
        let key = (service.clone(), version, place.file.clone(), place.line);
        if let Some(known) = self.sources.get(&key) {
            return known;
        }
        let context = self.read_source.get()?(service.clone(), version, place).await;
        self.sources.insert(key, context.clone());
        context
    }
}

#[cfg(test)]
mod tests;
