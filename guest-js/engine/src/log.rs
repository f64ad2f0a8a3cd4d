//! Log lines of the component: they go to the log capability, and during the build into its report.

use crate::bindings::elias::log::log::{self, Level};
use crate::build_report;
use crate::error::ExceptionText;
use crate::json::write_json_string;
use crate::phase::{self, Import};

/// An exception that nothing in the component handles.
pub(crate) fn uncaught(thrown: &ExceptionText) {
    write_thrown("Uncaught", thrown);
}

/// A rejection that nothing in the component handles.
pub(crate) fn unhandled(reason: &ExceptionText) {
    write_thrown("Uncaught (in promise)", reason);
}

fn write_thrown(what: &str, thrown: &ExceptionText) {
    let mut stack = String::new();
    write_json_string(&mut stack, &thrown.stack);
    let message = format!("{what} {}: {}", thrown.name, thrown.message);
    write(4, &message, &[("stack".to_owned(), stack)]);
}

/// Begins a span as a part of the span with the number `parent`; gives its number, which is 0 if nobody keeps it.
pub(crate) fn begin_span(name: &str, parent: u32) -> u32 {
    if phase::building() || !phase::wired(Import::Log) { 0 } else { log::begin_span(name, parent) }
}

/// Ends a span that was begun.
pub(crate) fn end_span(span: u32, failed: bool) {
    log::end_span(span, failed);
}

/// Writes a line. Levels are from 0, trace, to 4, error; fields are names and JSON.
pub(crate) fn write(level: u32, message: &str, fields: &[(String, String)]) {
    if phase::building() {
        build_report::record_log(level, message);
    } else if phase::wired(Import::Log) {
        let level = match level {
            0 => Level::Trace,
            1 => Level::Debug,
            2 => Level::Info,
            3 => Level::Warn,
            _ => Level::Error,
        };
        log::write(level, message, fields);
    }
}
