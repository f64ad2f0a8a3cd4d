//! Groups of workers behind one name: which member gets a message.

use crate::key::WorkerKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which member of a group gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// One after another.
    #[default]
    RoundRobin,
    /// Of two that are drawn by lot, the one for which less waits.
    LeastLoaded,
    /// The one of the message's key, which each message has to have.
    Key,
}

/// Workers of which each can handle a message of the group, in an order that all hosts agree on.
#[derive(Debug, Clone, Default)]
pub struct WorkerGroup {
    /// Sorted, each once.
    members: Vec<WorkerKey>,
    /// How many messages were given in turn.
    given: u64,
}

impl WorkerGroup {
    /// A group of these.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = WorkerKey>) -> Self {
        let mut members: Vec<WorkerKey> = members.into_iter().collect();
        members.sort();
        members.dedup();
        Self { members, given: 0 }
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[WorkerKey] {
        &self.members
    }

    /// Adds a member; whether it was none.
    pub fn add(&mut self, member: WorkerKey) -> bool {
        match self.members.binary_search(&member) {
            Ok(_) => false,
            Err(position) => {
                self.members.insert(position, member);
                true
            }
        }
    }

    /// Removes a member; whether it was one.
    pub fn remove(&mut self, member: &WorkerKey) -> bool {
        let position = self.members.binary_search(member);
        position.map(|position| self.members.remove(position)).is_ok()
    }

    /// The member that gets a message, by its key where it has one. `load` says how much waits for a member, and
    /// [`usize::MAX`] of one that takes nothing now: that is passed over, unless none takes anything or the key names
    /// it. None of an empty group, and of one by key for a message without a key.
    pub fn choose(
        &mut self,
        balance: Balance,
        key: Option<&str>,
        random: [u64; 2],
        load: impl Fn(&WorkerKey) -> usize,
    ) -> Option<&WorkerKey> {
        match (key, balance) {
            (Some(key), _) => self.rendezvous(key),
            (None, Balance::Key) => None,
            (None, Balance::LeastLoaded) => self.power_of_two(random, load),
            (None, Balance::RoundRobin) => {
                let mut position = self.next_position()?;
                for _ in 1..self.members.len() {
                    if load(&self.members[position]) < usize::MAX {
                        break;
                    }
                    position = self.next_position()?;
                }
                self.members.get(position)
            }
        }
    }

    /// The member whose turn it is: each gets a message, and then the first again. None of an empty group.
    pub fn round_robin(&mut self) -> Option<&WorkerKey> {
        let position = self.next_position()?;
        self.members.get(position)
    }

    fn next_position(&mut self) -> Option<usize> {
        let count = self.members.len() as u64;
        let position = self.given.checked_rem(count)?;
        self.given = self.given.wrapping_add(1);
        usize::try_from(position).ok()
    }

    /// Of two members that random numbers name, the one with the shorter mailbox: close to the shortest of all, without
    /// that all senders rush to one. None of an empty group.
    pub fn power_of_two(&self, random: [u64; 2], mailbox_length: impl Fn(&WorkerKey) -> usize) -> Option<&WorkerKey> {
        let count = self.members.len() as u64;
        let first = random[0].checked_rem(count)?;
        // Another one, if there is another.
        let second = random[1].checked_rem(count - 1).map_or(first, |step| (first + 1 + step) % count);
        let [first, second] = [first, second].map(|position| self.members.get(usize::try_from(position).ok()?));
        let (first, second) = (first?, second?);
        Some(if mailbox_length(second) < mailbox_length(first) { second } else { first })
    }

    /// The member for a key, by rendezvous hashing: the same one as long as it is in the group, whichever others come
    /// and go. None of an empty group.
    #[must_use]
    pub fn rendezvous(&self, key: &str) -> Option<&WorkerKey> {
        self.members.iter().max_by_key(|member| weight(member, key))
    }
}

/// The weight of a member for a key. It must stay the same from release to release: FNV-1a, mixed as splitmix64 does.
fn weight(member: &WorkerKey, key: &str) -> u64 {
    let bytes = [member.class.as_bytes(), b"\0", member.name.as_bytes(), b"\0", key.as_bytes()];
    let hash = bytes
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(number: usize) -> WorkerKey {
        WorkerKey::new("A", format!("{number:03}"))
    }

    fn group(members: usize) -> WorkerGroup {
        WorkerGroup::new((0..members).rev().map(key))
    }

    #[test]
    fn an_empty_group_has_nobody_and_members_are_there_once() {
        let mut empty = WorkerGroup::default();
        assert_eq!(empty.round_robin(), None);
        assert_eq!((empty.rendezvous("a"), empty.power_of_two([1, 2], |_| 0)), (None, None));
        assert!(empty.add(key(2)) && empty.add(key(1)) && !empty.add(key(2)));
        assert_eq!(empty.members(), [key(1), key(2)]);
        assert!(empty.remove(&key(2)) && !empty.remove(&key(2)));
        assert_eq!(empty.power_of_two([u64::MAX, u64::MAX], |_| 0), Some(&key(1)), "the only one");
    }

    #[test]
    fn a_member_is_chosen_by_the_balance_and_by_the_key_of_the_message() {
        let mut group = group(3);
        let fails = |member: &WorkerKey| if *member == key(1) { usize::MAX } else { 0 };
        let mut given = |load: &dyn Fn(&WorkerKey) -> usize| {
            group.choose(Balance::RoundRobin, None, [0, 0], load).expect("a member").clone()
        };
        assert_eq!([given(&fails), given(&fails), given(&fails)], [key(0), key(2), key(0)]);
        assert_eq!([given(&|_| usize::MAX), given(&|_| 0)], [key(0), key(1)], "where none takes anything, one gets it");
        let mut least = |random| group.choose(Balance::LeastLoaded, None, random, fails).expect("a member").clone();
        assert_eq!([least([1, 0]), least([0, 0])], [key(2), key(0)]);
        assert_eq!(group.choose(Balance::Key, None, [0, 0], |_| 0), None);
        let of_key = group.rendezvous("a").expect("a member").clone();
        for balance in [Balance::Key, Balance::RoundRobin, Balance::LeastLoaded] {
            assert_eq!(group.choose(balance, Some("a"), [0, 0], |_| usize::MAX), Some(&of_key), "{balance:?}");
        }
    }

    #[test]
    fn keys_are_spread_over_the_members() {
        let group = group(4);
        let mut counts = BTreeMap::<&WorkerKey, u32>::new();
        for number in 0..4_000 {
            *counts.entry(group.rendezvous(&format!("user-{number}")).expect("a member")).or_default() += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    proptest! {
        /// In any stretch no member gets more than one message more than another.
        #[test]
        fn members_take_turns(members in 1usize..9, messages in 1usize..60) {
            let mut group = group(members);
            let mut counts = vec![0usize; members];
            for _ in 0..messages {
                let chosen = group.round_robin().expect("a member").clone();
                counts[group.members().binary_search(&chosen).expect("it is one")] += 1;
            }
            let most = counts.iter().max().expect("a member");
            prop_assert!(counts.iter().all(|count| most - count <= 1));
        }

        /// The longest mailbox is never chosen where there is a shorter one to compare it with.
        #[test]
        fn of_two_the_shorter_mailbox_is_chosen(lengths in prop::collection::vec(0usize..9, 1..9), random: [u64; 2]) {
            let group = group(lengths.len());
            let length = |member: &WorkerKey| lengths[member.name.parse::<usize>().expect("a number")];
            let chosen = length(group.power_of_two(random, length).expect("a member"));
            let mut sorted = lengths.clone();
            sorted.sort_unstable();
            let second_longest = sorted.len().checked_sub(2).map_or(chosen, |position| sorted[position]);
            prop_assert!(chosen <= second_longest);
        }

        /// Where a member goes, its keys alone move; where one comes, keys move to it alone.
        #[test]
        fn only_the_keys_of_a_member_move_with_it(
            members in 2usize..9,
            gone in 0usize..9,
            keys in prop::collection::vec(0u32..10_000, 0..60),
        ) {
            let before = group(members);
            let mut after = before.clone();
            let gone = key(gone % members);
            prop_assert!(after.remove(&gone));
            for text in keys.iter().map(u32::to_string) {
                let (one, other) = (before.rendezvous(&text), after.rendezvous(&text));
                prop_assert!(one == other || one == Some(&gone), "{:?}: {:?}, {:?}", text, one, other);
            }
        }
    }
}
