//! The commits of all services of a host, those that wait in one transaction: one that is synced takes as long for a
//! hundred as for one.

use super::meters::WorkerMeters;
use crate::batch::{Batch, TenantWrite};
use elias_api::{Code, Error, Result};
use elias_names::TenantId;
use elias_store::{CommitOutcome, Store, WorkerCommitRow, WorkerRetention};
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// Transactions at a time: one that waits for its tenant's rows, or is large, does not keep others' commits waiting.
const AT_ONCE: usize = 4;

/// A commit that waits for its transaction.
pub(super) struct PreparedCommit {
    pub(super) row: WorkerCommitRow,
    pub(super) retention: WorkerRetention,
}

impl TenantWrite for Arc<PreparedCommit> {
    fn tenant(&self) -> &TenantId {
        &self.row.service.tenant
    }
}

/// The commits of a host.
pub(super) struct Commits(Batch<Arc<PreparedCommit>, Result<CommitOutcome>>);

impl Commits {
    pub(super) fn new(store: Store, meters: Arc<WorkerMeters>) -> Self {
        let write = move |commits| write(store.clone(), Arc::clone(&meters), commits).map(Ok).boxed();
        Self(Batch::start(write))
    }

    /// Commits together with what others commit at the same time.
    ///
    /// # Errors
    /// `store-unavailable`, `too-large`. Nothing is committed then, as far as this host knows.
    pub(super) async fn commit(&self, commit: PreparedCommit) -> Result<CommitOutcome> {
        self.0.write(Arc::new(commit)).await?
    }
}

/// Writes commits, those of a tenant in one transaction. What becomes of one tenant's is nothing to the others.
async fn write(
    store: Store,
    meters: Arc<WorkerMeters>,
    commits: Vec<Arc<PreparedCommit>>,
) -> Vec<Result<CommitOutcome>> {
    let mut outcomes: Vec<Option<Result<CommitOutcome>>> = commits.iter().map(|_| None).collect();
    let mut writes = Vec::new();
    for group in groups(&commits) {
        let Some(first) = group.first().map(|at| Arc::clone(&commits[*at])) else { continue };
        let rows: Vec<_> = group.iter().map(|at| commits[*at].row.clone()).collect();
        let (store, meters) = (store.clone(), Arc::clone(&meters));
        writes.push(async move {
            let started = Instant::now();
            let written = write_group(&store, &first.row.service.tenant, &rows, &first.retention).await;
            if written.is_ok() {
                meters.committed(rows.len(), started.elapsed());
            }
            (group, written)
        });
    }
    let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
    while let Some((group, written)) = writes.next().await {
        match written {
            Ok(written) => group.iter().zip(written).for_each(|(at, outcome)| outcomes[*at] = Some(Ok(outcome))),
            Err(error) => group.iter().for_each(|at| outcomes[*at] = Some(Err(error.clone()))),
        }
    }
    let nothing = || Err(Error::new(Code::Internal, "the store said nothing of a commit"));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nothing)).collect()
}

async fn write_group(
    store: &Store,
    tenant: &TenantId,
    rows: &[WorkerCommitRow],
    retention: &WorkerRetention,
) -> Result<Vec<CommitOutcome>> {
    let mut scope = store.worker_write(tenant).await?;
    let outcomes = scope.commit_workers(rows, retention).await?;
    scope.commit().await?;
    Ok(outcomes)
}

/// The positions of commits that go into one transaction each: of one tenant, with the same history to keep, and each
/// worker once. A worker is there twice if whoever waited for its first commit has given up.
fn groups(commits: &[Arc<PreparedCommit>]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..commits.len()).collect();
    let mut groups = Vec::new();
    while let Some(first) = left.first().map(|at| &commits[*at]) {
        let (tenant, retention) = (&first.row.service.tenant, first.retention);
        let mut seen = HashSet::new();
        let (group, others) = left.into_iter().partition(|at| {
            let PreparedCommit { row, retention: own } = &*commits[*at];
            row.service.tenant == *tenant && *own == retention && seen.insert((&row.service, &row.key))
        });
        groups.push(group);
        left = others;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::{Digest, Environment, ServiceId};
    use elias_store::HeapCommitRow;
    use elias_workers::WorkerKey;

    #[test]
    fn commits_of_a_tenant_go_together_and_each_worker_once() {
        let commit = |tenant: &str, name: &str, history_turns: u32| {
            let service = ServiceId {
                tenant: tenant.parse().expect("a name"),
                component: "shop".parse().expect("a name"),
                environment: Environment::Production,
            };
            let row = WorkerCommitRow {
                service,
                key: WorkerKey::new("Cart", name),
                epoch: 1,
                turns: 1,
                record: Vec::new(),
                is_waiting: false,
                next_due: None,
                has_calls: false,
                restorable_turn: None,
                upgraded_from_turn: None,
                heap_bytes: 0,
                version: 1,
                component_digest: Digest::of(b""),
                heap: HeapCommitRow::Unchanged,
            };
            Arc::new(PreparedCommit { row, retention: WorkerRetention { history_turns, ..WorkerRetention::default() } })
        };
        let commits = [
            commit("a", "1", 100),
            commit("b", "1", 100),
            commit("a", "2", 100),
            commit("a", "1", 100),
            commit("a", "3", 7),
        ];
        assert_eq!(groups(&commits), [vec![0, 2], vec![1], vec![3], vec![4]]);
        assert!(groups(&[]).is_empty());
    }
}
