//! Issues: the failures among the recorded executions, grouped and counted in the transaction that records them.

use crate::platform_events;
use elias_api::{ExecutionRecord, Result};
use elias_names::TenantId;
use elias_store::{HostScope, IssueCounts, IssueRow, NewEvent, Store};
use elias_telemetry::issue::{Failure, Group, Issue, Occurrence, Occurrences, Transition, group};
use serde_json::json;
use std::collections::BTreeMap;

/// Issues of a tenant. Occurrences of further ones are counted together, until there is room.
pub(crate) const ISSUES_MAX: u64 = 1_000;
/// How long an issue must not have occurred to make room for another one: messages that differ with each request would
/// otherwise hide what is new for as long as issues are kept.
const MAKES_ROOM_AFTER_MS: i64 = 7 * 24 * 3_600_000;
/// How long an issue is kept after it occurred last.
pub(crate) const KEPT_DAYS: i64 = 90;

/// Failures of tenants that were not recorded.
pub(crate) type Unrecorded = BTreeMap<TenantId, u64>;

/// An issue of which somebody has to be told.
pub(crate) struct ChangedIssue {
    tenant: TenantId,
    row: IssueRow,
    transition: Transition,
}

/// Whether an execution has failed.
pub(crate) fn is_failure(record: &ExecutionRecord) -> bool {
    record.outcome == "failed"
}

/// The issue to which a failed execution belongs.
pub(crate) fn group_of(record: &ExecutionRecord) -> Group {
    let (code, error) = (record.code.as_deref(), record.error.as_deref());
    group(&record.service(), &Failure { code, status: record.status, source: &record.source, error })
}

/// The occurrences of an issue, with a record that names its service.
struct Occurred<'a> {
    record: &'a ExecutionRecord,
    occurrences: Occurrences,
}

/// The failures of a batch by tenant and issue.
fn occurred(batch: &[ExecutionRecord]) -> BTreeMap<&TenantId, BTreeMap<String, Occurred<'_>>> {
    let mut all: BTreeMap<&TenantId, BTreeMap<String, Occurred<'_>>> = BTreeMap::new();
    for record in batch.iter().filter(|record| is_failure(record)) {
        let group = group_of(record);
        let seen = Occurrence { at_ms: record.started_at, version: record.version, execution: record.id.clone() };
        let of_tenant = all.entry(&record.tenant).or_default();
        if let Some(known) = of_tenant.get_mut(&group.id) {
            known.occurrences.add(seen, group.place);
        } else {
            let (id, code) = (group.id.clone(), record.code.clone());
            of_tenant.insert(id, Occurred { record, occurrences: Occurrences::new(group, code, seen) });
        }
    }
    all
}

/// Counts the failures of a batch in their issues, each of which is written once, and those that were not recorded.
/// Gives the issues of which somebody has to be told after the commit.
///
/// # Errors
/// `store-unavailable`.
pub(crate) async fn record(
    scope: &mut HostScope,
    batch: &[ExecutionRecord],
    unrecorded: &Unrecorded,
) -> Result<Vec<ChangedIssue>> {
    let mut of_tenants = occurred(batch);
    for tenant in unrecorded.keys() {
        of_tenants.entry(tenant).or_default();
    }
    let mut changed = Vec::new();
    // Hosts lock tenants in the order of their names, so none waits for another that waits for it.
    for (tenant, occurred) in of_tenants {
        let unrecorded = unrecorded.get(tenant).copied().unwrap_or(0);
        scope.lock_issues(tenant, IssueCounts { folded: 0, unrecorded }).await?;
        let ids: Vec<_> = occurred.keys().map(String::as_str).collect();
        let (found, mut there) = scope.issues(tenant, &ids).await?;
        let mut known: BTreeMap<_, _> = found.into_iter().map(|row| (row.issue.id.clone(), row)).collect();
        let further = (occurred.len() - known.len()) as u64;
        let mut over = (there + further).saturating_sub(ISSUES_MAX).min(further);
        let mut folded = 0;
        // Those that are known first: they occur again, and make no room.
        let (again, new): (Vec<_>, Vec<_>) = occurred.iter().partition(|(id, _)| known.contains_key(id.as_str()));
        for (id, Occurred { record, occurrences }) in again.into_iter().chain(new) {
            if over > 0 && !known.contains_key(id) {
                // By the time of the failures: these and those that are there are of the same clocks.
                let newest = occurred.values().map(|occurred| occurred.record.started_at).max().unwrap_or(0);
                let before = newest.saturating_sub(MAKES_ROOM_AFTER_MS);
                there = there.saturating_sub(scope.make_room_for_issues(tenant, before, over).await?);
                over = 0;
            }
            let (row, transition) = match known.remove(id) {
                Some(mut row) => {
                    let transition = row.issue.record(occurrences);
                    (row, transition)
                }
                None if there >= ISSUES_MAX => {
                    folded += occurrences.count();
                    continue;
                }
                None => {
                    there += 1;
                    let (component, environment) = (record.component.clone(), record.environment);
                    let row = IssueRow { component, environment, issue: Issue::new(occurrences) };
                    (row, Some(Transition::Appeared))
                }
            };
            scope.put_issue(tenant, &row).await?;
            changed.extend(transition.map(|transition| ChangedIssue { tenant: tenant.clone(), row, transition }));
        }
        if folded > 0 {
            scope.lock_issues(tenant, IssueCounts { folded, unrecorded: 0 }).await?;
        }
    }
    Ok(changed)
}

/// Publishes that issues are new or back, to the tenants that have a subscription to it.
///
/// # Errors
/// `store-unavailable`.
pub(crate) async fn tell(store: &Store, changed: &[ChangedIssue]) -> Result<()> {
    platform_events::publish_wanted(store, changed.iter().map(event_of).collect()).await
}

/// The event that an issue is new or back, and the tenant that it is for.
fn event_of(changed: &ChangedIssue) -> (&TenantId, NewEvent) {
    let ChangedIssue { tenant, row, transition } = changed;
    let event_type = match transition {
        Transition::Appeared | Transition::Unignored => "issue.new",
        Transition::Regressed => "issue.regressed",
    };
    let IssueRow { component, environment, issue } = row;
    let data = json!({
        "issue": issue.id,
        "component": component,
        "environment": environment,
        "version": issue.last.version,
        "code": issue.code,
        "title": issue.title,
        "file": issue.place.as_ref().map(|place| &place.file),
        "line": issue.place.as_ref().map(|place| place.line),
        "execution": issue.last.execution,
        "count": issue.count,
    });
    (tenant, platform_events::event(event_type, row.service(tenant).subject(), &data))
}

#[cfg(test)]
mod tests;
