//! Paths: the patterns of routes, and the check that a request's path has only one reading.
//!
//! Nothing is normalised. A route is chosen by the path's characters as they arrived, and the component gets the same
//! characters. A path that somebody behind the gateway could read as another one is refused instead.

use crate::problem::{Code, Refusal};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 512;

/// The most parameters of a pattern.
pub const MAX_PARAMS: usize = 16;

/// ASCII characters, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AsciiSet(u128);

impl AsciiSet {
    pub(crate) fn insert(&mut self, byte: u8) {
        if byte.is_ascii() {
            self.0 |= 1 << byte;
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, byte: u8) -> bool {
        byte.is_ascii() && self.0 & (1 << byte) != 0
    }
}

/// Checks a pattern and says which characters it writes plainly.
///
/// # Errors
/// The defect of a path.
pub(crate) fn check_pattern(pattern: &str) -> Result<AsciiSet, String> {
    let wrong = |what: &str| Err(format!("the path \"{}\" {what}", crate::problem::bounded(pattern)));
    if pattern.len() > MAX_PATTERN_BYTES {
        return wrong(&format!("has more than {MAX_PATTERN_BYTES} bytes"));
    }
    let Some(rest) = pattern.strip_prefix('/') else {
        return wrong("does not begin with \"/\"");
    };
    let mut literals = AsciiSet::default();
    let mut names = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            return wrong("has an empty segment");
        }
        if segment == "." || segment == ".." {
            return wrong("has a segment of dots");
        }
        let (literal, name) = match split_segment(segment) {
            Ok(parts) => parts,
            Err(what) => return wrong(what),
        };
        for byte in literal.iter().flat_map(|text| text.bytes()) {
            if !is_plain(byte) {
                return wrong(
                    "has a character that a path cannot have plainly: only letters, digits and -._~!$&'()*+,;=:@ \
                     can be told apart without doubt; take a parameter like {name} for anything else",
                );
            }
            literals.insert(byte);
        }
        let Some(name) = name else { continue };
        if literal != ["", ""] && !last {
            // Further ahead, the tree of patterns does not always find the most specific one.
            return wrong("has a parameter that is part of a segment, which only the last segment can have");
        }
        let name = match name.strip_prefix('*') {
            Some(_) if !last || segment.len() != name.len() + 2 => {
                return wrong("has a {*name} that is not the whole last segment");
            }
            Some(name) => name,
            None => name,
        };
        let is_name = |name: &str| {
            name.bytes().enumerate().all(|(i, byte)| {
                byte == b'_' || byte.is_ascii_alphabetic() || i > 0 && (byte == b'-' || byte.is_ascii_digit())
            })
        };
        if name.is_empty() || name.len() > 64 || !is_name(name) {
            return wrong("has a parameter without a proper name: write {name}, of letters, digits, _ and -");
        }
        if names.contains(&name) {
            return wrong("has two parameters of one name");
        }
        names.push(name);
    }
    if names.len() > MAX_PARAMS {
        return wrong(&format!("has more than {MAX_PARAMS} parameters"));
    }
    Ok(literals)
}

/// Splits a segment into the texts around its parameter, and the parameter's name.
fn split_segment(segment: &str) -> Result<([&str; 2], Option<&str>), &'static str> {
    let Some((before, rest)) = segment.split_once('{') else {
        return if segment.contains('}') { Err("has a \"}\" without \"{\"") } else { Ok(([segment, ""], None)) };
    };
    let (name, after) = rest.split_once('}').ok_or("has a \"{\" without \"}\"")?;
    if [before, name, after].iter().any(|part| part.contains(['{', '}'])) {
        return Err("has more than one parameter in a segment");
    }
    Ok(([before, after], Some(name)))
}

/// RFC 3986, section 3.3, `pchar`, without the percent sign.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Lets a path pass if there is one way to read it.
///
/// `literals` are the characters that patterns of the host write plainly: encoded, they would be the same to a
/// component which decodes before it looks, and another path to the patterns.
///
/// # Errors
/// [`Code::AmbiguousPath`], with a sentence that says what is wrong.
pub(crate) fn check_path(path: &str, literals: AsciiSet) -> Result<(), Refusal> {
    doubt(path, literals).map_or(Ok(()), |what| Err(Refusal::new(Code::AmbiguousPath).with_detail(what)))
}

fn doubt(path: &str, literals: AsciiSet) -> Option<&'static str> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Some("The path does not begin with a slash.");
    }
    let mut rest = bytes;
    let mut segment_begins = false;
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'/' if segment_begins => return Some("The path has two slashes in a row."),
            b'\\' => return Some("The path has a backslash."),
            b'.' if segment_begins && is_dots(rest) => return Some("The path has a segment of dots."),
            b'%' => {
                let Some(&[high, low]) = tail.first_chunk::<2>() else {
                    return Some("The path has an incomplete percent-encoding.");
                };
                let (Some(high), Some(low)) = (hex(high), hex(low)) else {
                    return Some("The path has a malformed percent-encoding.");
                };
                let encoded = high << 4 | low;
                if matches!(encoded, b'/' | b'\\') {
                    return Some("The path has a percent-encoded slash.");
                }
                if encoded.is_ascii_control() {
                    return Some("The path has a percent-encoded control character.");
                }
                if is_unreserved(encoded) || literals.contains(encoded) {
                    return Some("The path has a percent-encoding of a character that is written plainly.");
                }
            }
            // The URL Standard's path percent-encode set: a component's `Request` has these encoded.
            0..=0x20 | 0x7f.. | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' => {
                return Some("The path has a character that must be percent-encoded.");
            }
            _ => {}
        }
        segment_begins = byte == b'/';
        rest = tail;
    }
    None
}

/// Whether the segment that begins here is `.` or `..`.
fn is_dots(rest: &[u8]) -> bool {
    let segment = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
    matches!(segment, b"." | b"..")
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The text without its percent-encoding; nothing if that is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// The parameters that a pattern found in a path.
#[derive(Debug, Clone, Default)]
pub struct PathParams<'r, 'p>(matchit::Params<'r, 'p>);

impl<'r, 'p> PathParams<'r, 'p> {
    pub(crate) fn new(params: matchit::Params<'r, 'p>) -> Self {
        Self(params)
    }

    /// The names and values in the order of the path. Values are as in the path, percent-encoded.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'p str)> {
        self.0.iter()
    }

    /// The value of a parameter, as in the path.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'p str> {
        self.0.get(name)
    }

    /// The names and percent-decoded values; none for a value that is not UTF-8 then.
    pub fn decoded(&self) -> impl Iterator<Item = (&str, Option<Cow<'p, str>>)> {
        self.0.iter().map(|(name, value)| (name, decode(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        let mut literals = AsciiSet::default();
        literals.insert(b'@');
        for path in [
            "/", "/a", "/a/", "/a/b.c", "/...", "/.a", "/a..", "/a%20b", "/%C3%BC", "/a:b@c", "/%3A", "/%25", "/%7B",
            "/a|b",
        ] {
            assert_eq!(doubt(path, literals), None, "{path}");
        }
        let refused = [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E/a",
            "/.%2e/a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/%61dmin",
            "/%7Euser",
            "/a b",
            "/\u{fc}",
            "/%40me",
            "/r{&@",
            "/a}",
            "/\"a\"",
            "/<a>",
            "/a^b",
            "/a`b",
        ];
        for path in refused {
            assert!(doubt(path, literals).is_some(), "{path}");
        }
        assert_eq!(doubt("/%40me", AsciiSet::default()), None, "no pattern of this host writes an @");
        assert_eq!(check_path("//", literals).expect_err("refused").code(), Code::AmbiguousPath);
    }

    #[test]
    fn patterns_are_checked_and_the_message_names_them() {
        let good = [
            "/",
            "/orders",
            "/orders/",
            "/orders/{id}",
            "/{*rest}",
            "/files/{*rest}",
            "/img-{id}.png",
            "/v1/items:batch",
            "/users/@me",
            "/{a}/{b}/{c_d-2}",
        ];
        for pattern in good {
            check_pattern(pattern).expect(pattern);
        }
        let bad = [
            "", "orders", "//", "/a//b", "/./a", "/..", "/{}", "/{*}", "/{a}{b}", "/x{a}/b", "/{a}x/", "/{a", "/a}",
            "/{{a}}", "/{*a}/b", "/x{*a}", "/{a}/{a}", "/{1}", "/{a b}", "/a b", "/%61", "/\u{fc}", "/a?b", "/a\\b",
        ];
        for pattern in bad {
            let message = check_pattern(pattern).expect_err(pattern);
            assert!(message.contains(pattern), "{message}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(check_pattern(&format!("/{}", "a".repeat(MAX_PATTERN_BYTES - 1))).is_ok());
        assert!(check_pattern(&format!("/{}", "a".repeat(MAX_PATTERN_BYTES))).is_err());
        let params = |count: usize| (0..count).map(|i| format!("/{{p{i}}}")).collect::<String>();
        assert!(check_pattern(&params(MAX_PARAMS)).is_ok());
        assert!(check_pattern(&params(MAX_PARAMS + 1)).is_err());
    }
}
