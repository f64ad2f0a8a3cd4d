//! An event, as CloudEvents 1.0 defines it.

use super::attributes::{
    self, ExtensionValue, InvalidEvent, NAME_BYTES_MAX, VALUE_BYTES_MAX, check_extension_name, check_media_type,
    check_text, check_time, check_uri, check_uri_reference,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of the largest data of an event, as JSON or as they are.
pub const DATA_BYTES_MAX: usize = 256 * 1024;

/// An event of CloudEvents 1.0. The fields may be set freely; [`Self::check`] says whether they make an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Identifies the event among those of its source; at most 255 bytes.
    pub id: String,
    /// The type of the event, such as `order.paid`; at most 255 bytes.
    pub event_type: String,
    /// Where it happened: a URI reference of at most 2,048 bytes.
    pub source: String,
    /// The subject of the event, such as an order's number; at most 1,024 bytes.
    pub subject: Option<String>,
    /// When it happened: a time of RFC 3339.
    pub time: Option<String>,
    /// The media type of the data; JSON without it.
    pub datacontenttype: Option<String>,
    /// The URI of the data's schema.
    pub dataschema: Option<String>,
    /// Further attributes; at most 20.
    pub extensions: BTreeMap<String, ExtensionValue>,
    /// The data; at most 256 KiB.
    pub data: EventData,
}

/// The data of an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum EventData {
    /// There is none.
    #[default]
    None,
    /// A JSON value. A text, if `datacontenttype` is not JSON.
    Json(Value),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Event {
    /// An event without the attributes that it may lack.
    #[must_use]
    pub fn new(id: impl Into<String>, event_type: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            event_type: event_type.into(),
            source: source.into(),
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            extensions: BTreeMap::new(),
            data: EventData::None,
        }
    }

    /// Checks every attribute and the size of the data.
    ///
    /// # Errors
    /// The first attribute that CloudEvents 1.0 or a bound does not allow.
    pub fn check(&self) -> Result<(), InvalidEvent> {
        check_text("id", &self.id, NAME_BYTES_MAX)?;
        check_text("type", &self.event_type, NAME_BYTES_MAX)?;
        check_uri_reference("source", &self.source)?;
        self.subject.as_deref().map_or(Ok(()), |subject| check_text("subject", subject, VALUE_BYTES_MAX))?;
        self.time.as_deref().map_or(Ok(()), |time| check_time("time", time))?;
        self.datacontenttype.as_deref().map_or(Ok(()), |media_type| check_media_type("datacontenttype", media_type))?;
        self.dataschema.as_deref().map_or(Ok(()), |schema| check_uri("dataschema", schema))?;
        if self.extensions.len() > attributes::EXTENSIONS_MAX {
            return Err(InvalidEvent::new("the event", "has more than 20 extension attributes"));
        }
        for (name, value) in &self.extensions {
            check_extension_name(name)?;
            if let ExtensionValue::Text(text) = value {
                check_text(name, text, VALUE_BYTES_MAX)?;
            }
        }
        if self.data_bytes() > DATA_BYTES_MAX {
            return Err(InvalidEvent::new("data", format!("must have at most {DATA_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// The size of the data in bytes, as JSON or as they are.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        match &self.data {
            EventData::None => 0,
            EventData::Json(value) => value.to_string().len(),
            EventData::Binary(bytes) => bytes.len(),
        }
    }

    /// Milliseconds from 1970 to the event's time; negative before; none without a time.
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        self.time.as_deref().and_then(attributes::unix_ms)
    }

    /// Whether the data are JSON by their media type (RFC 2046 and the suffix `+json` of RFC 6839).
    #[must_use]
    pub fn has_json_data(&self) -> bool {
        self.datacontenttype.as_deref().is_none_or(is_json)
    }

    /// An attribute as JSON, also an extension; not the data.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let text = match name {
            "specversion" => Some("1.0"),
            "id" => Some(self.id.as_str()),
            "type" => Some(self.event_type.as_str()),
            "source" => Some(self.source.as_str()),
            "subject" => self.subject.as_deref(),
            "time" => self.time.as_deref(),
            "datacontenttype" => self.datacontenttype.as_deref(),
            "dataschema" => self.dataschema.as_deref(),
            _ => return self.extensions.get(name).map(ExtensionValue::to_json),
        };
        text.map(Value::from)
    }
}

/// Whether a media type is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.split_once('/').is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_and_the_data_are_checked() {
        let event = Event::new("1", "order.paid", "/shop");
        assert_eq!(event.check(), Ok(()));
        let extension = |text: &str| [("ext".to_owned(), ExtensionValue::Text(text.to_owned()))].into();
        let many = (0..21).map(|number| (format!("a{number}"), ExtensionValue::Integer(1))).collect();
        let broken: [(&str, Event); 15] = [
            ("id", Event { id: String::new(), ..event.clone() }),
            ("type", Event { event_type: "a\nb".to_owned(), ..event.clone() }),
            ("source", Event { source: "a b".to_owned(), ..event.clone() }),
            ("subject", Event { subject: Some(String::new()), ..event.clone() }),
            ("time", Event { time: Some("now".to_owned()), ..event.clone() }),
            ("datacontenttype", Event { datacontenttype: Some("json".to_owned()), ..event.clone() }),
            ("dataschema", Event { dataschema: Some("/schema".to_owned()), ..event.clone() }),
            ("Bad", Event { extensions: [("Bad".to_owned(), ExtensionValue::Integer(1))].into(), ..event.clone() }),
            ("data", Event { data: EventData::Binary(vec![0; DATA_BYTES_MAX + 1]), ..event.clone() }),
            ("id", Event { id: "a".repeat(256), ..event.clone() }),
            ("type", Event { event_type: "a".repeat(256), ..event.clone() }),
            ("source", Event { source: "a".repeat(2_049), ..event.clone() }),
            ("subject", Event { subject: Some("a".repeat(1_025)), ..event.clone() }),
            ("ext", Event { extensions: extension(&"a".repeat(1_025)), ..event.clone() }),
            ("the event", Event { extensions: many, ..event.clone() }),
        ];
        for (attribute, event) in broken {
            assert_eq!(event.check().expect_err(attribute).attribute(), attribute);
        }
    }

    #[test]
    fn media_types_say_whether_the_data_are_json() {
        for (media_type, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("a/b+json", true),
            ("text/plain", false),
        ] {
            assert_eq!(is_json(media_type), json, "{media_type}");
        }
    }
}
