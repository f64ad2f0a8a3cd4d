//! Checks that a text of a component is JSON that the host can parse later: an accepted text must not fail where nobody
//! waits for the result.

use elias_host::capability::{InstanceInfo, wasmtime};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::task::Poll;

/// Bytes of the longest JSON text that is taken from a component: what the handlers of triggers are given at most.
pub(crate) const PAYLOAD_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a text that is read or written where the guest runs; what is to be done with a longer one is done aside.
const INLINE_BYTES: usize = 16 << 10;

/// Returns the text if it is JSON, and otherwise the reason why it is not.
///
/// # Errors
/// A trap, if the execution's deadline passes meanwhile.
pub(crate) fn check(
    instance: &InstanceInfo,
    text: String,
) -> BoxFuture<'static, wasmtime::Result<Result<String, String>>> {
    let bytes = text.len();
    work_on(instance, bytes, move || read(text))
}

/// Runs work that takes time in proportion to a text of `bytes` bytes: on the guest's thread, or aside if the text is
/// long.
///
/// # Errors
/// A trap, if the execution's deadline passes meanwhile.
pub(crate) fn work_on<T: Send + 'static>(
    instance: &InstanceInfo,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, wasmtime::Result<T>> {
    if bytes <= INLINE_BYTES {
        return ready(Ok(work())).boxed();
    }
    let mut work = Some(work);
    instance.aside(move || work.take().map_or(Poll::Pending, |work| Poll::Ready(work()))).boxed()
}

/// The same as [`check`], at once.
pub(crate) fn read(text: String) -> Result<String, String> {
    match serde_json::from_str::<Checked>(&text) {
        Ok(Checked) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// Any JSON that fits into `serde_json::Value`: nested at most 128 deep, its numbers within those of a double. Unlike a
/// `Value` it takes no memory, and unlike serde's `IgnoredAny` it looks at depth and numbers.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_what_a_value_can_be_made_of() {
        let (deep, deeper) = ("[".repeat(127) + &"]".repeat(127), "[".repeat(128) + &"]".repeat(128));
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5e300",
            "1e999",
            "\"\\u00e9\"",
            "\"\\ud800\"",
            "[1,[2]]",
            r#"{"a":{"b":[{}]}}"#,
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{1:2}",
            "nul",
            "1 2",
            "'a'",
            &deep,
            &deeper,
        ] {
            let is_value = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(read(text.to_owned()).is_ok(), is_value, "{text}");
        }
        assert!(read(deep).is_ok());
        assert!(read(deeper).is_err());
    }
}
