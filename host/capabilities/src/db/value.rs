//! Sizes and type names of values, and the texts of times, UUIDs and decimal numbers.

use super::bindings::Value;

impl Value {
    /// Bytes that it counts for: 8, and its content.
    pub(crate) fn size(&self) -> u64 {
        let content = match self {
            Self::Text(text) | Self::Json(text) | Self::Uuid(text) | Self::Numeric(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) | Self::Timestamp(_) => 0,
        };
        8 + content as u64
    }

    /// The name of its type in messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Json(_) => "json",
            Self::Timestamp(_) => "timestamp",
            Self::Uuid(_) => "uuid",
            Self::Numeric(_) => "numeric",
        }
    }
}

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Year, month and day of a day since 1970, in the Gregorian calendar.
pub(crate) fn date(days: i64) -> (i64, u32, u32) {
    // Years that begin in March, so that the leap day is a year's last; eras of 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// `2026-01-31T12:00:00.000Z`, as JavaScript writes it, with microseconds where there are any. None out of the years 0
/// to 9999, of which texts sort as times do.
pub(crate) fn iso(microseconds: i64) -> Option<String> {
    let (year, month, day) = date(microseconds.div_euclid(DAY_MICROSECONDS));
    if !(0..=9_999).contains(&year) {
        return None;
    }
    Some(format!("{year:04}-{month:02}-{day:02}T{}Z", time(microseconds.rem_euclid(DAY_MICROSECONDS), true)))
}

/// `12:00:00.000`, of the microseconds of a day.
pub(crate) fn time(microseconds: i64, fraction: bool) -> String {
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if rest % 1_000 != 0 {
        text += &format!(".{rest:06}");
    } else if fraction || rest != 0 {
        text += &format!(".{:03}", rest / 1_000);
    }
    text
}

/// Whether a text is a UUID with hyphens.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a text is a decimal number.
pub(crate) fn is_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    (digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && exponent_fits) || text == "NaN"
}

#[cfg(test)]
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written() {
        assert_eq!(iso(0).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(-1).unwrap(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(iso(1_709_210_096_789_000).unwrap(), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso(i64::MAX), None);
        assert_eq!(iso(i64::MIN), None);
    }

    #[test]
    fn uuids_and_numbers_are_recognised() {
        assert!(is_uuid("3f2504e0-4f89-11d3-9a0c-0305e82c3301"));
        assert!(!is_uuid("3f2504e04f8911d39a0c0305e82c3301"));
        for text in ["1", "-1.5", ".5", "1e10", "12345678901234567890.123"] {
            assert!(is_numeric(text), "{text}");
        }
        for text in ["", ".", "-", "1e", "one", "1,5", "0x10"] {
            assert!(!is_numeric(text), "{text}");
        }
    }
}
