//! Numbers in JSON that JavaScript would read as another value.

/// Whether every number in a JSON text is one that JavaScript has: `1e400`, which jsonb keeps, would become Infinity.
/// The text comes from the server, and is JSON.
pub(super) fn fits_javascript(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while at < bytes.len() && matches!(bytes[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    at += 1;
                }
                // Shorter ones without an exponent cannot be too large.
                let number = &json[start..at];
                let small = number.len() < 300 && !number.contains(['e', 'E']);
                if !small && !number.parse::<f64>().is_ok_and(f64::is_finite) {
                    return false;
                }
            }
            _ => at += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_too_large_are_found() {
        let long = "9".repeat(400);
        for (json, fits) in [
            ("1", true),
            ("[1e308, -1.5E+300, 1e-400, 0]", true),
            ("\"1e400\"", true),
            ("{\"a\\\"1e400\": \"\\\\\", \"b\": 2}", true),
            ("1e400", false),
            ("[{\"a\": -1E309}]", false),
            (&long, false),
            ("[\"\\\\\", 1e400]", false),
        ] {
            assert_eq!(fits_javascript(json), fits, "{json}");
        }
    }
}
