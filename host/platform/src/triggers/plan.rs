//! Plans how many jobs of which queue are claimed next.

use super::run::ServedTriggers;
use elias_api::{JobTrigger, QueueId};
use elias_delivery::supervision::dynamic_threshold;
use elias_names::{ServiceId, TenantId};
use elias_store::{ClaimShare, ClaimedJob, LeasedQueue, ReadyQueue};
use elias_triggers::config::SubscriptionConfig;
use elias_triggers::queue::{FairQueue, Rate, TenantDemand};
use std::collections::{BTreeMap, HashMap};

/// A queue of a tenant.
pub(super) type QueueKey = (TenantId, QueueId);

/// Jobs that one round claims. A commit costs as much for one as for all. A host has one round at a time: where a
/// concurrency is not exact, at most so many jobs of each other host do not count yet.
const CLAIM_MAX: u32 = 250;
/// Deliveries at a time of a subscription that the version has no more, and events that are published later.
const DELIVERIES_MAX: u32 = 50;
/// The largest concurrency that holds exactly over all hosts: they take turns to claim from such a queue. To do so from
/// one with a larger limit costs more than it is worth.
const EXACT_CONCURRENCY_MAX: u32 = 100;
/// Runs of a schedule at a time: its overlap policy decides, this is for one that allows any number.
const TICKS_MAX: u32 = 100;

/// The queues with jobs that can be claimed.
pub(super) struct ReadyBatches {
    pub(super) queues: Vec<ReadyQueue>,
    /// The jobs of whole batches, of those queues of which the others wait until theirs is full.
    pub(super) whole: HashMap<QueueKey, u32>,
}

/// The jobs to claim, and the data to charge the tenants for those that are claimed.
pub(super) struct Plan {
    pub(super) shares: Vec<ClaimShare>,
    pub(super) limits: SharedLimits,
    weights: BTreeMap<TenantId, u32>,
}

/// The state of the queues to claim from, which hosts keep together.
#[derive(Default)]
pub(super) struct SharedLimits {
    /// The rates of those queues that have one.
    pub(super) rates: HashMap<QueueKey, Rate>,
    /// The concurrency of those queues for which it holds exactly.
    pub(super) concurrency: HashMap<QueueKey, u32>,
}

/// A queue of which jobs can be claimed.
struct Candidate {
    queue: QueueId,
    rank: i64,
    room: u32,
    limits: QueueLimits,
}

/// The limits of a queue, over all hosts.
struct QueueLimits {
    concurrency: u32,
    /// Whether elias.toml says it.
    is_configured: bool,
    rate: Option<Rate>,
    key_concurrency: Option<u32>,
}

fn limits(served: &ServedTriggers, queue: &QueueId) -> QueueLimits {
    let of = |is_configured, concurrency| QueueLimits { concurrency, is_configured, rate: None, key_concurrency: None };
    match queue.trigger {
        JobTrigger::Job => {
            let config = served.job(&queue.name);
            let (rate, key_concurrency) = (config.limit().rate, config.key_concurrency);
            QueueLimits { rate, key_concurrency, ..of(true, config.concurrency) }
        }
        JobTrigger::Schedule => of(false, TICKS_MAX),
        JobTrigger::Event => {
            let mut subscriptions = served.config.event.iter();
            let subscription = subscriptions.find(|subscription| subscription.name() == queue.name);
            // Of what is to be published later, and what is left of a subscription that the version has no more.
            // Its jobs are events, and its concurrency is that of runs.
            let events =
                |subscription: &SubscriptionConfig| subscription.concurrency.saturating_mul(subscription.batch.size);
            of(subscription.is_some(), subscription.map_or(DELIVERIES_MAX, events))
        }
        JobTrigger::Webhook => {
            let webhook = served.config.webhook.iter().find(|webhook| webhook.name() == queue.name);
            of(webhook.is_some(), webhook.map_or(DELIVERIES_MAX, |webhook| webhook.concurrency))
        }
    }
}

/// The slots of a host for jobs and for deliveries, of which no tenant can take the last if there are more than three.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Those that are free when the claim is made.
    pub(super) free: u32,
    /// Those that tenants hold then.
    pub(super) held: HashMap<TenantId, u32>,
}

impl Slots {
    /// Whether a tenant may take one more, by the [dynamic threshold](dynamic_threshold), after a claim has taken so
    /// many for it and so many for all.
    fn may_take(&self, tenant: &TenantId, taken: u32, taken_by_all: u32) -> bool {
        let held = self.held.get(tenant).copied().unwrap_or_default();
        dynamic_threshold::may_take(held.saturating_add(taken), self.free.saturating_sub(taken_by_all))
    }
}

/// Plans a claim of jobs for free slots. It charges no tenant: the claim may find fewer jobs, or fail.
pub(super) fn plan(
    ready: ReadyBatches,
    leased: &[LeasedQueue],
    find: impl Fn(&ServiceId, &QueueKey) -> Option<ServedTriggers>,
    fair: &FairQueue<TenantId>,
    slots: &Slots,
) -> Plan {
    let mut running: HashMap<(&TenantId, &QueueId), u64> = HashMap::new();
    for queue in leased {
        *running.entry((&queue.tenant, &queue.queue)).or_default() += queue.leased;
    }
    let mut candidates: BTreeMap<TenantId, Vec<Candidate>> = BTreeMap::new();
    let mut weights = BTreeMap::new();
    let ReadyBatches { queues, whole } = ready;
    for ReadyQueue { tenant, queue, rank, .. } in queues {
        let (component, environment) = (queue.component.clone(), queue.environment);
        let service = ServiceId { tenant: tenant.clone(), component, environment };
        let key = (tenant, queue);
        let Some(served) = find(&service, &key).filter(|served| !served.is_stopped) else { continue };
        let most = whole.get(&key).copied().unwrap_or(u32::MAX);
        let (tenant, queue) = key;
        let limits = limits(&served, &queue);
        let now = running.get(&(&tenant, &queue)).copied().unwrap_or_default();
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let room = limits.concurrency.saturating_sub(now).min(most);
        if room > 0 {
            weights.insert(tenant.clone(), served.quotas.cpu_weight);
            candidates.entry(tenant).or_default().push(Candidate { queue, rank, room, limits });
        }
    }
    let demand = |(tenant, queues): (&TenantId, &Vec<Candidate>)| TenantDemand {
        tenant: tenant.clone(),
        ready: queues.iter().fold(0, |sum: u32, queue| sum.saturating_add(queue.room)),
        weight: weights.get(tenant).copied().unwrap_or(1),
    };
    let demands: Vec<_> = candidates.iter().map(demand).collect();
    let (mut shares, mut shared) = (Vec::new(), SharedLimits::default());
    let may_take = |tenant: &TenantId, taken, by_all| slots.may_take(tenant, taken, by_all);
    for share in fair.clone().choose_within(&demands, slots.free.min(CLAIM_MAX), may_take) {
        let queues = candidates.remove(&share.tenant).unwrap_or_default();
        for (Candidate { queue, rank, limits, .. }, most) in distribute(queues, share.jobs) {
            if let Some(rate) = limits.rate {
                shared.rates.insert((share.tenant.clone(), queue.clone()), rate);
            }
            if limits.is_configured && limits.concurrency <= EXACT_CONCURRENCY_MAX {
                shared.concurrency.insert((share.tenant.clone(), queue.clone()), limits.concurrency);
            }
            let (tenant, key_concurrency) = (share.tenant.clone(), limits.key_concurrency);
            shares.push(ClaimShare { tenant, queue, most, from_rank: rank, key_concurrency });
        }
    }
    Plan { shares, limits: shared, weights }
}

impl Plan {
    /// Charges the tenants for the jobs that they got: there may have been fewer than planned.
    pub(super) fn charge(&self, claimed: &[ClaimedJob], fair: &mut FairQueue<TenantId>) {
        let mut counts: BTreeMap<&TenantId, u32> = BTreeMap::new();
        for job in claimed {
            *counts.entry(&job.lease.tenant).or_default() += 1;
        }
        let demand = |(tenant, ready): (&&TenantId, &u32)| TenantDemand {
            tenant: (*tenant).clone(),
            ready: *ready,
            weight: self.weights.get(*tenant).copied().unwrap_or(1),
        };
        let demands: Vec<_> = counts.iter().map(demand).collect();
        let all = counts.values().fold(0, |sum: u32, count| sum.saturating_add(*count));
        fair.choose(&demands, all);
    }
}

/// Gives each of a tenant's queues a job in turn, those first whose first jobs come first, until all are given.
fn distribute(mut queues: Vec<Candidate>, jobs: u32) -> impl Iterator<Item = (Candidate, u32)> {
    queues.sort_by(|one, other| (one.rank, &one.queue).cmp(&(other.rank, &other.queue)));
    let mut given = vec![0_u32; queues.len()];
    let mut left = jobs;
    while left > 0 {
        let before = left;
        for (given, queue) in given.iter_mut().zip(&queues) {
            if left > 0 && *given < queue.room {
                *given += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    queues.into_iter().zip(given).filter(|(_, given)| *given > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Quotas;
    use elias_names::Environment;
    use elias_triggers::config::TriggersConfig;
    use std::sync::Arc;

    fn queue(name: &str) -> QueueId {
        let component = "shop".parse().expect("a name");
        QueueId { component, environment: Environment::Production, trigger: JobTrigger::Job, name: name.to_owned() }
    }

    fn ready(tenant: &str, name: &str, rank: i64) -> ReadyQueue {
        ReadyQueue { tenant: tenant.parse().expect("a name"), queue: queue(name), rank, ready_at: rank }
    }

    fn planned(ready: Vec<ReadyQueue>, leased: &[LeasedQueue], free: u32) -> Vec<(String, String, u32)> {
        planned_for(ready, leased, &Slots { free, held: HashMap::new() })
    }

    fn planned_for(ready: Vec<ReadyQueue>, leased: &[LeasedQueue], slots: &Slots) -> Vec<(String, String, u32)> {
        let config: TriggersConfig = serde_json::from_value(serde_json::json!({
            "jobs": { "few": { "concurrency": 2 }, "slow": { "rate": "1/s" }, "many": { "concurrency": 1000 } }
        }))
        .expect("a configuration");
        let config = Arc::new(config);
        let find = |_: &ServiceId, _: &QueueKey| {
            Some(ServedTriggers { config: Arc::clone(&config), quotas: Quotas::default(), is_stopped: false })
        };
        let ready = ReadyBatches { queues: ready, whole: HashMap::new() };
        let plan = plan(ready, leased, find, &FairQueue::default(), slots);
        plan.shares.into_iter().map(|one| (one.tenant.to_string(), one.queue.name, one.most)).collect()
    }

    fn share(tenant: &str, name: &str, most: u32) -> (String, String, u32) {
        (tenant.to_owned(), name.to_owned(), most)
    }

    #[test]
    fn slots_go_to_tenants_in_equal_parts_and_to_their_queues_in_turn() {
        let all = vec![ready("a", "many", 5), ready("a", "few", 9), ready("b", "many", 90)];
        assert_eq!(planned(all, &[], 10), [share("a", "many", 3), share("a", "few", 2), share("b", "many", 4)]);
        let all = vec![ready("a", "slow", 1), ready("a", "many", 2)];
        assert_eq!(planned(all, &[], 100), [share("a", "slow", 10), share("a", "many", 65)]);
    }

    #[test]
    fn a_round_claims_no_more_than_a_concurrency_may_be_exceeded_by() {
        // The documented bound: 250 jobs for each other host, however much room and however many slots there are.
        for many in [vec![ready("a", "many", 1)], vec![ready("a", "many", 1), ready("b", "many", 1)]] {
            let all: u32 = planned(many, &[], 1_000).iter().map(|(_, _, most)| most).sum();
            assert_eq!(all, 250);
        }
        let leased =
            [LeasedQueue { tenant: "a".parse().expect("a name"), queue: queue("many"), leased: 990, lease_until: 0 }];
        assert_eq!(planned(vec![ready("a", "many", 1)], &leased, 1_000), [share("a", "many", 10)]);
    }

    #[test]
    fn a_tenant_leaves_slots_for_the_next() {
        let many = |tenant: &str| ready(tenant, "many", 1);
        assert_eq!(planned(vec![many("a")], &[], 20), [share("a", "many", 15)]);
        let held = |free, held| Slots { free, held: HashMap::from([("a".parse().expect("a name"), held)]) };
        assert!(planned_for(vec![many("a")], &[], &held(5, 15)).is_empty());
        assert_eq!(planned_for(vec![many("a"), many("b")], &[], &held(5, 15)), [share("b", "many", 4)]);
        assert_eq!(planned_for(vec![many("a")], &[], &held(6, 14)), [share("a", "many", 1)]);
        assert_eq!(planned(vec![many("a")], &[], 1), [share("a", "many", 1)], "the only one can be had");
    }

    #[test]
    fn deliveries_of_webhooks_share_the_slots_with_jobs() {
        let webhook = |tenant: &str| {
            let queue = QueueId { trigger: JobTrigger::Webhook, ..queue("slow") };
            ReadyQueue { queue, ..ready(tenant, "slow", 1) }
        };
        let held = Slots { free: 5, held: HashMap::from([("a".parse().expect("a name"), 15)]) };
        assert_eq!(planned_for(vec![webhook("a"), webhook("b")], &[], &held), [share("b", "slow", 4)]);
    }

    #[test]
    fn what_runs_anywhere_counts_to_the_concurrency() {
        let leased = |leased| {
            [LeasedQueue { tenant: "a".parse().expect("a name"), queue: queue("few"), leased, lease_until: 0 }]
        };
        assert_eq!(planned(vec![ready("a", "few", 1)], &leased(1), 10), [share("a", "few", 1)]);
        assert!(planned(vec![ready("a", "few", 1)], &leased(2), 10).is_empty());
    }
}
