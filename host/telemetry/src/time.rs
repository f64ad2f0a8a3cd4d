//! Times as others write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the year 9999, in milliseconds since 1970.
const END_MS: u64 = 253_402_300_799_000;

/// A time in milliseconds since 1970, moved into the years 1970 to 9999, which RFC 3339 can write.
pub(crate) fn system_time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0).min(END_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_written() {
        let written = |ms| humantime::format_rfc3339_seconds(system_time(ms)).to_string();
        assert_eq!(written(i64::MIN), "1970-01-01T00:00:00Z");
        assert_eq!(written(90_500), "1970-01-01T00:01:30Z");
        assert_eq!(written(i64::MAX), "9999-12-31T23:59:59Z");
    }
}
