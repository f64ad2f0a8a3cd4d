//! When to look at schedules again.

use elias_delivery::clock::Now;
use std::time::Duration;

/// The longest pause between two looks: another host may have armed a schedule meanwhile, or died.
pub const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The shortest pause between two looks, so that what is due at many moments is taken together.
pub const PAUSE_MIN: Duration = Duration::from_millis(20);

/// How long to wait after a look at `now` until the next one, by the next due time that is known: [`PAUSE_MIN`] to
/// [`PAUSE_MAX`].
#[must_use]
pub fn poll_delay(now: Now, next_due: Option<Now>) -> Duration {
    let until = |due: Now| Duration::from_millis(due.unix_ms().saturating_sub(now.unix_ms()));
    next_due.map_or(PAUSE_MAX, until).clamp(PAUSE_MIN, PAUSE_MAX)
}
