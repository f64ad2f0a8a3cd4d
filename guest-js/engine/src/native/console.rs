//! `console.*` and `elias/log`: lines for the log.
//!
//! Strings and other primitives are formatted here; `console/console.js` formats everything else.

use super::convert::UsvString;
use super::raw::{self, Context, NativeFunction, RawValue, ValueTable};
use crate::log;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::c_int;
use std::fmt::Write as _;

/// The console's methods that write their arguments, with their levels.
const METHODS: [(&str, u32); 5] = [("debug", 1), ("log", 2), ("info", 2), ("warn", 3), ("error", 4)];
/// The script's functions that the natives replace, and call for all that they do not handle.
static METHOD_FALLBACKS: ValueTable<{ METHODS.len() }> = ValueTable::new();

/// The same of the methods of `elias/log`, by level.
static LOG_FALLBACKS: ValueTable<5> = ValueTable::new();

struct Flag(Cell<bool>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Flag {}

/// Whether `console.group` indents lines; the script then formats them.
static IS_INDENTED: Flag = Flag(Cell::new(false));

/// Whether every line is a script's affair: `elias/test` collects them there.
static IS_SCRIPTED: Flag = Flag(Cell::new(false));

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("nativeConsoleMethod", Function::new(native.ctx().clone(), replace_console_method)?)?;
    native.set("nativeLogMethod", Function::new(native.ctx().clone(), replace_log_method)?)?;
    native.set("logIndented", Function::new(native.ctx().clone(), |is: bool| IS_INDENTED.0.set(is))?)?;
    native.set("logScripted", Function::new(native.ctx().clone(), || IS_SCRIPTED.0.set(true))?)?;
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
    )
}

/// Makes the native that replaces a method of the console.
fn replace_console_method<'js>(ctx: Ctx<'js>, script: Function<'js>, method: String) -> Result<Value<'js>> {
    let Some(number) = METHODS.iter().position(|(name, _)| *name == method) else {
        return Err(Exception::throw_internal(&ctx, &format!("native console.{method} does not exist")));
    };
    METHOD_FALLBACKS.set(number, &script);
    raw::function(&script, NativeFunction::Method(write_console_message), number)
}

/// Writes a line of primitives; calls the script for anything else.
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
            && !IS_SCRIPTED.0.get()
            && let Some(message) = plain_message(ctx, arguments)
        {
            log::write(METHODS[number as usize].1, &message, &[]);
            return qjs::JS_UNDEFINED;
        }
        qjs::JS_Call(ctx, METHOD_FALLBACKS.get(number as usize), this, argc, argv)
    }
}

/// Makes the native that replaces a method of the root logger, which has no bound fields.
fn replace_log_method<'js>(script: Function<'js>, level: usize) -> Result<Value<'js>> {
    LOG_FALLBACKS.set(level, &script);
    raw::function(&script, NativeFunction::Method(write_log_message), level)
}

/// Writes a string without fields; calls the script for anything else.
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
        if !IS_SCRIPTED.0.get()
            && arguments.get(1).is_none_or(|&fields| qjs::JS_IsUndefined(fields))
            && let Some(message) = arguments.first().and_then(|&message| raw::text(ctx, message))
        {
            log::write(level as u32, &message, &[]);
            return qjs::JS_UNDEFINED;
        }
        qjs::JS_Call(ctx, LOG_FALLBACKS.get(level as usize), this, argc, argv)
    }
}

/// The message that `console/format.js` makes of primitives; none if there is another value, or a specifier such as
/// `%s`.
///
/// # Safety
/// All values must outlive the result.
unsafe fn plain_message<'a>(ctx: Context, arguments: &[RawValue]) -> Option<Cow<'a, str>> {
    // SAFETY: as for the caller; converting a number to a string runs no script.
    unsafe {
        if let [text] = arguments
            && qjs::JS_IsString(*text)
        {
            return raw::text(ctx, *text);
        }
        let mut message = String::new();
        for (at, &argument) in arguments.iter().enumerate() {
            if at > 0 {
                message.push(' ');
            }
            match qjs::JS_VALUE_GET_TAG(argument) {
                qjs::JS_TAG_STRING | qjs::JS_TAG_STRING_ROPE => {
                    let text = raw::text(ctx, argument)?;
                    if at == 0 && text.as_bytes().contains(&b'%') {
                        return None;
                    }
                    message.push_str(&text);
                }
                qjs::JS_TAG_INT => write!(message, "{}", qjs::JS_VALUE_GET_INT(argument)).ok()?,
                qjs::JS_TAG_BOOL => message.push_str(if qjs::JS_VALUE_GET_BOOL(argument) { "true" } else { "false" }),
                qjs::JS_TAG_NULL => message.push_str("null"),
                qjs::JS_TAG_UNDEFINED => message.push_str("undefined"),
                _ if qjs::JS_IsNumber(argument) => {
                    let number = qjs::JS_VALUE_GET_FLOAT64(argument);
                    if number == 0.0 && number.is_sign_negative() {
                        message.push('-');
                    }
                    let text = qjs::JS_ToString(ctx, argument);
                    let shown = raw::text(ctx, text).map(|text| message.push_str(&text));
                    qjs::JS_FreeValue(ctx, text);
                    shown?;
                }
                _ => return None,
            }
        }
        Some(Cow::Owned(message))
    }
}
