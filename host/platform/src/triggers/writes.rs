//! Writes jobs, events and steps of many callers in one transaction.

use super::runner::WriteSource;
use crate::batch::TenantWrite;
use elias_api::{Quotas, Result};
use elias_names::TenantId;
use elias_store::{EnqueueOutcome, HostScope, NewEvent, NewJob, NewStep, PublishedEvent, Store};
use std::collections::BTreeMap;

/// A job of a tenant to be enqueued, the tenant's quotas, and where it comes from.
#[derive(Clone)]
pub(super) struct JobWrite(pub(super) TenantId, pub(super) NewJob, pub(super) Option<Quotas>, pub(super) WriteSource);

impl TenantWrite for JobWrite {
    fn tenant(&self) -> &TenantId {
        &self.0
    }
}

/// Events of a tenant to be published, all or none.
#[derive(Clone)]
pub(super) struct EventWrite {
    pub(super) tenant: TenantId,
    pub(super) events: Vec<NewEvent>,
    pub(super) quotas: EventQuotas,
    /// Where they come from; from an outbox comes one at a time.
    pub(super) source: WriteSource,
}

impl TenantWrite for EventWrite {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn rows(&self) -> usize {
        self.events.len()
    }
}

/// The quotas that events have to keep to.
#[derive(Clone, Copy)]
pub(super) enum EventQuotas {
    Known(Option<Quotas>),
    /// Those that the store has of the tenant, if it is there.
    Stored,
}

impl EventQuotas {
    fn known(self) -> Option<Quotas> {
        match self {
            Self::Known(quotas) => quotas,
            Self::Stored => None,
        }
    }
}

impl TenantWrite for NewStep {
    fn tenant(&self) -> &TenantId {
        &self.lease.tenant
    }
}

/// The positions of values in a list, by tenant.
fn by_tenant<'v, T>(values: &'v [T], tenant: impl Fn(&'v T) -> &'v TenantId) -> BTreeMap<&'v TenantId, Vec<usize>> {
    let mut positions: BTreeMap<_, Vec<usize>> = BTreeMap::new(); // all lock the tenants' rows in this order
    for (position, value) in values.iter().enumerate() {
        positions.entry(tenant(value)).or_default().push(position);
    }
    positions
}

/// Splits the positions of a tenant's writes: those that are to be written, and those that an outbox has handed over
/// before, with their ids. `once` gives the id of one that comes from an outbox.
async fn first_time(
    scope: &mut HostScope,
    tenant: &TenantId,
    positions: Vec<usize>,
    once: impl Fn(usize) -> Option<String>,
) -> Result<(Vec<usize>, Vec<(usize, String)>)> {
    let handed_over: Vec<(usize, String)> = positions.iter().filter_map(|at| Some((*at, once(*at)?))).collect();
    if handed_over.is_empty() {
        return Ok((positions, Vec::new()));
    }
    let ids: Vec<String> = handed_over.iter().map(|(_, id)| id.clone()).collect();
    let is_new = scope.take_receipts(tenant, &ids).await?;
    let known: Vec<_> =
        handed_over.into_iter().zip(is_new).filter(|(_, is_new)| !is_new).map(|(known, _)| known).collect();
    let written = positions.into_iter().filter(|at| known.iter().all(|(other, _)| other != at)).collect();
    Ok((written, known))
}

pub(super) async fn write_jobs(store: Store, writes: Vec<JobWrite>) -> Result<Vec<EnqueueOutcome>> {
    let mut results = vec![None; writes.len()];
    let mut scope = store.queue_write().await?;
    for (tenant, positions) in by_tenant(&writes, |write| &write.0) {
        let once = |at: usize| (writes[at].3 == WriteSource::Outbox).then(|| writes[at].1.id.clone());
        let (positions, known) = first_time(&mut scope, tenant, positions, once).await?;
        for (at, id) in known {
            results[at] = Some(EnqueueOutcome::Existing { id, same_input: true });
        }
        let jobs: Vec<_> = positions.iter().map(|at| writes[*at].1.clone()).collect();
        let quotas = positions.iter().find_map(|at| writes[*at].2.as_ref()); // they are the tenant's
        let enqueued = scope.enqueue_jobs(tenant, &jobs, quotas).await?;
        positions.into_iter().zip(enqueued).for_each(|(at, enqueued)| results[at] = Some(enqueued));
    }
    scope.commit().await?;
    Ok(results.into_iter().flatten().collect())
}

pub(super) async fn write_events(store: Store, writes: Vec<EventWrite>) -> Result<Vec<Vec<PublishedEvent>>> {
    let mut results = vec![Vec::new(); writes.len()];
    let mut scope = store.host_write().await?;
    for (tenant, positions) in by_tenant(&writes, |write| &write.tenant) {
        let once = |at: usize| {
            let id = writes[at].events.first().map(|event| event.id.clone());
            id.filter(|_| writes[at].source == WriteSource::Outbox)
        };
        let (positions, known) = first_time(&mut scope, tenant, positions, once).await?;
        for (at, id) in known {
            results[at] = vec![PublishedEvent { position: 0, id, is_known: true }];
        }
        let is_stored = positions.iter().any(|at| matches!(writes[*at].quotas, EventQuotas::Stored));
        let quotas = if is_stored {
            Some(scope.quotas(tenant).await?)
        } else {
            positions.iter().find_map(|at| writes[*at].quotas.known()) // they are the tenant's
        };
        let events: Vec<_> = positions.iter().flat_map(|at| writes[*at].events.iter().cloned()).collect();
        let mut published = scope.publish_events(tenant, &events, quotas.as_ref()).await?.into_iter();
        for at in positions {
            results[at] = published.by_ref().take(writes[at].events.len()).collect();
        }
    }
    scope.commit().await?;
    Ok(results)
}

/// Writes steps. Returns for each whether it was stored: not if its job's lease has ended.
pub(super) async fn write_steps(store: Store, owner: String, steps: Vec<NewStep>) -> Result<Vec<bool>> {
    let mut scope = store.queue_write().await?;
    let late = scope.append_steps(&owner, &steps).await?;
    scope.commit().await?;
    Ok(steps.iter().map(|step| !late.contains(&step.lease)).collect())
}
