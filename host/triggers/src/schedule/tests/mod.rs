//! Tests of schedules: the calendar, the policies, and a simulation of many hosts on one store.

mod calendar;
mod daylight_saving;
mod policies;
mod simulation;
mod wake;

use elias_delivery::clock::Now;
use jiff::Timestamp;

/// The moment of an RFC 3339 time.
fn at(time: &str) -> Now {
    let ms = time.parse::<Timestamp>().expect(time).as_millisecond();
    Now::from_unix_ms(u64::try_from(ms).expect("since 1970"))
}

/// The moment as an RFC 3339 time in UTC, to the second.
fn text(moment: Now) -> String {
    let ms = i64::try_from(moment.unix_ms()).expect("a time of our era");
    Timestamp::from_millisecond(ms).expect("a time of our era").to_string()
}
