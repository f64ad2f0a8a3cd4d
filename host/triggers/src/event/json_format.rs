//! The JSON event format of CloudEvents 1.0.

use super::attributes::{ExtensionValue, InvalidEvent};
use super::cloud_event::{Event, EventData};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

impl Event {
    /// Reads an event in the JSON format.
    ///
    /// # Errors
    /// A value that is not an event; see [`Event::check`].
    pub fn from_json(value: Value) -> Result<Self, InvalidEvent> {
        let Value::Object(mut members) = value else {
            return Err(InvalidEvent::new("the event", "must be a JSON object"));
        };
        match members.remove("specversion") {
            Some(Value::String(version)) if version == "1.0" => {}
            _ => return Err(InvalidEvent::new("specversion", "must be \"1.0\"")),
        }
        let mut event = Self::new(
            required(&mut members, "id")?,
            required(&mut members, "type")?,
            required(&mut members, "source")?,
        );
        event.subject = optional(&mut members, "subject")?;
        event.time = optional(&mut members, "time")?;
        event.datacontenttype = optional(&mut members, "datacontenttype")?;
        event.dataschema = optional(&mut members, "dataschema")?;
        event.data = match (members.remove("data"), optional(&mut members, "data_base64")?) {
            (None, None) => EventData::None,
            (Some(data), None) => EventData::Json(data),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text);
                EventData::Binary(bytes.map_err(|_| InvalidEvent::new("data_base64", "must be Base64 (RFC 4648)"))?)
            }
            (Some(_), Some(_)) => return Err(InvalidEvent::new("data_base64", "must not stand beside data")),
        };
        // The other members are extensions. A null is as good as none.
        for (name, value) in members {
            let value = match value {
                Value::Null => continue,
                Value::Bool(value) => ExtensionValue::Boolean(value),
                Value::String(text) => ExtensionValue::Text(text),
                Value::Number(number) => {
                    let integer = number.as_i64().and_then(|number| i32::try_from(number).ok());
                    ExtensionValue::Integer(integer.ok_or_else(|| not_simple(&name))?)
                }
                Value::Array(_) | Value::Object(_) => return Err(not_simple(&name)),
            };
            event.extensions.insert(name, value);
        }
        event.check()?;
        Ok(event)
    }

    /// The event in the JSON format.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let attributes = ["specversion", "id", "type", "source", "subject", "time", "datacontenttype", "dataschema"];
        let mut members = Map::new();
        for name in attributes.into_iter().chain(self.extensions.keys().map(String::as_str)) {
            if let Some(value) = self.attribute(name) {
                members.insert(name.to_owned(), value);
            }
        }
        match &self.data {
            EventData::None => {}
            EventData::Json(value) => {
                members.insert("data".to_owned(), value.clone());
            }
            EventData::Binary(bytes) => {
                members.insert("data_base64".to_owned(), Value::from(STANDARD.encode(bytes)));
            }
        }
        Value::Object(members)
    }
}

fn required(members: &mut Map<String, Value>, name: &str) -> Result<String, InvalidEvent> {
    optional(members, name)?.ok_or_else(|| InvalidEvent::new(name, "is missing"))
}

fn optional(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, InvalidEvent> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidEvent::new(name, "must be a text")),
    }
}

fn not_simple(name: &str) -> InvalidEvent {
    InvalidEvent::new(name, "must be a text, a boolean or an integer of 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read_and_written() {
        let text = json!({
            "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/shop", "subject": "42",
            "time": "2026-03-29T12:00:00Z", "datacontenttype": "application/json",
            "dataschema": "https://example.com/s",
            "traceparent": "00-a", "attempts": 3, "test": true, "data": { "total": 100, "country": "uz" },
        });
        let event = Event::from_json(text.clone()).expect("an event");
        assert_eq!(event.extensions["attempts"], ExtensionValue::Integer(3));
        assert_eq!(event.time_ms(), Some(1_774_785_600_000));
        assert_eq!(event.to_json(), text);
        let binary = json!({"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data_base64": "AAEC"});
        let event = Event::from_json(binary.clone()).expect("an event");
        assert_eq!((&event.data, event.to_json()), (&EventData::Binary(vec![0, 1, 2]), binary));
    }

    #[test]
    fn what_is_not_an_event_is_refused_with_the_attribute() {
        let whole = json!({"specversion": "1.0", "id": "1", "type": "t", "source": "s"});
        for (attribute, member, value) in [
            ("specversion", "specversion", json!("0.3")),
            ("id", "id", json!(1)),
            ("type", "type", Value::Null),
            ("source", "source", json!("")),
            ("time", "time", json!("today")),
            ("data_base64", "data_base64", json!("%")),
            ("nested", "nested", json!({})),
            ("large", "large", json!(2_147_483_648u32)),
            ("Case", "Case", json!("a")),
        ] {
            let mut event = whole.clone();
            event[member] = value;
            assert_eq!(Event::from_json(event).expect_err(member).attribute(), attribute);
        }
        assert_eq!(Event::from_json(json!([])).expect_err("a list").to_string(), "the event must be a JSON object");
        let mut both = whole;
        both["data"] = json!(1);
        both["data_base64"] = json!("AA==");
        assert!(Event::from_json(both).is_err());
    }
}
