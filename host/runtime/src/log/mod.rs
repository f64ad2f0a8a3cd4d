//! What guests write, and why they failed, as structured events of `tracing`: made readable, made safe, and bounded.

mod budget;
mod neutralise;

pub(crate) use budget::{Budget, Budgets};

use crate::app::AppInner;
use crate::error::{Error, ErrorCode, Exception};
use neutralise::neutralise;
use serde_json::Value;

/// Bytes of a line, message and fields together, that are kept.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;

/// Fields of a line that are kept.
const FIELDS_MAX: usize = 32;

/// A line that was let through: readable, without secrets, within bounds.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The execution's id.
    pub execution: &'a str,
    /// How much it matters.
    pub level: tracing::Level,
    /// The text.
    pub message: &'a str,
    /// `name=value`, separated by spaces.
    pub fields: &'a str,
}

/// Sees the lines of a component beside the log; see [`crate::LoadOptions::observer`].
pub trait Observer: Send + Sync + 'static {
    /// A line was let through. Called on the guest's thread: it must not wait.
    fn line(&self, line: Line<'_>);
}

/// Writes one line; see [`crate::capability::InstanceInfo::log`].
pub(crate) fn write(
    app: &AppInner,
    execution: &str,
    level: tracing::Level,
    message: &str,
    fields: &[(String, String)],
) {
    let bytes = message.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if app.log.lacks(bytes.min(LINE_BYTES_MAX)) {
        return;
    }
    let message = app.original_text(message);
    let message = app.redact(&message);
    let message = neutralise(&message, LINE_BYTES_MAX);
    let mut left = LINE_BYTES_MAX - message.len().min(LINE_BYTES_MAX);
    let mut shown = String::new();
    for (name, value) in fields.iter().take(FIELDS_MAX) {
        let field = format!("{name}={}", app.original_text(value));
        let field = app.redact(&field);
        let field = neutralise(&field, left);
        left -= field.len().min(left);
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(&field);
    }
    let (component, version) = (app.name.as_str(), app.version.as_str());
    let Some(dropped) = app.log.take(message.len() + shown.len()) else { return };
    if dropped > 0 {
        tracing::warn!(
            target: "elias::guest", execution, component, version, dropped, "log lines over the component's budget were dropped"
        );
    }
    if let Some(observer) = &app.observer {
        observer.line(Line { execution, level, message: &message, fields: &shown });
    }
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: "elias::guest", tracing::Level::$level, execution, component,
                version, fields = %shown, "{message}"
            )
        };
    }
    match level {
        tracing::Level::TRACE => event!(TRACE),
        tracing::Level::DEBUG => event!(DEBUG),
        tracing::Level::INFO => event!(INFO),
        tracing::Level::WARN => event!(WARN),
        tracing::Level::ERROR => event!(ERROR),
    }
}

/// Writes why an execution failed, with the stack. What a caller alone can bring about is left to the access log.
pub(crate) fn failure(app: &AppInner, execution: &str, error: &Error) {
    if matches!(error.code(), ErrorCode::BadRequest | ErrorCode::RequestTooLarge | ErrorCode::Overloaded) {
        return;
    }
    let message = match error.exception() {
        Some(thrown) if error.code() == ErrorCode::Exception => format!("Uncaught {}: {}", thrown.name, thrown.message),
        _ => error.to_string(),
    };
    let mut fields = vec![("code".to_owned(), error.code().as_str().to_owned())];
    if let Some(hint) = error.exception().and_then(Exception::hint) {
        fields.push(("hint".to_owned(), Value::from(hint).to_string()));
    }
    if let Some(stack) = error.stack().filter(|stack| !stack.is_empty()) {
        fields.push(("stack".to_owned(), Value::from(stack).to_string()));
    }
    write(app, execution, tracing::Level::ERROR, &message, &fields);
}
