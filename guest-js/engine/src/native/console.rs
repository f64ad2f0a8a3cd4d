//! `console.*` and `elias/log`: lines for the log. `elias/trace`: spans.
//!
//! Plain data are formatted here, as `console/format.js` formats them; `console/console.js` has everything else.

use super::convert::UsvString;
use super::inspect;
use super::raw::{self, Context, NativeFunction, RawValue, ValueTable};
use crate::log;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::c_int;

/// The console's methods that write their arguments, with their levels.
const METHODS: [(&str, u32); 5] = [("debug", 1), ("log", 2), ("info", 2), ("warn", 3), ("error", 4)];

/// The functions of the web module that the natives replace, and call for all that they do not handle.
static METHOD_FALLBACKS: ValueTable<{ METHODS.len() }> = ValueTable::new();

/// The same of the methods of `elias/log`, by level.
static LOG_FALLBACKS: ValueTable<5> = ValueTable::new();

struct Flag(Cell<bool>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Flag {}

/// Whether `console.group` indents lines; the web module then formats them.
static IS_INDENTED: Flag = Flag(Cell::new(false));

/// Whether the web module handles every line, since `elias/test` collects the lines there.
static IS_COLLECTED: Flag = Flag(Cell::new(false));

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    inspect::prepare(native.ctx())?;
    native.set("nativeConsoleMethod", Function::new(native.ctx().clone(), replace_console_method)?)?;
    native.set("nativeLogMethod", Function::new(native.ctx().clone(), replace_log_method)?)?;
    native.set("logIndented", Function::new(native.ctx().clone(), |is: bool| IS_INDENTED.0.set(is))?)?;
    native.set("logScripted", Function::new(native.ctx().clone(), || IS_COLLECTED.0.set(true))?)?;
    native.set(
        "logFields",
        Function::new(native.ctx().clone(), |level: u32, UsvString(message): UsvString, fields: Vec<UsvString>| {
            let mut flat = fields.into_iter();
            let mut pairs = Vec::new();
            while let (Some(UsvString(name)), Some(UsvString(json))) = (flat.next(), flat.next()) {
                pairs.push((name, json));
            }
            log::write(level, &message, &pairs);
        })?,
    )?;
    native.set(
        "log",
        Function::new(
            native.ctx().clone(),
            |level: u32, UsvString(message): UsvString, UsvString(arguments): UsvString| {
                let fields = [("arguments".to_owned(), arguments)];
                let said = usize::from(!fields[0].1.is_empty());
                log::write(level, &message, &fields[..said]);
            },
        )?,
    )?;
    let ctx = native.ctx().clone();
    let begin = |UsvString(name): UsvString, parent: u32| log::begin_span(&name, parent);
    native.set("beginSpan", Function::new(ctx.clone(), begin)?)?;
    native.set("endSpan", Function::new(ctx, |span: u32, failed: bool| log::end_span(span, failed))?)
}

/// Makes the native that replaces a method of the console.
fn replace_console_method<'js>(ctx: Ctx<'js>, fallback: Function<'js>, method: String) -> Result<Value<'js>> {
    let Some(number) = METHODS.iter().position(|(name, _)| *name == method) else {
        return Err(Exception::throw_internal(&ctx, &format!("native console.{method} does not exist")));
    };
    METHOD_FALLBACKS.set(number, &fallback);
    raw::function(&fallback, NativeFunction::Method(write_console_message), number)
}

/// Writes a line of plain data; calls the web module's function for anything else.
unsafe extern "C" fn write_console_message(
    ctx: Context,
    this: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    number: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let arguments = raw::arguments(argc, argv);
        if !IS_INDENTED.0.get()
            && !IS_COLLECTED.0.get()
            && let Some((message, json)) = plain_line(ctx, arguments)
        {
            let field = json.map(|json| ("arguments".to_owned(), json));
            log::write(METHODS[number as usize].1, &message, field.as_slice());
            return qjs::JS_UNDEFINED;
        }
        qjs::JS_Call(ctx, METHOD_FALLBACKS.get(number as usize), this, argc, argv)
    }
}

/// Makes the native that replaces a method of the root logger, which has no bound fields.
fn replace_log_method<'js>(fallback: Function<'js>, level: usize) -> Result<Value<'js>> {
    LOG_FALLBACKS.set(level, &fallback);
    raw::function(&fallback, NativeFunction::Method(write_log_message), level)
}

/// Writes a string without fields; calls the web module's function for anything else.
unsafe extern "C" fn write_log_message(
    ctx: Context,
    this: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    level: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let arguments = raw::arguments(argc, argv);
        if !IS_COLLECTED.0.get()
            && arguments.get(1).is_none_or(|&fields| qjs::JS_IsUndefined(fields))
            && let Some(message) = arguments.first().and_then(|&message| raw::text(ctx, message))
        {
            log::write(level as u32, &message, &[]);
            return qjs::JS_UNDEFINED;
        }
        qjs::JS_Call(ctx, LOG_FALLBACKS.get(level as usize), this, argc, argv)
    }
}

/// The message that `console/format.js` makes of plain data and, where it shows an object, which may be in a shortened
/// form, all arguments as JSON. None if another value is among them.
///
/// # Safety
/// All values must outlive the result.
unsafe fn plain_line<'a>(ctx: Context, arguments: &[RawValue]) -> Option<(Cow<'a, str>, Option<String>)> {
    // SAFETY: as for the caller.
    unsafe {
        if let [text] = arguments
            && qjs::JS_IsString(*text)
        {
            return Some((raw::text(ctx, *text)?, None));
        }
        let has_objects = arguments.iter().any(|&argument| qjs::JS_IsObject(argument));
        let json = if has_objects { Some(inspect::json_of(ctx, arguments)?) } else { None };
        let (mut message, mut next) = (String::new(), 0);
        if let Some(&first) = arguments.first()
            && qjs::JS_IsString(first)
        {
            next = 1 + substitute_all(ctx, &inspect::text(ctx, first)?, &arguments[1..], &mut message)?;
        }
        for (at, &argument) in arguments.iter().enumerate().skip(next) {
            if at > 0 {
                message.push(' ');
            }
            write_text(ctx, argument, &mut message)?;
        }
        Some((Cow::Owned(message), json))
    }
}

/// Writes a string as it is, and anything else as it is shown.
unsafe fn write_text(ctx: Context, value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: as for `plain_line`.
    unsafe {
        if qjs::JS_IsString(value) {
            out.push_str(&inspect::text(ctx, value)?);
            return Some(());
        }
        inspect::write_value(ctx, value, out)
    }
}

/// Writes a format with values in the place of its specifiers, such as `%s`; gives the number of values that it used.
unsafe fn substitute_all(ctx: Context, format: &str, values: &[RawValue], out: &mut String) -> Option<usize> {
    let (mut rest, mut used) = (format, 0);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let specifier = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        let end = match (specifier, values.get(used)) {
            (b'%', _) => {
                out.push('%');
                at + 2
            }
            (b's' | b'd' | b'i' | b'f' | b'j' | b'o' | b'O' | b'c', Some(&value)) => {
                used += 1;
                // SAFETY: as for `plain_line`.
                unsafe { substitute(ctx, specifier, value, out) }?;
                at + 2
            }
            // One without a value stands for itself, as does what is none.
            _ => {
                out.push('%');
                at + 1
            }
        };
        rest = &rest[end..];
    }
    out.push_str(rest);
    Some(used)
}

/// Writes the value for a specifier. None for objects after `%s`, which may have a text of their own, and after `%o`,
/// which shows what is hidden.
unsafe fn substitute(ctx: Context, specifier: u8, value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: as for `plain_line`.
    unsafe {
        match specifier {
            b's' | b'o' if qjs::JS_IsObject(value) => None,
            b's' => write_text(ctx, value, out),
            b'o' | b'O' => inspect::write_value(ctx, value, out),
            b'j' => {
                if !inspect::write_json(ctx, value, out)? {
                    out.push_str("undefined");
                }
                Some(())
            }
            b'c' => Some(()), // the style has no meaning here
            _ => write_as_number(ctx, specifier, value, out),
        }
    }
}

/// Writes the number that a value is for `%d`, `%i` or `%f`. None where it has to be read from a text.
unsafe fn write_as_number(ctx: Context, specifier: u8, value: RawValue, out: &mut String) -> Option<()> {
    // SAFETY: as for `plain_line`.
    unsafe {
        let text = match qjs::JS_VALUE_GET_TAG(value) {
            qjs::JS_TAG_INT => return inspect::write_number(ctx, value, out),
            qjs::JS_TAG_NULL if specifier == b'd' => "0",
            qjs::JS_TAG_NULL | qjs::JS_TAG_UNDEFINED => "NaN",
            qjs::JS_TAG_BOOL if specifier != b'd' => "NaN",
            qjs::JS_TAG_BOOL if qjs::JS_VALUE_GET_BOOL(value) => "1",
            qjs::JS_TAG_BOOL => "0",
            _ if qjs::JS_IsNumber(value) && specifier == b'd' => return inspect::write_value(ctx, value, out),
            _ if qjs::JS_IsNumber(value) && specifier == b'f' => return inspect::write_number(ctx, value, out),
            _ => return None,
        };
        out.push_str(text);
        Some(())
    }
}
