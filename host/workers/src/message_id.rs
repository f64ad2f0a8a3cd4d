//! The ids of messages.

/// Whether a text is a UUID as it is written (RFC 9562, 4), in lower-case digits: such ids of messages are random,
/// while a message that comes again has the id that its sender has for it.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = |(at, byte): (usize, u8)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { digit(byte) };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_form() {
        let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        assert!(is_uuid(id));
        let upper = id.to_uppercase();
        for other in ["", "01J9ZQ3V5N8K7M6P4R2T1W0XYZ", &id[1..], &upper, &id.replace('-', "0"), &id.replace('3', "é")]
        {
            assert!(!is_uuid(other), "{other}");
        }
    }
}
