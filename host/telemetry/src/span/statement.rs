//! The text of an SQL statement without the values that its author wrote into it.

/// The statement with `?` in the place of strings and numbers, and without comments. Names in quotes stay. A text that
/// was cut may end within any of them. It is a scan and no parser: what it takes for a value is left out, so an unusual
/// name may be too, and no value of either dialect stays.
#[must_use]
pub fn without_values(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let mut backwards = out.chars().rev();
        let before = backwards.next();
        let in_name = before.is_some_and(is_name);
        let length = match first {
            '\'' => {
                // Of PostgreSQL's strings those with the prefix E have escapes, which is no end of a word such as LIKE.
                let escapes = matches!(before, Some('e' | 'E')) && !backwards.next().is_some_and(is_name);
                out.push('?');
                string_length(rest, escapes)
            }
            '$' if !in_name && dollar_length(rest).is_some() => {
                out.push('?');
                dollar_length(rest).unwrap_or(rest.len())
            }
            '"' | '`' => {
                let length = quoted_length(rest, first);
                out.push_str(&rest[..length]);
                length
            }
            '-' if rest.starts_with("--") => {
                out.push(' ');
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") => {
                out.push(' ');
                comment_length(rest)
            }
            '0'..='9' if !in_name && !matches!(before, Some('$' | '?' | ':' | '@')) => {
                out.push('?');
                number_length(rest)
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Bytes of a string, a quote in which is doubled, or follows a backslash if that `escapes`.
fn string_length(text: &str, escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Bytes of a name in quotes.
fn quoted_length(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |at| at + 2)
}

/// Bytes of a string between two `$tag$`; none if the text does not begin with such a tag.
fn dollar_length(text: &str) -> Option<usize> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    let name = &tag[1..end - 1];
    let is_tag = name.chars().all(is_name) && !name.starts_with(|first: char| first.is_ascii_digit());
    is_tag.then(|| text[end..].find(tag).map_or(text.len(), |at| end + at + tag.len()))
}

/// Bytes of a comment, in which others may be.
fn comment_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_u32, 0);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// Bytes of a number in any notation: digits, letters, points and the sign of an exponent.
fn number_length(text: &str) -> usize {
    let mut before = '0';
    for (at, character) in text.char_indices() {
        let is_sign = matches!(character, '+' | '-') && matches!(before, 'e' | 'E');
        if !(is_name(character) || character == '.' || is_sign) {
            return at;
        }
        before = character;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_names_stay() {
        for (sql, told) in [
            (
                "SELECT a1, \"b 2\" FROM t WHERE x = 'it''s' AND y > 1.5e-3",
                "SELECT a1, \"b 2\" FROM t WHERE x = ? AND y > ?",
            ),
            ("SELECT $1, ?2, :x3, @p4, 0xFF", "SELECT $1, ?2, :x3, @p4, ?"),
            (r"SELECT E'a\'secret', 'b'", "SELECT E?, ?"),
            (r"SELECT 'a\', 'secret'", "SELECT ?, ?"),
            (r"SELECT x LIKE'a\' OR y = 'secret'", "SELECT x LIKE? OR y = ?"),
            ("SELECT $$secret$$, $t$a $$ secret$t$", "SELECT ?, ?"),
            ("SELECT 1 -- secret\nFROM t /* a /* secret */ b */ WHERE", "SELECT ?  \nFROM t   WHERE"),
            ("INSERT INTO `t` VALUES (1,-2,'x')", "INSERT INTO `t` VALUES (?,-?,?)"),
            ("SELECT ü FROM t WHERE n='ü'", "SELECT ü FROM t WHERE n=?"),
            ("", ""),
        ] {
            assert_eq!(without_values(sql), told, "{sql}");
        }
    }

    #[test]
    fn what_was_cut_ends_where_it_was_cut() {
        for (sql, told) in [
            ("SELECT 'secr", "SELECT ?"),
            (r"SELECT E'secr\", "SELECT E?"),
            ("SELECT $a$secr", "SELECT ?"),
            ("SELECT \"nam", "SELECT \"nam"),
            ("SELECT /* secr", "SELECT  "),
            ("SELECT 12", "SELECT ?"),
            ("SELECT $", "SELECT $"),
        ] {
            assert_eq!(without_values(sql), told, "{sql}");
        }
    }
}
