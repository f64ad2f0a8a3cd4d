//! The attributes of an event, as CloudEvents 1.0.2 (section 3, "Context Attributes") has them.

use jiff::Timestamp;
use serde_json::Value;

/// Bytes of the longest id and type.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Bytes of the longest source and schema.
pub(super) const URI_BYTES_MAX: usize = 2_048;
/// Bytes of the longest value of another attribute.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;
/// Extension attributes of an event.
pub(super) const EXTENSIONS_MAX: usize = 20;

/// An event that is not one by CloudEvents 1.0, or is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attribute} {what}")]
pub struct InvalidEvent {
    attribute: String,
    what: String,
}

impl InvalidEvent {
    pub(super) fn new(attribute: &str, what: impl Into<String>) -> Self {
        let attribute: String = attribute.chars().take(40).collect();
        Self { attribute: attribute.escape_debug().to_string(), what: what.into() }
    }

    /// The error's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "invalid-event"
    }

    /// The attribute that is wrong, or `the event`.
    #[must_use]
    pub fn attribute(&self) -> &str {
        &self.attribute
    }
}

/// The value of an extension attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionValue {
    /// A boolean.
    Boolean(bool),
    /// An integer of 32 bits.
    Integer(i32),
    /// A text.
    Text(String),
}

impl ExtensionValue {
    /// The value as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Boolean(value) => Value::from(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Text(value) => Value::from(value.as_str()),
        }
    }

    /// The value as a text (CloudEvents, "Type System": its canonical form).
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }
}

/// Names that are not for extensions, since the specification or its formats use them.
const RESERVED: [&str; 10] =
    ["specversion", "id", "type", "source", "subject", "time", "datacontenttype", "dataschema", "data", "attempt"];

pub(super) fn check_extension_name(name: &str) -> Result<(), InvalidEvent> {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !(1..=20).contains(&name.len()) || !letters {
        return Err(InvalidEvent::new(
            name,
            "is not an attribute's name: use 1 to 20 lower-case letters a to z and digits",
        ));
    }
    if RESERVED.contains(&name) {
        return Err(InvalidEvent::new(name, "is not an extension's name"));
    }
    Ok(())
}

/// A text that is not empty, not too long, and has no control characters and noncharacters.
pub(super) fn check_text(name: &str, text: &str, bytes_max: usize) -> Result<(), InvalidEvent> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(InvalidEvent::new(name, format!("must be a text of 1 to {bytes_max} bytes")));
    }
    let noncharacter = |code: u32| (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE;
    if text.chars().any(|character| character.is_control() || noncharacter(u32::from(character))) {
        return Err(InvalidEvent::new(name, "must not have control characters"));
    }
    Ok(())
}

/// A URI reference (RFC 3986, section 4.1), by its characters.
pub(super) fn check_uri_reference(name: &str, text: &str) -> Result<(), InvalidEvent> {
    check_text(name, text, URI_BYTES_MAX)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let mut escapes = text.split('%').skip(1);
    let escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.bytes().all(allowed) || !escapes.all(escaped) {
        return Err(InvalidEvent::new(
            name,
            "must be a URI reference (RFC 3986), such as /orders or https://example.com",
        ));
    }
    Ok(())
}

/// An absolute URI: a URI reference with a scheme.
pub(super) fn check_uri(name: &str, text: &str) -> Result<(), InvalidEvent> {
    check_uri_reference(name, text)?;
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !letters {
        return Err(InvalidEvent::new(name, "must be an absolute URI, such as https://example.com/schema"));
    }
    Ok(())
}

/// A media type (RFC 2046): type, subtype and perhaps parameters.
pub(super) fn check_media_type(name: &str, text: &str) -> Result<(), InvalidEvent> {
    check_text(name, text, VALUE_BYTES_MAX)?;
    let token = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(known)
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) && text.is_ascii() => Ok(()),
        _ => Err(InvalidEvent::new(name, "must be a media type, such as application/json")),
    }
}

/// A time of RFC 3339.
pub(super) fn check_time(name: &str, text: &str) -> Result<(), InvalidEvent> {
    match unix_ms(text) {
        Some(_) => Ok(()),
        None => Err(InvalidEvent::new(name, "must be a time of RFC 3339, such as 2026-03-29T12:00:00Z")),
    }
}

/// The milliseconds since 1970 of an RFC 3339 time; negative before. None for any other text.
pub(super) fn unix_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // The parser knows more than RFC 3339, such as weeks and names of time zones.
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let shaped = text.is_ascii()
        && (20..=40).contains(&text.len())
        && [0..4, 5..7, 8..10, 11..13, 14..16, 17..19].into_iter().all(digits)
        && [bytes[4], bytes[7], bytes[13], bytes[16]] == *b"--::"
        && matches!(bytes[10], b'T' | b't')
        && !text.contains(['[', ' ', ',']);
    if !shaped {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(unix_ms("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(unix_ms("1970-01-01T05:00:00.250+05:00"), Some(250));
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-13-01T00:00:00Z",
            "19700101T000000Z",
            "1970-01-01T00:00:00+01:00[Europe/Berlin]",
            "yesterday, at about noon",
        ] {
            assert_eq!(unix_ms(text), None, "{text}");
        }
    }

    #[test]
    fn attributes_are_checked_by_their_kinds() {
        assert!(check_uri_reference("source", "/orders/1%20a?x#y").is_ok());
        for source in ["", "a b", "a%2", "a%zz", "<a>", "ä", "a\n"] {
            assert!(check_uri_reference("source", source).is_err(), "{source}");
        }
        assert!(check_uri("dataschema", "https://example.com/s").is_ok() && check_uri("dataschema", "/s").is_err());
        assert!(check_media_type("datacontenttype", "application/cloudevents+json; charset=utf-8").is_ok());
        for media_type in ["json", "/json", "application/", "a b/c", ""] {
            assert!(check_media_type("datacontenttype", media_type).is_err(), "{media_type}");
        }
        assert!(check_extension_name("traceparent").is_ok());
        for name in ["", "Trace", "trace-parent", "data", "id", &"a".repeat(21)] {
            assert!(check_extension_name(name).is_err(), "{name}");
        }
        for text in ["", "a\u{7}", "\u{85}", "\u{FDD0}", "\u{1FFFE}", &"a".repeat(1_025)] {
            assert!(check_text("subject", text, VALUE_BYTES_MAX).is_err(), "{text:?}");
        }
    }
}
