//! The bulkhead of a component: how many requests it serves at once, and how many may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The concurrency limit of a component or of the whole host, with a bounded queue.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    slots_max: usize,
    waiting: AtomicU32,
    waiting_max: u32,
    timeout: Duration,
}

/// A slot of an [`Admission`]; released when dropped.
pub type Permit = OwnedSemaphorePermit;

impl Admission {
    /// Admits `slots` at once and lets `waiting_max` wait, each for `timeout` at most.
    #[must_use]
    pub fn new(slots: u32, waiting_max: u32, timeout: Duration) -> Self {
        let slots = (slots.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            slots_max: slots,
            waiting: AtomicU32::new(0),
            waiting_max,
            timeout,
        }
    }

    /// Whether another one has as many slots.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.slots_max == other.slots_max
    }

    /// Slots in use.
    #[must_use]
    pub fn inside(&self) -> u32 {
        let inside = self.slots_max.saturating_sub(self.slots.available_permits());
        u32::try_from(inside).unwrap_or(u32::MAX)
    }

    /// Whether a slot is free at this moment, without taking it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.slots.available_permits() > 0
    }

    /// A permit, if a slot is free.
    #[must_use]
    pub fn try_admit(&self) -> Option<Permit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// A permit, at once or after waiting in turn; `None` if too many wait already or it took too long.
    pub async fn enter(&self) -> Option<Permit> {
        if let Some(permit) = self.try_admit() {
            return Some(permit);
        }
        let _waiting = Waiting::begin(self)?;
        tokio::time::timeout(self.timeout, Arc::clone(&self.slots).acquire_owned()).await.ok()?.ok()
    }
}

/// One who waits; leaves the count also when its client hangs up.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(admission: &'a Admission) -> Option<Self> {
        let before = admission.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(&admission.waiting);
        (before < admission.waiting_max).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn lets_in_queues_and_refuses_in_that_order() {
        let admission = Admission::new(1, 1, Duration::from_secs(3600));
        let inside = admission.enter().await.expect("the first gets in");
        let mut second = Box::pin(admission.enter());
        assert!(second.as_mut().now_or_never().is_none(), "the second waits");
        assert!(!admission.is_free());
        assert!(admission.enter().await.is_none(), "the third is refused");
        drop(inside);
        assert!(second.await.is_some(), "the second gets the slot of the first");
    }

    #[tokio::test]
    async fn who_leaves_the_queue_makes_room_in_it() {
        let admission = Admission::new(1, 1, Duration::from_secs(3600));
        let _inside = admission.enter().await;
        let mut second = Box::pin(admission.enter());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert!(Box::pin(admission.enter()).now_or_never().is_none(), "the next may wait again");
    }

    #[tokio::test]
    async fn waiting_ends() {
        let admission = Admission::new(1, 1, Duration::from_millis(1));
        let _inside = admission.enter().await;
        assert!(admission.enter().await.is_none());
    }
}
