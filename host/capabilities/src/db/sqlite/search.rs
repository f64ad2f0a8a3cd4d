//! FTS5 with searches that end: bounds on search terms, and our own `snippet` and `highlight`.
//!
//! FTS5 does the work of a row in one call that nothing can end: it makes no steps, and allocates next to nothing. In a
//! row of 4 MB with one word alone, a phrase takes 6 ms for each of its words, `NEAR` 4 ms for the square of theirs,
//! and `bm25` a time that grows with the square of the words that are searched for. So the text of a search is bounded
//! before FTS5 reads it, its phrases by the words that the table's own tokenizer makes of them. What remains, less than
//! a second in such a row, grows with the row, which has a bound too.
//!
//! What is searched for is seen by a module's `xFilter` alone: it may come from anywhere in a statement. So a
//! connection has FTS5's own module with that one function replaced. To replace a module drops what belongs to it
//! (tokenizers, functions, the list of searches), so a second connection, in memory and without tables, has these as
//! long as the first.
//!
//! `snippet` and `highlight` are ours ([`snippet`](super::snippet)): SQLite's own compare each match in a text with each
//! other, and copy what they have made so far for each of them.

use super::snippet::{highlight, snippet};
use super::watch::ConnectionControl;
use rusqlite::{Connection, Error, Result, ffi};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

/// Bytes of all texts of a search together: of the words, and of the arguments of `rank`.
const SEARCH_BYTES: usize = 1024;
/// Words and quoted strings of them, and of a search with NEAR.
const STRINGS: usize = 128;
const NEAR_STRINGS: usize = 8;
/// Words of all phrases of a search together. `trigram` makes a word of each three characters.
const PHRASE_WORDS: usize = 64;

/// Functions of FTS5 that lead to what goes with its module, and their arguments. Programs have no use for them.
const LEADING_FUNCTIONS: &[(&str, c_int)] = &[("fts5", 1), ("fts5_insttoken", 1), ("fts5_locale", 2)];

/// FTS5's module, the same with bounds, and FTS5's function that makes words of a text.
struct Modules {
    own: ffi::sqlite3_module,
    bounded: ffi::sqlite3_module,
    tokenize: Tokenize,
}

type TokenCallback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, c_int, c_int) -> c_int;
type Tokenize =
    unsafe extern "C" fn(*mut ffi::Fts5Context, *const c_char, c_int, *mut c_void, Option<TokenCallback>) -> c_int;

static MODULES: OnceLock<Modules> = OnceLock::new();

/// The functions that FTS5 has beside its tables. They must live longer than the connection that they were made for.
pub(super) struct SearchFunctions {
    _connection: Connection,
}

/// Makes FTS5 of a connection, on which nothing was prepared yet, one with bounds. The caller drops the result after
/// the connection.
pub(super) fn define(connection: &Connection, control: &Arc<ConnectionControl>) -> Result<SearchFunctions> {
    let functions = Connection::open_in_memory()?;
    // It prepares next to nothing, and needs no memory to do that quickly.
    // SAFETY: the connection is open, and nothing was prepared on it.
    unsafe {
        let (none, zero) = (ptr::null_mut::<c_void>(), c_int::default());
        ffi::sqlite3_db_config(functions.handle(), ffi::SQLITE_DBCONFIG_LOOKASIDE, none, zero, zero);
    }
    let api = interface(&functions)?;
    let modules = match MODULES.get() {
        Some(modules) => modules,
        None => {
            let (own, tokenize) = module()?;
            let bounded = ffi::sqlite3_module { xFilter: Some(filter), ..own };
            MODULES.get_or_init(|| Modules { own, bounded, tokenize })
        }
    };
    for (name, function) in [(c"snippet", snippet as Extension), (c"highlight", highlight as Extension)] {
        define_ours(api, name, function, control)?;
    }
    for (name, arguments) in LEADING_FUNCTIONS {
        connection.remove_function(*name, *arguments)?;
    }
    // SAFETY: both connections are open and this thread's. The module is never dropped, and what it is given lives as
    // long as the connection in memory: FTS5 takes the address of its interface for what it made its module with, of
    // which the interface is the first member.
    let created = unsafe {
        let handle = connection.handle();
        ffi::sqlite3_create_module_v2(handle, c"fts5".as_ptr(), &raw const modules.bounded, api.cast(), None)
    };
    if created == ffi::SQLITE_OK { Ok(SearchFunctions { _connection: functions }) } else { Err(failed(created)) }
}

fn failed(code: c_int) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// A function for tables of FTS5.
type Extension = unsafe extern "C" fn(
    *const ffi::Fts5ExtensionApi,
    *mut ffi::Fts5Context,
    *mut ffi::sqlite3_context,
    c_int,
    *mut *mut ffi::sqlite3_value,
);

/// Defines one of ours, whose data is the connection's control.
fn define_ours(
    api: *mut ffi::fts5_api,
    name: &CStr,
    function: Extension,
    control: &Arc<ConnectionControl>,
) -> Result<()> {
    let data = Arc::into_raw(Arc::clone(control)).cast_mut().cast::<c_void>();
    let created = define_function(api, name, data, Some(function), Some(drop_control));
    if created.is_err() {
        // SAFETY: it is what was made above, and FTS5 has not kept it.
        unsafe { drop_control(data) };
    }
    created
}

unsafe extern "C" fn drop_control(data: *mut c_void) {
    // SAFETY: it is a reference that `define_ours` gave away, and this is called once.
    drop(unsafe { Arc::from_raw(data.cast_const().cast::<ConnectionControl>()) });
}

/// Defines a function for tables of FTS5. See <https://sqlite.org/fts5.html#extending_fts5>.
fn define_function(
    api: *mut ffi::fts5_api,
    name: &CStr,
    data: *mut c_void,
    function: ffi::fts5_extension_function,
    drop: Option<unsafe extern "C" fn(*mut c_void)>,
) -> Result<()> {
    // SAFETY: SQLite gave the address, and its interface is there as long as the connection is.
    let create =
        unsafe { api.as_ref() }.and_then(|api| api.xCreateFunction).ok_or_else(|| failed(ffi::SQLITE_MISUSE))?;
    // SAFETY: as above; SQLite copies the name.
    let created = unsafe { create(api, name.as_ptr(), data, function, drop) };
    if created == ffi::SQLITE_OK { Ok(()) } else { Err(failed(created)) }
}

/// The interface to FTS5 of a connection.
fn interface(connection: &Connection) -> Result<*mut ffi::fts5_api> {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    let mut statement = ptr::null_mut();
    // SAFETY: the connection is open and this thread's, and the text ends with NUL.
    let prepared = unsafe {
        let text = c"SELECT fts5(?1)".as_ptr();
        ffi::sqlite3_prepare_v2(connection.handle(), text, -1, &raw mut statement, ptr::null_mut())
    };
    if prepared != ffi::SQLITE_OK {
        return Err(failed(prepared));
    }
    // SAFETY: the statement is the one just made, and ends here. While it runs, SQLite writes an address of the type
    // that the name says to `api`.
    let ended = unsafe {
        let place = (&raw mut api).cast::<c_void>();
        if ffi::sqlite3_bind_pointer(statement, 1, place, c"fts5_api_ptr".as_ptr(), None) == ffi::SQLITE_OK {
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement)
    };
    if ended == ffi::SQLITE_OK { Ok(api) } else { Err(failed(ended)) }
}

/// What SQLite gives nobody, read by a function from a table of a connection of its own.
struct FtsModule {
    module: *const ffi::sqlite3_module,
    tokenize: Option<Tokenize>,
}

/// FTS5's module, and its function that makes words of a text.
fn module() -> Result<(ffi::sqlite3_module, Tokenize)> {
    let connection = Connection::open_in_memory()?;
    let mut found = FtsModule { module: ptr::null(), tokenize: None };
    let place = (&raw mut found).cast::<c_void>();
    define_function(interface(&connection)?, c"elias_module", place, Some(read_module), None)?;
    connection.execute_batch("CREATE VIRTUAL TABLE t USING fts5(a); INSERT INTO t VALUES ('a')")?;
    connection.query_row("SELECT elias_module(t) FROM t WHERE t MATCH 'a'", [], |_| Ok(()))?;
    // SAFETY: where it was written to, it is the address of a constant of FTS5's.
    let own = unsafe { found.module.as_ref() }.copied().filter(|own| own.xFilter.is_some());
    own.zip(found.tokenize).ok_or_else(|| failed(ffi::SQLITE_MISUSE))
}

unsafe extern "C" fn read_module(
    api: *const ffi::Fts5ExtensionApi,
    fts: *mut ffi::Fts5Context,
    _: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: FTS5 gives its interface, and as the context its cursor, which begins as each module's does. The data of
    // the function is the place that `module` gave.
    unsafe {
        let Some(data) = (*api).xUserData else { return };
        let cursor = fts.cast::<ffi::sqlite3_vtab_cursor>();
        let module = (*(*cursor).pVtab).pModule;
        data(fts).cast::<FtsModule>().write(FtsModule { module, tokenize: (*api).xTokenize });
    }
}

/// FTS5's function that begins a search, unless the search is too large.
unsafe extern "C" fn filter(
    cursor: *mut ffi::sqlite3_vtab_cursor,
    plan: c_int,
    constraints: *const c_char,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) -> c_int {
    let Some(Modules { own: ffi::sqlite3_module { xFilter: Some(own), .. }, tokenize, .. }) = MODULES.get() else {
        return ffi::SQLITE_MISUSE;
    };
    // SAFETY: where it is not null it is a text that ends with NUL: a letter of each constraint, and its column.
    let kinds: &[u8] = if constraints.is_null() { &[] } else { unsafe { CStr::from_ptr(constraints) }.to_bytes() };
    // Of the pattern of LIKE and GLOB all between two wildcards is a phrase.
    let pattern = kinds.iter().any(|kind| matches!(kind, b'L' | b'G'));
    let (mut bytes, mut strings, mut near, mut phrases) = (0, 0, false, 0);
    for at in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: there are so many values, which are SQLite's and stay until the call is over.
        let text = unsafe { text(*values.add(at)) };
        bytes += text.len();
        if bytes > SEARCH_BYTES {
            break;
        }
        let search = Search::of(text);
        strings += search.strings.len();
        near |= search.near;
        // SAFETY: the cursor is FTS5's own, of an open table, of which the function needs no more.
        let words = |text: &[u8]| unsafe { count_words(*tokenize, cursor, text) };
        phrases += if pattern || search.joined {
            words(text)
        } else {
            search.strings.iter().map(|string| words(string)).filter(|words| *words > 1).sum()
        };
    }
    let most = if near { NEAR_STRINGS } else { STRINGS };
    if bytes > SEARCH_BYTES || strings > most || phrases > PHRASE_WORDS {
        let why = c"a search may have 1024 bytes, 128 words, and 64 in its phrases; with NEAR 8 words: search for less";
        // SAFETY: the cursor is FTS5's own, of an open table. SQLite frees the text that was there, and the new one.
        unsafe {
            let table = (*cursor).pVtab;
            ffi::sqlite3_free((*table).zErrMsg.cast());
            (*table).zErrMsg = ffi::sqlite3_mprintf(c"%s".as_ptr(), why.as_ptr());
        }
        return ffi::SQLITE_TOOBIG;
    }
    // SAFETY: it is FTS5's own function, with what SQLite gave for it.
    unsafe { own(cursor, plan, constraints, count, values) }
}

/// How many words the tokenizer of a cursor's table makes of a text.
unsafe fn count_words(tokenize: Tokenize, cursor: *mut ffi::sqlite3_vtab_cursor, text: &[u8]) -> usize {
    unsafe extern "C" fn add(count: *mut c_void, _: c_int, _: *const c_char, _: c_int, _: c_int, _: c_int) -> c_int {
        // SAFETY: it is the count below.
        unsafe { *count.cast::<usize>() += 1 };
        ffi::SQLITE_OK
    }
    let mut count = 0_usize;
    let length = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
    // SAFETY: the caller has the cursor, as which FTS5 takes its context. A tokenizer that fails is found by FTS5 too.
    unsafe { tokenize(cursor.cast(), text.as_ptr().cast(), length, (&raw mut count).cast(), Some(add)) };
    count
}

/// The bytes of a value that is a text or a blob.
unsafe fn text<'a>(value: *mut ffi::sqlite3_value) -> &'a [u8] {
    // SAFETY: the value is SQLite's and stays; its bytes stay as long as nobody converts it.
    unsafe {
        if ![ffi::SQLITE_TEXT, ffi::SQLITE_BLOB].contains(&ffi::sqlite3_value_type(value)) {
            return &[];
        }
        // First the length: to ask for it converts a text of another encoding, whose bytes are elsewhere then.
        let length = usize::try_from(ffi::sqlite3_value_bytes(value)).unwrap_or(0);
        let start = ffi::sqlite3_value_blob(value).cast::<u8>();
        if start.is_null() { &[] } else { std::slice::from_raw_parts(start, length) }
    }
}

/// The parts of a search's text.
struct Search<'a> {
    /// Its words and quoted strings, these without their quotes.
    strings: Vec<&'a [u8]>,
    /// Whether one of the words is NEAR.
    near: bool,
    /// Whether some of them are joined to a phrase, by `+` or a doubled quote.
    joined: bool,
}

impl<'a> Search<'a> {
    fn of(text: &'a [u8]) -> Self {
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | 0x1a) || *byte >= 0x80;
        let (mut search, mut at) = (Self { strings: Vec::new(), near: false, joined: false }, 0);
        while let Some(byte) = text.get(at) {
            let rest = &text[at..];
            let length = if *byte == b'"' {
                // A doubled quote within a string begins another one, of the same phrase.
                search.joined |= text[..at].ends_with(b"\"");
                let end = rest[1..].iter().position(|byte| *byte == b'"');
                search.strings.push(&rest[1..end.map_or(rest.len(), |end| end + 1)]);
                end.map_or(rest.len(), |end| end + 2)
            } else if is_of_word(byte) {
                let length = rest.iter().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
                search.strings.push(&rest[..length]);
                search.near |= &rest[..length] == b"NEAR";
                length
            } else {
                search.joined |= *byte == b'+';
                1
            };
            at += length;
        }
        search
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_search_are_counted() {
        let searches: [(&str, &[&str], bool, bool); 11] = [
            ("", &[], false, false),
            ("one two", &["one", "two"], false, false),
            ("\"one two\" + three*", &["one two", "three"], false, true),
            ("NEAR(one \"two\"three, 10)", &["NEAR", "one", "two", "three", "10"], true, false),
            ("near(one)", &["near", "one"], false, false),
            ("\"NEAR + \" x_NEAR", &["NEAR + ", "x_NEAR"], false, false),
            ("{a b}: ^\u{17e}lu\u{165}", &["a", "b", "\u{17e}lu\u{165}"], false, false),
            ("\"open", &["open"], false, false),
            ("\"", &[""], false, false),
            ("\"a\"\"b\"", &["a", "b"], false, true),
            ("\"a\" \"b\"", &["a", "b"], false, false),
        ];
        for (text, strings, near, joined) in searches {
            let search = Search::of(text.as_bytes());
            let expected: Vec<&[u8]> = strings.iter().map(|string| string.as_bytes()).collect();
            assert_eq!((search.strings, search.near, search.joined), (expected, near, joined), "{text}");
        }
    }
}
