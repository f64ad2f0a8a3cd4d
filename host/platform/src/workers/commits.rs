//! The commits of all services of a host, those that wait in one transaction: one that is synced takes as long for a
//! hundred as for one.

use super::meters::WorkerMeters;
use crate::batch::{Batch, TenantWrite};
use elias_api::{Code, Error, Quotas, Result};
use elias_names::TenantId;
use elias_store::{CommitOutcome, NewEvent, Store, WorkerCommitRow, WorkerRetention};
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
    /// What its turns publish, if it is committed.
    pub(super) events: Vec<NewEvent>,
    /// The quotas of the tenant, to which the events keep.
    pub(super) quotas: Option<Quotas>,
}

impl TenantWrite for Arc<PreparedCommit> {
    fn tenant(&self) -> &TenantId {
        &self.row.service.tenant
    }

    fn rows(&self) -> usize {
        1 + self.events.len()
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
    /// `store-unavailable`, `too-large`, `quota-exceeded` for its events. Nothing is committed then, as far as this
    /// host knows.
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
        let of_group: Vec<_> = group.iter().map(|at| Arc::clone(&commits[*at])).collect();
        let (store, meters) = (store.clone(), Arc::clone(&meters));
        writes.push(async move {
            let written = write_tenant(&store, &meters, of_group).await;
            (group, written)
        });
    }
    let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
    while let Some((group, written)) = writes.next().await {
        group.iter().zip(written).for_each(|(at, outcome)| outcomes[*at] = Some(outcome));
    }
    let nothing = || Err(Error::new(Code::Internal, "the store said nothing of a commit"));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(nothing)).collect()
}

/// Writes commits of one tenant together. Where a quota refuses their events, those that publish none are written
/// together, and each of the others alone: one worker's events are nothing to the turns of another.
async fn write_tenant(
    store: &Store,
    meters: &WorkerMeters,
    commits: Vec<Arc<PreparedCommit>>,
) -> Vec<Result<CommitOutcome>> {
    let refused = match write_group(store, meters, &commits).await {
        Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    if refused.code() != Code::QuotaExceeded || commits.len() == 1 {
        return commits.iter().map(|_| Err(refused.clone())).collect();
    }
    let silent: Vec<_> = commits.iter().filter(|commit| commit.events.is_empty()).cloned().collect();
    let of_silent: Vec<Result<CommitOutcome>> = match write_group(store, meters, &silent).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); silent.len()],
    };
    let mut of_silent = of_silent.into_iter();
    let mut outcomes = Vec::with_capacity(commits.len());
    for commit in commits {
        outcomes.push(if commit.events.is_empty() {
            of_silent.next().unwrap_or_else(|| Err(refused.clone()))
        } else {
            let alone = write_group(store, meters, std::slice::from_ref(&commit)).await;
            alone.and_then(|mut outcomes| outcomes.pop().ok_or_else(|| refused.clone()))
        });
    }
    outcomes
}

/// Writes commits of one tenant in one transaction, with the events of those that are committed: these are published
/// once, whatever becomes of this host.
async fn write_group(
    store: &Store,
    meters: &WorkerMeters,
    commits: &[Arc<PreparedCommit>],
) -> Result<Vec<CommitOutcome>> {
    let Some(first) = commits.first() else { return Ok(Vec::new()) };
    let started = Instant::now();
    let rows: Vec<_> = commits.iter().map(|commit| commit.row.clone()).collect();
    let mut scope = store.worker_write(first.tenant()).await?;
    let outcomes = scope.commit_workers(&rows, &first.retention).await?;
    let is_committed = |(_, outcome): &(&Arc<PreparedCommit>, &CommitOutcome)| **outcome == CommitOutcome::Committed;
    let committed = commits.iter().zip(&outcomes).filter(is_committed);
    let events: Vec<NewEvent> = committed.flat_map(|(commit, _)| commit.events.iter().cloned()).collect();
    // They are the tenant's.
    let quotas = commits.iter().find_map(|commit| commit.quotas.as_ref());
    scope.publish_events(&events, quotas).await?;
    scope.commit().await?;
    meters.committed(rows.len(), started.elapsed());
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
            let PreparedCommit { row, retention: own, .. } = &*commits[*at];
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
            let retention = WorkerRetention { history_turns, ..WorkerRetention::default() };
            Arc::new(PreparedCommit { row, retention, events: Vec::new(), quotas: None })
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
