//! Messages as events, and events as messages.

use crate::config::{InboundConfig, OutboundConfig, is_subject};
use async_nats::header::{HeaderMap, HeaderValue};
use async_nats::{Message, Subject};
use elias_triggers::event::{CONTENT_TYPE, Event, EventData};
use serde_json::Value;

/// The header by which JetStream and the log leave out what they have seen.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header with the media type, as CloudEvents have it for NATS, and as others write it.
const CONTENT_TYPES: [&str; 2] = ["content-type", "Content-Type"];
/// The prefix of the source of an event that was a message.
const SOURCE_PREFIX: &str = "urn:nats:";

/// The event that a message becomes; `sequence` is its number in the stream. A message that is an event in the JSON
/// format of CloudEvents is taken as it is.
///
/// # Errors
/// Why it can never be one.
pub(crate) fn event_of(message: &Message, sequence: u64, config: &InboundConfig) -> Result<Event, String> {
    let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(HeaderValue::as_str);
    let media_type = CONTENT_TYPES.into_iter().find_map(header).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let data = if message.payload.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&message.payload) };
    let data = data.map_err(|error| format!("the payload must be JSON: {error}"))?;
    if media_type == CONTENT_TYPE {
        return Event::from_json(data).map_err(|error| error.to_string());
    }
    let id = header(MESSAGE_ID).map_or_else(|| format!("seq-{sequence}"), str::to_owned);
    let subject = message.subject.as_str();
    let event = Event {
        subject: Some(subject.to_owned()),
        data: EventData::Json(data),
        ..Event::new(id, config.type_of(subject), format!("{SOURCE_PREFIX}{}", config.stream))
    };
    event.check().map_err(|error| error.to_string())?;
    Ok(event)
}

/// Whether an event was a message of NATS: it is not sent back.
pub(crate) fn is_from_nats(event: &Event) -> bool {
    event.source.starts_with(SOURCE_PREFIX)
}

/// A message that is to be published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: Subject,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: String,
}

/// The message that an event becomes: an event in the JSON format. Its id is the event's with the source, since two
/// sources may have events of one id.
///
/// # Errors
/// Why it can never be one.
pub(crate) fn message_of(event: &Event, config: &OutboundConfig) -> Result<Outgoing, String> {
    let subject = config.subject_of(&event.event_type);
    if !is_subject(&subject) || subject.contains(['*', '>']) {
        return Err(format!("{} is not a subject", subject.escape_debug()));
    }
    let id = format!("{} {}", event.source, event.id).parse::<HeaderValue>();
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, id.map_err(|error| format!("its id: {error}"))?);
    headers.insert(CONTENT_TYPES[0], CONTENT_TYPE);
    Ok(Outgoing { subject: Subject::from(subject), headers, payload: event.to_json().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inbound() -> InboundConfig {
        serde_json::from_value(json!({ "stream": "ORDERS", "consumer": "elias", "tenant": "acme" })).expect("settings")
    }

    fn message(payload: &str, headers: &[(&str, &str)]) -> Message {
        let mut all = HeaderMap::new();
        headers.iter().for_each(|(name, value)| all.insert(*name, *value));
        Message {
            subject: "orders.new".into(),
            reply: None,
            payload: payload.to_owned().into(),
            headers: Some(all),
            status: None,
            description: None,
            length: payload.len(),
        }
    }

    #[test]
    fn a_message_becomes_an_event_by_its_id_or_its_number() {
        let event = event_of(&message("{\"total\":5}", &[(MESSAGE_ID, "o-1")]), 7, &inbound()).expect("an event");
        assert_eq!((event.id.as_str(), event.event_type.as_str()), ("o-1", "nats.orders.new"));
        assert_eq!((event.source.as_str(), event.subject.as_deref()), ("urn:nats:ORDERS", Some("orders.new")));
        assert_eq!(event.data, EventData::Json(json!({ "total": 5 })));
        assert!(is_from_nats(&event));
        assert_eq!(event_of(&message("", &[]), 7, &inbound()).expect("an event").id, "seq-7");
        let whole = json!({ "specversion": "1.0", "id": "1", "type": "a.b", "source": "/tills/7" }).to_string();
        let media_type = [("Content-Type", "application/cloudevents+json; charset=utf-8")];
        let event = event_of(&message(&whole, &media_type), 7, &inbound()).expect("an event");
        assert_eq!((event.event_type.as_str(), event.source.as_str()), ("a.b", "/tills/7"));
        for (payload, headers) in [("no JSON", (MESSAGE_ID, "1")), ("{}", media_type[0]), ("{}", (MESSAGE_ID, ""))] {
            assert!(event_of(&message(payload, &[headers]), 7, &inbound()).is_err(), "{payload} {headers:?}");
        }
    }

    #[test]
    fn an_event_becomes_a_message_with_its_source_and_id() {
        let outbound = json!({ "name": "all", "tenant": "acme", "type": "**" });
        let outbound: OutboundConfig = serde_json::from_value(outbound).expect("settings");
        let message = message_of(&Event::new("1", "order.paid", "/tills/7"), &outbound).expect("a message");
        assert_eq!(message.subject.as_str(), "elias.acme.order.paid");
        assert_eq!(message.headers.get(MESSAGE_ID).map(HeaderValue::as_str), Some("/tills/7 1"));
        assert!(message.payload.contains("\"type\":\"order.paid\""), "{}", message.payload);
        for wrong in ["order paid", "order.*", "a..b"] {
            assert!(message_of(&Event::new("1", wrong, "/tills/7"), &outbound).is_err(), "{wrong}");
        }
    }
}
