//! The queue for cores: start-time fair queueing over two levels, for several servers.
//!
//! Each group has a *start tag*: the time that it has used, divided by its weight. The group with the lowest tag is
//! served next, and within it the subgroup with the lowest tag, and there whoever waits for longest. A group that
//! begins to wait starts at the *virtual time*, which is the tag of whoever was served last: what it did not use before
//! is not saved up for later, and what it used before anyone else waited is not held against it.
//!
//! This is SFQ(D) (Jin, Chase and Kaur, "Interposed proportional sharing for a storage service utility", SIGMETRICS
//! 2004) with D cores. Between any two groups that both have somebody waiting, the used time divided by the weight
//! differs by no more than D + 1 slices of each, however many wait in either. Weighted round robin would need the
//! length of a slice beforehand, and a lottery bounds nothing; EEVDF's lag bounds are tighter, for twice the state.

use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};

/// The weight of a group that was given none, as in cgroups.
pub(super) const WEIGHT_DEFAULT: u32 = 100;
/// The largest weight, as in cgroups.
pub(super) const WEIGHT_MAX: u32 = 10_000;

/// Weighted time: nanoseconds, times [`WEIGHT_MAX`], divided by a weight.
type Tag = u128;

fn weighted(nanoseconds: u64, weight: u32) -> Tag {
    Tag::from(nanoseconds) * Tag::from(WEIGHT_MAX) / Tag::from(weight.clamp(1, WEIGHT_MAX))
}

/// A subgroup of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShareKey {
    group: usize,
    subgroup: usize,
}

impl ShareKey {
    /// The number of its group.
    pub(super) fn group(self) -> usize {
        self.group
    }
}

/// The charge in advance of a guest that is being served; [`FairQueue::served`] corrects it by the time that the guest
/// used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Charge {
    busy_period: u64,
    group: Tag,
    subgroup: Tag,
}

/// The guests that wait for a core.
pub(super) struct FairQueue<T> {
    groups: Slab<Group<T>>,
    names: BTreeMap<String, usize>,
    /// Groups in which somebody waits, by tag; of equals the one that began to wait first.
    order: BTreeSet<(Tag, u64, usize)>,
    /// The tag of the group that was served last.
    virtual_time: Tag,
    /// Counts the times that nobody waited: tags of an earlier period are void.
    busy_period: u64,
    waiting: usize,
    arrivals: u64,
}

struct Group<T> {
    name: String,
    account: Account,
    subgroups: Slab<Subgroup<T>>,
    names: BTreeMap<String, usize>,
    order: BTreeSet<(Tag, u64, usize)>,
    virtual_time: Tag,
}

struct Subgroup<T> {
    name: String,
    account: Account,
    /// How many hold its key.
    holders: usize,
    waiting: BTreeMap<u64, T>,
    /// Nanoseconds of its last slice: what the next one is expected to take.
    last_slice: u64,
}

/// The usage of a group or a subgroup.
#[derive(Default)]
struct Account {
    weight: u32,
    tag: Tag,
    busy_period: u64,
    /// When it began to wait; none while nobody in it waits.
    since: Option<u64>,
}

impl Account {
    /// Begins at nothing in a new busy period; says whether it does. Nobody in it waits then.
    fn renew(&mut self, busy_period: u64) -> bool {
        let renews = self.busy_period != busy_period;
        if renews {
            self.busy_period = busy_period;
            self.tag = 0;
        }
        renews
    }

    fn correct(&mut self, charged: Tag, nanoseconds: u64) {
        self.tag = self.tag.saturating_sub(charged) + weighted(nanoseconds, self.weight);
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            groups: Slab::new(),
            names: BTreeMap::new(),
            order: BTreeSet::new(),
            virtual_time: 0,
            busy_period: 1,
            waiting: 0,
            arrivals: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// The key of a subgroup, which is there until it was given up as often as it was taken. The latest weights hold.
    pub(super) fn hold(&mut self, group: (&str, u32), subgroup: (&str, u32)) -> ShareKey {
        let at = match self.names.get(group.0) {
            Some(at) => *at,
            None => {
                let at = self.groups.insert(Group {
                    name: group.0.to_owned(),
                    account: Account::default(),
                    subgroups: Slab::new(),
                    names: BTreeMap::new(),
                    order: BTreeSet::new(),
                    virtual_time: 0,
                });
                self.names.insert(group.0.to_owned(), at);
                at
            }
        };
        let within = &mut self.groups[at];
        within.account.weight = group.1.clamp(1, WEIGHT_MAX);
        let sub = match within.names.get(subgroup.0) {
            Some(sub) => *sub,
            None => {
                let sub = within.subgroups.insert(Subgroup {
                    name: subgroup.0.to_owned(),
                    account: Account::default(),
                    holders: 0,
                    waiting: BTreeMap::new(),
                    last_slice: 0,
                });
                within.names.insert(subgroup.0.to_owned(), sub);
                sub
            }
        };
        let held = &mut within.subgroups[sub];
        held.account.weight = subgroup.1.clamp(1, WEIGHT_MAX);
        held.holders += 1;
        ShareKey { group: at, subgroup: sub }
    }

    /// Sets the weight of a group, if it exists.
    pub(super) fn set_weight(&mut self, group: &str, weight: u32) {
        if let Some(at) = self.names.get(group) {
            self.groups[*at].account.weight = weight.clamp(1, WEIGHT_MAX);
        }
    }

    /// Gives a key up. Nobody may wait under it any more if it was the last.
    pub(super) fn give_up(&mut self, key: ShareKey) {
        let group = &mut self.groups[key.group];
        let subgroup = &mut group.subgroups[key.subgroup];
        subgroup.holders -= 1;
        if subgroup.holders > 0 {
            return;
        }
        let gone = group.subgroups.remove(key.subgroup);
        group.names.remove(&gone.name);
        if group.subgroups.is_empty() {
            let gone = self.groups.remove(key.group);
            self.names.remove(&gone.name);
        }
    }

    /// The number of guests that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Lets somebody wait; gives the place in the queue, by which to [leave](Self::leave) it.
    pub(super) fn push(&mut self, key: ShareKey, who: T) -> u64 {
        if self.waiting == 0 {
            self.busy_period += 1;
            self.virtual_time = 0;
        }
        self.waiting += 1;
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.renew(key);
        let group = &mut self.groups[key.group];
        let subgroup = &mut group.subgroups[key.subgroup];
        subgroup.waiting.insert(arrival, who);
        if subgroup.account.since.is_none() {
            subgroup.account.since = Some(arrival);
            subgroup.account.tag = subgroup.account.tag.max(group.virtual_time);
            group.order.insert((subgroup.account.tag, arrival, key.subgroup));
        }
        if group.account.since.is_none() {
            group.account.since = Some(arrival);
            group.account.tag = group.account.tag.max(self.virtual_time);
            self.order.insert((group.account.tag, arrival, key.group));
        }
        arrival
    }

    /// Removes a guest that no longer waits.
    pub(super) fn leave(&mut self, key: ShareKey, place: u64) -> Option<T> {
        let gone = self.groups[key.group].subgroups[key.subgroup].waiting.remove(&place)?;
        self.waiting -= 1;
        self.reorder(key, |_, _| {});
        Some(gone)
    }

    /// The next guest, and its charge in advance.
    pub(super) fn pop(&mut self) -> Option<(T, ShareKey, Charge)> {
        let (virtual_time, _, at) = *self.order.first()?;
        self.virtual_time = self.virtual_time.max(virtual_time); // what is corrected may have been charged too much
        let group = &mut self.groups[at];
        let (virtual_time, _, sub) = *group.order.first()?;
        group.virtual_time = group.virtual_time.max(virtual_time);
        let key = ShareKey { group: at, subgroup: sub };
        let subgroup = &mut group.subgroups[sub];
        let (_, next) = subgroup.waiting.pop_first()?;
        self.waiting -= 1;
        let charge = Charge {
            busy_period: self.busy_period,
            group: weighted(subgroup.last_slice, group.account.weight),
            subgroup: weighted(subgroup.last_slice, subgroup.account.weight),
        };
        self.reorder(key, |group, subgroup| {
            group.tag += charge.group;
            subgroup.tag += charge.subgroup;
        });
        Some((next, key, charge))
    }

    /// A guest used a core for this many nanoseconds.
    pub(super) fn served(&mut self, key: ShareKey, charge: Charge, nanoseconds: u64) {
        let valid = charge.busy_period == self.busy_period;
        self.renew(key);
        self.groups[key.group].subgroups[key.subgroup].last_slice = nanoseconds;
        self.reorder(key, |group, subgroup| {
            group.correct(if valid { charge.group } else { 0 }, nanoseconds);
            subgroup.correct(if valid { charge.subgroup } else { 0 }, nanoseconds);
        });
    }

    fn renew(&mut self, key: ShareKey) {
        let group = &mut self.groups[key.group];
        if group.account.renew(self.busy_period) {
            group.virtual_time = 0;
        }
        group.subgroups[key.subgroup].account.renew(self.busy_period);
    }

    /// Changes the accounts of a subgroup and its group, and their places in the order.
    fn reorder(&mut self, key: ShareKey, change: impl FnOnce(&mut Account, &mut Account)) {
        let group = &mut self.groups[key.group];
        let subgroup = &mut group.subgroups[key.subgroup];
        if let Some(since) = subgroup.account.since {
            group.order.remove(&(subgroup.account.tag, since, key.subgroup));
        }
        if let Some(since) = group.account.since {
            self.order.remove(&(group.account.tag, since, key.group));
        }
        change(&mut group.account, &mut subgroup.account);
        if subgroup.waiting.is_empty() {
            subgroup.account.since = None;
        }
        if let Some(since) = subgroup.account.since {
            group.order.insert((subgroup.account.tag, since, key.subgroup));
        }
        if group.order.is_empty() {
            group.account.since = None;
        }
        if let Some(since) = group.account.since {
            self.order.insert((group.account.tag, since, key.group));
        }
    }
}
