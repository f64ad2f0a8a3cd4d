//! The clock on the wall, which cron lines are matched with.

use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
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
            CivilDate::from_parts_unchecked(year, month, day),
            CivilTime::from_parts_unchecked(seconds / 3600, seconds / 60 % 60, seconds % 60),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        // 1970-01-01 was a Thursday.
        let days = (self.0.div_euclid(DAY_SECONDS) + 4).rem_euclid(7);
        Weekday::from_days_from_sunday(u32::try_from(days).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let days = days_of(civil.year(), civil.month(), civil.day());
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

/// The days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the leap day is the
/// last of a year.
fn days_of(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn date_of(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).unwrap_or_default();
    (i32::try_from(year).unwrap_or(i32::MAX), small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree_over_four_centuries() {
        assert_eq!((date_of(0), days_of(1970, 1, 1)), ((1970, 1, 1), 0));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        let mut before = (1969, 12, 31);
        for days in 0..150_000 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            assert!((year, month, day) > before && (1..=12).contains(&month) && (1..=31).contains(&day));
            before = (year, month, day);
        }
    }

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        assert_eq!(Wall(0).civil_weekday(), Weekday::Thursday);
        assert_eq!(Wall(days_of(2026, 3, 29) * DAY_SECONDS + 5).civil_weekday(), Weekday::Sunday);
        assert_eq!(Wall(-1).civil_weekday(), Weekday::Wednesday);
    }
}
