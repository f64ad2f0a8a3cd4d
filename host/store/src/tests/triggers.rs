//! Triggers: schedules, jobs, events, steps and leases.

mod events;
mod jobs;
mod limits;
mod looks;
mod outbox;
mod plans;
mod queue;
mod schedules;
mod steps;
mod usage;

use super::*;
use elias_api::{JobFilter, JobRecord, JobState, JobTrigger, QueueId, Quotas};
pub(super) use events::new_event;
use events::sized_event;

/// For how long leases of jobs last that are not meant to end.
const LEASE_MS: u64 = 60_000;
/// For how long records of jobs are kept.
const KEEP_MS: u64 = 60_000;

fn queue(name: &str) -> QueueId {
    QueueId { component: shop(), environment: Environment::Production, trigger: JobTrigger::Job, name: name.to_owned() }
}

/// A job whose ids sort by their numbers.
fn new_job(name: &str, number: usize) -> NewJob {
    NewJob {
        id: format!("{number:026}"),
        queue: queue(name),
        input: "{}".to_owned(),
        priority: 0,
        head_start_ms: 0,
        start: JobStart::Now,
        key: None,
        order: None,
        concurrency_key: None,
        after: Vec::new(),
        cause: None,
        hops: 0,
        replayed_by: None,
        version: None,
    }
}

async fn enqueue(store: &Store, tenant: &TenantId, jobs: &[NewJob]) -> Result<Vec<EnqueueOutcome>> {
    let mut scope = store.write(tenant).await?;
    let enqueued = scope.enqueue_jobs(jobs, None).await?;
    scope.commit().await?;
    Ok(enqueued)
}

fn share(tenant: &TenantId, name: &str, most: u32) -> ClaimShare {
    ClaimShare { tenant: tenant.clone(), queue: queue(name), most, from_rank: i64::MIN, key_concurrency: None }
}

async fn claim(store: &Store, owner: &str, lease_ms: u64, share: ClaimShare) -> Vec<ClaimedJob> {
    let mut scope = store.queue_write().await.expect("a scope");
    let jobs = scope.claim_jobs(owner, lease_ms, &[share]).await.expect("claimed");
    scope.commit().await.expect("committed");
    jobs
}

fn end(job: &ClaimedJob, outcome: JobOutcome) -> JobEnd {
    JobEnd { lease: job.lease.clone(), outcome, keep_ms: KEEP_MS }
}

fn done() -> JobOutcome {
    JobOutcome::Done { result: Some("1".to_owned()) }
}

fn dead() -> JobOutcome {
    JobOutcome::Dead { error: "it fails".to_owned() }
}

/// Ends attempts; gives the claims that were refused.
async fn finish(store: &Store, owner: &str, ends: &[JobEnd]) -> Vec<JobLease> {
    let mut scope = store.queue_write().await.expect("a scope");
    let finished = scope.finish_jobs(owner, ends).await.expect("finished");
    scope.commit().await.expect("committed");
    finished.late
}

/// Claims and ends the one job of a queue that is ready.
async fn run(store: &Store, tenant: &TenantId, name: &str, outcome: JobOutcome) -> String {
    let jobs = claim(store, "me", LEASE_MS, share(tenant, name, 10)).await;
    assert_eq!(jobs.len(), 1, "{name}");
    assert_eq!(finish(store, "me", &[end(&jobs[0], outcome)]).await, []);
    jobs[0].lease.id.clone()
}

async fn move_due(store: &Store) -> MovedJobs {
    let mut scope = store.queue_write().await.expect("a scope");
    let moved = scope.move_due_jobs(100, KEEP_MS).await.expect("moved");
    scope.commit().await.expect("committed");
    moved
}

async fn job(store: &Store, tenant: &TenantId, id: &str) -> JobRecord {
    store.read(tenant).await.expect("a scope").job(id).await.expect("it is there")
}

async fn state(store: &Store, tenant: &TenantId, number: usize) -> JobState {
    job(store, tenant, &format!("{number:026}")).await.state
}

/// Whether the numbers of unfinished jobs and of bytes are what is counted along the way.
async fn is_counted(store: &Store, tenant: &TenantId) {
    let mut scope = store.read(tenant).await.expect("a scope");
    let counts = scope.job_counts().await.expect("read");
    let jobs = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10_000).await.expect("read");
    let of_job = |job: &JobRecord| {
        let is_finished = matches!(job.state, JobState::Done | JobState::Dead | JobState::Cancelled);
        let outcome = [&job.result, &job.error].into_iter().flatten().map(String::len).sum::<usize>();
        job.input.len() + if is_finished { outcome } else { 0 }
    };
    let events = scope.events(0, 10_000).await.expect("read");
    let bytes = jobs.iter().map(of_job).chain(events.iter().map(|event| event.data.len())).sum::<usize>() as u64;
    let unfinished_jobs = counts.waiting + counts.ready + counts.leased;
    assert_eq!(scope.trigger_use().await.expect("read"), TriggerUse { unfinished_jobs, bytes });
}

async fn used_bytes(store: &Store, tenant: &TenantId) -> u64 {
    store.read(tenant).await.expect("a scope").trigger_use().await.expect("read").bytes
}
