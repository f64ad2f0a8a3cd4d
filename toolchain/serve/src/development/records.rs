//! What a development server remembers for its console: the newest log lines of the component and runs of triggers.

use elias_api::{ExecutionRecord, FollowedLine, RecordedCalls};
use elias_host::{Line, Observer, Outcome as ExecutionOutcome};
use elias_local_triggers::{Outcome, RunReport};
use elias_names::{ComponentName, Environment, TenantId};
use elias_platform::{Feed, FeedBounds, Follower};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The lines that are kept.
const LINES: FeedBounds = FeedBounds { items: 10_000, bytes: 8 << 20 };
/// What a line takes beside its texts, about.
const LINE_BYTES: usize = 128;
/// Runs of triggers that are kept, and bytes of the error of each.
const RUNS_MAX: usize = 200;
const ERROR_BYTES_MAX: usize = 16 << 10;

/// The lines and runs.
pub(crate) struct Records {
    lines: Feed<Arc<FollowedLine>>,
    /// The newest first.
    runs: Mutex<VecDeque<ExecutionRecord>>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self { lines: Feed::new(LINES), runs: Mutex::default() }
    }

    /// A run of a trigger has ended.
    pub(crate) fn add_run(&self, report: &RunReport) {
        let Some(record) = record_of(report) else { return };
        let mut runs = self.runs.lock();
        runs.push_front(record);
        runs.truncate(RUNS_MAX);
    }

    /// The runs, the newest first, as those of this component.
    pub(crate) fn runs(&self, component: &ComponentName) -> Vec<ExecutionRecord> {
        let runs = self.runs.lock().clone();
        runs.into_iter().map(|run| ExecutionRecord { component: component.clone(), ..run }).collect()
    }

    /// Follows the lines after a position; without one from the oldest that is kept.
    pub(crate) fn follow(&self, after: Option<u64>) -> Follower<Arc<FollowedLine>> {
        if after.is_some() { self.lines.follow(after) } else { self.lines.follow_kept() }
    }

    /// The lines of an execution that are kept, each with its level.
    pub(crate) fn lines_of(&self, execution: &str) -> Vec<(String, String)> {
        let lines = self.lines.kept(|line| line.execution == execution);
        let text = |line: &FollowedLine| format!("{} {}", line.message, line.fields).trim_end().to_owned();
        lines.iter().map(|line| (line.level.to_ascii_lowercase(), text(line))).collect()
    }
}

/// The execution of a run.
fn record_of(report: &RunReport) -> Option<ExecutionRecord> {
    let RunReport { what, execution, outcome, record, .. } = report;
    let (outcome, error) = match outcome {
        Outcome::Done { .. } | Outcome::Suspended => ("completed", None),
        Outcome::Retry { reason: error, .. } | Outcome::Dead { message: error, .. } => ("failed", Some(error)),
        Outcome::Cancelled => ("cancelled", None),
    };
    let code = record.as_ref().and_then(|record| match record.outcome {
        ExecutionOutcome::Failed(code) => Some(code),
        ExecutionOutcome::Completed | ExecutionOutcome::Cancelled => None,
    });
    let duration = record.as_ref().map_or(Duration::ZERO, |record| record.duration);
    let started = SystemTime::now().checked_sub(duration).unwrap_or(UNIX_EPOCH);
    let calls = record.iter().flat_map(|record| &record.host_calls).map(|calls| RecordedCalls {
        capability: calls.capability.to_owned(),
        calls: calls.calls,
        duration_us: microseconds(calls.time),
    });
    let flags = record.iter().flat_map(|record| &record.flags);
    Some(ExecutionRecord {
        tenant: "default".parse::<TenantId>().ok()?,
        id: execution.clone(),
        component: "app".parse().ok()?,
        environment: Environment::Dev,
        version: 1,
        source: what.clone(),
        run: None,
        trace: None,
        started_at: started.duration_since(UNIX_EPOCH).map_or(0, milliseconds),
        duration_us: microseconds(duration),
        fuel: record.as_ref().map_or(0, |record| record.fuel),
        memory_bytes: record.as_ref().map_or(0, |record| record.memory_peak_bytes),
        host_calls: calls.collect(),
        flags: flags.map(|flag| (flag.name.to_string(), flag.variant.to_string())).collect(),
        status: match outcome {
            "failed" => code.map_or(500, elias_host::ErrorCode::status),
            _ => 200,
        },
        outcome: outcome.to_owned(),
        code: code.map(|code| code.as_str().to_owned()),
        error: error.map(|error| error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned()),
        lines: None,
    })
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Shows the component's lines to the records and to another observer.
pub(crate) struct RecordingObserver {
    pub(crate) records: Arc<Records>,
    pub(crate) other: Arc<dyn Observer>,
}

impl Observer for RecordingObserver {
    fn line(&self, line: Line<'_>) {
        let bytes = line.message.len() + line.fields.len() + LINE_BYTES;
        let followed = FollowedLine {
            execution: line.execution.to_owned(),
            worker: None,
            message_id: None,
            level: line.level.as_str(),
            message: line.message.to_owned(),
            fields: line.fields.to_owned(),
        };
        self.records.lines.push(Arc::new(followed), bytes);
        self.other.line(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_triggers::queue::DeadReason;

    struct Nobody;

    impl Observer for Nobody {
        fn line(&self, _: Line<'_>) {}
    }

    #[test]
    fn the_lines_of_an_execution_are_found() {
        let records = Arc::new(Records::new());
        let observer = RecordingObserver { records: Arc::clone(&records), other: Arc::new(Nobody) };
        for (execution, message, fields) in [("a", "one", ""), ("b", "two", ""), ("a", "three", "n=1")] {
            observer.line(Line { execution, level: tracing::Level::WARN, message, fields });
        }
        let wanted = [("warn".to_owned(), "one".to_owned()), ("warn".to_owned(), "three n=1".to_owned())];
        assert_eq!(records.lines_of("a"), wanted);
    }

    #[test]
    fn runs_are_bounded_and_so_are_their_errors() {
        let records = Records::new();
        let report = |execution: String, outcome| RunReport {
            what: "job resize".to_owned(),
            execution,
            attempt: 1,
            outcome,
            record: None,
            lines: Vec::new(),
        };
        let message = "ä".repeat(ERROR_BYTES_MAX);
        let dead = Outcome::Dead { reason: DeadReason::AttemptsUsedUp, message };
        for number in 0..=RUNS_MAX {
            records.add_run(&report(number.to_string(), dead.clone()));
        }
        let runs = records.runs(&"shop".parse().expect("a name"));
        assert_eq!((runs.len(), runs[0].id.as_str(), runs[0].component.as_str()), (RUNS_MAX, "200", "shop"));
        assert_eq!((runs[0].status, runs[0].outcome.as_str()), (500, "failed"));
        assert_eq!(runs[0].error.as_ref().map(String::len), Some(ERROR_BYTES_MAX));
    }
}
