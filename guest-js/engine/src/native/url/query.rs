//! Reads application/x-www-form-urlencoded text (URL Standard, 5.1) pair by pair, without copying.

use std::borrow::Cow;
use url::form_urlencoded;

/// Iterates over the pairs of an ASCII text; names and values stay encoded.
pub(super) struct EncodedPairs<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for EncodedPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let end = self.0.iter().position(|&byte| byte == b'&').unwrap_or(self.0.len());
            let pair = &self.0[..end];
            self.0 = self.0.get(end + 1..).unwrap_or_default();
            if !pair.is_empty() {
                let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
                return Some((&pair[..equals], pair.get(equals + 1..).unwrap_or_default()));
            }
        }
        None
    }
}

/// Whether `encoded` decodes to `text`, which must be ASCII.
pub(super) fn decodes_to(mut encoded: &[u8], text: &[u8]) -> bool {
    for &wanted in text {
        let (byte, length) = match encoded {
            [b'+', ..] => (b' ', 1),
            [b'%', high, low, ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (*byte, 1),
            [] => return false,
        };
        if byte != wanted {
            return false;
        }
        encoded = &encoded[length..];
    }
    encoded.is_empty()
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Whether decoding would return the value unchanged.
pub(super) fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| !matches!(byte, b'%' | b'+'))
}

/// Decodes a value.
pub(super) fn decode(value: &[u8]) -> String {
    let pair = [b"=", value].concat();
    form_urlencoded::parse(&pair).next().map_or_else(String::new, |(_, value): (_, Cow<'_, str>)| value.into_owned())
}
