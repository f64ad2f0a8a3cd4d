//! Bounds on short texts from components: names, types, keys.

/// Checks that a text has from 1 to `bytes_max` bytes and no control characters. The error says what is wrong, and that
/// it is so with `what`.
pub(crate) fn check(what: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    match text.len() {
        0 => Err(format!("{what} must not be empty")),
        bytes if bytes > bytes_max => Err(format!("{what} has {bytes} bytes; at most {bytes_max} are allowed")),
        _ if text.chars().any(char::is_control) => Err(format!("{what} must not contain control characters")),
        _ => Ok(()),
    }
}
