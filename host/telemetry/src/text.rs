//! Bounds of texts.

/// The beginning of a text, in whole characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}
