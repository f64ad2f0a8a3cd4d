//! The state of the connectors that read and write the logs of events: their leases, and what they count.

use elias_store::Lease;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Connections that are counted one by one; those that come later are left out.
const COUNTED_MAX: usize = 200;
/// How long a lease lasts, in milliseconds, and how often it is renewed.
pub(crate) const LEASE_MS: u64 = 30_000;
const RENEW: Duration = Duration::from_secs(10);

/// Counts of a connection's events by their result, by the connection's name.
type Counts = BTreeMap<(String, &'static str), u64>;

/// Leases and counts of connectors.
#[derive(Default)]
pub(crate) struct ConnectorState {
    leases: Mutex<HashMap<String, (Lease, Instant)>>,
    counts: Mutex<Counts>,
}

impl ConnectorState {
    /// The lease of a name, if this host has it, and whether it is to be renewed.
    pub(crate) fn lease(&self, name: &str) -> Option<(Lease, bool)> {
        let leases = self.leases.lock();
        let (lease, renewed) = leases.get(name)?;
        Some((lease.clone(), renewed.elapsed() >= RENEW))
    }

    /// Remembers a lease that was acquired or renewed; without one that it is lost.
    pub(crate) fn set_lease(&self, name: &str, lease: Option<Lease>) {
        let mut leases = self.leases.lock(); // the map is whole after every operation
        match lease {
            Some(lease) => drop(leases.insert(name.to_owned(), (lease, Instant::now()))),
            None => drop(leases.remove(name)),
        }
    }

    /// Counts events of a connection.
    pub(crate) fn count(&self, connection: &str, outcome: &'static str, events: u64) {
        let mut counts = self.counts.lock(); // the map is whole after every operation
        let key = (connection.to_owned(), outcome);
        if counts.len() < COUNTED_MAX || counts.contains_key(&key) {
            *counts.entry(key).or_default() += events;
        }
    }

    /// The counts since the start.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_remembered_and_counts_bounded() {
        let state = ConnectorState::default();
        let lease = Lease { name: "a".to_owned(), owner: "me".to_owned(), epoch: 1, until: 5 };
        state.set_lease("a", Some(lease.clone()));
        assert_eq!(state.lease("a"), Some((lease, false)));
        state.set_lease("a", None);
        assert_eq!(state.lease("a"), None);
        for number in 0..300 {
            state.count(&format!("{number}"), "delivered", 2);
            state.count("0", "delivered", 1);
        }
        let counts = state.counts();
        assert_eq!((counts.len(), counts[&("0".to_owned(), "delivered")]), (COUNTED_MAX, 302));
    }
}
