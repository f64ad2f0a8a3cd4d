//! Counts the use of shared resources: limits without a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shared resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Open connections.
    Connections,
    /// Requests, from their headers to the last byte of their responses.
    Requests,
    /// Bytes of responses' bodies that wait in memory for their clients.
    BufferedBytes,
    /// Executions that wait for a client to read.
    StalledExecutions,
}

/// How much is in use: by the whole host, a service, a client's address or a connection.
#[derive(Debug, Default)]
pub struct ResourceUsage([AtomicU64; 4]);

impl ResourceUsage {
    fn counter(&self, resource: Resource) -> &AtomicU64 {
        let [connections, requests, buffered, stalled] = &self.0;
        match resource {
            Resource::Connections => connections,
            Resource::Requests => requests,
            Resource::BufferedBytes => buffered,
            Resource::StalledExecutions => stalled,
        }
    }

    /// How much is in use now.
    #[must_use]
    pub fn of(&self, resource: Resource) -> u64 {
        self.counter(resource).load(Ordering::Relaxed)
    }

    /// Reserves some of a resource of which at most `max` may be in use; `None` if less is left.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, resource: Resource, amount: u64, max: u64) -> Option<UsageReservation> {
        let counter = self.counter(resource);
        // Optimistic: one addition, and another for those that are over.
        let before = counter.fetch_add(amount, Ordering::Relaxed);
        let reservation = UsageReservation { usage: Arc::clone(self), resource, amount };
        (before.saturating_add(amount) <= max).then_some(reservation)
    }
}

/// An amount of a resource that is in use until this is dropped.
#[derive(Debug)]
pub struct UsageReservation {
    usage: Arc<ResourceUsage>,
    resource: Resource,
    amount: u64,
}

impl Drop for UsageReservation {
    fn drop(&mut self) {
        self.usage.counter(self.resource).fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_bound_is_refused_and_leaves_nothing_behind() {
        let usage = Arc::new(ResourceUsage::default());
        let first = usage.reserve(Resource::BufferedBytes, 60, 100).expect("there is room");
        assert!(usage.reserve(Resource::BufferedBytes, 41, 100).is_none());
        assert_eq!(usage.of(Resource::BufferedBytes), 60);
        let second = usage.reserve(Resource::BufferedBytes, 40, 100);
        assert!(second.is_some() && usage.reserve(Resource::Requests, 1, 1).is_some(), "resources are apart");
        drop((first, second));
        assert_eq!(usage.of(Resource::BufferedBytes), 0);
    }
}
