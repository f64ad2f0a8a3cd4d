//! Header fields: lists, weights, entity tags and `Vary` (RFC 9110).

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The elements of a field that is a list (RFC 9110, section 5.6.1), of all its lines; commas within quotes part
/// nothing. Values that are not ASCII have no elements.
pub(crate) fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| split_unquoted(line, ',')).map(str::trim).filter(|element| !element.is_empty())
}

/// The parts between the separators which are not within quotes.
pub(crate) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// An element without its parameters, and its weight in thousandths (RFC 9110, section 12.4.2). A malformed weight is
/// 0.
pub(crate) fn weighted(element: &str) -> (&str, u16) {
    let mut parts = split_unquoted(element, ';').map(str::trim);
    let value = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (value, weight.map_or(1000, |text| parse_weight(text).unwrap_or(0)))
}

fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The value of a field that is there once.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    /// A weak tag is equal to none.
    Strong,
    /// Tags are equal whether they are weak or not.
    Weak,
}

/// Whether the list of entity tags in a field, such as `If-None-Match`, has the strong tag `tag`, or is `*`.
pub(crate) fn lists_entity_tag(
    headers: &HeaderMap,
    field: &HeaderName,
    tag: &HeaderValue,
    comparison: Comparison,
) -> bool {
    elements(headers, field).any(|listed| {
        let opaque = match comparison {
            Comparison::Weak => listed.strip_prefix("W/").unwrap_or(listed),
            Comparison::Strong => listed,
        };
        listed == "*" || opaque.as_bytes() == tag.as_bytes()
    })
}

/// Adds a name to `Vary`, unless it is there.
pub(crate) fn add_vary(headers: &mut HeaderMap, name: &HeaderName) {
    let known = elements(headers, &VARY).any(|element| element == "*" || element.eq_ignore_ascii_case(name.as_str()));
    if !known {
        headers.append(VARY, HeaderValue::from(name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCEPT;

    #[test]
    fn lists_are_read_over_lines_and_around_quotes() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("a/b;x=\"1,\\\",2\" , c/d;q=0.5,,"));
        headers.append(ACCEPT, HeaderValue::from_static("e/f"));
        headers.append(ACCEPT, HeaderValue::from_bytes(b"\xff, g/h").expect("a value"));
        let read: Vec<_> = elements(&headers, &ACCEPT).map(weighted).collect();
        assert_eq!(read, [("a/b", 1000), ("c/d", 500), ("e/f", 1000)]);
    }

    #[test]
    fn weights_have_three_digits_at_most() {
        for (text, weight) in [
            ("a;q=1", 1000),
            ("a;q=1.000", 1000),
            ("a;q=0.001", 1),
            ("a; Q=0.5", 500),
            ("a;q=0", 0),
            ("a;q=2", 0),
            ("a;q=1.5", 0),
            ("a;q=0.0001", 0),
            ("a;q=-1", 0),
            ("a;q=", 0),
            ("a;q=0.", 0),
            ("a;x=\"q=0\"", 1000),
        ] {
            assert_eq!(weighted(text), ("a", weight), "{text}");
        }
    }

    #[test]
    fn vary_has_each_name_once() {
        let mut headers = HeaderMap::new();
        add_vary(&mut headers, &ACCEPT);
        add_vary(&mut headers, &ACCEPT);
        assert_eq!(headers.get_all(VARY).iter().count(), 1);
        headers.insert(VARY, HeaderValue::from_static("*"));
        add_vary(&mut headers, &ACCEPT);
        assert_eq!(headers.get_all(VARY).iter().count(), 1);
    }
}
