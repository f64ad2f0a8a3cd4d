//! Dates as texts, as JavaScript's `toISOString` writes them.

use elias_delivery::civil::date_of;

const DAY_MS: i64 = 86_400_000;

/// The furthest that a Date is from 1970, in milliseconds.
const TIME_MAX: i64 = 8_640_000_000_000_000;

/// The time so many milliseconds after 1970, such as `2026-03-29T12:00:00.000Z`; none if no Date has it.
pub(super) fn iso(ms: i64) -> Option<String> {
    if !(-TIME_MAX..=TIME_MAX).contains(&ms) {
        return None;
    }
    let (day, time) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, date) = date_of(day);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    };
    let (hours, minutes) = (time / 3_600_000, time / 60_000 % 60);
    let (seconds, milliseconds) = (time / 1_000 % 60, time % 1_000);
    Some(format!("{year}-{month:02}-{date:02}T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_javascript_writes_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_774_785_600_123, "2026-03-29T12:00:00.123Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (TIME_MAX, "+275760-09-13T00:00:00.000Z"),
            (-TIME_MAX, "-271821-04-20T00:00:00.000Z"),
        ] {
            assert_eq!(iso(ms).as_deref(), Some(text), "{ms}");
        }
        assert_eq!((iso(TIME_MAX + 1), iso(i64::MIN)), (None, None));
    }
}
