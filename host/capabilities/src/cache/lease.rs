//! Leases, the single-flight guards of the cache: of several instances that miss a value at once, one makes it.
//!
//! The holders of one component's leases are known to this host only. Two hosts that share a Redis may each make a
//! value once; that is the price of a lease that needs no clock, and that is free as soon as its holder is gone.

use super::backend::{self, Backend};
use super::contract::{CommandOutput, Error, ErrorCode, Value};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The leases of one component.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By key, where those who wait hear of the value, or that the lease was dropped without one.
    held: HashMap<Arc<str>, watch::Sender<Option<Value>>>,
    /// How many were dropped so far.
    dropped: u64,
}

/// How often a value may fail to be made before those who wait fail too: once, and once more by one of them.
const FAILURES: u32 = 2;

/// The right to make a value. When it is dropped, also with the instance that holds it, one of the waiting instances
/// may try.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Arc<Leases>,
    key: Arc<str>,
}

/// The outcome of an attempt to acquire a lease.
enum AcquireOutcome {
    /// It is acquired; `seen`: no lease was dropped since the value was read, so that nobody can have made the value.
    Acquired { lease: Lease, seen: bool },
    /// Another holds it.
    Held(watch::Receiver<Option<Value>>),
}

impl Leases {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    fn try_acquire(self: &Arc<Self>, key: &str, dropped: u64) -> AcquireOutcome {
        let mut state = self.state();
        if let Some(held) = state.held.get(key) {
            return AcquireOutcome::Held(held.subscribe());
        }
        let key: Arc<str> = key.into();
        state.held.insert(Arc::clone(&key), watch::Sender::new(None));
        let seen = state.dropped == dropped;
        AcquireOutcome::Acquired { lease: Lease { leases: Arc::clone(self), key }, seen }
    }

    /// The number of instances that wait for the lease of a key; `None` if no instance holds it.
    #[cfg(test)]
    pub(super) fn waiting(&self, key: &str) -> Option<usize> {
        self.state().held.get(key).map(watch::Sender::receiver_count)
    }

    /// Passes a value that is being stored to the waiting instances: they have it even if it cannot be stored.
    pub(super) fn offer(&self, key: &str, value: &Value) {
        if let Some(held) = self.state().held.get(key) {
            held.send_replace(Some(Arc::clone(value)));
        }
    }

    /// The value under the key, or the lease on making it; waits while another holds that.
    ///
    /// Whoever waits tries once if a holder fails, and fails if the next one does too: were each to try in turn, the
    /// last would wait for all of them.
    pub(super) async fn read_or_acquire(
        self: Arc<Self>,
        backend: Arc<dyn Backend>,
        key: String,
    ) -> Result<CommandOutput<Lease>, Error> {
        let mut failures = 0;
        loop {
            let dropped = self.state().dropped;
            if let Some(value) = backend::read(&*backend, &key).await? {
                return Ok(CommandOutput::Value(Some(value)));
            }
            if failures == FAILURES {
                let message = "the value could not be computed: its computation failed, and so did the next attempt";
                return Err(Error::new(ErrorCode::Unavailable, message));
            }
            match self.try_acquire(&key, dropped) {
                AcquireOutcome::Acquired { lease, seen: true } => return Ok(CommandOutput::Leased(lease)),
                // The value may have been made between the look and the lease.
                AcquireOutcome::Acquired { lease, seen: false } => {
                    let value = backend::read(&*backend, &key).await?;
                    return Ok(value.map_or(CommandOutput::Leased(lease), |value| CommandOutput::Value(Some(value))));
                }
                // This ends with the value, or when the other end is dropped.
                AcquireOutcome::Held(mut waits) => match waits.wait_for(Option::is_some).await {
                    Ok(value) => return Ok(CommandOutput::Value(value.clone())),
                    Err(_) => failures += 1,
                },
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.leases.state();
        // Whoever is woken finds the lease free.
        let woken = state.held.remove(&self.key);
        state.dropped += 1;
        drop((state, woken));
    }
}
