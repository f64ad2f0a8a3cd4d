//! When ticks are due.

use super::InvalidRecurrence;
use super::cron::CronLine;
use elias_delivery::clock::Now;
use std::time::Duration;

/// Milliseconds of the shortest interval, and of the time between two due times of a cron line at least.
const INTERVAL_MS_MIN: u64 = 1_000;
/// Milliseconds of the longest interval: 366 days.
const INTERVAL_MS_MAX: u64 = 366 * 86_400_000;
/// How many due times are listed at most, whatever was asked for.
const LISTED_MAX: usize = 10_000;

/// When the ticks of a schedule are due. Due times are whole seconds, except those of an interval with a fraction.
#[derive(Debug, Clone)]
pub struct Recurrence(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Cron(Box<CronLine>),
    /// Milliseconds between due times, which are multiples of it since 1970: they do not depend on when a schedule was
    /// deployed.
    Every(u64),
}

/// Due times, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimes {
    /// The due times.
    pub times: Vec<Now>,
    /// Whether there are more of them.
    pub more: bool,
}

/// The latest of some due times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestDueTimes {
    /// The due times, the earliest first.
    pub times: Vec<Now>,
    /// Whether there are earlier ones that are not among them.
    pub earlier: bool,
}

impl Recurrence {
    /// A cron line of five POSIX fields, six with the second before them, or a nickname such as `@daily`, in an IANA
    /// time zone. Beyond POSIX: names of months and days, `L` (last), `W` (nearest weekday), `#` (nth weekday of the
    /// month), and `+` before the day of the week where the day of the month must match too.
    ///
    /// # Errors
    /// The field that is wrong with what it may be, a time zone that is none, or a line that is never due.
    pub fn cron(line: &str, timezone: &str) -> Result<Self, InvalidRecurrence> {
        Ok(Self(Kind::Cron(Box::new(CronLine::parse(line, timezone)?))))
    }

    /// An interval: due at its multiples since 1970-01-01 00:00 UTC, so `every = "15m"` is due at each quarter of an
    /// hour.
    ///
    /// # Errors
    /// An interval shorter than a second or longer than 366 days.
    pub fn every(interval: Duration) -> Result<Self, InvalidRecurrence> {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&interval_ms) {
            return Err(InvalidRecurrence::every("must be between 1s and 366 days"));
        }
        Ok(Self(Kind::Every(interval_ms)))
    }

    /// The first due time strictly after a moment; none if there is none within some fifty years.
    #[must_use]
    pub fn next_after(&self, after: Now) -> Option<Now> {
        let after_ms = after.unix_ms();
        match &self.0 {
            Kind::Cron(line) => {
                let second = line.next_after(i64::try_from(after_ms / 1_000).ok()?)?;
                Some(Now::from_unix_ms(u64::try_from(second).ok()?.checked_mul(1_000)?))
            }
            Kind::Every(interval_ms) => (after_ms / interval_ms + 1).checked_mul(*interval_ms).map(Now::from_unix_ms),
        }
    }

    /// The next due times strictly after a moment, at most 10,000.
    #[must_use]
    pub fn next(&self, after: Now, count: usize) -> Vec<Now> {
        let next = |last: &Now| self.next_after(*last);
        std::iter::successors(self.next_after(after), next).take(count.min(LISTED_MAX)).collect()
    }

    /// The due times strictly after `after` and not after `until`, at most `max` and 10,000.
    #[must_use]
    pub fn between(&self, after: Now, until: Now, max: usize) -> DueTimes {
        let max = max.min(LISTED_MAX);
        let due = std::iter::successors(self.next_after(after), |last| self.next_after(*last));
        let mut times: Vec<Now> = due.take_while(|due| *due <= until).take(max + 1).collect();
        let more = times.len() > max;
        times.truncate(max);
        DueTimes { times, more }
    }

    /// The latest due times that are strictly after `after` and not after `until`, at most `max` and 1,000. The work is
    /// bounded however many were due between: some thousands of due times are looked at for each halving of the time.
    #[must_use]
    pub fn latest(&self, after: Now, until: Now, max: usize) -> LatestDueTimes {
        let max = max.clamp(1, LISTED_MAX / 10);
        let (mut early, mut late) = (after.unix_ms(), until.unix_ms());
        let mut listed = self.between(after, until, max * 4);
        let earlier = listed.more;
        // A start after which there are at least `max` due times, and not more than are listed.
        while listed.more || (earlier && listed.times.len() < max) {
            let middle = early + late.saturating_sub(early) / 2;
            if middle == early {
                break;
            }
            listed = self.between(Now::from_unix_ms(middle), until, max * 4);
            if listed.more {
                early = middle;
            } else {
                late = middle;
            }
        }
        let mut times = listed.times;
        let dropped = times.len().saturating_sub(max);
        times.drain(..dropped);
        LatestDueTimes { times, earlier: earlier || dropped > 0 }
    }

    #[cfg(test)]
    pub(super) fn line(&self) -> &CronLine {
        match &self.0 {
            Kind::Cron(line) => line,
            Kind::Every(_) => panic!("an interval has no cron line"),
        }
    }
}
