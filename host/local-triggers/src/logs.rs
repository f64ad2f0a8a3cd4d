//! The log lines of the executions that triggers start.

use elias_host::{Line, Observer};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Lines of one execution that are kept.
const LINES_MAX: usize = 200;

/// A level, such as `info`, and a text.
pub type LoggedLine = (String, String);

/// The lines of the executions that are being recorded.
#[derive(Default)]
pub(crate) struct ExecutionLogs {
    lines: Mutex<HashMap<String, Vec<LoggedLine>>>,
}

impl ExecutionLogs {
    /// Records the lines of an execution from now on.
    pub(crate) fn record(&self, execution: &str) {
        self.lines.lock().insert(execution.to_owned(), Vec::new());
    }

    /// The lines of an execution, which is not recorded any more.
    pub(crate) fn take(&self, execution: &str) -> Vec<LoggedLine> {
        self.lines.lock().remove(execution).unwrap_or_default()
    }
}

impl Observer for ExecutionLogs {
    fn line(&self, line: Line<'_>) {
        let mut all = self.lines.lock();
        let Some(lines) = all.get_mut(line.execution).filter(|lines| lines.len() < LINES_MAX) else { return };
        let text = format!("{} {}", line.message, line.fields);
        lines.push((line.level.as_str().to_ascii_lowercase(), text.trim_end().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(logs: &ExecutionLogs, execution: &str, message: &str) {
        logs.line(Line { execution, level: tracing::Level::INFO, message, fields: "" });
    }

    #[test]
    fn lines_are_those_of_their_execution_and_bounded() {
        let logs = ExecutionLogs::default();
        logs.record("a");
        log(&logs, "a", "one");
        log(&logs, "b", "another's");
        assert_eq!(logs.take("a"), [("info".to_owned(), "one".to_owned())]);
        log(&logs, "a", "late");
        assert!(logs.take("a").is_empty() && logs.take("b").is_empty());
        logs.record("a");
        (0..500).for_each(|_| log(&logs, "a", "more"));
        assert_eq!(logs.take("a").len(), LINES_MAX);
    }
}
