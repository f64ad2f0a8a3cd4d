//! The access log: one event a request, when its execution has ended.

use super::record::RequestRecord;
use elias_gateway::TraceContext;
use elias_host::{App, Outcome};
use elias_platform::RequestGuard;
use std::fmt;

/// The `tracing` target of the access log. Its events have the level INFO and the message `request`.
pub const TARGET: &str = "elias::access";

/// Whether the log is on.
pub(super) fn is_enabled() -> bool {
    tracing::event_enabled!(target: TARGET, tracing::Level::INFO)
}

/// Writes a request that has ended. `guard`: its admission to a service of a platform.
pub(super) fn write(record: &RequestRecord, guard: Option<&RequestGuard>) {
    let execution = record.execution.as_ref();
    let code = record.code.or_else(|| match execution?.outcome {
        Outcome::Failed(code) => Some(code.as_str()),
        _ => None,
    });
    let outcome = match execution.map(|execution| &execution.outcome) {
        _ if code.is_some() => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        _ if !record.is_complete => "cancelled",
        _ => "completed",
    };
    let trace_id = record.trace.as_ref().map(TraceContext::trace_id_hex);
    tracing::info!(
        target: TARGET,
        method = record.method.as_str(),
        path = %Printable(record.uri.path()),
        protocol = ?record.version,
        status = record.status,
        duration_ms = (record.started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        outcome,
        code,
        reason = record.reason.as_deref().map(Printable).map(tracing::field::display),
        execution_id = execution.map(|execution| execution.id.as_str()),
        request_id = record.request_id.as_deref(),
        trace_id = trace_id.as_deref(),
        component = record.app.as_ref().map(App::name).map(Printable).map(tracing::field::display),
        version = record.app.as_ref().map(App::version).map(Printable).map(tracing::field::display),
        release = guard.map(RequestGuard::version),
        canary = guard.and_then(|guard| guard.is_canary().then_some(true)),
        idempotency = record.idempotency,
        fuel = execution.map(|execution| execution.fuel),
        memory_peak_bytes = execution.map(|execution| execution.memory_peak_bytes),
        request_bytes = record.received_bytes(),
        response_bytes = record.sent_bytes,
        "request"
    );
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
