//! Messages of errors without the parts that differ from one occurrence to the next.

/// Bytes of a message that are looked at.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Bytes of a word that are looked at, so that a long one is not looked at again for each of its parts.
const WORD_BYTES_MAX: usize = 128;
/// Bytes of a quoted name that may stay.
const NAME_BYTES_MAX: usize = 64;

/// What stands in the place of ids and numbers, of values, and of paths.
const ID: &str = "<id>";
const NUMBER: &str = "<number>";
const VALUE: &str = "<value>";

/// The first line of a message, with a placeholder for each id, number, quoted value, URL, path and e-mail address.
/// With `keeps_names` a quoted identifier stays: errors of the engine itself quote the names of variables and
/// properties, which tell one defect from another.
///
/// It takes time in proportion to the first kilobyte, however long the message is.
#[must_use]
pub fn normalise(message: &str, keeps_names: bool) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = &line[..line.floor_char_boundary(MESSAGE_BYTES_MAX)];
    let mut normal = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (taken, shown) = match first {
            '\'' | '"' | '`' => quoted(rest, first, keeps_names),
            _ if first.is_whitespace() => (first.len_utf8(), " "),
            _ if first == '/' || is_word(first) => word(rest),
            _ => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        // Two values one after the other, as in a list, are as good as one.
        if !(shown == " " && normal.ends_with(' ')) {
            normal.push_str(shown);
        }
        rest = &rest[taken..];
    }
    normal
}

/// The bytes of a quoted text at the beginning of `text`, and what stands for it. A quote without an end, such as an
/// apostrophe, is a character like others.
fn quoted(text: &str, quote: char, keeps_names: bool) -> (usize, &str) {
    let length = quote.len_utf8();
    let Some(end) = text[length..].find(quote) else { return (length, &text[..length]) };
    let inner = &text[length..length + end];
    let taken = end + 2 * length;
    let is_start = |first: char| first.is_alphabetic() || matches!(first, '_' | '$' | '#');
    let is_identifier = inner.len() <= NAME_BYTES_MAX
        && inner.starts_with(is_start)
        && inner.chars().skip(1).all(|one| one.is_alphanumeric() || matches!(one, '_' | '$'));
    if keeps_names && is_identifier { (taken, &text[..taken]) } else { (taken, VALUE) }
}

fn is_word(one: char) -> bool {
    one.is_alphanumeric() || matches!(one, '_' | '$' | '@' | '#')
}

/// The bytes of a word at the beginning of `text`, and what stands for it.
fn word(text: &str) -> (usize, &str) {
    let is_end = |one: char| one.is_whitespace() || matches!(one, '\'' | '"' | '`' | ',' | ';' | '(' | ')' | '[' | ']');
    let text = &text[..text.floor_char_boundary(WORD_BYTES_MAX)];
    let whole = &text[..text.find(is_end).unwrap_or(text.len())];
    // A colon or a full stop behind a word is no part of it.
    let whole = whole.trim_end_matches([':', '.', '!', '?']);
    if whole.starts_with('/') || whole.contains("://") || whole.contains('@') {
        return (whole.len().max(1), VALUE);
    }
    let taken = &whole[..whole.find(|one: char| !is_word(one) && one != '-').unwrap_or(whole.len())];
    // One of the characters that are words by themselves is at the beginning, so this is never empty.
    let has_digit = taken.bytes().any(|byte| byte.is_ascii_digit());
    let is_number = taken.bytes().all(|byte| byte.is_ascii_digit());
    let shown = match (is_number, has_digit) {
        (true, _) => NUMBER,
        (false, true) => ID,
        (false, false) => taken,
    };
    (taken.len(), shown)
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        assert_eq!(normalise(message, false), expected, "{message}");
    }

    #[test]
    fn ids_and_numbers_are_alike() {
        check("Error: order 17 of 2026 is late", "Error: order <number> of <number> is late");
        check("no user 6f9619ff-8b86-d011-b42d-00c04fc964ff.", "no user <id>.");
        check("job 01JZ8Q4M3V5T6N7P8R9S0A1B2C failed: 3", "job <id> failed: <number>");
        check("order-17 is late", "<id> is late");
        check("at 10:30, or 5.25", "at <number>:<number>, or <number>.<number>");
    }

    #[test]
    fn values_are_alike_and_names_are_not() {
        check("no user 'ada' in \"acme\"", "no user <value> in <value>");
        check("GET https://a.example/b?c=d: 404", "GET <value>: <number>");
        check("no route for /users/ada, sorry", "no route for <value>, sorry");
        check("ada@a.example is not there", "<value> is not there");
        check("it isn't there", "it isn't there");
        let names = |message| normalise(message, true);
        assert_ne!(names("cannot read property 'a' of undefined"), names("cannot read property 'b' of undefined"));
        assert_eq!(names("'a b' is not JSON"), names("'c d' is not JSON"));
    }

    #[test]
    fn only_the_first_line_counts_and_every_message_ends() {
        check("a\nb", "a");
        check("", "");
        check("'", "'");
        check("/", "<value>");
        check(":", ":");
        check("é \u{1f980} 日本", "é \u{1f980} 日本");
        check("@", "<value>");
        check("a   b\t c", "a b c");
        assert!(normalise(&"é".repeat(100_000), false).len() <= 1_024);
        assert!(normalise(&"'".repeat(100_000), true).len() <= 8 * 1_024);
    }
}
