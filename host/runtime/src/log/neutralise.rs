//! Text of a guest, made safe for a terminal and for a log that has a line an event.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with control characters shown instead of obeyed, cut to some `bytes_max` bytes.
///
/// Newlines, NUL and the escape that begins ANSI sequences are control characters; so are the C1 ones, which some terminals
/// obey too. Tabs stay. Characters that turn the direction of text are shown as well (Unicode TR 36, section 2.10).
pub(super) fn neutralise(text: &str, bytes_max: usize) -> Cow<'_, str> {
    let end = text.floor_char_boundary(bytes_max);
    let kept = &text[..end];
    if end == text.len() && !kept.chars().any(is_unsafe) {
        return Cow::Borrowed(kept);
    }
    let mut safe = String::with_capacity(kept.len() + 16);
    for character in kept.chars() {
        if safe.len() >= bytes_max {
            break;
        }
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            unsafe_one if is_unsafe(unsafe_one) => {
                let _ = write!(safe, "\\u{{{:x}}}", unsafe_one as u32); // writing to a String cannot fail
            }
            other => safe.push(other),
        }
    }
    if end < text.len() {
        let _ = write!(safe, "... ({} bytes more)", text.len() - end);
    }
    Cow::Owned(safe)
}

fn is_unsafe(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::neutralise;

    #[test]
    fn shows_what_a_terminal_would_obey() {
        let check = |text, expected: &str| assert_eq!(neutralise(text, 100), expected);
        check("plain\ttext é", "plain\ttext é");
        check("two\nlines\r", "two\\nlines\\r");
        check("a\0b\x1b[31mred", "a\\u{0}b\\u{1b}[31mred");
        check("\u{9b}2J \u{202e}txt", "\\u{9b}2J \\u{202e}txt");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(neutralise("ééé", 3), "é... (4 bytes more)");
        assert_eq!(neutralise("abc", 0), "... (3 bytes more)");
    }
}
