//! Runs of triggers that are for service workers: a message to a worker, in the place of an execution of a handler. The
//! turn that handles it is an execution of its own, with the guard of a turn.

use crate::triggers::{Message, Run, cancellation};
use crate::worker_calls::refusal;
use crate::workers::{MessageId, WorkerCallFrom, WorkerRunner};
use elias_api::Code;
use elias_capabilities::workers::Error as CallError;
use elias_triggers::config::{WorkerMessage, WorkerTarget};
use elias_triggers::queue::AttemptResult;
use elias_workers::WorkerKey;
use elias_workers::value::from_json;

/// Why the run of a former version cannot be of a worker.
const PINNED: &str = "a service worker runs in the version that serves: replay the events without a version";

/// Has a worker handle the message of a run, within the time that the run may take. The worker handles it also if that
/// is over or the run is cancelled: what comes again with the id of the same job is not handled twice.
pub(crate) async fn execute(workers: &WorkerRunner, target: &WorkerTarget, run: Run) -> AttemptResult {
    let Run { service, record, message, is_pinned, timeout, cause, mut cancelled, .. } = run;
    if is_pinned {
        return AttemptResult::Invalid(PINNED.to_owned());
    }
    let (key, method, value) = match encoded(target, &message) {
        Ok(message) => message,
        Err(reason) => return AttemptResult::Invalid(reason),
    };
    // What keeps all workers of the service from running is no attempt of this one.
    if let Err(error) = workers.ready(&service).await {
        let error = refusal(error);
        return AttemptResult::NotRun { times: 1, reason: format!("{}: {error}", error.code()) };
    }
    let call = WorkerCallFrom { id: MessageId::Repeating(record.job), key, method, value, cause };
    let mut answer = std::pin::pin!(tokio::time::timeout(timeout, workers.call(&service, call)));
    tokio::select! {
        answer = &mut answer => match answer {
            // As of a handler, what it returned is nobody's.
            Ok(Ok(_)) => AttemptResult::Returned("null".to_owned()),
            Ok(Err(error)) => ending(error),
            Err(_) => AttemptResult::Failed(format!(
                "{}: no answer within {} s; the worker handles the message all the same",
                Code::AnswerTimeout,
                timeout.as_secs()
            )),
        },
        () = cancellation(&mut cancelled) => AttemptResult::Cancelled,
    }
}

/// The message to a worker, in the structured clone encoding.
fn encoded(target: &WorkerTarget, message: &Message) -> Result<(WorkerKey, Option<String>, String), String> {
    let message = match message {
        Message::Tick(tick) => target.message_of_tick(serde_json::to_value(tick).map_err(|error| error.to_string())?),
        Message::Event(event) => target.message_of_event(&event.event)?,
        Message::Job(_) | Message::Events(_) => return Err("a worker gets ticks and single events alone".to_owned()),
    };
    let WorkerMessage { class, name, method, value } = message;
    let value = from_json(&value).map_err(|error| error.to_string())?;
    Ok((WorkerKey::new(class, name), method, value))
}

/// The consequence of a message that was not handled.
fn ending(error: CallError) -> AttemptResult {
    let error = refusal(error);
    match error.code() {
        Code::BadInput | Code::TooLarge | Code::NotFound => {
            AttemptResult::Invalid(format!("{}: {error}", error.code()))
        }
        Code::QuotaExceeded => AttemptResult::NotRun { times: 1, reason: format!("{}: {error}", error.code()) },
        // Of this worker alone, also where it cannot be used now: the others of the subscription do not wait for it.
        code => AttemptResult::Failed(format!("{code}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_capabilities::workers::ErrorCode;
    use elias_host::{EventMessage, Job, Tick};
    use serde_json::{Value, json};

    fn target(name: &str, method: Option<&str>) -> WorkerTarget {
        WorkerTarget { class: "Cart".to_owned(), name: name.to_owned(), method: method.map(str::to_owned) }
    }

    #[test]
    fn ticks_and_events_are_messages_and_calls() {
        let tick =
            Tick { name: "nightly".to_owned(), scheduled_time: 7, late: 1, attempt: 1, input: json!({ "a": 1 }) };
        let (key, method, value) = encoded(&target("nightly", None), &Message::Tick(tick)).expect("a message");
        assert_eq!((key, method), (WorkerKey::new("Cart", "nightly"), None));
        let shown = crate::worker_calls::shown(&value).expect("a value");
        assert_eq!((&shown["scheduledTime"], &shown["input"]["a"]), (&json!(7), &json!(1)));
        let event = json!({ "type": "cart.add", "id": "1", "source": "/shop", "subject": "u", "data": { "cart": 5 } });
        let Value::Object(event) = event else { panic!("an object") };
        let event = Message::Event(Box::new(EventMessage { event, attempt: 3 }));
        let (key, method, value) = encoded(&target("{data.cart}", Some("add")), &event).expect("a call");
        assert_eq!((key.name.as_str(), method.as_deref()), ("5", Some("add")));
        let shown = crate::worker_calls::shown(&value).expect("a value");
        assert_eq!((&shown[0]["subject"], shown.as_array().map(Vec::len)), (&json!("u"), Some(1)));
        assert!(encoded(&target("{data.other}", None), &event).is_err_and(|error| error.contains("{data.other}")));
        let job =
            Job { id: String::new(), name: String::new(), input: Value::Null, attempt: 1, key: None, enqueued_at: 0 };
        assert!(encoded(&target("a", None), &Message::Job(job)).is_err());
    }

    #[test]
    fn what_can_never_be_handled_is_dead_and_what_one_worker_refuses_is_an_attempt() {
        let of = |code| ending(CallError::new(code, "why"));
        for code in [ErrorCode::Invalid, ErrorCode::TooLarge, ErrorCode::NotFound] {
            assert!(matches!(of(code), AttemptResult::Invalid(reason) if reason.ends_with(": why")), "{code:?}");
        }
        assert!(matches!(of(ErrorCode::QuotaExceeded), AttemptResult::NotRun { .. }));
        for code in [ErrorCode::Exception, ErrorCode::MailboxFull, ErrorCode::Failed, ErrorCode::Unavailable] {
            assert!(matches!(of(code), AttemptResult::Failed(_)), "{code:?}");
        }
        assert_eq!(of(ErrorCode::MailboxFull), AttemptResult::Failed("mailbox-full: why".to_owned()));
    }
}
