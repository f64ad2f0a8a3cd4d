//! `batch` of `[[triggers.event]]`.

use super::error::{InvalidTrigger, Table};
use crate::duration::DurationText;
use elias_delivery::clock::Now;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// How many events a run is for, and how long they wait for one another. In elias.toml a number, or a table such as
/// `{ size = 50, wait = "2s" }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchConfig {
    /// The maximum number of events: 1 to 100. With 1 the handler `event` is run, with more the handler `events`.
    pub size: u32,
    /// How long an event waits for others until the batch is full: 10ms to 5m; none to run those that are ready.
    pub wait: Option<DurationText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchTable {
    size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait: Option<DurationText>,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { size: 1, wait: None }
    }
}

impl BatchConfig {
    /// How much longer a batch waits for others that has `ready` events at `now`, of which the first is ready since
    /// `since`. None: it is run, also if `since` is so far ahead that the clock must have been set back.
    #[must_use]
    pub fn pause(&self, ready: u32, since: Now, now: Now) -> Option<Duration> {
        let wait = self.wait?.get();
        let waited = Duration::from_millis(now.unix_ms().abs_diff(since.unix_ms()));
        if ready >= self.size { None } else { wait.checked_sub(waited).filter(|left| !left.is_zero()) }
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        table.within("batch", self.size, 1..=100)?;
        let Some(wait) = self.wait else { return Ok(()) };
        if self.size == 1 {
            return Err(table.error("batch.wait", "has no effect with size = 1: there is nothing to wait for"));
        }
        table.within("batch.wait", wait, DurationText::from_millis(10)..=DurationText::from_secs(300))
    }
}

impl Serialize for BatchConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.wait {
            None => serializer.serialize_u32(self.size),
            Some(_) => BatchTable { size: self.size, wait: self.wait }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BatchConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BatchVisitor)
    }
}

/// An untagged enum would say of a mistake in the table only that nothing fits.
struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = BatchConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table such as { size = 50, wait = \"2s\" }")
    }

    fn visit_u64<E: Error>(self, size: u64) -> Result<BatchConfig, E> {
        let invalid = |_| E::invalid_value(Unexpected::Unsigned(size), &self);
        u32::try_from(size).map(|size| BatchConfig { size, wait: None }).map_err(invalid)
    }

    fn visit_i64<E: Error>(self, size: i64) -> Result<BatchConfig, E> {
        let invalid = |_| E::invalid_value(Unexpected::Signed(size), &self);
        u32::try_from(size).map(|size| BatchConfig { size, wait: None }).map_err(invalid)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BatchConfig, A::Error> {
        let BatchTable { size, wait } = BatchTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(BatchConfig { size, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(ms: u64) -> Now {
        Now::from_unix_ms(ms)
    }

    #[test]
    fn a_batch_waits_until_it_is_full_or_has_waited_long_enough() {
        let batch = BatchConfig { size: 3, wait: Some(DurationText::from_millis(200)) };
        for (ready, since, now, expected) in [
            (1, 1_000, 1_000, Some(200)),
            (2, 1_000, 1_150, Some(50)),
            (2, 1_000, 1_199, Some(1)),
            (1, 1_000, 1_200, None),
            (1, 1_000, 90_000, None),
            (3, 1_000, 1_000, None),
            (4, 1_000, 1_000, None),
            // Another transaction was later by a moment; the clock was set back.
            (1, 1_000, 995, Some(195)),
            (1, 1_000, 400, None),
            (1, 9_000_000, 400, None),
        ] {
            let pause = batch.pause(ready, at(since), at(now));
            assert_eq!(pause, expected.map(Duration::from_millis), "{ready} {since} {now}");
        }
        assert_eq!(BatchConfig { size: 3, wait: None }.pause(1, at(0), at(0)), None);
    }

    #[test]
    fn it_is_a_number_or_a_table() {
        let read = |value: Value| serde_json::from_value::<BatchConfig>(value);
        let wait = Some(DurationText::from_secs(2));
        for (value, batch) in [
            (json!(10), BatchConfig { size: 10, wait: None }),
            (json!({ "size": 50, "wait": "2s" }), BatchConfig { size: 50, wait }),
        ] {
            assert_eq!(read(value.clone()).expect("a batch"), batch);
            assert_eq!(serde_json::to_value(batch).expect("JSON"), value);
        }
        assert_eq!(read(json!({ "size": 5 })).expect("a batch"), BatchConfig { size: 5, wait: None });
        for (wrong, part) in [
            (json!("ten"), "such as { size = 50"),
            (json!(-1), "such as { size = 50"),
            (json!(5_000_000_000_u64), "such as { size = 50"),
            (json!({ "wait": "2s" }), "missing field `size`"),
            (json!({ "size": 5, "waits": "2s" }), "unknown field `waits`"),
            (json!({ "size": 5, "wait": "2" }), "not a duration"),
        ] {
            let error = read(wrong.clone()).expect_err("not a batch").to_string();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }
}
