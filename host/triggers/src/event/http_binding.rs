//! The HTTP protocol binding of CloudEvents 1.0: binary, structured and batched.

use super::attributes::{ExtensionValue, InvalidEvent};
use super::cloud_event::{Event, EventData};
use http::header::CONTENT_TYPE as CONTENT_TYPE_HEADER;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::fmt::Write;

/// The media type of an event in the JSON format.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The media type of a JSON array of events.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";
/// Events of the largest batch.
pub const EVENTS_MAX: usize = 1_000;

const PREFIX: &str = "ce-";

/// Reads the events of a request or response: one in binary or structured mode, or a batch. The mode is told by the
/// media type; `body` must have a bound of its own.
///
/// # Errors
/// A message without an event, a batch of more than 1,000, or the first event that is not one.
pub fn read_http(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Event>, InvalidEvent> {
    let media_type = headers.get(CONTENT_TYPE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        CONTENT_TYPE => Ok(vec![Event::from_json(parse("the event", body)?)?]),
        BATCH_CONTENT_TYPE => match parse("the batch", body)? {
            Value::Array(events) if events.len() <= EVENTS_MAX => events.into_iter().map(Event::from_json).collect(),
            Value::Array(_) => Err(InvalidEvent::new("the batch", format!("must have at most {EVENTS_MAX} events"))),
            _ => Err(InvalidEvent::new("the batch", "must be a JSON array")),
        },
        other if other.starts_with("application/cloudevents") => Err(InvalidEvent::new(
            "the event",
            format!("must be in the JSON format ({CONTENT_TYPE}) or in binary mode"),
        )),
        _ => Ok(vec![read_binary(headers, media_type, body)?]),
    }
}

fn parse(name: &str, body: &[u8]) -> Result<Value, InvalidEvent> {
    serde_json::from_slice(body).map_err(|error| InvalidEvent::new(name, format!("must be JSON: {error}")))
}

/// Binary mode: attributes are headers that begin with `ce-`, the data are the body.
fn read_binary(headers: &HeaderMap, media_type: &str, body: &[u8]) -> Result<Event, InvalidEvent> {
    let attribute = |name: &str| -> Result<Option<String>, InvalidEvent> {
        let value = headers.get(format!("{PREFIX}{name}"));
        value.map(|value| decode(name, value)).transpose()
    };
    let required = |name: &str| attribute(name)?.ok_or_else(|| InvalidEvent::new(name, "is missing"));
    if required("specversion")? != "1.0" {
        return Err(InvalidEvent::new("specversion", "must be \"1.0\""));
    }
    let mut event = Event::new(required("id")?, required("type")?, required("source")?);
    event.subject = attribute("subject")?;
    event.time = attribute("time")?;
    event.dataschema = attribute("dataschema")?;
    event.datacontenttype = (!media_type.is_empty()).then(|| media_type.to_owned());
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else { continue };
        if matches!(name, "specversion" | "id" | "type" | "source" | "subject" | "time" | "dataschema") {
            continue;
        }
        event.extensions.insert(name.to_owned(), ExtensionValue::Text(decode(name, value)?));
    }
    event.data = match body {
        [] => EventData::None,
        _ if event.has_json_data() => EventData::Json(parse("data", body)?),
        _ => match std::str::from_utf8(body) {
            Ok(text) if media_type.starts_with("text/") => EventData::Json(Value::from(text)),
            Ok(_) | Err(_) => EventData::Binary(body.to_vec()),
        },
    };
    event.check()?;
    Ok(event)
}

/// The headers and the body of an event in binary mode.
///
/// # Errors
/// An event that [`Event::check`] refuses.
pub fn write_binary(event: &Event) -> Result<(HeaderMap, Vec<u8>), InvalidEvent> {
    event.check()?;
    let mut headers = HeaderMap::new();
    let mut write = |name: &str, text: &str| -> Result<(), InvalidEvent> {
        let invalid = || InvalidEvent::new(name, "is not an HTTP header");
        let header = HeaderName::try_from(format!("{PREFIX}{name}")).map_err(|_| invalid())?;
        headers.insert(header, HeaderValue::try_from(encode(text)).map_err(|_| invalid())?);
        Ok(())
    };
    for name in ["specversion", "id", "type", "source", "subject", "time", "dataschema"] {
        if let Some(Value::String(text)) = event.attribute(name) {
            write(name, &text)?;
        }
    }
    for (name, value) in &event.extensions {
        write(name, &value.to_text())?;
    }
    let body = match &event.data {
        EventData::None => Vec::new(),
        EventData::Json(Value::String(text)) if !event.has_json_data() => text.clone().into_bytes(),
        EventData::Json(value) => value.to_string().into_bytes(),
        EventData::Binary(bytes) => bytes.clone(),
    };
    let default = match event.data {
        EventData::None => None,
        EventData::Json(_) => Some("application/json"),
        EventData::Binary(_) => Some("application/octet-stream"),
    };
    if let Some(media_type) = event.datacontenttype.as_deref().or(default) {
        let value = HeaderValue::try_from(media_type);
        headers.insert(
            CONTENT_TYPE_HEADER,
            value.map_err(|_| InvalidEvent::new("datacontenttype", "is not an HTTP header"))?,
        );
    }
    Ok((headers, body))
}

/// Percent-encodes what the binding wants encoded (section 3.1.3.2): spaces, quotes, percent signs, and all that is not
/// printable ASCII.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, 0x21..=0x7E) && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // a String takes all
        }
    }
    encoded
}

/// Undoes [`encode`]; a percent sign without two hexadecimal digits stands for itself.
fn decode(name: &str, value: &HeaderValue) -> Result<String, InvalidEvent> {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        let escaped = bytes.get(position + 1..position + 3).filter(|_| bytes[position] == b'%');
        let byte = escaped.and_then(|digits| {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
        });
        decoded.push(byte.unwrap_or(bytes[position]));
        position += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).map_err(|_| InvalidEvent::new(name, "must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(*name), HeaderValue::from_bytes(value.as_bytes()).expect("a header"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn binary_mode_has_attributes_in_headers() {
        let headers = headers(&[
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-type", "order.paid"),
            ("ce-source", "/shop"),
            ("ce-subject", "Euro%20%E2%82%AC%20100%"),
            ("ce-traceparent", "00-a"),
            ("content-type", "application/json"),
        ]);
        let event = read_http(&headers, br#"{"total":100}"#).expect("an event").remove(0);
        assert_eq!(event.subject.as_deref(), Some("Euro € 100%"));
        assert_eq!(event.extensions["traceparent"], ExtensionValue::Text("00-a".to_owned()));
        assert_eq!(event.data, EventData::Json(json!({"total": 100})));
        let (written, body) = write_binary(&event).expect("headers");
        assert_eq!(written["ce-subject"], "Euro%20%E2%82%AC%20100%25");
        assert_eq!(read_http(&written, &body).expect("an event"), [event]);
    }

    #[test]
    fn texts_and_bytes_keep_their_media_type() {
        let mut event = Event::new("1", "t", "s");
        event.datacontenttype = Some("text/plain".to_owned());
        event.data = EventData::Json(json!("hello"));
        let (headers, body) = write_binary(&event).expect("headers");
        assert_eq!(
            (body.as_slice(), read_http(&headers, &body).expect("an event")),
            (&b"hello"[..], vec![event.clone()])
        );
        event.datacontenttype = Some("image/png".to_owned());
        event.data = EventData::Binary(vec![0x89, 0xFF]);
        let (headers, body) = write_binary(&event).expect("headers");
        assert_eq!(read_http(&headers, &body).expect("an event"), [event]);
    }

    #[test]
    fn structured_and_batched_messages_are_json() {
        let one = json!({"specversion": "1.0", "id": "1", "type": "t", "source": "s"});
        let structured = headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]);
        assert_eq!(read_http(&structured, one.to_string().as_bytes()).expect("an event").len(), 1);
        let batch = headers(&[("content-type", BATCH_CONTENT_TYPE)]);
        assert_eq!(read_http(&batch, json!([one, one]).to_string().as_bytes()).expect("two").len(), 2);
        assert!(read_http(&batch, b"[]").expect("none").is_empty());
        let many = Value::Array(vec![one.clone(); EVENTS_MAX + 1]).to_string();
        assert!(read_http(&batch, many.as_bytes()).expect_err("many").to_string().contains("at most 1000"));
        for (headers, body) in [
            (&structured, &b"{"[..]),
            (&batch, &b"{}"[..]),
            (&HeaderMap::new(), &b"{}"[..]),
            (&self::headers(&[("content-type", "application/cloudevents+avro")]), &b""[..]),
        ] {
            assert!(read_http(headers, body).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_subject_survives_the_headers(subject in "[^\\p{C}]{1,100}") {
            let mut event = Event::new("1", "t", "s");
            event.subject = Some(subject);
            prop_assume!(event.check().is_ok());
            let (headers, body) = write_binary(&event).expect("headers");
            prop_assert_eq!(read_http(&headers, &body).expect("an event"), vec![event]);
        }

        #[test]
        fn no_message_panics(body in proptest::collection::vec(any::<u8>(), 0..200), batch in any::<bool>()) {
            let media_type = if batch { BATCH_CONTENT_TYPE } else { CONTENT_TYPE };
            prop_assert!(read_http(&headers(&[("content-type", media_type)]), &body).is_err() || body.len() >= 2);
        }
    }
}
