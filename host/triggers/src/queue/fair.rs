//! The order between tenants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// The virtual time that one job of a tenant of weight 1 takes.
const JOB_COST: u64 = 1_000_000;

/// How many jobs of a tenant are ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantDemand<K> {
    /// The tenant.
    pub tenant: K,
    /// Its ready jobs, at least as many as are to be claimed.
    pub ready: u32,
    /// Its weight: a tenant of weight 2 gets twice as many as one of weight 1. 0 counts as 1.
    pub weight: u32,
}

/// How many jobs of a tenant are to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantShare<K> {
    /// The tenant.
    pub tenant: K,
    /// The number of its jobs.
    pub jobs: u32,
}

/// Start-time fair queueing (Goyal, Vin and Cheng, 1996): each tenant has a virtual time up to which it was served, and
/// who was served least is next. A tenant that comes after a rest begins at the present virtual time: it is served
/// soon, whatever others have waiting, and cannot save up. Between two jobs of a tenant with waiting work each other
/// tenant gets at most its weight's share.
#[derive(Debug, Clone)]
pub struct FairQueue<K> {
    /// The start of the job that was chosen last.
    virtual_time: u64,
    /// When each tenant's last job ends, in virtual time; only of those with an end after the present.
    ends: BTreeMap<K, u64>,
}

impl<K> Default for FairQueue<K> {
    fn default() -> Self {
        Self { virtual_time: 0, ends: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> FairQueue<K> {
    /// Chooses which tenants' jobs are claimed for a number of free slots. Each tenant must be named once.
    pub fn choose(&mut self, demands: &[TenantDemand<K>], slots: u32) -> Vec<TenantShare<K>> {
        self.choose_within(demands, slots, |_, _, _| true)
    }

    /// The same, with at most as many for a tenant as `may_take` lets it have. That is asked before each slot, with the
    /// tenant, the slots that this choice has given it so far, and those that it has given to all; a tenant that may
    /// not take one gets no more.
    pub fn choose_within(
        &mut self,
        demands: &[TenantDemand<K>],
        slots: u32,
        may_take: impl Fn(&K, u32, u32) -> bool,
    ) -> Vec<TenantShare<K>> {
        let start = |queue: &Self, tenant: &K| queue.ends.get(tenant).copied().unwrap_or(0).max(queue.virtual_time);
        let waiting = demands.iter().enumerate().filter(|(_, demand)| demand.ready > 0);
        let mut next: BinaryHeap<Reverse<(u64, usize)>> =
            waiting.map(|(position, demand)| Reverse((start(self, &demand.tenant), position))).collect();
        let (mut jobs, mut given) = (vec![0u32; demands.len()], 0);
        while given < slots {
            let Some(Reverse((start, position))) = next.pop() else { break };
            let demand = &demands[position];
            if !may_take(&demand.tenant, jobs[position], given) {
                continue;
            }
            given += 1;
            let end = start.saturating_add(JOB_COST / u64::from(demand.weight.max(1)));
            self.virtual_time = self.virtual_time.max(start);
            self.ends.insert(demand.tenant.clone(), end);
            jobs[position] += 1;
            if jobs[position] < demand.ready {
                next.push(Reverse((end, position)));
            }
        }
        // Whoever was served up to the present only is like a newcomer.
        let present = self.virtual_time;
        self.ends.retain(|_, end| *end > present);
        let shares = demands.iter().zip(jobs).filter(|(_, jobs)| *jobs > 0);
        shares.map(|(demand, jobs)| TenantShare { tenant: demand.tenant.clone(), jobs }).collect()
    }

    /// Charges a tenant for what its jobs took beyond the usual, in jobs: one that claims few long jobs gets fewer of
    /// them.
    pub fn charge(&mut self, tenant: &K, jobs: u32, weight: u32) {
        let cost = u64::from(jobs) * (JOB_COST / u64::from(weight.max(1)));
        let end = self.ends.get(tenant).copied().unwrap_or(0).max(self.virtual_time).saturating_add(cost);
        self.ends.insert(tenant.clone(), end);
    }

    /// How many tenants are remembered: those that were served in the present round.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demand(tenant: u32, ready: u32, weight: u32) -> TenantDemand<u32> {
        TenantDemand { tenant, ready, weight }
    }

    fn jobs_of(shares: &[TenantShare<u32>], tenant: u32) -> u32 {
        shares.iter().find(|share| share.tenant == tenant).map_or(0, |share| share.jobs)
    }

    #[test]
    fn one_tenant_with_a_million_jobs_does_not_hold_up_another() {
        let mut queue = FairQueue::default();
        for _ in 0..1_000 {
            queue.choose(&[demand(1, 1_000_000, 1)], 50);
        }
        let shares = queue.choose(&[demand(1, 950_000, 1), demand(2, 3, 1)], 50);
        assert_eq!((jobs_of(&shares, 1), jobs_of(&shares, 2)), (47, 3));
        assert!(queue.tenants() <= 2);
    }

    #[test]
    fn tenants_share_by_their_weights() {
        let mut queue = FairQueue::default();
        let mut served = [0, 0];
        for _ in 0..100 {
            let shares = queue.choose(&[demand(0, 1_000, 3), demand(1, 1_000, 1)], 40);
            served[0] += jobs_of(&shares, 0);
            served[1] += jobs_of(&shares, 1);
        }
        assert!(served[0].abs_diff(3_000) <= 3 && served[1].abs_diff(1_000) <= 3, "{served:?}");
    }

    #[test]
    fn long_jobs_are_charged_and_a_rest_saves_nothing_up() {
        let mut queue = FairQueue::default();
        queue.choose(&[demand(1, 1, 1), demand(2, 1, 1)], 2);
        queue.charge(&1, 10, 1);
        let shares = queue.choose(&[demand(1, 20, 1), demand(2, 20, 1)], 12);
        assert_eq!((jobs_of(&shares, 1), jobs_of(&shares, 2)), (1, 11));
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.choose(&[demand(1, 50, 1)], 50);
        }
        let shares = queue.choose(&[demand(1, 50, 1), demand(2, 50, 1)], 50);
        assert!(jobs_of(&shares, 2) <= 26, "who rested is not owed the past: {shares:?}");
    }

    #[test]
    fn slots_that_a_tenant_may_not_take_are_for_others_or_stay_free() {
        let mut queue = FairQueue::default();
        let at_most_two = |tenant: &u32, jobs: u32, _: u32| *tenant != 1 || jobs < 2;
        let shares = queue.choose_within(&[demand(1, 50, 1), demand(2, 5, 1)], 10, at_most_two);
        assert_eq!((jobs_of(&shares, 1), jobs_of(&shares, 2)), (2, 5));
        let shares = queue.choose_within(&[demand(1, 50, 1)], 10, |_, _, given| given < 4);
        assert_eq!(jobs_of(&shares, 1), 4);
        assert!(queue.choose_within(&[demand(1, 50, 1)], 10, |_, _, _| false).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_tenant_waits_longer_than_a_round(
            weights in proptest::collection::vec(1u32..5, 2..20), slots in 1u32..60, rounds in 1usize..30,
        ) {
            let mut queue = FairQueue::default();
            let total: u32 = weights.iter().sum();
            let tenants = (0u32..).zip(&weights);
            let demands: Vec<_> = tenants.map(|(tenant, weight)| demand(tenant, 10_000, *weight)).collect();
            let mut served = vec![0u32; weights.len()];
            let mut all = 0;
            for _ in 0..rounds {
                let shares = queue.choose(&demands, slots);
                prop_assert_eq!(shares.iter().map(|share| share.jobs).sum::<u32>(), slots, "no slot is wasted");
                for share in shares {
                    served[share.tenant as usize] += share.jobs;
                }
                all += slots;
                for (served, weight) in served.iter().zip(&weights) {
                    // The share by weight, but for the jobs of one round.
                    let due = f64::from(all) * f64::from(*weight) / f64::from(total);
                    let slack = f64::from(*weight) + 2.0;
                    prop_assert!(f64::from(*served) + slack >= due, "{served} of {due}");
                }
            }
        }

        #[test]
        fn nobody_gets_more_than_is_ready(ready in proptest::collection::vec(0u32..20, 1..20), slots in 0u32..200) {
            let tenants = (0u32..).zip(&ready);
            let demands: Vec<_> = tenants.map(|(tenant, ready)| demand(tenant, *ready, 1)).collect();
            let shares = FairQueue::default().choose(&demands, slots);
            prop_assert!(shares.iter().all(|share| (1..=ready[share.tenant as usize]).contains(&share.jobs)));
            let total: u32 = ready.iter().sum();
            prop_assert_eq!(shares.iter().map(|share| share.jobs).sum::<u32>(), total.min(slots));
        }
    }
}
