//! Where log lines go: text for a person, JSON for a program.

use clap::ValueEnum;
use std::io::{IsTerminal, Write};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line of text an event
    Text,
    /// A JSON object an event
    Json,
}

/// Writes log lines as long as it lives.
pub(crate) struct Logging {
    guard: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

/// What is logged unless `ELIAS_LOG` says otherwise. PostgreSQL notices each `IF EXISTS` of which nothing exists.
const DEFAULT: &str = "info,sqlx::postgres::notice=warn";

/// Sends log lines to standard error, through a buffer that does not block the requests; what does not fit is dropped, and
/// counted in the last line. `ELIAS_LOG` filters, as in `info,elias::access=off`.
pub(crate) fn start(format: Option<LogFormat>) -> Logging {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let (logging, writer) = Logging::to_standard_error();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter(DEFAULT)).with_writer(writer).with_ansi(terminal);
    // An error means that logging was set up before, by whoever runs this in a test.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    logging
}

/// Shows what components log under test, as text.
pub(crate) fn start_for_tests() -> Logging {
    let (logging, writer) = Logging::to_standard_error();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter("warn,elias::guest=debug")).with_writer(writer);
    let _ = subscriber.with_ansi(std::io::stderr().is_terminal()).without_time().with_target(false).try_init();
    logging
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env("ELIAS_LOG").unwrap_or_else(|_| EnvFilter::new(default))
}

impl Logging {
    fn to_standard_error() -> (Self, NonBlocking) {
        let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
        (Self { guard: Some(guard), dropped: writer.error_counter() }, writer)
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        drop(self.guard.take()); // writes what is in the buffer
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            // Whoever closed standard error does not want to know.
            let _ =
                writeln!(std::io::stderr(), "{lines} log lines were dropped: standard error did not take them in time");
        }
    }
}
