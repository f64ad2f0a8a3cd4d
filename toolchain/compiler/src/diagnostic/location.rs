//! The location of a problem in a source file, and the excerpt that a report shows.

use elias_contract::stack::Position;
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::fmt;
use std::sync::Arc;

/// The most bytes of source that a report shows: a minified file has its whole text on one line.
const EXCERPT_BYTES: usize = 2000;
/// The bytes that are shown around the location when a line is too long to show.
const EXCERPT_MARGIN: usize = 60;

/// A span in an original source file.
#[derive(Debug, Clone)]
pub struct SourceLocation {
    /// The file, relative to the project where it is inside.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The file's text, where there is any to show.
    pub source: Option<Arc<str>>,
    /// The label beside the marked span.
    pub label: Option<String>,
    /// The marked bytes of `source`.
    pub(super) span: SourceSpan,
}

impl SourceLocation {
    /// `length` bytes from byte `offset` of a file. An offset outside of the text is moved to its nearest end.
    #[must_use]
    pub fn new(file: impl Into<String>, source: impl Into<Arc<str>>, offset: usize, length: usize) -> Self {
        let source = source.into();
        let start = source.floor_char_boundary(offset);
        let end = source.floor_char_boundary(offset.saturating_add(length)).max(start);
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.into(),
            line: before.matches('\n').count() + 1,
            // A byte order mark is not a column that an editor shows.
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
            source: Some(source),
            label: None,
            span: (start, end - start).into(),
        }
    }

    /// The word, or else the character, at byte `offset` of a file.
    #[must_use]
    pub fn of_word(file: impl Into<String>, source: impl Into<Arc<str>>, offset: usize) -> Self {
        let source = source.into();
        let start = source.floor_char_boundary(offset);
        let rest = &source[start..];
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
        Self::new(file, source, start, length)
    }

    /// A line and a column, from 1 and in UTF-16 code units, of a file.
    #[must_use]
    pub fn of_line(file: impl Into<String>, source: impl Into<Arc<str>>, line: usize, column: usize) -> Self {
        let source = source.into();
        let text = source.split_inclusive('\n').nth(line.saturating_sub(1));
        let line_start = text.map_or(source.len(), |text| text.as_ptr() as usize - source.as_ptr() as usize);
        let mut units = 0;
        let within = text.unwrap_or_default().char_indices().find(|(_, c)| {
            units += c.len_utf16();
            units >= column.max(1) || *c == '\n'
        });
        let offset = line_start + within.map_or(text.unwrap_or_default().len(), |(index, _)| index);
        Self::of_word(file, source, offset)
    }

    /// Writes `label` beside the marked span.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into()).filter(|label| !label.is_empty());
        self
    }
}

impl From<Position<'_>> for SourceLocation {
    fn from(position: Position<'_>) -> Self {
        let (line, column) = (position.line as usize, position.column as usize);
        match position.source {
            Some(source) => Self::of_line(position.file, source, line, column),
            None => {
                Self { file: position.file.to_owned(), line, column, source: None, label: None, span: (0, 0).into() }
            }
        }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl SourceCode for SourceLocation {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let source = self.source.as_deref().unwrap_or_default();
        // Without context the caller wants the span's own position, which it prints.
        if before == 0 && after == 0 {
            let data = &source.as_bytes()[span.offset()..span.offset() + span.len()];
            let (line, column) = (self.line - 1, self.column - 1);
            return Ok(contents(&self.file, data, *span, line, column, 1));
        }
        let whole = source.read_span(span, before, after)?;
        if whole.data().len() <= EXCERPT_BYTES {
            let (line, column, count) = (whole.line(), whole.column(), whole.line_count());
            return Ok(contents(&self.file, whole.data(), *whole.span(), line, column, count));
        }
        let line_start = source[..span.offset()].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[span.offset()..].find('\n').map_or(source.len(), |length| span.offset() + length);
        let start = source.floor_char_boundary(span.offset().saturating_sub(EXCERPT_MARGIN)).max(line_start);
        let end = span.offset() + span.len().min(EXCERPT_BYTES) + EXCERPT_MARGIN;
        let end = source.ceil_char_boundary(end).min(line_end).max(start);
        let data = &source.as_bytes()[start..end];
        Ok(contents(&self.file, data, (start, end - start).into(), self.line - 1, start - line_start, 1))
    }
}

fn contents<'a>(
    file: &str,
    data: &'a [u8],
    span: SourceSpan,
    line: usize,
    column: usize,
    count: usize,
) -> Box<dyn SpanContents<'a> + 'a> {
    Box::new(MietteSpanContents::new_named(file.to_owned(), data, span, line, column, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_line_and_column() {
        #[track_caller]
        fn check(location: &SourceLocation, expect: &str, marked: &str) {
            assert_eq!(location.to_string(), expect);
            let source = location.source.as_deref().unwrap_or_default();
            assert_eq!(&source[location.span.offset()..location.span.offset() + location.span.len()], marked);
        }
        check(&SourceLocation::new("a.js", "one\ntwo", 4, 3), "a.js:2:1", "two");
        check(&SourceLocation::new("a.js", "one\ntwo", 99, 3), "a.js:2:4", "");
        check(&SourceLocation::new("a.js", "\u{feff}é=1", 5, 1), "a.js:1:2", "=");
        check(&SourceLocation::new("a.js", "é", 1, usize::MAX), "a.js:1:1", "é");
        check(&SourceLocation::of_word("a.js", "let $x1 = 2", 4), "a.js:1:5", "$x1");
        check(&SourceLocation::of_word("a.js", "", 4), "a.js:1:1", "");
        check(&SourceLocation::of_line("a.js", "one\n  two()\n", 2, 3), "a.js:2:3", "two");
        check(&SourceLocation::of_line("a.js", "'😀' + y", 1, 8), "a.js:1:7", "y");
        check(&SourceLocation::of_line("a.js", "one\ntwo\n", 1, 99), "a.js:1:4", "\n");
        check(&SourceLocation::of_line("a.js", "one", 7, 1), "a.js:1:4", "");
        check(&SourceLocation::of_line("a.js", "one", 0, 0), "a.js:1:1", "one");
    }
}
