//! Replaces functions of SQLite whose time grows with the product of their arguments' sizes by ones that take linear
//! time and end with their statement. SQLite's own cannot be interrupted: `instr` of 8 MB in 16 MB would take hours.
//!
//! LIKE and GLOB are in [`like`](super::like), `json_patch` in [`json_patch`](super::json_patch), what FTS5 does in
//! [`search`](super::search). What else SQLite has is linear, or makes what it allocates (see
//! [`memory`](super::memory)).

use super::watch::ConnectionControl;
use memchr::memmem::Finder;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes between two looks at whether to go on.
const LOOK_BYTES: usize = 1 << 20;

/// Defines the functions on a connection, whose values have at most `most` bytes.
pub(super) fn define(connection: &Connection, control: &Arc<ConnectionControl>, most: i32) -> Result<()> {
    // Innocuous: they may be in views, indexes and generated columns, as those that they replace.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let most = usize::try_from(most).unwrap_or(0);
    let own = Arc::clone(control);
    connection.create_scalar_function("instr", 2, flags, move |context| instr(context, &own))?;
    let own = Arc::clone(control);
    connection.create_scalar_function("replace", 3, flags, move |context| replace(context, &own, most))?;
    let own = Arc::clone(control);
    connection.create_scalar_function("unhex", 2, flags, move |context| unhex(context, &own))?;
    for (name, ends) in [("trim", (true, true)), ("ltrim", (true, false)), ("rtrim", (false, true))] {
        for arguments in [1, 2] {
            let own = Arc::clone(control);
            connection.create_scalar_function(name, arguments, flags, move |context| trim(context, &own, ends))?;
        }
    }
    Ok(())
}

fn interrupted() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)
}

pub(super) fn go_on(control: &ConnectionControl) -> Result<()> {
    if control.is_stopped() { Err(interrupted()) } else { Ok(()) }
}

/// An argument as text. None: it is NULL.
pub(super) fn text<'a>(context: &'a Context<'_>, at: usize) -> Option<Cow<'a, [u8]>> {
    Some(match context.get_raw(at) {
        ValueRef::Null => return None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cow::Borrowed(bytes),
        ValueRef::Integer(integer) => Cow::Owned(integer.to_string().into_bytes()),
        ValueRef::Real(real) => Cow::Owned(real_text(real).into_bytes()),
    })
}

/// A text of bytes that were taken from texts.
fn text_of(bytes: Vec<u8>) -> Value {
    Value::Text(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A number as SQLite writes it: with 15 digits, and a point.
fn real_text(real: f64) -> String {
    let real = real + 0.0; // there is no negative zero in SQLite's texts
    if real.is_infinite() {
        return if real > 0.0 { "Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{real:.14e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        let text = text.trim_end_matches('0');
        if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
    };
    if (-4..15).contains(&exponent) {
        let places = usize::try_from(14 - exponent).unwrap_or(0);
        let fixed = format!("{real:.places$}");
        return if fixed.contains('.') { trimmed(&fixed) } else { format!("{fixed}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
}

/// Where a text, or blob, is in another, counted from 1 in characters, or bytes.
fn instr(context: &Context<'_>, control: &ConnectionControl) -> Result<Option<i64>> {
    let blobs = matches!((context.get_raw(0), context.get_raw(1)), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(within), Some(wanted)) = (text(context, 0), text(context, 1)) else { return Ok(None) };
    go_on(control)?;
    let found = find(&Finder::new(&*wanted), &within, 0, control)?;
    Ok(Some(found.map_or(0, |at| {
        let before = &within[..at];
        let count = if blobs { at } else { before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() };
        i64::try_from(count).unwrap_or(i64::MAX - 1) + 1
    })))
}

/// The first place from `from` on, looking in pieces.
fn find(finder: &Finder<'_>, within: &[u8], from: usize, control: &ConnectionControl) -> Result<Option<usize>> {
    let wanted = finder.needle().len();
    let mut from = from;
    loop {
        let end = within.len().min(from.saturating_add(LOOK_BYTES).saturating_add(wanted));
        if let Some(at) = finder.find(&within[from.min(end)..end]) {
            return Ok(Some(from + at));
        }
        if end == within.len() {
            return Ok(None);
        }
        go_on(control)?;
        from += LOOK_BYTES;
    }
}

/// A text with something in it replaced wherever it is.
fn replace(context: &Context<'_>, control: &ConnectionControl, most: usize) -> Result<Value> {
    let (Some(within), Some(wanted), Some(by)) = (text(context, 0), text(context, 1), text(context, 2)) else {
        return Ok(Value::Null);
    };
    go_on(control)?;
    if wanted.is_empty() {
        return Ok(text_of(within.into_owned()));
    }
    let finder = Finder::new(&*wanted);
    let (mut made, mut from, mut looked) = (Vec::new(), 0, 0);
    while let Some(at) = find(&finder, &within, from, control)? {
        if made.len() + (at - from) + by.len() > most {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
        made.extend_from_slice(&within[from..at]);
        made.extend_from_slice(&by);
        from = at + wanted.len();
        if made.len() + from > looked + LOOK_BYTES {
            go_on(control)?;
            looked = made.len() + from;
        }
    }
    made.extend_from_slice(&within[from..]);
    Ok(text_of(made))
}

/// A text without characters of a set at its beginning, its end or both.
fn trim(context: &Context<'_>, control: &ConnectionControl, (start, end): (bool, bool)) -> Result<Value> {
    let Some(whole) = text(context, 0) else { return Ok(Value::Null) };
    let set = if context.len() > 1 {
        let Some(set) = text(context, 1) else { return Ok(Value::Null) };
        set
    } else {
        Cow::Borrowed(&b" "[..])
    };
    go_on(control)?;
    let (whole, set) = (String::from_utf8_lossy(&whole), String::from_utf8_lossy(&set));
    let set: HashSet<char> = set.chars().collect();
    let mut looked = 0_usize;
    let mut stopped = false;
    let mut goes = |c: char| {
        looked += 1;
        stopped |= looked.is_multiple_of(LOOK_BYTES) && control.is_stopped();
        !stopped && set.contains(&c)
    };
    let mut trimmed = &*whole;
    if start {
        trimmed = trimmed.trim_start_matches(&mut goes);
    }
    if end {
        trimmed = trimmed.trim_end_matches(&mut goes);
    }
    if stopped { Err(interrupted()) } else { Ok(Value::Text(trimmed.to_owned())) }
}

/// The bytes that hexadecimal digits stand for, between which there may be characters of a set.
fn unhex(context: &Context<'_>, control: &ConnectionControl) -> Result<Value> {
    let (Some(digits), Some(set)) = (text(context, 0), text(context, 1)) else { return Ok(Value::Null) };
    go_on(control)?;
    let (digits, set) = (String::from_utf8_lossy(&digits), String::from_utf8_lossy(&set));
    let set: HashSet<char> = set.chars().collect();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut chars = digits.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        if at % LOOK_BYTES < 2 {
            go_on(control)?;
        }
        // SQLite ends a text here.
        if c == '\0' {
            break;
        }
        match (c.to_digit(16), set.contains(&c)) {
            (Some(high), _) => {
                let Some(low) = chars.next().and_then(|(_, c)| c.to_digit(16)) else { return Ok(Value::Null) };
                bytes.push(u8::try_from(high << 4 | low).unwrap_or(0));
            }
            (None, true) => {}
            (None, false) => return Ok(Value::Null),
        }
    }
    Ok(Value::Blob(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::memory::Account;
    use super::*;
    use rusqlite::types::Value as Sql;

    /// The results of a connection with our functions and one without.
    fn both(sql: &str) -> (Sql, Sql) {
        let (ours, own) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        define(&ours, &Arc::new(ConnectionControl::new(&Account::new(64 << 20), 0)), 1 << 20).unwrap();
        let ask = |connection: &Connection| connection.query_row(sql, [], |row| row.get::<_, Sql>(0)).unwrap();
        (ask(&ours), ask(&own))
    }

    #[test]
    fn they_do_what_sqlites_own_do() {
        let values = [
            "NULL",
            "''",
            "'a'",
            "'abcabc'",
            "'žluť žluť'",
            "'ť'",
            "x'6162'",
            "x''",
            "x'61'",
            "12",
            "-1.5",
            "1.0",
            "1e100",
            "0.1",
            "1e15",
            "123456789012345.0",
            "1e-5",
            "0.00012",
            "1e14",
            "'  a '",
            "' '",
            "-0.0",
            "9e999",
        ];
        for one in values {
            for function in ["trim", "ltrim", "rtrim"] {
                let (ours, own) = both(&format!("SELECT {function}({one})"));
                assert_eq!(ours, own, "{function}({one})");
            }
            for other in values {
                for function in ["instr", "trim", "ltrim", "rtrim", "unhex"] {
                    let (ours, own) = both(&format!("SELECT {function}({one}, {other})"));
                    assert_eq!(ours, own, "{function}({one}, {other})");
                }
                let (ours, own) = both(&format!("SELECT replace({one}, {other}, 'xy')"));
                assert_eq!(ours, own, "replace({one}, {other})");
            }
        }
    }

    #[test]
    fn they_are_linear() {
        let connection = Connection::open_in_memory().unwrap();
        define(&connection, &Arc::new(ConnectionControl::new(&Account::new(64 << 20), 0)), 16 << 20).unwrap();
        // SQLite's own would take hours: this test would not end.
        for sql in [
            "SELECT instr(zeroblob(16000000), cast(zeroblob(8000000) as blob) || x'01')",
            "SELECT length(replace(zeroblob(8000000), cast(zeroblob(4000000) as blob) || x'01', 'b'))",
            "SELECT length(unhex(replace(hex(zeroblob(2000000)), '0', 'ž'), \
             replace(hex(zeroblob(2000000)), '0', 'y') || 'ž'))",
            "SELECT length(trim(hex(zeroblob(2000000)), printf('%.1000000c', 'x') || '0'))",
        ] {
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        }
    }
}
