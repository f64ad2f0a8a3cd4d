//! Escapes the characters of a guest's text that control a terminal, end a line of the log, or are invisible.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_general_category::{GeneralCategory, get_general_category};

/// Escapes control and invisible characters of `text`, and truncates it to about `bytes_max` bytes. `cut` bytes after
/// it were cut before; the end says how many are missing in all.
///
/// It takes time in proportion to `bytes_max`, however long the text is.
pub(super) fn escape(text: &str, bytes_max: usize, cut: usize) -> Cow<'_, str> {
    let kept = &text[..text.floor_char_boundary(bytes_max)];
    if cut == 0 && kept.len() == text.len() && !kept.chars().any(is_unsafe) {
        return Cow::Borrowed(kept);
    }
    let mut safe = String::with_capacity(kept.len() + 32);
    let mut shown = kept.len();
    for (at, character) in kept.char_indices() {
        if safe.len() >= bytes_max {
            shown = at;
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
    let missing = text.len() - shown + cut;
    if missing > 0 {
        let _ = write!(safe, "... ({missing} bytes more)");
    }
    Cow::Owned(safe)
}

/// Whether a character acts on what stands around it, or is not seen: control characters (newlines, NUL, the escape
/// that begins ANSI sequences, and the C1 ones, which some terminals obey too), Unicode's line and paragraph
/// separators, which many programs take for the end of a line, its format characters (direction marks and overrides,
/// zero-width spaces and joiners, tags), and what else is invisible by itself. Tabs stay. See Unicode TR 36, section
/// 2.10, and TS 39.
fn is_unsafe(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control() && character != '\t';
    }
    let invisible = matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
            ..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
    );
    invisible
        || matches!(
            get_general_category(character),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn shows_what_a_terminal_would_obey() {
        let check = |text, expected: &str| assert_eq!(escape(text, 100, 0), expected);
        check("plain\ttext é 日本 🙂", "plain\ttext é 日本 🙂");
        check("two\nlines\r", "two\\nlines\\r");
        check("a\0b\x1b[31mred", "a\\u{0}b\\u{1b}[31mred");
        check("\u{9b}2J \u{202e}txt", "\\u{9b}2J \\u{202e}txt");
    }

    #[test]
    fn shows_what_ends_a_line_elsewhere_and_what_is_not_seen() {
        let separators = ['\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'];
        let invisible = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{180e}', '\u{3164}'];
        let bidirectional =
            ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202d}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];
        let tags = ['\u{e0001}', '\u{e0041}', '\u{e007f}', '\u{fff9}'];
        for character in separators.into_iter().chain(invisible).chain(bidirectional).chain(tags) {
            let shown = escape(&format!("a{character}b"), 100, 0).into_owned();
            assert_eq!(shown, format!("a\\u{{{:x}}}b", character as u32));
        }
    }

    #[test]
    fn cuts_between_characters_and_says_what_is_missing() {
        assert_eq!(escape("ééé", 3, 0), "é... (4 bytes more)");
        assert_eq!(escape("abc", 0, 0), "... (3 bytes more)");
        assert_eq!(escape("abc", 10, 7), "abc... (7 bytes more)");
        assert_eq!(escape("\n\n\n\n", 4, 0), "\\n\\n... (2 bytes more)");
    }
}
