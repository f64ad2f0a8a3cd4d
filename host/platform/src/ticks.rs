//! The ticks of a task that ends with its platform.

use crate::platform::{Inner, Platform};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Ticks at an interval, the first at once. One that was late moves those after it, rather than have them come in a
/// row.
pub(crate) struct PlatformTicks {
    platform: Weak<Inner>,
    ticks: Interval,
}

impl PlatformTicks {
    /// The ticks of a task of this platform, which they do not keep.
    pub(crate) fn new(platform: &Platform, every: Duration) -> Self {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { platform: Arc::downgrade(&platform.inner), ticks }
    }

    /// Waits for the next tick; gives the platform, or none once it has ended.
    pub(crate) async fn next(&mut self) -> Option<Platform> {
        self.ticks.tick().await;
        self.platform.upgrade().map(Platform::of)
    }
}
