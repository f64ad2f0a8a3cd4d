//! The queue in a platform's store: jobs are put into it, counted, and run by the bare statements.

use super::COMPONENT;
use elias_api::{JobFilter, JobState, JobTrigger, QueueId};
use elias_names::{Environment, TenantId};
use elias_store::{AllowedServices, ClaimShare, JobEnd, JobOutcome, JobStart, NewEvent, NewJob, Store, now_ms};
use std::path::Path;
use std::time::Instant;
use ulid::Ulid;

/// Jobs that one transaction enqueues, and jobs that one claims: the platform's own number.
const ENQUEUED: u64 = 1_000;
const CLAIMED: u32 = 50;
/// As the platform has it.
const LEASE_MS: u64 = 30_000;
/// The default of a job's `retention`.
const KEEP_MS: u64 = 7 * 86_400_000;

/// The store of a platform, for one of its tenants.
#[derive(Clone)]
pub(super) struct Queue {
    store: Store,
    tenant: TenantId,
}

impl Queue {
    /// Opens the store of a platform that runs.
    pub(super) fn open(data: &Path, url: Option<&str>, tenant: &str) -> Self {
        let store = Store::open(data, url).expect("the platform has a store");
        Self { store, tenant: tenant.parse().expect("the tenant has a name") }
    }

    fn id(name: &str) -> QueueId {
        QueueId {
            component: COMPONENT.parse().expect("a name"),
            environment: Environment::Production,
            trigger: JobTrigger::Job,
            name: name.to_owned(),
        }
    }

    /// Enqueues jobs of a kind.
    pub(super) async fn fill(&self, name: &str, jobs: u64) {
        let new = |_| NewJob {
            id: Ulid::new().to_string(),
            queue: Self::id(name),
            input: "null".to_owned(),
            priority: 0,
            hops: 0,
            head_start_ms: 0,
            start: JobStart::Now,
            key: None,
            order: None,
            concurrency_key: None,
            after: Vec::new(),
            cause: None,
            replayed_by: None,
            version: None,
        };
        let mut left = jobs;
        while left > 0 {
            let count = left.min(ENQUEUED);
            let batch: Vec<_> = (0..count).map(new).collect();
            let mut scope = self.store.write(&self.tenant).await.expect("a transaction");
            scope.enqueue_jobs(&batch, None).await.expect("enqueued");
            scope.commit().await.expect("committed");
            left -= count;
        }
    }

    /// How many jobs of the tenant are not finished.
    pub(super) async fn unfinished(&self) -> u64 {
        let mut scope = self.store.read(&self.tenant).await.expect("a transaction");
        scope.trigger_use().await.expect("a number").unfinished_jobs
    }

    /// The results of the jobs of a kind that are done, as numbers.
    pub(super) async fn results(&self, name: &str) -> Vec<f64> {
        let filter = JobFilter { name: Some(name.to_owned()), state: Some(JobState::Done), ..JobFilter::default() };
        let mut scope = self.store.read(&self.tenant).await.expect("a transaction");
        let jobs = scope.jobs(&filter, &AllowedServices::All, u32::MAX).await.expect("a list");
        jobs.iter().map(|job| job.result.as_deref().and_then(|text| text.parse().ok()).expect("a number")).collect()
    }

    /// Claims and acknowledges all jobs of a kind by so many clients at once, each 50 in a transaction; gives jobs a
    /// second.
    pub(super) async fn run_bare(&self, name: &str, clients: u32) -> f64 {
        let jobs = self.unfinished().await;
        let started = Instant::now();
        let running: Vec<_> = (0..clients)
            .map(|client| {
                let (queue, name) = (self.clone(), name.to_owned());
                tokio::spawn(async move { queue.work(&name, &format!("bench-{client}")).await })
            })
            .collect();
        for client in running {
            client.await.expect("no panic");
        }
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(self.unfinished().await, 0, "all were run");
        jobs as f64 / seconds
    }

    async fn work(&self, name: &str, owner: &str) {
        let (tenant, queue) = (self.tenant.clone(), Self::id(name));
        let shares = [ClaimShare { tenant, queue, most: CLAIMED, from_rank: i64::MIN, key_concurrency: None }];
        let mut ends: Vec<JobEnd> = Vec::new();
        loop {
            let mut scope = self.store.queue_write().await.expect("a transaction");
            let done = scope.finish_and_claim(owner, &ends, LEASE_MS, &shares).await;
            let (finished, claimed) = done.expect("finished and claimed");
            scope.commit().await.expect("committed");
            assert!(finished.late.is_empty(), "no lease has ended");
            if claimed.is_empty() {
                return;
            }
            let end = |lease| {
                let outcome = JobOutcome::Done { result: Some("null".to_owned()) };
                JobEnd { lease, outcome, keep_ms: KEEP_MS }
            };
            ends = claimed.into_iter().map(|job| end(job.lease)).collect();
        }
    }

    /// Publishes events in so many transactions of `batch` each; gives events a second.
    pub(super) async fn publish(&self, transactions: u32, batch: u32) -> f64 {
        let event = |_| NewEvent {
            id: Ulid::new().to_string(),
            event_type: "order.paid".to_owned(),
            source: "/bench".to_owned(),
            subject: Some("o-1".to_owned()),
            data: r#"{"total":100,"country":"uz"}"#.to_owned(),
            time: now_ms(),
            key: None,
            hops: 0,
            cause: None,
        };
        let started = Instant::now();
        for _ in 0..transactions {
            let events: Vec<_> = (0..batch).map(event).collect();
            let mut scope = self.store.host_write().await.expect("a transaction");
            scope.publish_events(&self.tenant, &events, None).await.expect("published");
            scope.commit().await.expect("committed");
        }
        f64::from(transactions * batch) / started.elapsed().as_secs_f64()
    }
}
