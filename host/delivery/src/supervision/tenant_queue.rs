//! Work that tenants cause beside their requests: one piece of each tenant's at a time, and a bounded number over all.

use super::{Admission, Permit};
use elias_names::TenantId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Pieces of a tenant's work that may wait for the tenant's slot.
const WAITING_MAX: u32 = 16;

/// Bounds the work under way, of each tenant and over all. A tenant has one slot: its own pieces of work wait for each
/// other, and those of other tenants do not wait for them.
pub struct TenantQueue {
    tenants: Mutex<HashMap<TenantId, Arc<Admission>>>,
    /// At most one of each tenant waits here.
    all: Admission,
    timeout: Duration,
}

/// The right to do one piece of work; given back when dropped.
pub struct TenantSlot {
    _all: Permit,
    _own: Permit,
}

impl TenantQueue {
    /// A queue with `slots` over all. Work waits at most `timeout` for the tenant's slot, and as long for one of all.
    #[must_use]
    pub fn new(slots: u32, timeout: Duration) -> Self {
        Self { tenants: Mutex::default(), all: Admission::new(slots, u32::MAX, timeout), timeout }
    }

    /// A slot for a tenant's work, at once or after waiting in turn; none if too much of the tenant's waits already,
    /// or it took too long.
    pub async fn enter(&self, tenant: &TenantId) -> Option<TenantSlot> {
        let own = self.of(tenant).enter().await?;
        Some(TenantSlot { _all: self.all.enter().await?, _own: own })
    }

    fn of(&self, tenant: &TenantId) -> Arc<Admission> {
        // The map is whole after every operation.
        let mut tenants = self.tenants.lock();
        // A tenant whose slot is free, and that nobody waits for, needs no entry.
        tenants.retain(|_, admission| Arc::strong_count(admission) > 1 || !admission.is_free());
        let new = || Arc::new(Admission::new(1, WAITING_MAX, self.timeout));
        Arc::clone(tenants.entry(tenant.clone()).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const LONG: Duration = Duration::from_secs(3_600);

    fn tenant(name: &str) -> TenantId {
        name.parse().expect("a name")
    }

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_and_for_nobody_elses() {
        let queue = TenantQueue::new(4, LONG);
        let bomb = queue.enter(&tenant("bomber")).await.expect("a slot");
        let more = || Box::pin(async { queue.enter(&tenant("bomber")).await });
        let mut more: Vec<_> = (0..WAITING_MAX).map(|_| more()).collect();
        assert!(more.iter_mut().all(|one| one.as_mut().now_or_never().is_none()), "one at a time");
        assert!(queue.enter(&tenant("bomber")).await.is_none(), "and only so many wait");
        for name in ["acme", "other", "third"] {
            let innocent = tenant(name);
            assert!(queue.enter(&innocent).now_or_never().flatten().is_some(), "{name} works beside it");
        }
        drop(bomb);
        assert!(more.remove(0).now_or_never().flatten().is_some(), "the next of its own");
    }

    #[tokio::test]
    async fn there_are_only_so_many_over_all_and_those_who_left_leave_nothing() {
        let queue = TenantQueue::new(2, LONG);
        let first = queue.enter(&tenant("a")).await.expect("a slot");
        let _second = queue.enter(&tenant("b")).await.expect("a slot");
        let c = tenant("c");
        let mut third = Box::pin(queue.enter(&c));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        drop(third.await.expect("its slot"));
        let _ = queue.of(&tenant("d"));
        assert_eq!(queue.tenants.lock().len(), 2, "b, which works, and d");
    }
}
