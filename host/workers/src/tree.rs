//! Supervision trees: what becomes of its siblings where a worker fails.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use utoipa::ToSchema;

/// Which children are restarted where one of them fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartStrategy {
    /// That one.
    #[default]
    OneForOne,
    /// All.
    OneForAll,
    /// That one and those after it.
    RestForOne,
}

/// How often the children of a supervisor may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartIntensity {
    /// Failures within `window`; at the next one the supervisor fails itself.
    pub failures: u32,
    /// The window.
    pub window: Duration,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisedChild<K> {
    /// A worker, which is in a tree once.
    Worker(K),
    /// A supervisor with children of its own.
    Supervisor(SupervisionTree<K>),
}

/// A supervisor and what it supervises, in the order in which that is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisionTree<K> {
    strategy: RestartStrategy,
    intensity: RestartIntensity,
    children: Vec<SupervisedChild<K>>,
    /// When children failed, the last at the back.
    failures: VecDeque<u64>,
}

/// What is to be done where a worker has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeDecision<K> {
    /// Workers are restarted.
    Restart {
        /// These are stopped, in this order: the last that was started is the first.
        stop: Vec<K>,
        /// Then these are started, in this order.
        start: Vec<K>,
    },
    /// The root has failed: all workers are stopped, in this order, and stay so.
    GiveUp(Vec<K>),
}

impl<K: Clone + PartialEq> SupervisionTree<K> {
    /// A supervisor of these, none of which has failed.
    #[must_use]
    pub fn new(
        strategy: RestartStrategy,
        intensity: RestartIntensity,
        children: impl IntoIterator<Item = SupervisedChild<K>>,
    ) -> Self {
        Self { strategy, intensity, children: children.into_iter().collect(), failures: VecDeque::new() }
    }

    /// All workers, in the order in which they are started.
    #[must_use]
    pub fn workers(&self) -> Vec<K> {
        workers_of(&self.children)
    }

    /// Decides what is to be done since a worker has failed now; none if it is not in the tree.
    pub fn fail(&mut self, worker: &K, now: u64) -> Option<TreeDecision<K>> {
        Some(match self.fail_below(worker, now)? {
            Some(start) => TreeDecision::Restart { stop: start.iter().rev().cloned().collect(), start },
            None => {
                let mut all = self.workers();
                all.reverse();
                TreeDecision::GiveUp(all)
            }
        })
    }

    /// The workers that are restarted; none of them if this supervisor fails, and nothing if the worker is not here.
    fn fail_below(&mut self, worker: &K, now: u64) -> Option<Option<Vec<K>>> {
        let position = self.children.iter_mut().enumerate().find_map(|(position, child)| match child {
            SupervisedChild::Worker(key) => (key == worker).then_some((position, None)),
            SupervisedChild::Supervisor(tree) => Some((position, tree.fail_below(worker, now)?)),
        });
        let (position, restarted) = position?;
        if restarted.is_some() {
            return Some(restarted);
        }
        let window = u64::try_from(self.intensity.window.as_millis()).unwrap_or(u64::MAX);
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| at.saturating_add(window) <= now) {
            self.failures.pop_front();
        }
        if self.failures.len() > self.intensity.failures as usize {
            return Some(None);
        }
        let affected = match self.strategy {
            RestartStrategy::OneForOne => position..position + 1,
            RestartStrategy::OneForAll => 0..self.children.len(),
            RestartStrategy::RestForOne => position..self.children.len(),
        };
        let affected = &mut self.children[affected];
        affected.iter_mut().for_each(SupervisedChild::forget_failures);
        Some(Some(workers_of(affected)))
    }

    /// The supervisor is started anew, with all that is below it.
    pub fn forget_failures(&mut self) {
        self.failures.clear();
        self.children.iter_mut().for_each(SupervisedChild::forget_failures);
    }
}

impl<K: Clone + PartialEq> SupervisedChild<K> {
    fn forget_failures(&mut self) {
        if let Self::Supervisor(tree) = self {
            tree.forget_failures();
        }
    }
}

fn workers_of<K: Clone + PartialEq>(children: &[SupervisedChild<K>]) -> Vec<K> {
    let workers = children.iter().flat_map(|child| match child {
        SupervisedChild::Worker(key) => vec![key.clone()],
        SupervisedChild::Supervisor(tree) => tree.workers(),
    });
    workers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn intensity(failures: u32) -> RestartIntensity {
        RestartIntensity { failures, window: Duration::from_secs(10) }
    }

    fn of_workers(strategy: RestartStrategy, failures: u32, workers: std::ops::Range<u32>) -> SupervisionTree<u32> {
        SupervisionTree::new(strategy, intensity(failures), workers.map(SupervisedChild::Worker))
    }

    fn restart(start: Vec<u32>) -> Option<TreeDecision<u32>> {
        Some(TreeDecision::Restart { stop: start.iter().rev().copied().collect(), start })
    }

    #[test]
    fn the_strategy_says_which_siblings_are_restarted() {
        for (strategy, started) in [
            (RestartStrategy::OneForOne, vec![2]),
            (RestartStrategy::OneForAll, vec![0, 1, 2, 3]),
            (RestartStrategy::RestForOne, vec![2, 3]),
        ] {
            let mut tree = of_workers(strategy, 1, 0..4);
            assert_eq!(tree.fail(&2, 0), restart(started), "{strategy:?}");
            assert_eq!(tree.fail(&9, 0), None);
        }
    }

    #[test]
    fn a_supervisor_whose_children_fail_too_often_fails_itself() {
        let below = of_workers(RestartStrategy::OneForOne, 1, 1..3);
        let children = [SupervisedChild::Worker(0), SupervisedChild::Supervisor(below), SupervisedChild::Worker(3)];
        let mut tree = SupervisionTree::new(RestartStrategy::RestForOne, intensity(1), children);
        assert_eq!(tree.workers(), [0, 1, 2, 3]);
        assert_eq!(tree.fail(&2, 0), restart(vec![2]));
        assert_eq!(
            tree.fail(&2, 9_999),
            restart(vec![1, 2, 3]),
            "what is below is started anew, and so is what follows"
        );
        assert_eq!(tree.fail(&1, 9_999), restart(vec![1]), "it has not failed since");
        assert_eq!(tree.fail(&1, 19_999), restart(vec![1]), "the window is over");
        assert_eq!(tree.fail(&0, 19_999), restart(vec![0, 1, 2, 3]));
        assert_eq!(tree.fail(&3, 19_999), Some(TreeDecision::GiveUp(vec![3, 2, 1, 0])));
    }

    fn strategies() -> impl Strategy<Value = RestartStrategy> {
        prop::sample::select(vec![RestartStrategy::OneForOne, RestartStrategy::OneForAll, RestartStrategy::RestForOne])
    }

    proptest! {
        /// Whatever fails and when: the failed worker is restarted with workers that are next to each other in the
        /// order, and as long as the root was not given up no window has more failures at one level than it may have.
        #[test]
        fn restarts_are_a_part_of_the_order_and_within_the_intensity(
            root in strategies(),
            below in strategies(),
            most in 0u32..4,
            failures in prop::collection::vec((0u32..9, 0u64..6_000), 1..60),
        ) {
            let groups = (0..3).map(|group| {
                SupervisedChild::Supervisor(of_workers(below, most, 3 * group..3 * group + 3))
            });
            let mut tree = SupervisionTree::new(root, intensity(most), groups);
            let all = tree.workers();
            let (mut now, mut at_root) = (0, Vec::new());
            for (worker, later) in failures {
                now += later;
                match tree.fail(&worker, now) {
                    Some(TreeDecision::Restart { stop, start }) => {
                        prop_assert!(start.contains(&worker));
                        let first = start[0] as usize;
                        prop_assert_eq!(&all[first..first + start.len()], start.as_slice());
                        prop_assert_eq!(stop, start.iter().rev().copied().collect::<Vec<_>>());
                        if start.len() >= 3 && (start.len() > 3 || below != RestartStrategy::OneForAll) {
                            // More than a group's own strategy restarts, or a group as a whole.
                            let is_rest = below == RestartStrategy::RestForOne && start.len() == 3 && worker % 3 == 0;
                            if !is_rest {
                                at_root.push(now);
                            }
                        }
                    }
                    Some(TreeDecision::GiveUp(stop)) => {
                        prop_assert_eq!(stop.len(), all.len());
                        break;
                    }
                    None => return Err(TestCaseError::fail("it is in the tree")),
                }
                let within = at_root.iter().filter(|at| **at + 10_000 > now).count();
                prop_assert!(within <= most as usize);
            }
        }
    }
}
