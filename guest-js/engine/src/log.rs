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
