//! JavaScript exceptions as text for the other side.

use javy::quickjs::{Ctx, Error, Exception, Value};

/// Bytes of an exception's message or stack that leave the engine.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// An exception, taken apart.
pub(crate) struct Thrown {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) stack: String,
}

impl Thrown {
    /// Takes the exception that `error` stands for out of the context.
    pub(crate) fn catch(ctx: &Ctx<'_>, error: &Error) -> Self {
        match error {
            Error::Exception => Self::of(&ctx.catch()),
            other => Self { name: "Error".into(), message: other.to_string(), stack: String::new() },
        }
    }

    /// What a thrown or rejected value says. Anything can be thrown, so nothing is taken for granted.
    pub(crate) fn of(value: &Value<'_>) -> Self {
        let ctx = value.ctx();
        let text = |key: &str| {
            let got = value.as_object().and_then(|object| object.get::<_, Option<String>>(key).ok().flatten());
            ctx.catch(); // a getter may have thrown
            got.map(truncate)
        };
        if value.is_object() {
            let name = text("name").unwrap_or_else(|| "Error".into());
            if let (Some(message), stack) = (text("message"), text("stack").unwrap_or_default()) {
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

    /// As the JSON that the host and `elias-build` read; `kind` says what happened.
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

/// The position in JavaScript of whoever called the running native function, as a stack text.
pub(crate) fn current_stack(ctx: &Ctx<'_>) -> String {
    // The constructor records the stack; an error made natively would not.
    let stack = ctx
        .globals()
        .get::<_, javy::quickjs::function::Constructor<'_>>("Error")
        .and_then(|constructor| constructor.construct::<_, Exception<'_>>(()))
        .map(|error| error.stack().unwrap_or_default());
    if stack.is_err() {
        ctx.catch();
    }
    stack.unwrap_or_default()
}

fn truncate(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Appends `text` as a JSON string (RFC 8259, section 7).
pub(crate) fn write_json_string(json: &mut String, text: &str) {
    use std::fmt::Write;
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", control as u32); // writing to a String cannot fail
            }
            other => json.push(other),
        }
    }
    json.push('"');
}
