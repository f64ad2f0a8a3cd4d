//! Leases: of those who miss a value at once, one makes it.
//!
//! The holders of one component's leases are known to this host only. Two hosts that share a Redis may each make a value
//! once; that is the price of a lease that needs no clock, and that is free as soon as its holder is gone.

use super::backend::{self, Backend};
use super::contract::{Answer, Error};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The leases of one component.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By key, what tells that the lease was dropped: its other end is dropped with it.
    held: HashMap<Arc<str>, watch::Receiver<()>>,
    /// How many were dropped so far.
    dropped: u64,
}

/// The right to make a value. Dropping it, also with the instance that holds it, lets those who wait look again.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Arc<Leases>,
    key: Arc<str>,
    _wakes: watch::Sender<()>,
}

/// What became of the wish for a lease.
enum Taken {
    /// It is taken; `seen`: none was dropped since the value was looked for, so that nobody can have made it.
    Lease { lease: Lease, seen: bool },
    /// Another holds it.
    Held(watch::Receiver<()>),
}

impl Leases {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, key: &str, dropped: u64) -> Taken {
        let mut state = self.state();
        if let Some(waits) = state.held.get(key) {
            return Taken::Held(waits.clone());
        }
        let (wakes, waits) = watch::channel(());
        let key: Arc<str> = key.into();
        state.held.insert(Arc::clone(&key), waits);
        let seen = state.dropped == dropped;
        Taken::Lease { lease: Lease { leases: Arc::clone(self), key, _wakes: wakes }, seen }
    }

    /// The value under the key, or the lease on making it; waits while another holds that.
    pub(super) async fn read_or_take(self: Arc<Self>, backend: Arc<dyn Backend>, key: String) -> Result<Answer, Error> {
        loop {
            let dropped = self.state().dropped;
            if let Some(value) = backend::read(&*backend, &key).await? {
                return Ok(Answer::Value(Some(value)));
            }
            match self.take(&key, dropped) {
                Taken::Lease { lease, seen: true } => return Ok(Answer::Leased(lease)),
                // The value may have been made between the look and the lease.
                Taken::Lease { lease, seen: false } => {
                    let value = backend::read(&*backend, &key).await?;
                    return Ok(value.map_or(Answer::Leased(lease), |value| Answer::Value(Some(value))));
                }
                // Nothing is ever sent: this ends when the other end is dropped.
                Taken::Held(mut waits) => drop(waits.changed().await),
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.leases.state();
        state.held.remove(&self.key);
        state.dropped += 1;
        // Only then is `_wakes` dropped: who is woken finds the lease free.
    }
}
