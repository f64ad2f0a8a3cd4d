//! JavaScript exceptions as text, for the host and for `elias-build`.

use crate::json::write_json_string;
use javy::quickjs::{Ctx, Error, Exception, Value};

/// Bytes of an exception's message or stack that leave the engine.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Causes of causes that are told.
const CAUSES_DEPTH_MAX: usize = 8;

/// Errors of an AggregateError that are told.
const ERRORS_MAX: usize = 8;

/// An exception, taken apart.
pub(crate) struct ExceptionText {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) stack: String,
}

impl ExceptionText {
    /// Takes the exception that `error` stands for out of the context.
    pub(crate) fn catch(ctx: &Ctx<'_>, error: &Error) -> Self {
        match error {
            Error::Exception => Self::of(&ctx.catch()),
            other => Self { name: "Error".into(), message: other.to_string(), stack: String::new() },
        }
    }

    /// The text of a thrown or rejected value, with its causes and the errors of an AggregateError below its stack.
    /// Anything can be thrown, so nothing is taken for granted.
    pub(crate) fn of(value: &Value<'_>) -> Self {
        let mut thrown = Self::alone(value);
        tell_causes(value, &mut thrown.stack, 0);
        thrown.stack = truncate(thrown.stack);
        thrown
    }

    /// The text of a value without its causes.
    fn alone(value: &Value<'_>) -> Self {
        let ctx = value.ctx();
        let text = |key: &str| {
            let got = value.as_object().and_then(|object| object.get::<_, Option<String>>(key).ok().flatten());
            ctx.catch(); // a getter may have thrown
            got.map(truncate)
        };
        if value.is_object() {
            let name = text("name").unwrap_or_else(|| "Error".into());
            if let (Some(message), stack) = (text("message"), text("stack").unwrap_or_default()) {
                let stack = frames(&stack, &name, &message).to_owned();
                return Self { name, message, stack };
            }
        }
        // QuickJS throws null when even the error object cannot be allocated.
        let message = if value.is_null() {
            "out of memory".to_owned()
        } else {
            let shown = value.get::<javy::quickjs::Coerced<String>>().map(|text| text.0);
            ctx.catch();
            format!("thrown: {}", shown.map_or_else(|_| "a value that cannot be shown".into(), truncate))
        };
        Self { name: "Error".into(), message, stack: String::new() }
    }

    /// The exception as the JSON that the host and `elias-build` read; `kind` says what happened.
    pub(crate) fn to_json(&self, kind: &str) -> String {
        let mut json = String::from("{\"elias\":");
        write_json_string(&mut json, kind);
        for (key, value) in [("name", &self.name), ("message", &self.message), ("stack", &self.stack)] {
            json.push_str(",\"");
            json.push_str(key);
            json.push_str("\":");
            write_json_string(&mut json, value);
        }
        json.push('}');
        json
    }
}

/// Appends why `value` came to be thrown: its `cause`, and its `errors` if it is an AggregateError.
fn tell_causes(value: &Value<'_>, text: &mut String, depth: usize) {
    let Some(object) = value.as_object() else { return };
    let ctx = value.ctx();
    if depth == CAUSES_DEPTH_MAX || text.len() > TEXT_BYTES_MAX {
        return;
    }
    let own = |key: &str| {
        let found = object.contains_key(key).unwrap_or(false).then(|| object.get::<_, Value<'_>>(key).ok()).flatten();
        ctx.catch(); // a getter or a proxy may have thrown
        found
    };
    let mut tell = |label: &str, value: &Value<'_>| {
        let ExceptionText { name, message, stack } = ExceptionText::alone(value);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let title = if value.is_object() { format!("{name}: {message}") } else { message };
        text.push_str(&format!("  [{label}]: {title}\n{stack}"));
        tell_causes(value, text, depth + 1);
    };
    if let Some(cause) = own("cause").filter(|cause| !cause.is_undefined()) {
        tell("cause", &cause);
    }
    let errors = own("errors").and_then(Value::into_array);
    for (at, error) in errors.iter().flat_map(|errors| errors.iter::<Value<'_>>().take(ERRORS_MAX)).enumerate() {
        match error {
            Ok(error) => tell(&format!("errors {at}"), &error),
            Err(_) => drop(ctx.catch()),
        }
    }
}

/// The position in JavaScript that called the running native function, as a stack text.
pub(crate) fn current_stack(ctx: &Ctx<'_>) -> String {
    // The constructor records the stack; an error made natively would not.
    let stack = ctx
        .globals()
        .get::<_, javy::quickjs::function::Constructor<'_>>("Error")
        .and_then(|constructor| constructor.construct::<_, Exception<'_>>(()))
        .map(|error| frames(&error.stack().unwrap_or_default(), "Error", "").to_owned());
    if stack.is_err() {
        ctx.catch();
    }
    stack.unwrap_or_default()
}

/// An error's stack without what it begins with: the error, by the name and message that it had when it was made.
fn frames<'s>(stack: &'s str, name: &str, message: &str) -> &'s str {
    const FRAME: &str = "    at ";
    if stack.starts_with(FRAME) {
        return stack;
    }
    match stack.find(&format!("\n{FRAME}")) {
        Some(end) => &stack[end + 1..],
        None if stack.trim_end() == name || stack.trim_end() == format!("{name}: {message}") => "",
        None => stack,
    }
}

fn truncate(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
