//! Schedules: when a tick is due, and what becomes of each due time.
//!
//! [`Recurrence`] says when ticks are due: a cron line in a time zone, or an interval. [`Schedule`] adds the policies
//! (overlap, catch-up, lateness) and decides for every due time that has come whether it is run or skipped and why.
//! Nothing is kept in memory: each look at a schedule is a function of its row in the store, and whoever inserts the
//! tick (schedule, due time) has fired it. So every host may look, and a host that dies loses nothing.
//!
//! **Daylight saving time** is treated as POSIX systems' cron (Vixie, ISC cron 4) treats it:
//!
//! - A line whose second, minute or hour begins with `*` follows the clock on the wall: nothing is due in an hour that
//!   is left out, and an hour that comes twice is run through twice.
//! - Any other line names fixed times of day. Those that are left out are due once, at the moment when the clock is set
//!   forward; those that come twice are due the first time only.

mod cron;
mod invalid;
mod machine;
mod policy;
mod recurrence;
mod wake;
mod wall;

#[cfg(test)]
mod tests;

pub use invalid::InvalidRecurrence;
pub use machine::{Decision, Schedule, ScheduleState, SkipReason, TickDecisions};
pub use policy::{CatchUp, Overlap};
pub use recurrence::{DueTimes, LatestDueTimes, Recurrence};
pub use wake::{PAUSE_MAX, PAUSE_MIN, poll_delay};
