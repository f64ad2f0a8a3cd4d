//! How many requests are in a component at once, and how many may wait: the bulkhead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The door to a component, or to the whole host.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    places_max: usize,
    waiting: AtomicU32,
    waiting_max: u32,
    timeout: Duration,
}

/// A place in the component; given back when dropped.
pub type Place = OwnedSemaphorePermit;

impl Admission {
    /// A door that lets `places` in and `waiting_max` wait, each for `timeout` at most.
    #[must_use]
    pub fn new(places: u32, waiting_max: u32, timeout: Duration) -> Self {
        let places = (places.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            places_max: places,
            waiting: AtomicU32::new(0),
            waiting_max,
            timeout,
        }
    }

    /// Whether another door lets as many in.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.places_max == other.places_max
    }

    /// How many are inside.
    #[must_use]
    pub fn inside(&self) -> u32 {
        let inside = self.places_max.saturating_sub(self.places.available_permits());
        u32::try_from(inside).unwrap_or(u32::MAX)
    }

    /// Whether a place is free at this moment, without taking it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// A place, if there is one at once.
    #[must_use]
    pub fn try_enter(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place, at once or after waiting in turn; `None` if too many wait already or it took too long.
    pub async fn enter(&self) -> Option<Place> {
        if let Some(place) = self.try_enter() {
            return Some(place);
        }
        let _waiting = Waiting::begin(self)?;
        tokio::time::timeout(self.timeout, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
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
        let door = Admission::new(1, 1, Duration::from_secs(3600));
        let inside = door.enter().await.expect("the first gets in");
        let mut second = Box::pin(door.enter());
        assert!(second.as_mut().now_or_never().is_none(), "the second waits");
        assert!(!door.is_free());
        assert!(door.enter().await.is_none(), "the third is refused");
        drop(inside);
        assert!(second.await.is_some(), "the second gets the place of the first");
    }

    #[tokio::test]
    async fn who_leaves_the_queue_makes_room_in_it() {
        let door = Admission::new(1, 1, Duration::from_secs(3600));
        let _inside = door.enter().await;
        let mut second = Box::pin(door.enter());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert!(Box::pin(door.enter()).now_or_never().is_none(), "the next may wait again");
    }

    #[tokio::test]
    async fn waiting_ends() {
        let door = Admission::new(1, 1, Duration::from_millis(1));
        let _inside = door.enter().await;
        assert!(door.enter().await.is_none());
    }
}
