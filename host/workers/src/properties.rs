//! Random operations compared with simple models.

use crate::mailbox::{Admission, Mailbox, MailboxLimits, OverflowPolicy};
use crate::{WaitGraph, WorkerKey};
use proptest::prelude::*;

proptest! {
    /// Whatever is pushed and popped: nothing is lost or doubled, the order is kept, and no bound is exceeded.
    #[test]
    fn a_mailbox_is_a_queue_within_its_bounds(
        operations in prop::collection::vec(prop::option::of(0usize..40), 1..200),
        policy in prop::sample::select(vec![OverflowPolicy::Refuse, OverflowPolicy::Block, OverflowPolicy::DropOldest]),
    ) {
        let limits = MailboxLimits { messages: 5, bytes: 100, senders: 3, policy };
        let mut mailbox = Mailbox::new(limits);
        let (mut expected, mut dropped) = (std::collections::VecDeque::new(), 0);
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Some(bytes) => match mailbox.push(number, bytes) {
                    Admission::Accepted | Admission::SenderWaits => expected.push_back(number),
                    Admission::AcceptedInPlaceOf(gone) => {
                        for one in gone {
                            prop_assert_eq!(expected.pop_front(), Some(one));
                            dropped += 1;
                        }
                        expected.push_back(number);
                    }
                    Admission::Refused(_, refused) => prop_assert_eq!(refused, number),
                },
                None => prop_assert_eq!(mailbox.pop(), expected.pop_front()),
            }
            prop_assert!(mailbox.len() <= limits.messages && mailbox.bytes() <= limits.bytes);
            prop_assert!(mailbox.blocked() <= limits.senders);
            prop_assert_eq!(mailbox.len() + mailbox.blocked(), expected.len());
            prop_assert_eq!(mailbox.dropped(), dropped);
        }
        prop_assert_eq!(mailbox.drain(), Vec::from(expected));
    }

    /// The graph never has a cycle, and refuses no call but one that closes one.
    #[test]
    fn waits_are_refused_if_and_only_if_they_close_a_cycle(
        operations in prop::collection::vec((0u8..6, 0u8..6, 0u64..3, any::<bool>()), 1..80),
    ) {
        let key = |number: u8| WorkerKey::new("A", number.to_string());
        let mut graph = WaitGraph::default();
        let mut edges: Vec<(u8, u8, u64)> = Vec::new();
        for (caller, callee, call, is_answer) in operations {
            if is_answer {
                graph.answered(&key(caller), &call.to_string());
                edges.retain(|(from, _, number)| (*from, *number) != (caller, call));
                continue;
            }
            // All that can be reached from the callee.
            let mut reached = vec![callee];
            let mut position = 0;
            while position < reached.len() {
                let further = edges.iter().filter(|(from, ..)| *from == reached[position]).map(|(_, to, _)| *to);
                let further: Vec<u8> = further.filter(|to| !reached.contains(to)).collect();
                reached.extend(further);
                position += 1;
            }
            match graph.wait(&key(caller), &call.to_string(), &key(callee)) {
                Ok(()) => {
                    prop_assert!(!reached.contains(&caller));
                    edges.push((caller, callee, call));
                }
                Err(cycle) => {
                    prop_assert!(reached.contains(&caller));
                    prop_assert_eq!(&cycle.0[0], &key(caller));
                    for (one, next) in cycle.0.iter().skip(1).zip(cycle.0.iter().skip(2)) {
                        prop_assert!(edges.iter().any(|(from, to, _)| (&key(*from), &key(*to)) == (one, next)));
                    }
                }
            }
        }
    }
}
