//! The steps of a job, for `elias jobs show`.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, time};
use elias_api::{StepKind, StepRecord, StepState};
use elias_command_line::Failure;
use serde_json::Value;

/// Steps that are shown: as many as a journal may have.
const SHOWN_MAX: usize = 10_000;
/// Characters of a result that are shown.
const RESULT_CHARS_MAX: usize = 80;

/// The steps of a job, as the API writes them.
///
/// # Errors
/// If the platform refuses.
pub(super) fn list(client: &Client, job: &str) -> Result<Value, Failure> {
    client.list(&client.tenant_url(&["jobs", job, "steps"]), SHOWN_MAX)
}

/// A table of the steps; empty without any.
pub(super) fn describe(steps: &[StepRecord]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let header = ["step", "kind", "state", "at", "result"];
    format!("\nsteps\n{}", output::table(header, steps.iter().map(row)))
}

fn row(step: &StepRecord) -> [String; 5] {
    let kind = match step.kind {
        StepKind::Step => "step",
        StepKind::Sleep => "sleep",
        StepKind::Wait => "wait",
    };
    let waits = || {
        let what = step.waits_for.as_deref().map(|what| format!("for {what} ")).unwrap_or_default();
        step.until.map(|until| format!("{what}until {}", time(until))).unwrap_or_default()
    };
    let result = match step.state {
        StepState::Waiting => waits(),
        StepState::Done | StepState::Failed | StepState::TimedOut => {
            step.error.clone().or_else(|| step.result.clone()).unwrap_or_default()
        }
    };
    let mut shown: String = result.chars().take(RESULT_CHARS_MAX).collect();
    if shown.len() < result.len() {
        shown.push_str("...");
    }
    [step.name.clone(), kind.to_owned(), step.state.as_str().to_owned(), time(step.at), shown]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(position: u32, name: &str, kind: StepKind, state: StepState) -> StepRecord {
        StepRecord {
            position,
            name: name.to_owned(),
            kind,
            state,
            at: 0,
            until: None,
            waits_for: None,
            result: None,
            error: None,
        }
    }

    #[test]
    fn steps_are_shown_with_what_they_returned_or_wait_for() {
        let result = Some(format!("\"{}\"", "a".repeat(100)));
        let error = Some("Error: no parcel".to_owned());
        let waits_for = Some("order.paid {}".to_owned());
        let shown = describe(&[
            StepRecord { result, ..step(0, "charge", StepKind::Step, StepState::Done) },
            StepRecord { error, ..step(1, "book", StepKind::Step, StepState::Failed) },
            StepRecord { waits_for, until: Some(5_000), ..step(2, "paid", StepKind::Wait, StepState::Waiting) },
        ]);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[1], "steps");
        assert!(lines[3].starts_with("charge  step  done     1970-01-01T00:00:00Z  \"aaa"), "{shown}");
        assert!(lines[3].trim_end().ends_with("aaa..."), "{shown}");
        assert!(lines[4].contains("failed") && lines[4].contains("Error: no parcel"), "{shown}");
        assert!(lines[5].contains("for order.paid {} until 1970-01-01T00:00:05Z"), "{shown}");
        assert_eq!(describe(&[]), "");
    }
}
