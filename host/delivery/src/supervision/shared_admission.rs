//! What a host does at a time, shared by tenants: the bulkhead that stands over all components.

use super::dynamic_threshold;
use elias_names::TenantId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// Gives out permits, for executions say, of which no tenant can take the last.
///
/// Both the permits and the queue for them are bounded for each tenant by the [dynamic threshold](dynamic_threshold).
/// Who waits is served by turns of the tenants, and in order within each.
///
/// Where there are no tenants, all permits are for whoever comes.
#[derive(Debug)]
pub struct SharedAdmission {
    shared: Arc<Shared>,
    timeout: Duration,
}

/// The right to one execution, or to one piece of other work; given back when dropped.
#[derive(Debug)]
pub struct SharedPermit {
    shared: Arc<Shared>,
    tenant: Option<TenantId>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    waiting_max: u32,
}

#[derive(Debug)]
struct State {
    free: u32,
    waiting: u32,
    /// Those that hold permits or wait for them.
    tenants: HashMap<Option<TenantId>, TenantPermits>,
    /// Those that wait; the first is the next to be asked.
    turns: VecDeque<Option<TenantId>>,
}

/// The permits that a tenant holds, and its requests that wait for one.
#[derive(Debug, Default)]
struct TenantPermits {
    held: u32,
    waiting: VecDeque<Sender<SharedPermit>>,
}

impl SharedAdmission {
    /// Gives out `permits` at a time, and lets `waiting_max` wait, each for `timeout` at most.
    #[must_use]
    pub fn new(permits: u32, waiting_max: u32, timeout: Duration) -> Self {
        let state = State { free: permits.max(1), waiting: 0, tenants: HashMap::new(), turns: VecDeque::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), waiting_max }), timeout }
    }

    /// A permit for the tenant, if it may have one at once.
    #[must_use]
    pub fn try_admit(&self, tenant: Option<&TenantId>) -> Option<SharedPermit> {
        let tenant = tenant.cloned();
        let taken = self.shared.state().take(&tenant);
        taken.then(|| SharedPermit { shared: Arc::clone(&self.shared), tenant })
    }

    /// Whether all permits are taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.state().free == 0
    }

    /// How many permits the tenant holds.
    #[must_use]
    pub fn held_by(&self, tenant: Option<&TenantId>) -> u32 {
        self.shared.state().tenants.get(&tenant.cloned()).map_or(0, |usage| usage.held)
    }

    /// A permit for the tenant, at once or after waiting; `None` if too many wait already, or it took too long.
    pub async fn enter(&self, tenant: Option<&TenantId>) -> Option<SharedPermit> {
        let mut waiting = {
            let mut state = self.shared.state();
            let tenant = tenant.cloned();
            if state.take(&tenant) {
                return Some(SharedPermit { shared: Arc::clone(&self.shared), tenant });
            }
            let permit = state.wait(&tenant, self.shared.waiting_max)?;
            Waiting { shared: &self.shared, tenant, permit }
        };
        tokio::time::timeout(self.timeout, &mut waiting.permit).await.ok()?.ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock() // whole after every operation
    }

    /// Gives free permits to those who wait and may have one.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let Some((tenant, next)) = state.next() else { return };
            drop(state);
            // A waiter that has gone does not take it: it is dropped here, with the lock open, and goes to the next.
            drop(next.send(SharedPermit { shared: Arc::clone(self), tenant }));
        }
    }
}

impl State {
    /// Whether what a tenant has leaves enough for the others. Without tenants there are no others.
    fn may_have(tenant: &Option<TenantId>, has: u32, free: u32) -> bool {
        if tenant.is_none() { free > 0 } else { dynamic_threshold::may_take(has, free) }
    }

    /// Takes a permit if the tenant may have one; those of its own requests that wait already go first.
    fn take(&mut self, tenant: &Option<TenantId>) -> bool {
        let (held, waits) =
            self.tenants.get(tenant).map_or((0, false), |usage| (usage.held, !usage.waiting.is_empty()));
        if waits || !Self::may_have(tenant, held, self.free) {
            return false;
        }
        self.free -= 1;
        self.tenants.entry(tenant.clone()).or_default().held += 1;
        true
    }

    /// Joins the queue, unless it is full or the tenant has too much of it.
    fn wait(&mut self, tenant: &Option<TenantId>, waiting_max: u32) -> Option<Receiver<SharedPermit>> {
        let waiting = self.tenants.get(tenant).map_or(0, |usage| usage.waiting.len());
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        if !Self::may_have(tenant, waiting, waiting_max.saturating_sub(self.waiting)) {
            return None;
        }
        self.waiting += 1;
        if waiting == 0 {
            self.turns.push_back(tenant.clone());
        }
        let (sender, receiver) = oneshot::channel();
        self.tenants.entry(tenant.clone()).or_default().waiting.push_back(sender);
        Some(receiver)
    }

    /// Takes a permit for the next who waits and may have one.
    fn next(&mut self) -> Option<(Option<TenantId>, Sender<SharedPermit>)> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let usage = self.tenants.get_mut(&tenant)?;
            if !Self::may_have(&tenant, usage.held, self.free) {
                self.turns.push_back(tenant);
                continue;
            }
            let next = usage.waiting.pop_front()?;
            self.free -= 1;
            self.waiting -= 1;
            usage.held += 1;
            if !usage.waiting.is_empty() {
                self.turns.push_back(tenant.clone());
            }
            return Some((tenant, next));
        }
        None
    }

    /// Takes back what a tenant held.
    fn give_back(&mut self, tenant: &Option<TenantId>) {
        self.free += 1;
        if let Some(usage) = self.tenants.get_mut(tenant) {
            usage.held -= 1;
        }
        self.forget(tenant);
    }

    /// Takes those who wait no more out of the tenant's queue.
    fn leave(&mut self, tenant: &Option<TenantId>) {
        let Some(usage) = self.tenants.get_mut(tenant) else { return };
        let before = usage.waiting.len();
        usage.waiting.retain(|waiting| !waiting.is_closed());
        let left = before - usage.waiting.len();
        if left > 0 && usage.waiting.is_empty() {
            self.turns.retain(|other| other != tenant);
        }
        self.waiting -= u32::try_from(left).unwrap_or(u32::MAX);
        self.forget(tenant);
    }

    /// A tenant that has nothing and waits for nothing is as one that never was here.
    fn forget(&mut self, tenant: &Option<TenantId>) {
        if self.tenants.get(tenant).is_some_and(|usage| usage.held == 0 && usage.waiting.is_empty()) {
            self.tenants.remove(tenant);
        }
    }
}

impl SharedPermit {
    /// The tenant that holds the permit.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
}

impl Drop for SharedPermit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.give_back(&self.tenant);
        let someone_waits = !state.turns.is_empty();
        drop(state);
        if someone_waits {
            self.shared.pass_on();
        }
    }
}

/// One who waits; leaves the queue also when its client hangs up.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    tenant: Option<TenantId>,
    permit: Receiver<SharedPermit>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Closed first: a permit that was given in this moment is dropped with the receiver, and goes to the next.
        self.permit.close();
        self.shared.state().leave(&self.tenant);
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

    /// As many permits as the tenant is given.
    fn take_all(admission: &SharedAdmission, tenant: Option<&TenantId>) -> Vec<SharedPermit> {
        std::iter::from_fn(|| admission.try_admit(tenant)).collect()
    }

    #[test]
    fn a_tenant_leaves_room_for_the_next_and_so_does_that() {
        let admission = SharedAdmission::new(1_000, 1_000, LONG);
        let [first, second, third] = ["a", "b", "c"].map(tenant);
        let held = take_all(&admission, Some(&first));
        assert_eq!(held.len(), 750);
        let others = take_all(&admission, Some(&second));
        assert!(others.len() >= 180, "{}", others.len());
        assert!(take_all(&admission, Some(&third)).len() >= 45);
        drop(held);
        assert!(take_all(&admission, Some(&second)).len() >= 400, "it has more again as soon as there is more");
    }

    #[test]
    fn without_tenants_all_permits_can_be_taken() {
        let admission = SharedAdmission::new(10, 10, LONG);
        assert_eq!(take_all(&admission, None).len(), 10);
        assert_eq!(take_all(&admission, None).len(), 10, "they were given back");
    }

    #[test]
    fn a_single_permit_can_be_had() {
        let admission = SharedAdmission::new(1, 1, LONG);
        let held = admission.try_admit(Some(&tenant("a")));
        assert!(held.is_some() && admission.try_admit(Some(&tenant("b"))).is_none());
    }

    #[tokio::test]
    async fn who_waits_is_served_by_turns_of_the_tenants() {
        let admission = SharedAdmission::new(1, 100, LONG);
        let [busy, calm] = ["busy", "calm"].map(tenant);
        let held = admission.try_admit(Some(&busy)).expect("the only one");
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(admission.enter(Some(&busy)))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let mut other = Box::pin(admission.enter(Some(&calm)));
        assert!(other.as_mut().now_or_never().is_none());
        drop(held);
        let first = waiting[0].as_mut().now_or_never().flatten().expect("the first of those who waited");
        drop(first);
        assert!(
            other.as_mut().now_or_never().flatten().is_some(),
            "the other tenant's turn, before four that came first"
        );
        assert!(waiting[1].as_mut().now_or_never().flatten().is_some(), "and the first tenant's again");
    }

    #[tokio::test]
    async fn a_tenant_leaves_room_in_the_queue() {
        let admission = SharedAdmission::new(1, 8, LONG);
        let [busy, calm] = ["busy", "calm"].map(tenant);
        let held = admission.try_admit(Some(&calm));
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(admission.enter(Some(&busy)))).collect();
        let refused = waiting.iter_mut().filter_map(|one| one.as_mut().now_or_never()).filter(Option::is_none).count();
        assert_eq!(refused, 14, "three quarters of the queue");
        let mut other = Box::pin(admission.enter(Some(&calm)));
        assert!(other.as_mut().now_or_never().is_none(), "it waits");
        drop(held);
        assert!(waiting[0].as_mut().now_or_never().flatten().is_some());
        assert!(other.as_mut().now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn who_left_the_queue_gets_nothing_and_leaves_nothing_behind() {
        let admission = SharedAdmission::new(1, 100, LONG);
        let [gone, stays] = ["gone", "stays"].map(tenant);
        let held = admission.try_admit(Some(&gone));
        let mut leaving = Box::pin(admission.enter(Some(&gone)));
        let mut other = Box::pin(admission.enter(Some(&stays)));
        assert!(leaving.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
        drop(held);
        drop(leaving); // it was given the permit, and never looked
        drop(other.as_mut().now_or_never().flatten().expect("the permit of the one that left"));
        let state = admission.shared.state();
        assert_eq!((state.free, state.waiting, state.tenants.len(), state.turns.len()), (1, 0, 0, 0));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_refused() {
        let admission = SharedAdmission::new(1, 1, Duration::from_millis(1));
        let _held = admission.try_admit(None);
        assert!(admission.enter(None).await.is_none());
        assert_eq!(admission.shared.state().waiting, 0);
    }
}
