//! LIKE and GLOB that end with their statement. SQLite's own take a time that grows with the product of the pattern's
//! and the text's length, inside one function that nothing can interrupt.
//!
//! SQLite uses an index for `name LIKE 'a%'` only if the function behind LIKE has a flag that its own have and that no
//! function of an application can be given. It is set here all the same, in SQLite's description of the function: at
//! the place where the bundled release has it, and only there. With any other release it is not set, and LIKE reads all
//! rows; a test tells.

use super::watch::ConnectionControl;
use memchr::{memchr, memchr2};
use rusqlite::{Connection, Error, Result, ffi};
use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

/// Bytes of a pattern.
const PATTERN_BYTES: usize = 1_000;

/// Steps between two looks at whether to go on.
const LOOK_STEPS: u32 = 1 << 16;

/// The release whose description of functions is known: see `struct FuncDef` and `struct sqlite3_context` of its
/// source.
const KNOWN_RELEASE: c_int = 3_050_002;

/// "Candidate for the LIKE optimization", and "case-sensitive".
const FLAG_LIKE: u32 = 0x0004;
const FLAG_CASE: u32 = 0x0008;

/// The special characters of patterns; the first bytes are as SQLite reads them (`struct compareInfo`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Signs {
    /// Any characters.
    all: u8,
    /// Any one.
    one: u8,
    /// The beginning of a set, or 0.
    set: u8,
    /// Whether case does not matter, in ASCII.
    folds: u8,
}

const LIKE: Signs = Signs { all: b'%', one: b'_', set: 0, folds: 1 };
const GLOB: Signs = Signs { all: b'*', one: b'?', set: b'[', folds: 0 };

#[repr(C)]
struct Function {
    signs: Signs,
    control: Arc<ConnectionControl>,
}

/// The beginning of SQLite's `struct FuncDef`.
#[repr(C)]
struct Description {
    arguments: i16,
    flags: u32,
    data: *mut c_void,
    next: *mut c_void,
    function: Option<unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value)>,
}

thread_local! {
    /// Whether calls are to set the flag.
    static ADOPTS: Cell<bool> = const { Cell::new(false) };
}

/// Defines LIKE and GLOB on a connection.
pub(super) fn define(connection: &Connection, control: &Arc<ConnectionControl>) -> Result<()> {
    for (name, arguments, signs) in [(c"like", 2, LIKE), (c"like", 3, LIKE), (c"glob", 2, GLOB)] {
        define_one(connection, name, arguments, Function { signs, control: Arc::clone(control) })?;
    }
    // SAFETY: it takes nothing.
    if unsafe { ffi::sqlite3_libversion_number() } == KNOWN_RELEASE {
        ADOPTS.set(true);
        let adopted =
            connection.query_row("SELECT like('a', 'a') AND like('a', 'a', '!') AND glob('a', 'a')", [], |_| Ok(()));
        ADOPTS.set(false);
        adopted?;
    }
    Ok(())
}

fn define_one(connection: &Connection, name: &CStr, arguments: c_int, function: Function) -> Result<()> {
    let function = Box::into_raw(Box::new(function));
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    // SAFETY: the connection is open and this thread's; SQLite calls `drop_function` with the data, once, also when
    // this fails.
    let defined = unsafe {
        ffi::sqlite3_create_function_v2(
            connection.handle(),
            name.as_ptr(),
            arguments,
            flags,
            function.cast(),
            Some(call),
            None,
            None,
            Some(drop_function),
        )
    };
    if defined == ffi::SQLITE_OK { Ok(()) } else { Err(Error::SqliteFailure(ffi::Error::new(defined), None)) }
}

unsafe extern "C" fn drop_function(function: *mut c_void) {
    // SAFETY: it is what `define_one` gave.
    drop(unsafe { Box::from_raw(function.cast::<Function>()) });
}

unsafe extern "C" fn call(context: *mut ffi::sqlite3_context, count: c_int, arguments: *mut *mut ffi::sqlite3_value) {
    // SAFETY: SQLite gives its own context and as many arguments as it says; the data is what `define_one` gave.
    unsafe {
        let data = ffi::sqlite3_user_data(context);
        let function = &*data.cast::<Function>();
        if ADOPTS.get() {
            adopt(context, count, data, function.signs);
        }
        let text = |at: usize| {
            let value = *arguments.add(at);
            let start = ffi::sqlite3_value_text(value);
            (!start.is_null()).then(|| CStr::from_ptr(start.cast()).to_bytes())
        };
        let (pattern, within) = (text(0), text(1));
        let escape = if count == 3 { Some(text(2)) } else { None };
        let told = match (pattern, within, escape) {
            (_, _, Some(None)) | (None, ..) | (_, None, _) => return,
            (Some(pattern), ..) if pattern.len() > PATTERN_BYTES => Err(c"LIKE or GLOB pattern too complex"),
            (Some(pattern), Some(within), escape) => match escape.flatten().map(one_character) {
                Some(None) => Err(c"ESCAPE expression must be a single character"),
                escape => Ok(Match { signs: function.signs, escape: escape.flatten(), control: &function.control }
                    .matches(pattern, within)),
            },
        };
        match told {
            Ok(Some(matches)) => ffi::sqlite3_result_int(context, c_int::from(matches)),
            Ok(None) => ffi::sqlite3_result_error_code(context, ffi::SQLITE_INTERRUPT),
            Err(why) => ffi::sqlite3_result_error(context, why.as_ptr(), -1),
        }
    }
}

/// Sets the flag by which SQLite knows LIKE.
///
/// # Safety
/// The context is one of SQLite's of the known release.
unsafe fn adopt(context: *mut ffi::sqlite3_context, count: c_int, data: *mut c_void, signs: Signs) {
    // SAFETY: the description is the context's second pointer, and lives as long as the connection, which is this
    // thread's.
    unsafe {
        let description = &mut **context.cast::<*mut Description>().add(1);
        let function: unsafe extern "C" fn(_, _, _) = call;
        let is = i32::from(description.arguments) == count
            && description.data == data
            && description.function.is_some_and(|own| std::ptr::fn_addr_eq(own, function));
        if is {
            description.flags |= if signs.folds == 1 { FLAG_LIKE } else { FLAG_LIKE | FLAG_CASE };
        }
    }
}

fn one_character(text: &[u8]) -> Option<u32> {
    let mut at = 0;
    let c = read(text, &mut at);
    (at > 0 && at == text.len()).then_some(c)
}

/// A character, as SQLite reads them; 0 at the end.
fn read(text: &[u8], at: &mut usize) -> u32 {
    let Some(&first) = text.get(*at) else { return 0 };
    *at += 1;
    if first < 0xc0 {
        return first.into();
    }
    let mut c = u32::from(match first {
        0xc0..=0xdf => first & 0x1f,
        0xe0..=0xef => first & 0x0f,
        0xf0..=0xf7 => first & 0x07,
        0xf8..=0xfb => first & 0x03,
        _ => first & 0x01,
    });
    while let Some(next) = text.get(*at).filter(|next| **next & 0xc0 == 0x80) {
        c = (c << 6).wrapping_add(u32::from(next & 0x3f));
        *at += 1;
    }
    let strange = c < 0x80 || c & 0xffff_f800 == 0xd800 || c & 0xffff_fffe == 0xfffe;
    if strange { 0xfffd } else { c }
}

struct Match<'a> {
    signs: Signs,
    escape: Option<u32>,
    control: &'a ConnectionControl,
}

impl Match<'_> {
    /// Whether a text is as a pattern says. None: the statement is to end.
    fn matches(&self, pattern: &[u8], text: &[u8]) -> Option<bool> {
        // An escape that is a sign takes that sign away.
        let sign = |sign: u8| (sign != 0 && self.escape != Some(sign.into())).then_some(u32::from(sign));
        let (all, one) = (sign(self.signs.all), sign(self.signs.one));
        let (mut in_pattern, mut in_text) = (0, 0);
        // After the last sign for all: what follows it, and where in the text that is tried.
        let mut tried: Option<(usize, usize)> = None;
        let mut steps = 0_u32;
        loop {
            steps += 1;
            if steps.is_multiple_of(LOOK_STEPS) && self.control.is_stopped() {
                return None;
            }
            let fits = if in_pattern >= pattern.len() {
                if in_text >= text.len() {
                    return Some(true);
                }
                None
            } else {
                let mut next = in_pattern;
                let c = read(pattern, &mut next);
                if Some(c) == all {
                    if next >= pattern.len() {
                        return Some(true);
                    }
                    in_pattern = next;
                    in_text = self.skip(pattern, next, text, in_text, (all, one));
                    tried = Some((next, in_text));
                    continue;
                }
                self.one(c, pattern, next, text, in_text, one)
            };
            if let Some((next_in_pattern, next_in_text)) = fits {
                (in_pattern, in_text) = (next_in_pattern, next_in_text);
                continue;
            }
            let Some((from, mut at)) = tried else { return Some(false) };
            if at >= text.len() {
                return Some(false);
            }
            let _ = read(text, &mut at);
            at = self.skip(pattern, from, text, at, (all, one));
            tried = Some((from, at));
            in_pattern = from;
            in_text = at;
        }
    }

    /// The first place from which what follows a sign for all can fit.
    fn skip(&self, pattern: &[u8], from: usize, text: &[u8], at: usize, signs: (Option<u32>, Option<u32>)) -> usize {
        let Some(&c) = pattern.get(from).filter(|c| c.is_ascii()) else { return at };
        let special =
            [signs.0, signs.1, self.escape].contains(&Some(c.into())) || (self.signs.set != 0 && c == self.signs.set);
        if special {
            return at;
        }
        let rest = &text[at.min(text.len())..];
        let found = if self.signs.folds == 1 {
            memchr2(c.to_ascii_lowercase(), c.to_ascii_uppercase(), rest)
        } else {
            memchr(c, rest)
        };
        found.map_or(text.len(), |found| at + found)
    }

    /// The result if a character of the text fits what stands in the pattern: `c`, and what begins at `next`.
    fn one(
        &self,
        c: u32,
        pattern: &[u8],
        next: usize,
        text: &[u8],
        in_text: usize,
        one: Option<u32>,
    ) -> Option<(usize, usize)> {
        let (mut c, mut next, mut after) = (c, next, in_text);
        let mut escaped = false;
        if Some(c) == self.escape {
            if next >= pattern.len() {
                return None;
            }
            c = read(pattern, &mut next);
            escaped = true;
        }
        if in_text >= text.len() {
            return None;
        }
        let found = read(text, &mut after);
        if self.signs.set != 0 && c == u32::from(self.signs.set) {
            return in_set(pattern, next, found).map(|next| (next, after));
        }
        let folded = |c: u32| u8::try_from(c).map_or(c, |byte| byte.to_ascii_lowercase().into());
        let same = c == found
            || (self.signs.folds == 1 && c < 0x80 && found < 0x80 && folded(c) == folded(found))
            || (!escaped && Some(c) == one);
        same.then_some((next, after))
    }
}

/// Where a set ends that has this character in it.
fn in_set(pattern: &[u8], start: usize, found: u32) -> Option<usize> {
    let mut at = start;
    let (mut seen, mut before) = (false, 0);
    let mut c = read(pattern, &mut at);
    let inverted = c == u32::from(b'^');
    if inverted {
        c = read(pattern, &mut at);
    }
    if c == u32::from(b']') {
        seen = found == c;
        c = read(pattern, &mut at);
    }
    while c != 0 && c != u32::from(b']') {
        let range = c == u32::from(b'-') && before > 0 && pattern.get(at).is_some_and(|next| *next != b']');
        if range {
            c = read(pattern, &mut at);
            seen |= (before..=c).contains(&found);
            before = 0;
        } else {
            seen |= found == c;
            before = c;
        }
        c = read(pattern, &mut at);
    }
    (c != 0 && seen != inverted).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::memory::Account;
    use super::*;

    fn ours() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        define(&connection, &Arc::new(ConnectionControl::new(&Account::new(64 << 20), 0))).unwrap();
        connection
    }

    #[test]
    fn they_say_what_sqlites_own_say() {
        let (ours, own) = (ours(), Connection::open_in_memory().unwrap());
        let pieces = [
            "",
            "a",
            "B",
            "ab",
            "ž",
            "%",
            "_",
            "*",
            "?",
            "[a-c]",
            "[^b]",
            "[]x]",
            "[",
            "!",
            "!%",
            "%%",
            "b_",
            "a%b",
            "\u{1f40e}",
            "[",
        ];
        let texts = [
            "",
            "a",
            "A",
            "ab",
            "aB",
            "aab",
            "abab",
            "ž",
            "Ž",
            "žluť",
            "a%b",
            "a_",
            "[",
            "]",
            "x",
            "bž\u{1f40e}",
            "aaaaaaab",
        ];
        let ask = |connection: &Connection, sql: &str, pattern: &str, text: &str| {
            connection
                .query_row(sql, [pattern, text], |row| row.get::<_, Option<i64>>(0))
                .map_err(|error| error.to_string())
        };
        for first in pieces {
            for second in pieces {
                for third in ["", "%", "a", "_b", "*", "b"] {
                    let pattern = format!("{first}{second}{third}");
                    for text in texts {
                        for sql in [
                            "SELECT ?2 LIKE ?1",
                            "SELECT ?2 GLOB ?1",
                            "SELECT ?2 LIKE ?1 ESCAPE '!'",
                            "SELECT ?2 LIKE ?1 ESCAPE '%'",
                        ] {
                            let (got, expected) = (ask(&ours, sql, &pattern, text), ask(&own, sql, &pattern, text));
                            assert_eq!(got, expected, "{sql}: {pattern:?} {text:?}");
                        }
                    }
                }
            }
        }
        for sql in [
            "SELECT NULL LIKE 'a'",
            "SELECT 'a' LIKE NULL",
            "SELECT 12 LIKE '1%'",
            "SELECT x'61' LIKE 'A'",
            "SELECT 1.5 GLOB '1.*'",
        ] {
            let ask =
                |connection: &Connection| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap();
            assert_eq!(ask(&ours), ask(&own), "{sql}");
        }
    }

    #[test]
    fn they_use_indexes() {
        let connection = ours();
        connection
            .execute_batch(
                "CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE); CREATE INDEX i ON t (a); CREATE INDEX j ON t (b)",
            )
            .unwrap();
        for (sql, index) in [
            ("SELECT 1 FROM t WHERE a GLOB 'x*'", "USING COVERING INDEX i (a>? AND a<?)"),
            ("SELECT 1 FROM t WHERE b LIKE 'x%'", "USING COVERING INDEX j (b>? AND b<?)"),
            ("SELECT 1 FROM t WHERE b LIKE 'x!%%' ESCAPE '!'", "USING COVERING INDEX j (b>? AND b<?)"),
        ] {
            let plan: String =
                connection.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get("detail")).unwrap();
            assert!(plan.contains(index), "{sql}: {plan}");
        }
    }
}
