//! The journal of a job, as users see it.

use super::backends::StoredOutcome;
use elias_api::{StepKind, StepRecord, StepState};
use elias_store::ListedStep;
use serde_json::Value;

/// The most rows of a journal that a step has: its own, and that of the outcome of a wait.
pub(crate) const ROWS_OF_STEP: u32 = 2;

/// The steps of these rows, at most `limit`; `now` is the time in milliseconds since 1970. A row that this release does
/// not know is left out.
pub(crate) fn step_records(rows: Vec<ListedStep>, limit: usize, now: i64) -> Vec<StepRecord> {
    let mut steps: Vec<StepRecord> = Vec::new();
    for row in rows {
        let position = row.position / ROWS_OF_STEP;
        if let Some(wait) = steps.last_mut().filter(|last| last.position == position) {
            end_wait(wait, &row.outcome);
            continue;
        }
        if steps.len() == limit {
            break;
        }
        steps.extend(record(position, row, now));
    }
    steps
}

/// The outcome of a wait. The event is not told where the list has only its beginning.
fn end_wait(wait: &mut StepRecord, outcome: &str) {
    match serde_json::from_str(outcome) {
        Ok(StoredOutcome::TimedOut) => wait.state = StepState::TimedOut,
        Ok(StoredOutcome::Happened(event)) => {
            wait.state = StepState::Done;
            wait.result = Some(event);
        }
        _ => wait.state = StepState::Done,
    }
}

fn record(position: u32, row: ListedStep, now: i64) -> Option<StepRecord> {
    let ListedStep { name, outcome, at, .. } = row;
    let new = |kind, state| StepRecord {
        position,
        name,
        kind,
        state,
        at,
        until: None,
        waits_for: None,
        result: None,
        error: None,
    };
    let signed = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    match serde_json::from_str(&outcome) {
        Ok(StoredOutcome::Step(outcome)) => {
            let outcome: Value = serde_json::from_str(&outcome).unwrap_or_default();
            Some(match outcome.get("error") {
                Some(error) => StepRecord { error: Some(error_text(error)), ..new(StepKind::Step, StepState::Failed) },
                None => {
                    let result = outcome.get("value").map(Value::to_string);
                    StepRecord { result, ..new(StepKind::Step, StepState::Done) }
                }
            })
        }
        Ok(StoredOutcome::Sleep(until)) => {
            let until = signed(until);
            let state = if until <= now { StepState::Done } else { StepState::Waiting };
            Some(StepRecord { until: Some(until), ..new(StepKind::Sleep, state) })
        }
        Ok(StoredOutcome::Wait { wanted, until, .. }) => Some(StepRecord {
            until: Some(signed(until)),
            waits_for: Some(wanted),
            ..new(StepKind::Wait, StepState::Waiting)
        }),
        // The list has only the beginning of those that are large.
        Err(_) if outcome.starts_with("{\"step\":") => {
            let is_error = outcome.starts_with(r#"{"step":"{\"error\""#);
            Some(new(StepKind::Step, if is_error { StepState::Failed } else { StepState::Done }))
        }
        Err(_) if outcome.starts_with("{\"wait\":") => Some(new(StepKind::Wait, StepState::Waiting)),
        _ => None,
    }
}

/// `TypeError: the message`, of an error as a step records it.
fn error_text(error: &Value) -> String {
    let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{}: {}", part("name"), part("message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: u32, outcome: &str) -> ListedStep {
        ListedStep { position, name: "n".to_owned(), outcome: outcome.to_owned(), at: 5 }
    }

    fn stored(outcome: &StoredOutcome) -> String {
        serde_json::to_string(outcome).expect("JSON")
    }

    #[test]
    fn rows_are_shown_as_steps_with_what_they_came_to() {
        let wait = || StoredOutcome::Wait { wanted: "order.paid {}".to_owned(), until: 90, after: 1 };
        let rows = vec![
            row(0, &stored(&StoredOutcome::Step("{\"value\":{\"a\":1}}".to_owned()))),
            row(2, &stored(&StoredOutcome::Step("{\"error\":{\"name\":\"Error\",\"message\":\"no\"}}".to_owned()))),
            row(4, &stored(&StoredOutcome::Sleep(10))),
            row(6, &stored(&StoredOutcome::Sleep(60))),
            row(8, &stored(&wait())),
            row(9, &stored(&StoredOutcome::Happened("{\"id\":\"1\"}".to_owned()))),
            row(10, &stored(&wait())),
            row(11, &stored(&StoredOutcome::TimedOut)),
            row(12, &stored(&wait())),
            row(14, "{\"step\":\"{\\\"value\\\":"),
            row(16, "{\"step\":\"{\\\"error\\\":"),
            row(18, "{\"later\":1}"),
        ];
        let steps = step_records(rows.clone(), 100, 50);
        let states: Vec<_> = steps.iter().map(|step| (step.position, step.state)).collect();
        let expected = [
            (0, StepState::Done),
            (1, StepState::Failed),
            (2, StepState::Done),
            (3, StepState::Waiting),
            (4, StepState::Done),
            (5, StepState::TimedOut),
            (6, StepState::Waiting),
            (7, StepState::Done),
            (8, StepState::Failed),
        ];
        assert_eq!(states, expected);
        assert_eq!((steps[0].result.as_deref(), steps[1].error.as_deref()), (Some("{\"a\":1}"), Some("Error: no")));
        assert_eq!((steps[4].result.as_deref(), steps[4].until), (Some("{\"id\":\"1\"}"), Some(90)));
        assert_eq!(steps[6].waits_for.as_deref(), Some("order.paid {}"));
        assert_eq!(step_records(rows, 5, 50), steps[..5], "with what the last one came to");
    }
}
