//! The texts of guests and the reasons of their failures, as structured events of `tracing`: made readable, made safe,
//! and bounded.
//!
//! - `guest_text`: a guest's text as it is shown, by `redact` (secrets) and `escape` (control characters).
//! - `budget`: how much each component may write.

mod budget;
mod escape;
mod guest_text;
mod redact;

pub use guest_text::SECRET_BYTES_MIN;

pub(crate) use budget::Budgets;
pub(crate) use guest_text::{GuestText, PackedSourceMap, Secrets};

use crate::component::ComponentInfo;
use crate::error::{Error, Exception};
use budget::Budget;
use elias_contract::ErrorCode;
use serde_json::Value;
use std::sync::Arc;

/// Bytes of a log line, message and fields together, that are kept.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Fields of a log line that are kept.
pub const FIELDS_MAX: usize = 32;

/// Bytes of a field's name that are kept.
const NAME_BYTES_MAX: usize = 256;

/// Bytes of an audit line beside the secret's name, about.
const AUDIT_BYTES: usize = 200;

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

/// What a component did that its owner may want to know, beside its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// It read the secret of this name.
    SecretRead(&'a str),
    /// It asked for this server, which it is not granted: a host with its port, without the component's secrets.
    EgressRefused(&'a str),
}

/// Sees the lines of a component beside the log; see [`crate::LoadOptions::observer`].
pub trait Observer: Send + Sync + 'static {
    /// A line was let through. Called on the guest's thread: it must not wait.
    fn line(&self, line: Line<'_>);

    /// Something happened that is no line. Called on the guest's thread, as often as the component has it happen: it
    /// must not wait, and has to bound what it keeps.
    fn notice(&self, notice: Notice<'_>) {
        let _ = notice;
    }
}

/// Writes the log lines of one component.
pub(crate) struct ComponentLog {
    component: Arc<ComponentInfo>,
    text: GuestText,
    budget: Arc<Budget>,
    observer: Option<Arc<dyn Observer>>,
}

impl ComponentLog {
    pub(crate) fn new(
        component: Arc<ComponentInfo>,
        text: GuestText,
        budget: Arc<Budget>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self { component, text, budget, observer }
    }

    /// The rules by which the component's texts are shown.
    pub(crate) fn text(&self) -> &GuestText {
        &self.text
    }

    /// Writes that a secret was read, into the audit log. Within the budget of the component's log lines, as all that
    /// it can cause to be written.
    pub(crate) fn secret_read(&self, execution: &str, key: &str) {
        self.notice(Notice::SecretRead(key));
        let Some(dropped) = self.budget.take(AUDIT_BYTES + key.len()) else { return };
        self.tell_dropped(execution, dropped);
        let component = self.component.name.as_str();
        tracing::info!(target: "elias::audit", execution, component, key, "a secret was read");
    }

    /// Tells the observer of what is no line.
    pub(crate) fn notice(&self, notice: Notice<'_>) {
        if let Some(observer) = &self.observer {
            observer.notice(notice);
        }
    }

    /// Says that lines were dropped before one that is let through.
    fn tell_dropped(&self, execution: &str, dropped: u64) {
        let (component, version) = (self.component.name.as_str(), self.component.version.as_str());
        if dropped > 0 {
            tracing::warn!(
                target: "elias::guest", execution, component, version, dropped,
                "log lines beyond the component's rate limit were dropped"
            );
        }
    }

    /// Writes one line; see [`crate::capability::InstanceInfo::log`].
    pub(crate) fn write(&self, execution: &str, level: tracing::Level, message: &str, fields: &[(String, String)]) {
        // Lines that nobody sees are not made readable, and count for no budget.
        if self.observer.is_none() && !is_logged(level) {
            return;
        }
        let bytes = message.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.budget.lacks(bytes.min(LINE_BYTES_MAX)) {
            return;
        }
        let message = self.text.readable(message, LINE_BYTES_MAX);
        let mut left = LINE_BYTES_MAX - message.len().min(LINE_BYTES_MAX);
        let mut shown = String::new();
        for (name, value) in fields.iter().take(FIELDS_MAX) {
            let name = self.text.readable(name, left.min(NAME_BYTES_MAX));
            let value = self.text.readable(value, left);
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(&name);
            shown.push('=');
            shown.push_str(&value);
            left -= (name.len() + 1 + value.len()).min(left);
        }
        let (component, version) = (self.component.name.as_str(), self.component.version.as_str());
        let Some(dropped) = self.budget.take(message.len() + shown.len()) else { return };
        self.tell_dropped(execution, dropped);
        if let Some(observer) = &self.observer {
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
    pub(crate) fn failure(&self, execution: &str, error: &Error) {
        if matches!(error.code(), ErrorCode::BadRequest | ErrorCode::RequestTooLarge | ErrorCode::Overloaded) {
            return;
        }
        let message = match error.exception() {
            Some(thrown) if error.code() == ErrorCode::Exception => {
                format!("Uncaught {}: {}", thrown.name, thrown.message)
            }
            _ => error.to_string(),
        };
        let mut fields = vec![("code".to_owned(), error.code().as_str().to_owned())];
        if let Some(hint) = error.exception().and_then(Exception::hint) {
            fields.push(("hint".to_owned(), Value::from(hint).to_string()));
        }
        if let Some(stack) = error.stack().filter(|stack| !stack.is_empty()) {
            fields.push(("stack".to_owned(), Value::from(stack).to_string()));
        }
        self.write(execution, tracing::Level::ERROR, &message, &fields);
    }
}

/// Whether the log takes lines of guests with this level.
fn is_logged(level: tracing::Level) -> bool {
    // The fields are those of the events above, for filters that name some.
    macro_rules! enabled {
        ($level:ident) => {
            tracing::event_enabled!(
                target: "elias::guest", tracing::Level::$level, message, execution, component, version, fields
            )
        };
    }
    match level {
        tracing::Level::TRACE => enabled!(TRACE),
        tracing::Level::DEBUG => enabled!(DEBUG),
        tracing::Level::INFO => enabled!(INFO),
        tracing::Level::WARN => enabled!(WARN),
        tracing::Level::ERROR => enabled!(ERROR),
    }
}
