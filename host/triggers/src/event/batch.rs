//! The results that a handler of batches gives for its events.

use crate::queue::AttemptResult;
use serde::Deserialize;
use std::time::Duration;

/// The result that a handler gives for an event of a batch; none acknowledges it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Retry {
        #[serde(rename = "afterMs")]
        after_ms: Option<u64>,
        reason: String,
    },
    Reject {
        reason: String,
    },
}

/// How the delivery of each event of a batch ended whose run ended in this way. What a handler returns is a list with
/// an entry for each event: `null`, `{ "retry": { "afterMs", "reason" } }` or `{ "reject": { "reason" } }`. Any other
/// end is that of each event.
#[must_use]
pub fn batch_results(ending: AttemptResult, events: usize) -> Vec<AttemptResult> {
    let ending = match ending {
        AttemptResult::Returned(list) => match serde_json::from_str::<Vec<Option<Decision>>>(&list) {
            Ok(decisions) if decisions.len() == events => return decisions.into_iter().map(of_decision).collect(),
            Ok(decisions) => {
                AttemptResult::Invalid(format!("the handler decided on {} of {events} events", decisions.len()))
            }
            Err(error) => AttemptResult::Invalid(format!("the handler's decisions cannot be read: {error}")),
        },
        AttemptResult::Suspended => {
            AttemptResult::Invalid("the handler of a batch cannot wait durably: it has no steps".to_owned())
        }
        ending => ending,
    };
    vec![ending; events]
}

fn of_decision(decision: Option<Decision>) -> AttemptResult {
    match decision {
        None => AttemptResult::Returned("null".to_owned()),
        Some(Decision::Retry { after_ms, reason }) => {
            AttemptResult::RetryRequested { after: after_ms.map(Duration::from_millis), reason }
        }
        Some(Decision::Reject { reason }) => AttemptResult::Rejected(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_its_decision_or_the_end_of_the_run() {
        let list = r#"[null,{"retry":{"afterMs":1500,"reason":"busy"}},{"reject":{"reason":"no"}},
            {"retry":{"afterMs":null,"reason":""}}]"#;
        let retry = |after: Option<u64>, reason: &str| AttemptResult::RetryRequested {
            after: after.map(Duration::from_millis),
            reason: reason.to_owned(),
        };
        let wanted = [
            AttemptResult::Returned("null".to_owned()),
            retry(Some(1_500), "busy"),
            AttemptResult::Rejected("no".to_owned()),
            retry(None, ""),
        ];
        assert_eq!(batch_results(AttemptResult::Returned(list.to_owned()), 4), wanted);
        let failed = AttemptResult::Failed("it threw".to_owned());
        assert_eq!(batch_results(failed.clone(), 2), [failed.clone(), failed]);
    }

    #[test]
    fn decisions_that_do_not_fit_the_events_are_an_error_of_the_component() {
        for list in ["null", "[]", "[1]", r#"[{"retry":{}}]"#, "["] {
            let endings = batch_results(AttemptResult::Returned(list.to_owned()), 1);
            assert!(matches!(endings.as_slice(), [AttemptResult::Invalid(_)]), "{list}: {endings:?}");
        }
        assert!(matches!(batch_results(AttemptResult::Suspended, 1).as_slice(), [AttemptResult::Invalid(_)]));
    }
}
