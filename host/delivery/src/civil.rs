//! Dates of the Gregorian calendar by the days since 1970-01-01, for any year: a Date of JavaScript has years that no
//! date of `jiff` has.
//!
//! Years begin in March here, so that the leap day is the last of a year; an era has 400 of them (Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms", `days_from_civil` and `civil_from_days`).

/// Days from the first one of an era, 0000-03-01, to 1970-01-01.
const ERA_TO_1970: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// The days from 1970-01-01 to a date.
#[must_use]
pub fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - ERA_TO_1970
}

/// Year, month and day of a number of days since 1970-01-01.
#[must_use]
pub fn date_of(days: i64) -> (i64, u32, u32) {
    let days = days + ERA_TO_1970;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).unwrap_or_default();
    (year, small(month), small(day))
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
}
