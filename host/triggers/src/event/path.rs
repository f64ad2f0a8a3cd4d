//! Paths into events: an attribute, or a member of the data.

use super::{Event, EventData};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Bytes of the longest path.
pub(super) const PATH_BYTES_MAX: usize = 200;
/// Parts of the longest path.
const PATH_PARTS_MAX: usize = 16;

/// The name of an attribute (`subject`, `source`, an extension), or `data` with members of the data: `data.country`,
/// `data.items.0.sku`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventPath(Vec<String>);

impl EventPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What it must be, for a sentence that begins with it.
    pub(crate) fn parse(path: &str) -> Result<Self, &'static str> {
        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.len() > PATH_BYTES_MAX || parts.len() > PATH_PARTS_MAX || parts.iter().any(String::is_empty) {
            return Err("must be a path such as subject or data.country, of at most 200 bytes and 16 parts");
        }
        if parts.len() > 1 && parts[0] != "data" {
            return Err("must begin with data: attributes have no parts");
        }
        Ok(Self(parts))
    }

    /// The value there.
    pub(crate) fn value<'a>(&self, event: &'a Event) -> Option<Cow<'a, Value>> {
        let (first, rest) = self.0.split_first()?;
        if first != "data" {
            return event.attribute(first).map(Cow::Owned);
        }
        let EventData::Json(data) = &event.data else { return None };
        rest.iter().try_fold(data, |value, part| member(value, part)).map(Cow::Borrowed)
    }

    /// The same, in an event as structured JSON.
    pub(crate) fn value_in<'a>(&self, event: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(event.get(first)?, |value, part| member(value, part))
    }
}

fn member<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_and_its_json_have_the_same_values() {
        let mut event = Event::new("1", "order.paid", "/shop");
        event.subject = Some("user-42".to_owned());
        event.data = EventData::Json(json!({ "cart": { "id": 7 }, "items": [{ "sku": "A1" }] }));
        let Value::Object(json) = event.to_json() else { panic!("an object") };
        for (path, value) in [
            ("subject", Some(json!("user-42"))),
            ("type", Some(json!("order.paid"))),
            ("data.cart.id", Some(json!(7))),
            ("data.items.0.sku", Some(json!("A1"))),
            ("data.items.1.sku", None),
            ("data.cart.id.more", None),
            ("other", None),
        ] {
            let read = EventPath::parse(path).expect(path);
            assert_eq!(read.value(&event).map(Cow::into_owned), value, "{path}");
            assert_eq!(read.value_in(&json).cloned(), value, "{path}");
        }
    }

    #[test]
    fn paths_have_bounds() {
        assert!(EventPath::parse(&"a".repeat(200)).is_ok());
        let parts = |count: usize| ["data"].repeat(count).join(".");
        assert!(EventPath::parse(&parts(16)).is_ok());
        for wrong in ["", "data.", ".data", "subject.part", &parts(17), &"a".repeat(201)] {
            assert!(EventPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
