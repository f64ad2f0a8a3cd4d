//! The access log: one event a request, when its execution has ended.

use crate::exchange::explain;
use crate::request_body::Progress;
use elias_host::{App, Error, Execution, Outcome};
use elias_platform::{Ending, Ticket};
use http::{Method, Request, Uri, Version};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The `tracing` target of the access log. Its events have the level INFO and the message `request`.
pub const TARGET: &str = "elias::access";

/// What is written of one request. It exists only while the log is on or the request is a platform's, so that a log that is off costs
/// nothing.
pub(crate) struct Record {
    method: Method,
    uri: Uri,
    version: Version,
    started: Instant,
    /// The response's status; 0 if the client left before there was one.
    pub(crate) status: u16,
    /// The error's code, if the server or the host refused.
    pub(crate) code: Option<&'static str>,
    /// Whether the response was sent whole.
    pub(crate) complete: bool,
    /// The component.
    pub(crate) app: Option<App>,
    /// What the execution cost, if there was one.
    pub(crate) execution: Option<Execution>,
    /// The request's body.
    pub(crate) received: Option<Arc<Progress>>,
    /// Bytes of the response's body.
    pub(crate) sent: u64,
    /// The admission to a platform's service, which is told how the request ended.
    pub(crate) ticket: Option<Ticket>,
    /// The error with its stack, for the service's executions.
    pub(crate) error: Option<String>,
    /// Whether the log is on.
    logged: bool,
}

impl Record {
    /// The record of a request, if anyone wants it.
    pub(crate) fn begin<B>(request: &Request<B>, for_a_ticket: bool) -> Option<Self> {
        let logged = tracing::event_enabled!(target: TARGET, tracing::Level::INFO);
        (logged || for_a_ticket).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            started: Instant::now(),
            status: 0,
            code: None,
            complete: false,
            app: None,
            execution: None,
            received: None,
            sent: 0,
            ticket: None,
            error: None,
            logged,
        })
    }

    /// A first try has failed, and another follows: it counts for the health of the service all the same.
    pub(crate) fn end_attempt(&mut self, error: &Error) {
        if let Some(ticket) = self.ticket.take() {
            ticket.end(Ending {
                method: self.method.as_str(),
                path: self.uri.path(),
                status: error.code().status(),
                sent_bytes: 0,
                execution: error.execution(),
                error: Some(explain(error)),
            });
        }
    }

    /// Tells everyone who wants to know that the request and its execution have ended.
    pub(crate) fn end(mut self) {
        if self.logged {
            self.write();
        }
        let error = self.error.take();
        if let Some(ticket) = self.ticket.take() {
            let (method, path) = (self.method.as_str(), self.uri.path());
            let (status, sent_bytes, execution) = (self.status, self.sent, self.execution.as_ref());
            ticket.end(Ending { method, path, status, sent_bytes, execution, error });
        }
    }

    fn write(&self) {
        let execution = self.execution.as_ref();
        let code = self.code.or_else(|| match execution?.outcome {
            Outcome::Failed(code) => Some(code.as_str()),
            _ => None,
        });
        let outcome = match execution.map(|execution| &execution.outcome) {
            _ if code.is_some() => "failed",
            Some(Outcome::Cancelled) => "cancelled",
            _ if !self.complete => "cancelled",
            _ => "completed",
        };
        tracing::info!(
            target: TARGET,
            method = self.method.as_str(),
            path = %Printable(self.uri.path()),
            protocol = ?self.version,
            status = self.status,
            duration_ms = (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            outcome,
            code,
            execution_id = execution.map(|execution| execution.id.as_str()),
            component = self.app.as_ref().map(App::name).map(Printable).map(tracing::field::display),
            version = self.app.as_ref().map(App::version).map(Printable).map(tracing::field::display),
            release = self.ticket.as_ref().map(Ticket::version),
            canary = self.ticket.as_ref().and_then(|ticket| ticket.is_canary().then_some(true)),
            fuel = execution.map(|execution| execution.fuel),
            memory_peak_bytes = execution.map(|execution| execution.memory_peak_bytes),
            request_bytes = self.received.as_ref().map_or(0, |progress| progress.bytes()),
            response_bytes = self.sent,
            "request"
        );
    }
}

/// Text from outside, with everything escaped that could pass for another line or steer a terminal.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whole runs: the log's formatter escapes and copies each piece by itself.
        let mut rest = self.0;
        while let Some((at, character)) = rest.char_indices().find(|(_, character)| steers(*character)) {
            write!(formatter, "{}{}", &rest[..at], character.escape_unicode())?;
            rest = &rest[at + character.len_utf8()..];
        }
        formatter.write_str(rest)
    }
}

/// Whether a character could pass for another line or steer a terminal.
fn steers(character: char) -> bool {
    // Beyond the controls: what reorders or hides text around it (bidirectional marks, line separators).
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Printable;

    #[test]
    fn text_from_outside_steers_nothing() {
        let printed = Printable("/a\nb\u{1b}[31m\0\u{202e}ä").to_string();
        assert_eq!(printed, "/a\\u{a}b\\u{1b}[31m\\u{0}\\u{202e}ä");
        assert_eq!(Printable("").to_string(), "");
        assert_eq!(Printable("/plain/ä").to_string(), "/plain/ä");
        assert_eq!(Printable("\r\n").to_string(), "\\u{d}\\u{a}");
    }
}
