//! Files `.env`: environment variables of a machine on which a project is developed.
//!
//! The form is the one that dotenv made common: a line is `NAME=value`, with `export` before it or not; `#` begins a
//! comment; a value in double quotes has `\n` and its kin, one in single quotes stands as it is, and either may go over
//! several lines.

use crate::error::ProjectError;
use std::collections::BTreeMap;
use std::path::Path;

/// The files, the later over the earlier. `.env.local` is for one machine and not committed.
pub const FILES: [&str; 2] = [".env", ".env.local"];

/// The variables of a folder's files; none if there are no files.
///
/// # Errors
/// [`ProjectError::Io`] if a file exists and cannot be read, [`ProjectError::Config`] with the line that is none of the
/// above.
pub fn read(folder: &Path) -> Result<BTreeMap<String, String>, ProjectError> {
    let mut variables = BTreeMap::new();
    for name in FILES {
        let file = folder.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => parse(&text, &mut variables).map_err(|(offset, message)| {
                let span = offset..offset + word_bytes(&text[offset..]);
                let message = format!("{name}: {message}");
                ProjectError::Config { file: name.to_owned(), text: text.clone(), span, message }
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ProjectError::Io { path: file, error }),
        }
    }
    Ok(variables)
}

fn parse(text: &str, variables: &mut BTreeMap<String, String>) -> Result<(), (usize, String)> {
    let mut at = 0;
    while at < text.len() {
        let line = text[at..].lines().next().unwrap_or_default();
        let end = at + line.len();
        let indent = line.len() - line.trim_start().len();
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            at = end + 1;
            continue;
        }
        let assignment = content.strip_prefix("export ").map_or(content, str::trim_start);
        let Some((name, value)) = assignment.split_once('=') else {
            return Err((at + indent, "a line must be NAME=value".to_owned()));
        };
        let name = name.trim();
        if !is_name(name) {
            return Err((at + indent, format!("`{name}` is not the name of a variable")));
        }
        let value_at = end - value.len();
        let (value, next) = match value.trim_start().chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let opened = value_at + (value.len() - value.trim_start().len()) + 1;
                quoted(text, opened, quote)
                    .ok_or_else(|| (opened - 1, "the quotation mark is not closed".to_owned()))?
            }
            _ => {
                let value = value.split_once(" #").map_or(value, |(value, _)| value);
                (value.trim().to_owned(), end)
            }
        };
        variables.insert(name.to_owned(), value);
        at = text[next..].find('\n').map_or(text.len(), |newline| next + newline + 1);
    }
    Ok(())
}

/// The length of the word, or else of the character, that the text begins with.
fn word_bytes(text: &str) -> usize {
    match text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')) {
        Some(0) => text.chars().next().map_or(0, char::len_utf8),
        Some(end) => end,
        None => text.len(),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(letter)
}

/// The text up to the closing `quote`, and where that ends.
fn quoted(text: &str, opened: usize, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text[opened..].char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Some((value, opened + at + 1)),
            '\\' if quote == '"' => match characters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dotenv_reads() {
        let mut found = BTreeMap::new();
        let text = "# comment\nA=1\n export B = two words # not this\nC=\"a\\nb\"\nD='a\\nb'\nE=\nF=\"over\nlines\" # \
            x\nG=a#b\n";
        parse(text, &mut found).expect("it is right");
        let wanted = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a\nb"),
            ("D", "a\\nb"),
            ("E", ""),
            ("F", "over\nlines"),
            ("G", "a#b"),
        ];
        assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn says_which_line_is_wrong() {
        for (text, offset, wanted) in
            [("A=1\nnonsense\n", 4, "NAME=value"), ("1A=2\n", 0, "not the name"), ("A=\"open\n", 2, "not closed")]
        {
            let (at, message) = parse(text, &mut BTreeMap::new()).expect_err(text);
            assert_eq!(at, offset, "{text}");
            assert!(message.contains(wanted), "{message}");
        }
    }
}
