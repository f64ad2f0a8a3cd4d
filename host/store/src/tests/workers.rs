//! Service workers: ownership, commits, the history of heaps, lists and counts.

mod history;
mod lists;
mod ownership;
mod plans;
mod tenants;

use super::*;
use elias_workers::WorkerKey;

/// For how long leases last that are not meant to end.
const LEASE_MS: u64 = 60_000;

fn cart(name: &str) -> WorkerKey {
    WorkerKey::new("Cart", name)
}

/// A process that owns workers.
async fn process(store: &Store, name: &str, lease_ms: u64) -> Lease {
    let mut scope = store.host_write().await.expect("a scope");
    let lease = scope.acquire_lease(&worker_lease_name(name), name, lease_ms).await.expect("asked");
    scope.commit().await.expect("committed");
    lease.expect("it is free")
}

async fn try_acquire(store: &Store, service: &ServiceId, key: &WorkerKey, owner: &str) -> Result<WorkerAcquisition> {
    let mut scope = store.worker_write(&service.tenant).await?;
    let acquired = scope.acquire_worker(service, key, owner).await?;
    scope.commit().await?;
    Ok(acquired)
}

async fn acquire(store: &Store, service: &ServiceId, key: &WorkerKey, owner: &str) -> AcquiredWorker {
    match try_acquire(store, service, key, owner).await.expect("asked") {
        WorkerAcquisition::Acquired(acquired) => acquired,
        WorkerAcquisition::OwnedElsewhere { owner } => panic!("{key} is owned by {owner}"),
    }
}

fn pages(text: &str) -> TurnPages {
    TurnPages::Inline(text.as_bytes().to_vec())
}

fn whole(text: &str) -> HeapCommitRow {
    HeapCommitRow::Whole(pages(text))
}

fn change(text: &str) -> HeapCommitRow {
    HeapCommitRow::Change(pages(text))
}

fn row(service: &ServiceId, key: &WorkerKey, epoch: u64, turns: u64, heap: HeapCommitRow) -> WorkerCommitRow {
    WorkerCommitRow {
        service: service.clone(),
        key: key.clone(),
        epoch,
        turns,
        record: format!("record {turns}").into_bytes(),
        is_waiting: false,
        next_due: None,
        has_calls: false,
        restorable_turn: None,
        upgraded_from_turn: None,
        heap_bytes: 100,
        version: 1,
        component_digest: Digest::of(b"component"),
        heap,
    }
}

async fn commit_kept(
    store: &Store,
    tenant: &TenantId,
    rows: &[WorkerCommitRow],
    retention: &WorkerRetention,
) -> Vec<CommitOutcome> {
    let mut scope = store.worker_write(tenant).await.expect("a scope");
    let outcomes = scope.commit_workers(rows, retention).await.expect("asked");
    scope.commit().await.expect("committed");
    outcomes
}

async fn commit(store: &Store, tenant: &TenantId, rows: &[WorkerCommitRow]) -> Vec<CommitOutcome> {
    commit_kept(store, tenant, rows, &WorkerRetention::default()).await
}

/// Commits a turn that is taken.
async fn turn(store: &Store, service: &ServiceId, key: &WorkerKey, epoch: u64, turns: u64, heap: HeapCommitRow) {
    let committed = commit(store, &service.tenant, &[row(service, key, epoch, turns, heap)]).await;
    assert_eq!(committed, [CommitOutcome::Committed], "turn {turns} of {key}");
}

/// The heap of a turn: the texts of its parts.
async fn heap(store: &Store, service: &ServiceId, key: &WorkerKey, turn: u64) -> Option<String> {
    let mut scope = store.read(&service.tenant).await.expect("a scope");
    let parts = scope.heap_parts(service, key, turn).await.expect("read")?;
    let text = |part: &TurnPart| match &part.pages {
        TurnPages::Inline(pages) => String::from_utf8(pages.clone()).expect("a text"),
        TurnPages::Artifact { digest, .. } => digest.to_string(),
    };
    assert!(parts.iter().skip(1).all(|part| part.kind == PartKind::Change), "one is whole");
    Some(parts.iter().map(text).collect::<Vec<_>>().join(" "))
}

/// Whether the numbers of workers and of bytes are what is counted along the way; gives them.
async fn is_counted(store: &Store, tenant: &TenantId) -> WorkerUse {
    assert!(store.host_read().await.expect("a scope").are_workers_counted(tenant).await.expect("read"));
    let count = "SELECT CAST((SELECT COUNT(*) FROM workers WHERE tenant = $1) AS BIGINT) AS workers, \
                 CAST((SELECT COALESCE(SUM(octet_length(record)), 0) FROM workers WHERE tenant = $1) + \
                 (SELECT COALESCE(SUM(bytes), 0) FROM worker_turns WHERE tenant = $1) AS BIGINT) AS bytes";
    let counted = sqlx::query(count).bind(tenant.as_str().to_owned()).fetch_one(&store.pool).await.expect("counted");
    let used = store.read(tenant).await.expect("a scope").worker_use().await.expect("read");
    let [workers, bytes] = ["workers", "bytes"].map(|column| number(&counted, column).expect("a number"));
    assert_eq!(used, WorkerUse { workers, bytes });
    used
}
