//! The functions `snippet` and `highlight` of FTS5: the part of a text with the most matches, and all of a text with
//! its matches marked.
//!
//! The results are those of SQLite's own. Its `snippet` looks at all matches for each of them: of a text of two million
//! words that all match that is a day's work. Here the window moves on over the matches, which are in their order, so
//! that each is looked at a few times; and whether to go on is asked on the way.

mod buffer;
mod window;

use super::watch::ConnectionControl;
use buffer::HighlightBuffer;
use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use window::{Matches, Window};

/// Matches, or words, between two looks at whether to go on.
const LOOK: usize = 4096;

/// The scores of a snippet: for each of the phrases that is in it, for each further match, and for the beginning of a
/// sentence or of the text.
const PHRASE: i64 = 1000;
const MATCH: i64 = 1;
const SENTENCE: i64 = 100;
const TEXT: i64 = 120;

/// Words of a part that is a whole column.
const TOKENS_ALL: i64 = i64::MAX / 2;

type Result<T> = std::result::Result<T, c_int>;

/// The function, for the interface of FTS5. Its data is the connection's control.
pub(super) unsafe extern "C" fn snippet(
    api: *const ffi::Fts5ExtensionApi,
    fts: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: it is FTS5 that calls, with its five arguments, which stay until the call is over.
    unsafe {
        answer(api, fts, context, (count == 5, c"wrong number of arguments to function snippet()"), |row, most| {
            let argument = |at| *values.add(at);
            row.snippet(&Request {
                column: ffi::sqlite3_value_int(argument(0)),
                open: text(argument(1)),
                close: text(argument(2)),
                ellipsis: text(argument(3)),
                tokens: i64::from(ffi::sqlite3_value_int(argument(4))).max(1),
                most,
            })
        });
    }
}

/// The function `highlight`, likewise: all of a column. SQLite's own looks at the time nowhere.
pub(super) unsafe extern "C" fn highlight(
    api: *const ffi::Fts5ExtensionApi,
    fts: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: as in `snippet`, with three arguments.
    unsafe {
        answer(api, fts, context, (count == 3, c"wrong number of arguments to function highlight()"), |row, most| {
            let argument = |at| *values.add(at);
            row.highlighted(&Request {
                column: ffi::sqlite3_value_int(argument(0)),
                open: text(argument(1)),
                close: text(argument(2)),
                ellipsis: &[],
                tokens: TOKENS_ALL,
                most,
            })
        });
    }
}

/// Answers a call with what `make` makes of the row and of the bytes that a value may have; with the error if the
/// arguments are not right.
///
/// # Safety
/// FTS5 gives its interface and a cursor on a row, whose data is that of [`snippet`].
unsafe fn answer(
    api: *const ffi::Fts5ExtensionApi,
    fts: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    (is_right, wrong): (bool, &CStr),
    make: impl FnOnce(&Row<'_>, usize) -> Result<Option<Vec<u8>>>,
) {
    if !is_right {
        // SAFETY: the context is SQLite's own, which copies the text.
        unsafe { ffi::sqlite3_result_error(context, wrong.as_ptr(), -1) };
        return;
    }
    // SAFETY: by the caller's word. The data is what the function was defined with: a reference that the definition
    // holds.
    let made = unsafe {
        let Some(control) = (*api).xUserData.and_then(|data| data(fts).cast::<ConnectionControl>().as_ref()) else {
            ffi::sqlite3_result_error_code(context, ffi::SQLITE_MISUSE);
            return;
        };
        let limit = ffi::sqlite3_limit(ffi::sqlite3_context_db_handle(context), ffi::SQLITE_LIMIT_LENGTH, -1);
        make(&Row { api: &*api, fts, control }, usize::try_from(limit).unwrap_or(0))
    };
    // SAFETY: the context is SQLite's own, which copies the text.
    unsafe {
        match made {
            // It is no longer than a value may be, whose bytes are such a number.
            Ok(Some(text)) => {
                let length = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
                ffi::sqlite3_result_text(context, text.as_ptr().cast(), length, ffi::SQLITE_TRANSIENT());
            }
            Ok(None) => ffi::sqlite3_result_null(context),
            Err(code) => ffi::sqlite3_result_error_code(context, code),
        }
    }
}

/// An argument as text; empty if it is NULL.
unsafe fn text<'a>(value: *mut ffi::sqlite3_value) -> &'a [u8] {
    // SAFETY: the value is SQLite's and stays, and so does the text that it is converted to. It ends with NUL.
    unsafe {
        let start = ffi::sqlite3_value_text(value).cast::<c_char>();
        if start.is_null() { &[] } else { CStr::from_ptr(start).to_bytes() }
    }
}

struct Request<'a> {
    /// Which column; any, if it is negative.
    column: c_int,
    open: &'a [u8],
    close: &'a [u8],
    ellipsis: &'a [u8],
    /// Words of the snippet.
    tokens: i64,
    /// Bytes that a value may have.
    most: usize,
}

/// A part of a column.
struct Best {
    score: i64,
    column: c_int,
    start: i64,
    /// Words of the column; 0 if they were not counted.
    words: i64,
}

/// A phrase of the search, where it is in the row.
struct Instance {
    phrase: usize,
    column: c_int,
    offset: i64,
    /// Behind its last word.
    end: i64,
}

/// The row of a search.
struct Row<'a> {
    api: &'a ffi::Fts5ExtensionApi,
    fts: *mut ffi::Fts5Context,
    control: &'a ConnectionControl,
}

/// An error's code, unless it is that of success.
fn check(code: c_int) -> Result<()> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// A function of the interface, which has all of them.
fn function<F>(function: Option<F>) -> Result<F> {
    function.ok_or(ffi::SQLITE_MISUSE)
}

// SAFETY, of the calls of FTS5's functions below: they are those of the interface that FTS5 gave with the row's cursor,
// which both stay until `snippet` returns, and write to the places that they are given.
impl Row<'_> {
    fn go_on(&self, at: usize) -> Result<()> {
        if at.is_multiple_of(LOOK) && self.control.is_stopped() { Err(ffi::SQLITE_INTERRUPT) } else { Ok(()) }
    }

    fn instance_count(&self) -> Result<usize> {
        let mut count = 0;
        // SAFETY: as above.
        check(unsafe { function(self.api.xInstCount)?(self.fts, &raw mut count) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn instance(&self, at: usize) -> Result<Instance> {
        let (mut phrase, mut column, mut offset) = (0, 0, 0);
        let number = c_int::try_from(at).map_err(|_| ffi::SQLITE_RANGE)?;
        // SAFETY: as above.
        let size = unsafe {
            let read = function(self.api.xInst)?;
            check(read(self.fts, number, &raw mut phrase, &raw mut column, &raw mut offset))?;
            function(self.api.xPhraseSize)?(self.fts, phrase)
        };
        let offset = i64::from(offset);
        Ok(Instance { phrase: usize::try_from(phrase).unwrap_or(0), column, offset, end: offset + i64::from(size) })
    }

    fn words(&self, column: c_int) -> Result<i64> {
        let mut words = 0;
        // SAFETY: as above.
        check(unsafe { function(self.api.xColumnSize)?(self.fts, column, &raw mut words) })?;
        Ok(i64::from(words))
    }

    /// The text of a column, which stays as long as the row; none if it is NULL.
    fn column(&self, column: c_int) -> Result<Option<&[u8]>> {
        let (mut start, mut length) = (ptr::null(), 0);
        // SAFETY: as above; what FTS5 gives has so many bytes.
        unsafe {
            check(function(self.api.xColumnText)?(self.fts, column, &raw mut start, &raw mut length))?;
            let length = usize::try_from(length).unwrap_or(0);
            Ok((!start.is_null()).then(|| std::slice::from_raw_parts(start.cast::<u8>(), length)))
        }
    }

    /// Calls `each` with where each word of a text begins and ends, until it says that this is enough.
    fn tokenize<F: FnMut(usize, usize) -> Result<bool>>(&self, column: c_int, text: &[u8], each: F) -> Result<()> {
        let mut tokens = Tokens { row: self, each, count: 0 };
        let (mut locale, mut locale_length) = (ptr::null(), 0);
        let length = c_int::try_from(text.len()).map_err(|_| ffi::SQLITE_TOOBIG)?;
        // SAFETY: as above; the function is called with the address of `tokens` and of no other type, and not later.
        let code = unsafe {
            check(function(self.api.xColumnLocale)?(self.fts, column, &raw mut locale, &raw mut locale_length))?;
            let tokenize = function(self.api.xTokenize_v2)?;
            let data = (&raw mut tokens).cast::<c_void>();
            tokenize(self.fts, text.as_ptr().cast(), length, locale, locale_length, data, Some(token::<F>))
        };
        // Not every tokenizer takes this as its end.
        if code == ffi::SQLITE_DONE { Ok(()) } else { check(code) }
    }

    fn snippet(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>> {
        // SAFETY: as above.
        let (columns, phrases) =
            unsafe { (function(self.api.xColumnCount)?(self.fts), function(self.api.xPhraseCount)?(self.fts)) };
        let phrases = usize::try_from(phrases).unwrap_or(0);
        let mut best = Best { score: 0, column: request.column.max(0), start: 0, words: 0 };
        for column in (0..columns).filter(|column| request.column < 0 || request.column == *column) {
            self.find_best(column, request.tokens, phrases, &mut best)?;
        }
        self.column(best.column)?.map(|text| self.highlight(request, &best, text)).transpose()
    }

    /// A column with its matches marked; empty if the column does not exist.
    fn highlighted(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>> {
        let text = match self.column(request.column) {
            Err(ffi::SQLITE_RANGE) => return Ok(Some(Vec::new())),
            text => text?,
        };
        let whole = Best { score: 0, column: request.column, start: 0, words: 0 };
        text.map(|text| self.highlight(request, &whole, text)).transpose()
    }

    /// Where sentences begin in a text: the numbers of their first words.
    fn sentences(&self, column: c_int, text: &[u8]) -> Result<Vec<i64>> {
        let mut sentences = Vec::new();
        let (mut position, mut seen) = (0, 0);
        // The last byte before what was seen that is no space, and whether it is next to it.
        let (mut last, mut is_next) = (0, false);
        self.tokenize(column, text, |start, _| {
            for byte in text.get(seen..start).unwrap_or_default() {
                is_next = !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
                if is_next {
                    last = *byte;
                }
            }
            seen = seen.max(start);
            if position == 0 || (!is_next && matches!(last, b'.' | b':')) {
                sentences.push(position);
            }
            position += 1;
            Ok(true)
        })?;
        Ok(sentences)
    }

    /// Looks for a better part in a column: one that begins with a match, or with the sentence of one.
    fn find_best(&self, column: c_int, tokens: i64, phrases: usize, best: &mut Best) -> Result<()> {
        let sentences = self.sentences(column, self.column(column)?.unwrap_or_default())?;
        let words = self.words(column)?;
        let count = self.instance_count()?;
        let mut first = 0;
        while first < count && self.instance(first)?.column < column {
            first += 1;
            self.go_on(first)?;
        }
        let mut from_match = Window::new(first, phrases);
        let mut from_sentence = Window::new(first, phrases);
        let mut sentence = 0;
        for at in first..count {
            self.go_on(at)?;
            let instance = self.instance(at)?;
            if instance.column != column {
                break;
            }
            if instance.offset > words {
                return Err(ffi::SQLITE_CORRUPT_VTAB);
            }
            from_match.move_to(self, column, instance.offset, tokens, count)?;
            if from_match.score() > best.score {
                let (begin, end) = from_match.matches(self)?;
                let start = (begin - (tokens - (end - begin)) / 2).min((words - tokens).max(0)).max(0);
                *best = Best { score: from_match.score(), column, start, words };
            }
            if sentences.is_empty() || words <= tokens {
                continue;
            }
            while sentences.get(sentence + 1).is_some_and(|next| *next <= instance.offset) {
                sentence += 1;
            }
            let start = sentences[sentence];
            if start < instance.offset {
                from_sentence.move_to(self, column, start, tokens, count)?;
                let score = from_sentence.score() + if start == 0 { TEXT } else { SENTENCE };
                if score > best.score {
                    *best = Best { score, column, start, words };
                }
            }
        }
        Ok(())
    }

    /// The text of a part, with its matches between `open` and `close`.
    fn highlight(&self, request: &Request<'_>, best: &Best, text: &[u8]) -> Result<Vec<u8>> {
        let words = if best.words == 0 { self.words(best.column)? } else { best.words };
        let (start, last) = (best.start, best.start + request.tokens - 1);
        let mut made = HighlightBuffer::new(text, request.most);
        let mut matches = Matches::new(self, best.column, self.instance_count()?);
        let mut found = matches.next()?;
        if start > 0 {
            made.append(request.ellipsis)?;
        }
        while found.as_ref().is_some_and(|(begin, _)| *begin < start) {
            found = matches.next()?;
        }
        let (mut position, mut is_open) = (-1, false);
        self.tokenize(best.column, text, |begin, end| {
            position += 1;
            if position < start {
                return Ok(true);
            }
            if position > last {
                return Ok(false);
            }
            if start > 0 && position == start {
                made.skip_to(begin);
            }
            if is_open && found.is_none_or(|(first, _)| position <= first) && begin > made.copied() {
                made.append(request.close)?;
                is_open = false;
            }
            if !is_open && found.is_some_and(|(first, _)| position == first) {
                made.copy_to(begin)?;
                made.append(request.open)?;
                is_open = true;
            }
            if found.is_some_and(|(_, last)| position == last) {
                if !is_open {
                    made.append(request.open)?;
                    is_open = true;
                }
                made.copy_to(end)?;
                found = matches.next()?;
            }
            if position == last {
                if is_open {
                    if found.is_some_and(|(first, _)| position >= first) {
                        made.copy_to(end)?;
                    }
                    made.append(request.close)?;
                    is_open = false;
                }
                made.copy_to(end)?;
            }
            Ok(true)
        })?;
        if is_open {
            made.append(request.close)?;
        }
        if last >= words - 1 {
            made.copy_to(text.len())?;
        } else {
            made.append(request.ellipsis)?;
        }
        Ok(made.into_text())
    }
}

/// What is called with the words of a text.
struct Tokens<'a, F> {
    row: &'a Row<'a>,
    each: F,
    count: usize,
}

unsafe extern "C" fn token<F: FnMut(usize, usize) -> Result<bool>>(
    data: *mut c_void,
    flags: c_int,
    _: *const c_char,
    _: c_int,
    start: c_int,
    end: c_int,
) -> c_int {
    // Another word in the same place.
    if flags & ffi::FTS5_TOKEN_COLOCATED != 0 {
        return ffi::SQLITE_OK;
    }
    // SAFETY: `Row::tokenize` gave the address, and nobody else has it meanwhile.
    let tokens = unsafe { &mut *data.cast::<Tokens<'_, F>>() };
    tokens.count += 1;
    let place = |at: c_int| usize::try_from(at).unwrap_or(0);
    match tokens.row.go_on(tokens.count).and_then(|()| (tokens.each)(place(start), place(end))) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_DONE,
        Err(code) => code,
    }
}

#[cfg(test)]
mod tests;
