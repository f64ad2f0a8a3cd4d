//! Where log lines go: text for a person, JSON for a program.

mod buffer;

use buffer::LogBuffer;
use elias_command_line::LogFormat;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How long a line waits for others to be written with.
const INTERVAL: Duration = Duration::from_millis(10);

/// Bytes of lines that wait for standard error.
const CAPACITY: usize = 32 << 20;

/// How long the end of the process, or a panic, waits for standard error.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The lines of this process, once logging is set up.
static LINES: OnceLock<Arc<LogBuffer>> = OnceLock::new();

/// Writes log lines as long as it lives.
pub(crate) struct Logging {
    lines: Arc<LogBuffer>,
}

/// The filter of log lines unless `ELIAS_LOG` has another. PostgreSQL notices each `IF EXISTS` of which nothing exists.
const DEFAULT: &str = "info,sqlx::postgres::notice=warn";

/// Sends log lines to standard error, through a buffer that does not block the requests: they are written in batches,
/// at most 10 ms late. What does not fit is dropped, and counted in the last line. `ELIAS_LOG` filters, as in
/// `info,elias::access=off`.
pub(crate) fn start(format: Option<LogFormat>) -> Logging {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let (logging, lines) = Logging::to_standard_error();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter(DEFAULT)).with_writer(lines).with_ansi(terminal);
    // An error means that logging was set up before, by whoever runs this in a test.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    logging
}

/// Shows what components log under test, as text.
pub(crate) fn start_for_tests() -> Logging {
    let (logging, lines) = Logging::to_standard_error();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter("warn,elias::guest=debug")).with_writer(lines);
    let _ = subscriber.with_ansi(std::io::stderr().is_terminal()).without_time().with_target(false).try_init();
    logging
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env("ELIAS_LOG").unwrap_or_else(|_| EnvFilter::new(default))
}

/// Writes the lines that wait. For text that goes to standard error directly and belongs after them, and for an end of
/// the process that drops nothing.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_MAX);
    }
}

impl Logging {
    fn to_standard_error() -> (Self, Arc<LogBuffer>) {
        let lines = LogBuffer::start(std::io::stderr(), CAPACITY, INTERVAL);
        if LINES.set(Arc::clone(&lines)).is_ok() {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                flush(); // it may be the end
                report(panic);
            }));
        }
        (Self { lines: Arc::clone(&lines) }, lines)
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let written = self.lines.close(FLUSH_MAX);
        let dropped = self.lines.dropped();
        // A standard error that takes nothing does not take this either.
        if written && dropped > 0 {
            // Whoever closed standard error does not want to know.
            let _ = writeln!(
                std::io::stderr(),
                "{dropped} log lines were dropped: standard error did not take them in time"
            );
        }
    }
}
