//! The clock on the wall, which cron lines are matched with.

use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use elias_delivery::civil::{date_of, days_of};
use std::cmp::Ordering;

const DAY_SECONDS: i64 = 86_400;

/// A time of the clock on the wall: seconds since 1970-01-01 00:00 of that clock. It has no time zone, so each time is
/// there exactly once; what a time zone leaves out or repeats is dealt with in `cron`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wall(pub(super) i64);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let (year, month, day) = date_of(self.0.div_euclid(DAY_SECONDS));
        let seconds = u32::try_from(self.0.rem_euclid(DAY_SECONDS)).unwrap_or_default();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::try_from(year).unwrap_or(i32::MAX), month, day),
            CivilTime::from_parts_unchecked(seconds / 3600, seconds / 60 % 60, seconds % 60),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        // 1970-01-01 was a Thursday.
        let days = (self.0.div_euclid(DAY_SECONDS) + 4).rem_euclid(7);
        Weekday::from_days_from_sunday(u32::try_from(days).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let days = days_of(civil.year().into(), civil.month(), civil.day());
        let seconds = civil.hour() * 3600 + civil.minute() * 60 + civil.second();
        Ok(Resolution::Single(Self(days * DAY_SECONDS + i64::from(seconds))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(seconds).map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        assert_eq!(Wall(0).civil_weekday(), Weekday::Thursday);
        assert_eq!(Wall(days_of(2026, 3, 29) * DAY_SECONDS + 5).civil_weekday(), Weekday::Sunday);
        assert_eq!(Wall(-1).civil_weekday(), Weekday::Wednesday);
    }
}
