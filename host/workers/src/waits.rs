//! Which workers wait for which: whoever would wait for itself, by way of others, waits for ever.

use crate::key::WorkerKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// The workers whose handlers wait, and the calls that each has made and that are not answered.
///
/// A handler that waits for several calls may go on with the first answer, or need all of them: that is not known, so
/// each of them counts.
#[derive(Debug, Default)]
pub struct WaitGraph {
    /// By the worker that waits, the ids of its calls by the worker that is called.
    waits: BTreeMap<WorkerKey, BTreeMap<WorkerKey, BTreeSet<String>>>,
}

/// A call that would close a cycle: the members in order, the one that makes the call first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<WorkerKey>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("workers would wait for each other for ever: ")?;
        for member in &self.0 {
            write!(f, "{member} -> ")?;
        }
        match self.0.first() {
            Some(first) => write!(f, "{first}"),
            None => Ok(()),
        }
    }
}

impl WaitGraph {
    /// Has `caller` wait for its call to `callee`, by the id of the call, which no other has.
    ///
    /// # Errors
    /// The cycle that this would close; nothing has changed then.
    pub fn wait(&mut self, caller: &WorkerKey, call: &str, callee: &WorkerKey) -> Result<(), Cycle> {
        if let Some(path) = self.path(callee, caller) {
            let mut members = vec![caller.clone()];
            members.extend(path);
            return Err(Cycle(members));
        }
        self.waits.entry(caller.clone()).or_default().entry(callee.clone()).or_default().insert(call.to_owned());
        Ok(())
    }

    /// A call was answered: its caller waits for it no more, be the answer still in its queue.
    pub fn answered(&mut self, caller: &WorkerKey, call: &str) {
        let Some(callees) = self.waits.get_mut(caller) else { return };
        callees.retain(|_, calls| {
            calls.remove(call);
            !calls.is_empty()
        });
        if callees.is_empty() {
            self.waits.remove(caller);
        }
    }

    /// A worker's handler is done: it waits for nothing any more.
    pub fn finish(&mut self, caller: &WorkerKey) {
        self.waits.remove(caller);
    }

    /// The workers from `from` on, each of which waits for the next, of which the last waits for `to`; `from` alone is
    /// not named if it is `to`.
    fn path(&self, from: &WorkerKey, to: &WorkerKey) -> Option<Vec<WorkerKey>> {
        if from == to {
            return Some(Vec::new());
        }
        let mut came_from: BTreeMap<&WorkerKey, &WorkerKey> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            let Some(callees) = self.waits.get(at) else { continue };
            for callee in callees.keys() {
                if callee == to {
                    let steps = std::iter::successors(Some(at), |at| came_from.get(at).copied());
                    let mut path: Vec<WorkerKey> = steps.cloned().collect();
                    path.reverse();
                    return Some(path);
                }
                if callee != from && !came_from.contains_key(callee) {
                    came_from.insert(callee, at);
                    next.push_back(callee);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WorkerKey {
        WorkerKey::new("A", name)
    }

    #[test]
    fn a_cycle_is_refused_with_its_members() {
        let mut graph = WaitGraph::default();
        let itself = graph.wait(&key("1"), "1", &key("1")).expect_err("it would wait for itself");
        assert_eq!(itself.to_string(), "workers would wait for each other for ever: A/1 -> A/1");
        graph.wait(&key("1"), "1", &key("2")).expect("no cycle");
        graph.wait(&key("1"), "2", &key("4")).expect("no cycle");
        graph.wait(&key("2"), "1", &key("3")).expect("no cycle");
        graph.wait(&key("3"), "1", &key("4")).expect("two ways are no cycle");
        let cycle = graph.wait(&key("3"), "2", &key("1")).expect_err("a cycle of three");
        assert_eq!(cycle.0, [key("3"), key("1"), key("2")]);
        graph.answered(&key("2"), "1");
        graph.wait(&key("3"), "2", &key("1")).expect("2 does not wait any more");
        graph.finish(&key("3"));
        graph.wait(&key("4"), "1", &key("3")).expect("3 does not wait any more");
    }

    #[test]
    fn a_worker_waits_as_long_as_one_of_its_calls_has_no_answer() {
        let mut graph = WaitGraph::default();
        graph.wait(&key("1"), "1", &key("2")).expect("no cycle");
        graph.wait(&key("1"), "2", &key("2")).expect("no cycle");
        graph.answered(&key("1"), "1");
        graph.wait(&key("2"), "1", &key("1")).expect_err("the other call waits");
        graph.answered(&key("1"), "2");
        graph.answered(&key("1"), "2");
        graph.wait(&key("2"), "1", &key("1")).expect("nobody waits");
    }
}
