//! What the workers of a tenant hold of a host's memory beside their instances.

use elias_names::TenantId;
use elias_workers::MemoryBudget;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Bytes of a budget: of some mailboxes, or sockets, that are full.
const BYTES_MAX: usize = 256 << 20;

/// The budget of each tenant whose workers run.
pub(super) struct TenantMemory {
    /// The name of the bound.
    name: &'static str,
    budgets: Mutex<HashMap<TenantId, Weak<MemoryBudget>>>,
}

impl TenantMemory {
    /// Of messages that wait, of calls without an answer, timers and stored replies, of all services of a tenant on a
    /// host.
    pub(super) fn of_workers() -> Self {
        Self { name: "worker-memory-bytes", budgets: Mutex::default() }
    }

    /// Of what waits for the clients of sockets, likewise.
    pub(super) fn of_sockets() -> Self {
        Self { name: "worker-socket-bytes", budgets: Mutex::default() }
    }

    /// The budget of a tenant, which the workers of all its services share.
    pub(super) fn of(&self, tenant: &TenantId) -> Arc<MemoryBudget> {
        let mut budgets = self.budgets.lock();
        if let Some(budget) = budgets.get(tenant).and_then(Weak::upgrade) {
            return budget;
        }
        // Those of tenants of which nothing runs any more.
        budgets.retain(|_, budget| budget.strong_count() > 0);
        let budget = MemoryBudget::new(self.name, BYTES_MAX);
        budgets.insert(tenant.clone(), Arc::downgrade(&budget));
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_a_tenant_share_a_budget_and_tenants_do_not() {
        let memory = TenantMemory::of_workers();
        let [one, other] = ["one", "other"].map(|tenant| tenant.parse::<TenantId>().expect("a name"));
        let (first, second) = (memory.of(&one), memory.of(&one));
        let held = first.reserve(BYTES_MAX).expect("there is room");
        let refused = second.reserve(1).expect_err("it is the same tenant");
        assert!(refused.to_string().contains("worker-memory-bytes"), "{refused}");
        memory.of(&other).reserve(1).expect("another tenant has its own");
        drop((first, second));
        assert_eq!(memory.of(&one).reserved(), BYTES_MAX, "what is held stays counted");
        drop(held);
        assert_eq!(memory.of(&one).reserved(), 0);
    }
}
