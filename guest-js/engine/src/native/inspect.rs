//! Plain data as text: primitives, object literals and arrays, as `console/inspect.js` shows them and as
//! `console/log-arguments.js` encodes them.
//!
//! Whatever a script could have a say in, or is rare (getters, symbols, classes, holes, functions, what is large), has
//! no text here: it is left to those two, which are the one source of how it is shown.

use super::raw::{self, Context, RawValue, ValueTable};
use crate::json::write_json_string;
use javy::quickjs::{Ctx, Function, Object, Result, Value, qjs};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::c_int;
use std::fmt::Write as _;

/// How deep objects are shown, and how many levels an object on one line may have within it.
const DEPTH: usize = 2;
const COMPACT: usize = 3;
/// The longest line, in UTF-16 code units as all lengths here, and what an object takes of it beside its entries.
const LINE: usize = 80;
const BESIDE_ENTRIES: usize = 11;
/// The items of a longer array stand in columns, which are the script's.
const LINE_ITEMS_MAX: usize = 6;

/// Items of an array and keys of an object, nesting, and the length of the JSON beyond which it is made by the script.
const ITEMS_MAX: usize = 100;
const JSON_DEPTH: usize = 5;
const JSON_UNITS_MAX: usize = 2_000;
/// A code unit takes at most three bytes.
const JSON_BYTES_MAX: usize = 3 * JSON_UNITS_MAX;

/// The script cuts longer strings.
const QUOTED_BYTES_MAX: usize = 10_000;

/// The results of `elias_kind` and `elias_member`.
const LITERAL: c_int = 1;
const LIST: c_int = 2;
const HIDDEN: c_int = 0;
const MEMBER: c_int = 1;

unsafe extern "C" {
    // All defined in `quickjs/plain.c`.
    fn elias_prototypes_are_plain(ctx: Context, object: RawValue, custom: qjs::JSAtom) -> bool;
    fn elias_kind(ctx: Context, value: RawValue, count: *mut u32) -> c_int;
    fn elias_member(ctx: Context, object: RawValue, at: u32, name: *mut RawValue, value: *mut RawValue) -> c_int;
}

/// The function `Object`.
static OBJECT: ValueTable<1> = ValueTable::new();

struct Atom(Cell<qjs::JSAtom>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Atom {}

/// The symbol by which packages say how their objects are shown; the atom is never freed.
static CUSTOM: Atom = Atom(Cell::new(0));

/// Notes what plain objects are recognized by, before the application can change it.
pub(super) fn prepare(ctx: &Ctx<'_>) -> Result<()> {
    OBJECT.set(0, &ctx.globals().get::<_, Value<'_>>("Object")?);
    let symbol: Object<'_> = ctx.globals().get("Symbol")?;
    let custom: Value<'_> = symbol.get::<_, Function<'_>>("for")?.call(("nodejs.util.inspect.custom",))?;
    // SAFETY: the symbol is alive, and the context is its own.
    CUSTOM.0.set(unsafe { qjs::JS_ValueToAtom(ctx.as_raw().as_ptr(), custom.as_raw()) });
    Ok(())
}

/// A string; none for anything else, and for one with half of a surrogate pair, which could meet its other half.
///
/// # Safety
/// The context must be valid, and the value must outlive the result.
pub(super) unsafe fn text<'a>(ctx: Context, value: RawValue) -> Option<Cow<'a, str>> {
    // SAFETY: as for the caller.
    let text = unsafe { raw::text(ctx, value) }?;
    let is_whole = matches!(text, Cow::Borrowed(_)) || !text.contains(char::REPLACEMENT_CHARACTER);
    is_whole.then_some(text)
}

/// The JSON of an array with these values. None if one is not plain: then it is not shown here either.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn json_of(ctx: Context, values: &[RawValue]) -> Option<String> {
    // SAFETY: as for the caller.
    unsafe {
        if values.len() > ITEMS_MAX || !elias_prototypes_are_plain(ctx, OBJECT.get(0), CUSTOM.0.get()) {
            return None;
        }
        let mut json = String::new();
        write_json_array(ctx, values, JSON_DEPTH, &mut json)?;
        (units(&json) <= JSON_UNITS_MAX).then_some(json)
    }
}

/// Writes a value as JSON; false if it has no form. None as for [`json_of`].
///
/// # Safety
/// As for [`json_of`].
pub(super) unsafe fn write_json(ctx: Context, value: RawValue, out: &mut String) -> Option<bool> {
    // SAFETY: as for the caller.
    unsafe { write_json_within(ctx, value, JSON_DEPTH, out) }
}

unsafe fn write_json_within(ctx: Context, value: RawValue, depth: usize, out: &mut String) -> Option<bool> {
    // SAFETY: as for `write_json`.
    unsafe {
        // Before each value, or an array of many long strings would be copied whole only to be thrown away.
        if out.len() > JSON_BYTES_MAX {
            return None;
        }
        match qjs::JS_VALUE_GET_TAG(value) {
            qjs::JS_TAG_UNDEFINED => return Some(false),
            qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => {
                let text = text(ctx, value)?;
                if text.len() > JSON_BYTES_MAX {
                    return None;
                }
                write_json_string(out, &text);
            }
            qjs::JS_TAG_OBJECT if depth > 0 => {
                let mut count = 0;
                match elias_kind(ctx, value, &raw mut count) {
                    LITERAL => write_json_object(ctx, value, count, depth - 1, out)?,
                    LIST => write_json_array(ctx, raw::items(ctx, value)?, depth - 1, out)?,
                    _ => return None,
                }
            }
            _ if qjs::JS_IsNumber(value) => {
                if !is_finite(value) {
                    return None;
                }
                write_number(ctx, value, out)?;
            }
            _ => write_constant(value, out)?,
        }
        Some(true)
    }
}

unsafe fn write_json_array(ctx: Context, items: &[RawValue], depth: usize, out: &mut String) -> Option<()> {
    if items.len() > ITEMS_MAX {
        return None;
    }
    out.push('[');
    for (at, &item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        // SAFETY: as for `write_json`.
        if !unsafe { write_json_within(ctx, item, depth, out) }? {
            out.push_str("null");
        }
    }
    out.push(']');
    Some(())
}

unsafe fn write_json_object(ctx: Context, object: RawValue, count: u32, depth: usize, out: &mut String) -> Option<()> {
    let mut shown = 0;
    out.push('{');
    let first = out.len();
    // SAFETY: as for `write_json`.
    unsafe {
        for at in 0..count {
            let Some((name, value)) = member(ctx, object, at)? else { continue };
            shown += 1;
            if shown > ITEMS_MAX {
                return None;
            }
            let before = out.len();
            if before > first {
                out.push(',');
            }
            write_json_string(out, &name);
            out.push(':');
            if !write_json_within(ctx, value, depth, out)? {
                out.truncate(before);
            }
        }
    }
    out.push('}');
    Some(())
}

/// The name and value of a property that is shown; `Some(None)` if it is not; none if the object is left to the script.
unsafe fn member<'a>(ctx: Context, object: RawValue, at: u32) -> Option<Option<(Cow<'a, str>, RawValue)>> {
    let (mut name, mut value) = (qjs::JS_UNDEFINED, qjs::JS_UNDEFINED);
    // SAFETY: as for `write_json`; the name belongs to the object's shape.
    unsafe {
        match elias_member(ctx, object, at, &raw mut name, &raw mut value) {
            HIDDEN => Some(None),
            // A name that begins with a digit may be an index, and those come first.
            MEMBER => text(ctx, name)
                .filter(|name| !name.starts_with(|first: char| first.is_ascii_digit()))
                .map(|name| Some((name, value))),
            _ => None,
        }
    }
}

/// Where an object is written.
#[derive(Default)]
struct Layout {
    /// The level of the object that was entered last, as the script counts them: from 1.
    entered: usize,
    /// Columns before the lines of the object.
    indentation: usize,
}

/// Writes a value as `inspect(value)` shows it. None if it is left to the script; of objects it may be asked
/// only once [`json_of`] found that they are plain, and so that none is within itself.
///
/// # Safety
/// As for [`json_of`].
pub(super) unsafe fn write_value(ctx: Context, value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: as for the caller.
    unsafe { write_value_at(ctx, value, 0, &mut Layout::default(), out) }
}

unsafe fn write_value_at(
    ctx: Context,
    value: RawValue,
    level: usize,
    layout: &mut Layout,
    out: &mut String,
) -> Option<()> {
    // SAFETY: as for `write_value`.
    unsafe {
        match qjs::JS_VALUE_GET_TAG(value) {
            qjs::JS_TAG_UNDEFINED => out.push_str("undefined"),
            qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => {
                let text = text(ctx, value)?;
                if text.len() > QUOTED_BYTES_MAX {
                    return None;
                }
                write_quoted(&text, out)?;
            }
            qjs::JS_TAG_OBJECT => {
                let mut count = 0;
                match elias_kind(ctx, value, &raw mut count) {
                    LITERAL => write_object(ctx, value, count, level, layout, out)?,
                    LIST if count == 0 => out.push_str("[]"),
                    LIST if level > DEPTH => out.push_str("[Array]"),
                    LIST => write_array(ctx, raw::items(ctx, value)?, level + 1, layout, out)?,
                    _ => return None,
                }
            }
            _ if qjs::JS_IsNumber(value) => {
                if is_negative_zero(value) {
                    out.push('-');
                }
                write_number(ctx, value, out)?;
            }
            _ => write_constant(value, out)?,
        }
        Some(())
    }
}

unsafe fn write_array(
    ctx: Context,
    items: &[RawValue],
    level: usize,
    layout: &mut Layout,
    out: &mut String,
) -> Option<()> {
    if items.len() > LINE_ITEMS_MAX {
        return None;
    }
    layout.entered = level;
    let mut entries = Vec::with_capacity(items.len());
    layout.indentation += 2;
    for &item in items {
        let mut entry = String::new();
        // SAFETY: as for `write_value`.
        unsafe { write_value_at(ctx, item, level, layout, &mut entry) }?;
        entries.push(entry);
    }
    layout.indentation -= 2;
    lay_out(['[', ']'], &entries, level, layout, out);
    Some(())
}

unsafe fn write_object(
    ctx: Context,
    object: RawValue,
    count: u32,
    level: usize,
    layout: &mut Layout,
    out: &mut String,
) -> Option<()> {
    let mut entries = Vec::with_capacity(count as usize);
    layout.indentation += 2;
    // SAFETY: as for `write_value`.
    unsafe {
        for at in 0..count {
            let Some((name, value)) = member(ctx, object, at)? else { continue };
            // An empty one is shown however deep it is.
            if level > DEPTH {
                layout.indentation -= 2;
                out.push_str("[Object]");
                return Some(());
            }
            if entries.is_empty() {
                layout.entered = level + 1;
            }
            let mut entry = String::new();
            if is_identifier(&name) {
                entry.push_str(&name);
            } else {
                write_quoted(&name, &mut entry)?;
            }
            entry.push_str(": ");
            write_value_at(ctx, value, level + 1, layout, &mut entry)?;
            entries.push(entry);
        }
    }
    layout.indentation -= 2;
    if entries.is_empty() {
        out.push_str("{}");
    } else {
        lay_out(['{', '}'], &entries, level + 1, layout, out);
    }
    Some(())
}

/// Writes `null`, `true` or `false`; none for any other value.
unsafe fn write_constant(value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: the value itself is looked at, and not what it points to.
    out.push_str(match unsafe { qjs::JS_VALUE_GET_TAG(value) } {
        qjs::JS_TAG_NULL => "null",
        // SAFETY: as above.
        qjs::JS_TAG_BOOL if unsafe { qjs::JS_VALUE_GET_BOOL(value) } => "true",
        qjs::JS_TAG_BOOL => "false",
        _ => return None,
    });
    Some(())
}

/// The number that a value is, if it is not an integer of 32 bits.
unsafe fn float(value: RawValue) -> Option<f64> {
    // SAFETY: as for `write_constant`.
    unsafe {
        let is_integer = qjs::JS_VALUE_GET_TAG(value) == qjs::JS_TAG_INT;
        (qjs::JS_IsNumber(value) && !is_integer).then(|| qjs::JS_VALUE_GET_FLOAT64(value))
    }
}

unsafe fn is_finite(value: RawValue) -> bool {
    // SAFETY: as for `write_constant`.
    unsafe { float(value) }.is_none_or(f64::is_finite)
}

unsafe fn is_negative_zero(value: RawValue) -> bool {
    // SAFETY: as for `write_constant`.
    unsafe { float(value) }.is_some_and(|number| number == 0.0 && number.is_sign_negative())
}

/// Writes a number as `String(value)` has it.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn write_number(ctx: Context, value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: as for the caller; converting a number to a string runs no script.
    unsafe {
        if qjs::JS_VALUE_GET_TAG(value) == qjs::JS_TAG_INT {
            return write!(out, "{}", qjs::JS_VALUE_GET_INT(value)).ok();
        }
        let text = qjs::JS_ToString(ctx, value);
        let shown = raw::text(ctx, text).map(|text| out.push_str(&text));
        qjs::JS_FreeValue(ctx, text);
        shown
    }
}

/// The length in UTF-16 code units.
fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// Whether a key needs no quotes.
fn is_identifier(key: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && key.bytes().all(is_part)
}

/// Writes a string with the first kind of quote that needs no escaping. None for one with control characters, or with
/// what a template would have in braces.
fn write_quoted(text: &str, out: &mut String) -> Option<()> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let has = |quote: char| text.contains(quote);
    let quote = match (has('\''), has('"'), has('`')) {
        (false, ..) | (true, true, true) => '\'',
        (true, false, _) => '"',
        (true, true, false) if text.contains("${") => return None,
        (true, true, false) => '`',
    };
    out.push(quote);
    for character in text.chars() {
        if character == quote || character == '\\' {
            out.push('\\');
        }
        out.push(character);
    }
    out.push(quote);
    Some(())
}

/// On one line if it fits, otherwise an entry a line.
fn lay_out([open, close]: [char; 2], entries: &[String], level: usize, layout: &Layout, out: &mut String) {
    let beside = 2 * entries.len() + layout.indentation + BESIDE_ENTRIES;
    let length = beside + entries.iter().map(|entry| units(entry)).sum::<usize>();
    let is_one_line = layout.entered.saturating_sub(level) < COMPACT
        && beside + entries.len() <= LINE
        && length <= LINE
        && !entries.iter().any(|entry| entry.contains('\n'));
    let (first, between, last) = if is_one_line {
        (" ".to_owned(), ", ".to_owned(), " ".to_owned())
    } else {
        let line = format!("\n{}", " ".repeat(layout.indentation));
        (format!("{line}  "), format!(",{line}  "), line)
    };
    out.push(open);
    for (at, entry) in entries.iter().enumerate() {
        out.push_str(if at == 0 { &first } else { &between });
        out.push_str(entry);
    }
    out.push_str(&last);
    out.push(close);
}
