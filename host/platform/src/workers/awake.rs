//! The places in memory that workers of all services of a host have: a bounded number, shared by tenants.
//!
//! A tenant gets another place while it holds less than its share ([`dynamic_threshold`]), so that one with many
//! workers leaves some to others without a number that somebody would have to set. Where there is none, the worker
//! leaves memory that has had nothing to do for longest: of the tenant that has most, if that has more than the one
//! that needs the place, else of that one itself.

use elias_delivery::supervision::dynamic_threshold;
use elias_names::{ServiceId, TenantId};
use elias_workers::WorkerKey;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// How long a turn waits for a place.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A worker of a service.
pub(crate) type WorkerOfService = (ServiceId, WorkerKey);

/// The places of a host.
pub(crate) struct AwakeSlots {
    total: u32,
    state: Mutex<SlotState>,
    /// Told of each place that is given back, and of each worker that has nothing to do any more.
    changed: Notify,
    /// Workers that are to leave memory, for whoever can make them.
    evicted: mpsc::UnboundedSender<WorkerOfService>,
}

#[derive(Default)]
struct SlotState {
    held: HashMap<TenantId, u32>,
    /// Of all tenants together.
    taken: u32,
    /// Workers with a place that have nothing to do, by tenant and by when they had something last.
    idle: HashMap<TenantId, BTreeMap<u64, WorkerOfService>>,
    /// Counts ends of turns, for their order.
    turns: u64,
}

/// A worker's place in memory; given back when it is dropped.
pub(crate) struct AwakeSlot {
    slots: Arc<AwakeSlots>,
    worker: WorkerOfService,
    /// Under what it is among the idle ones.
    idle: Option<u64>,
}

impl AwakeSlots {
    /// So many places, at least one; what has to leave memory is sent to `evicted`.
    pub(super) fn new(total: u32, evicted: mpsc::UnboundedSender<WorkerOfService>) -> Arc<Self> {
        Arc::new(Self { total: total.max(1), state: Mutex::default(), changed: Notify::new(), evicted })
    }

    /// Takes a place for a worker, waiting for it for some seconds. `most` is the tenant's own bound, 0 for none.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(crate) async fn take(self: &Arc<Self>, worker: WorkerOfService, most: u32) -> Result<AwakeSlot, String> {
        self.take_within(WAIT_MAX, worker, most).await
    }

    async fn take_within(
        self: &Arc<Self>,
        wait: Duration,
        worker: WorkerOfService,
        most: u32,
    ) -> Result<AwakeSlot, String> {
        let tenant = worker.0.tenant.clone();
        let taking = async {
            loop {
                // Before the look: what is given back after it is not missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if self.try_take(&tenant, most) {
                    return;
                }
                self.evict(&tenant, most);
                changed.await;
            }
        };
        match tokio::time::timeout(wait, taking).await {
            Ok(()) => Ok(AwakeSlot { slots: Arc::clone(self), worker, idle: None }),
            Err(_) => Err(self.refusal(&tenant, most)),
        }
    }

    fn try_take(&self, tenant: &TenantId, most: u32) -> bool {
        let mut state = self.state.lock(); // the counts are right after every operation
        if !state.may_take(tenant, most, self.total) {
            return false;
        }
        state.taken += 1;
        *state.held.entry(tenant.clone()).or_default() += 1;
        true
    }

    /// Has the worker leave memory that makes room for another of this tenant, if one has nothing to do.
    fn evict(&self, tenant: &TenantId, most: u32) {
        let mut state = self.state.lock();
        let held = |state: &SlotState, tenant: &TenantId| state.held.get(tenant).copied().unwrap_or_default();
        let own = held(&state, tenant);
        // Of one that has less nothing is taken: it would be for a tenant that has its share already.
        let has_more = |other: &&TenantId| held(&state, other) > own;
        let with_idle = state.idle.iter().filter(|(_, idle)| !idle.is_empty()).map(|(tenant, _)| tenant);
        let largest = with_idle.filter(has_more).max_by_key(|other| held(&state, other)).cloned();
        let of = largest.filter(|_| most == 0 || own < most).unwrap_or_else(|| tenant.clone());
        if let Some((_, worker)) = state.idle.get_mut(&of).and_then(BTreeMap::pop_first) {
            // The receiver ends with the platform.
            let _ = self.evicted.send(worker);
        }
    }

    fn refusal(&self, tenant: &TenantId, most: u32) -> String {
        let held = self.state.lock().held.get(tenant).copied().unwrap_or_default();
        if most > 0 && held >= most {
            return format!(
                "the quota `awake-workers` of tenant {tenant} is {most}: {held} service workers of it are in memory, \
                 none of them comes to rest"
            );
        }
        format!(
            "this host has room for {} service workers in memory, of which the tenant {tenant} has {held}: none of \
             them comes to rest",
            self.total
        )
    }

    /// Workers in memory, by tenant.
    pub(crate) fn held(&self) -> Vec<(TenantId, u64)> {
        self.state.lock().held.iter().map(|(tenant, held)| (tenant.clone(), u64::from(*held))).collect()
    }
}

impl SlotState {
    fn may_take(&self, tenant: &TenantId, most: u32, total: u32) -> bool {
        let held = self.held.get(tenant).copied().unwrap_or_default();
        (most == 0 || held < most) && dynamic_threshold::may_take(held, total.saturating_sub(self.taken))
    }
}

impl AwakeSlot {
    /// Its worker has something to do.
    pub(crate) fn begin(&mut self) {
        if let Some(idle) = self.idle.take() {
            let mut state = self.slots.state.lock();
            if let Some(of_tenant) = state.idle.get_mut(&self.worker.0.tenant) {
                of_tenant.remove(&idle);
            }
        }
    }

    /// Its worker has nothing to do for now.
    pub(crate) fn rest(&mut self) {
        self.begin();
        let mut state = self.slots.state.lock();
        state.turns += 1;
        let at = state.turns;
        state.idle.entry(self.worker.0.tenant.clone()).or_default().insert(at, self.worker.clone());
        drop(state);
        self.idle = Some(at);
        self.slots.changed.notify_waiters();
    }
}

impl Drop for AwakeSlot {
    fn drop(&mut self) {
        self.begin();
        let tenant = &self.worker.0.tenant;
        let mut state = self.slots.state.lock();
        state.taken = state.taken.saturating_sub(1);
        let left = state.held.get_mut(tenant).map_or(0, |held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == 0 {
            state.held.remove(tenant);
            state.idle.remove(tenant);
        }
        drop(state);
        self.slots.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;
    use futures::FutureExt;

    fn worker(tenant: &str, name: &str) -> WorkerOfService {
        let service = ServiceId {
            tenant: tenant.parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        (service, WorkerKey::new("Cart", name))
    }

    fn slots(total: u32) -> (Arc<AwakeSlots>, mpsc::UnboundedReceiver<WorkerOfService>) {
        let (evicted, victims) = mpsc::unbounded_channel();
        (AwakeSlots::new(total, evicted), victims)
    }

    async fn took(slots: &Arc<AwakeSlots>, tenant: &str, name: &str) -> AwakeSlot {
        slots.take(worker(tenant, name), 0).await.expect("there is room")
    }

    #[tokio::test]
    async fn one_tenant_leaves_some_places_to_others() {
        let (slots, _victims) = slots(8);
        let mut held = Vec::new();
        for number in 0..6 {
            held.push(took(&slots, "a", &number.to_string()).await);
        }
        assert!(slots.take(worker("a", "6"), 0).now_or_never().is_none(), "it has three quarters");
        held.push(took(&slots, "b", "0").await);
        held.pop();
        let refused =
            slots.take_within(Duration::ZERO, worker("a", "6"), 0).await.err().expect("nothing comes to rest");
        assert!(refused.contains("room for 8") && refused.contains("tenant a has 6"), "{refused}");
        assert_eq!(slots.held(), [("a".parse().expect("a name"), 6)]);
        held.clear();
        assert!(slots.held().is_empty());
    }

    #[tokio::test]
    async fn who_has_rested_for_longest_makes_room() {
        let (slots, mut victims) = slots(2);
        let (mut first, mut second) = (took(&slots, "a", "1").await, took(&slots, "a", "2").await);
        second.rest();
        first.rest();
        let mut third = Box::pin(slots.take(worker("b", "3"), 0));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(victims.try_recv().ok(), Some(worker("a", "2")));
        drop(second);
        third.await.expect("there is room");
        // One that has something to do again is not chosen.
        first.begin();
        let _third = took(&slots, "b", "3").await;
        assert!(slots.take(worker("c", "4"), 0).now_or_never().is_none());
        assert!(victims.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_tenant_makes_no_worker_of_one_that_has_less_leave() {
        let (slots, mut victims) = slots(4);
        let mut held = Vec::new();
        for number in 0..3 {
            held.push(took(&slots, "a", &number.to_string()).await);
        }
        let mut other = took(&slots, "b", "0").await;
        other.rest();
        assert!(slots.take(worker("a", "3"), 0).now_or_never().is_none());
        assert!(victims.try_recv().is_err(), "it has more than the other");
        held[1].rest();
        assert!(slots.take(worker("a", "3"), 0).now_or_never().is_none());
        assert_eq!(victims.try_recv().ok(), Some(worker("a", "1")), "its own makes room");
    }

    #[tokio::test]
    async fn the_tenant_that_has_most_makes_as_much_room_as_another_needs() {
        let (slots, mut victims) = slots(8);
        let (mut large, mut small) = (Vec::new(), Vec::new());
        for number in 0..6 {
            let mut slot = took(&slots, "a", &number.to_string()).await;
            slot.rest();
            large.push(slot);
        }
        for number in 0..2 {
            small.push(took(&slots, "b", &number.to_string()).await);
        }
        let mut victim = 0;
        for needed in [1, 2] {
            let mut next = Box::pin(slots.take(worker("b", "next"), 0));
            for _ in 0..needed {
                assert!((&mut next).now_or_never().is_none());
                assert_eq!(victims.try_recv().ok(), Some(worker("a", &victim.to_string())));
                drop(large.remove(0));
                victim += 1;
            }
            small.push(next.await.expect("there is room"));
        }
        assert_eq!((large.len(), small.len()), (3, 4));
    }

    #[tokio::test]
    async fn a_tenants_quota_is_named_where_it_refuses() {
        let (slots, mut victims) = slots(10);
        let mut held = slots.take(worker("a", "1"), 1).await.expect("there is room");
        let refused = slots.take_within(Duration::ZERO, worker("a", "2"), 1).await.err().expect("it is busy");
        assert!(refused.contains("the quota `awake-workers` of tenant a is 1: 1 service workers"), "{refused}");
        held.rest();
        assert!(slots.take(worker("a", "2"), 1).now_or_never().is_none());
        assert_eq!(victims.try_recv().ok(), Some(worker("a", "1")), "its own makes room");
    }
}
