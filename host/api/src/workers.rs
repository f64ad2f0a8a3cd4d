//! Service workers: who they are, what is sent to them, and their history.

use crate::error::{Code, Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// Bytes of the reason for which a worker is stopped.
const REASON_BYTES_MAX: usize = 1_024;

/// What a service worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerCondition {
    /// The worker is not in memory. The next message, timer or alarm brings it back.
    Asleep,
    /// The worker is in memory and has nothing to do.
    Idle,
    /// A turn runs, or is to be tried again.
    Running,
    /// A handler waits for other workers or a timer; no message enters meanwhile.
    Waiting,
}

impl WorkerCondition {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// Whether a service worker is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerHealth {
    /// This host has not checked the worker lately: it is not in memory here, or no check is declared.
    #[default]
    Unknown,
    /// The last check went well, or fewer than the threshold have failed one after another.
    Healthy,
    /// As many checks as the threshold says have failed one after another.
    Unhealthy,
}

impl WorkerHealth {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl FromStr for WorkerHealth {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = [Self::Unknown, Self::Healthy, Self::Unhealthy].into_iter().find(|health| health.as_str() == text);
        found.ok_or_else(|| Error::new(Code::BadName, "the health of a worker must be unknown, healthy or unhealthy"))
    }
}

/// Which service workers are listed: those that are all that this says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct WorkerFilter {
    /// Only workers of this class; absent for all.
    pub class: Option<String>,
    /// Only workers whose class has this tag in the table `[workers.tags]`; absent for all.
    pub tag: Option<String>,
    /// Only workers whose health is this; absent for all.
    pub health: Option<WorkerHealth>,
}

/// A service worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerStatus {
    /// The class.
    pub class: String,
    /// The name among the workers of its class: any text of 1 to 256 characters.
    pub name: String,
    /// What it does, as far as this host knows.
    pub condition: WorkerCondition,
    /// The number of turns that were committed.
    pub turns: u64,
    /// Messages that wait for it on this host.
    pub messages: u64,
    /// Messages that were dropped for newer ones since it came into memory.
    pub dropped: u64,
    /// The time of its next timer or alarm, in milliseconds since 1970-01-01 UTC; null if none is set.
    pub next_due: Option<u64>,
    /// Bytes of its heap at rest.
    pub heap_bytes: u64,
    /// The number of the version of the component whose code it has; null if none was committed yet.
    pub version: Option<u32>,
    /// The first turn whose state can still be shown and copied; null if none can.
    pub kept_from: Option<u64>,
    /// The time of its last commit, in milliseconds since 1970-01-01 UTC; null if there was none.
    pub updated_at: Option<i64>,
    /// Why it still runs in an earlier version of the component; null if it does not.
    pub upgrade_error: Option<String>,
    /// The last time that it went back to what it was before a version that was rolled back, as far as its history is
    /// kept; null if it did not, and in lists.
    #[serde(default)]
    pub rolled_back: Option<WorkerRollback>,
    /// Whether it is well, as far as this host knows.
    pub health: WorkerHealth,
    /// Why its last check failed; null if it did not.
    pub health_error: Option<String>,
    /// The tags of its class.
    pub tags: Vec<String>,
    /// Why this host has given it up with its supervision tree: it is stopped, and takes nothing until it is started or
    /// restarted. Null if it was not given up.
    pub given_up: Option<String>,
}

/// The return of a service worker to what it was before a deployment moved it to a version that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerRollback {
    /// The time of the return, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The number of the turn that it went back to. What later turns did to its state is lost.
    pub turn: u64,
    /// The number of turns that are lost.
    pub lost: u64,
    /// The number of the version that was rolled back.
    pub from: u32,
    /// The number of the version that it went back to.
    pub version: u32,
}

impl WorkerRollback {
    /// The last return in a history, the newest commit first.
    #[must_use]
    pub fn last(history: &[WorkerTurn]) -> Option<Self> {
        history.array_windows().find_map(|[commit, before]| {
            let turn = commit.back_to.filter(|_| commit.version != before.version)?;
            let lost = commit.turn.saturating_sub(turn).saturating_sub(1);
            Some(Self { at: commit.at, turn, lost, from: before.version, version: commit.version })
        })
    }
}

/// The state of a service worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerState {
    /// The turn after which the state was so; null for the last one that was committed.
    pub turn: Option<u64>,
    /// The object: `class`, `name`, its own `fields` and the `context` of its handlers. Values that JSON does not have
    /// are shown as in answers; a function and what else cannot be copied as a text that names it.
    pub state: Value,
}

/// A commit in the history of a service worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerTurn {
    /// The number of the turn. Turns that were committed together are one entry, with the number of the last.
    pub turn: u64,
    /// The time of the commit, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The former turn whose state it brought back, because a handler that had waited failed, or the version was rolled
    /// back; null for others.
    pub back_to: Option<u64>,
    /// Bytes that are stored of it.
    pub bytes: u64,
    /// The number of the version of the component that ran it.
    pub version: u32,
}

/// A message to a service worker, or a call of one of its methods.
///
/// Either `message`, which `onMessage` gets, or `method` with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerMessage {
    /// The message, any JSON; null is a message, too.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub message: Option<Value>,
    /// The name of the method, 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The arguments of the method, any JSON each; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Value>>,
}

/// A member that is present, null or not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl WorkerMessage {
    /// The method, none for a message, and the list of its arguments or the message.
    ///
    /// # Errors
    /// `bad-input` if it is neither or both.
    pub fn split(self) -> Result<(Option<String>, Value)> {
        match self {
            Self { message: Some(message), method: None, args: None } => Ok((None, message)),
            Self { message: None, method: Some(method), args } => {
                Ok((Some(method), Value::Array(args.unwrap_or_default())))
            }
            _ => {
                let message = "the body must have either `message`, or `method` and, for arguments, `args`";
                Err(Error::new(Code::BadInput, message))
            }
        }
    }
}

/// The answer of a service worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerAnswer {
    /// What the handler returned, as JSON: null for `undefined`; a Map as an object, or as a list of pairs if a key is
    /// not a string; a Set as a list; a Date, a BigInt, `NaN` and the infinities as strings; bytes as base64;
    /// `[Circular]` in place of an object within itself, `[Truncated]` in place of what is too deep or too much.
    pub answer: Value,
}

/// Why a service worker is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerStopRequest {
    /// The reason, which `onStop` gets; at most 1,024 bytes. `stopped by NAME` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl WorkerStopRequest {
    /// Checks the size of the reason.
    ///
    /// # Errors
    /// `bad-input`.
    pub fn check(&self) -> Result<()> {
        if self.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            return Err(Error::new(Code::BadInput, format!("reason: at most {REASON_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}

/// A service worker to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerForkRequest {
    /// The name of the copy, 1 to 256 characters. No worker of the class may have it, nor a group, with or without a
    /// key: messages to a group go to its members.
    pub name: String,
    /// The turn after which the copy is as the worker was; the last one that was committed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Which service worker it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkerId {
    /// The class.
    pub class: String,
    /// The name.
    pub name: String,
}

/// A class or a name as it stands in a path, before it is percent-encoded. URLs have no segments `.` and `..`, not even
/// encoded ones, so these are written with a tilde before them, and so are those that would be mistaken for them then.
#[must_use]
pub fn path_segment(text: &str) -> String {
    if is_dots(text.trim_start_matches('~')) { format!("~{text}") } else { text.to_owned() }
}

/// The class or the name that a segment of a path stands for; the opposite of [`path_segment`].
#[must_use]
pub fn of_path_segment(segment: &str) -> &str {
    match segment.strip_prefix('~') {
        Some(rest) if is_dots(rest.trim_start_matches('~')) => rest,
        _ => segment,
    }
}

fn is_dots(text: &str) -> bool {
    matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_is_one_or_a_call() {
        let split = |body: Value| serde_json::from_value::<WorkerMessage>(body).map(WorkerMessage::split);
        for (body, parts) in [
            (json!({ "message": null }), (None, json!(null))),
            (json!({ "message": { "a": 1 } }), (None, json!({ "a": 1 }))),
            (json!({ "method": "add", "args": ["A1", 2] }), (Some("add".to_owned()), json!(["A1", 2]))),
            (json!({ "method": "list" }), (Some("list".to_owned()), json!([]))),
        ] {
            assert_eq!(split(body).expect("a body").expect("a message"), parts);
        }
        for body in [
            json!({}),
            json!({ "args": [] }),
            json!({ "message": 1, "method": "add" }),
            json!({ "message": 1, "args": [] }),
        ] {
            assert_eq!(split(body).expect("a body").expect_err("neither").code(), Code::BadInput);
        }
        assert!(split(json!({ "message": 1, "to": "b" })).is_err() && split(json!({ "args": {} })).is_err());
    }

    #[test]
    fn every_name_stands_in_a_path() {
        for (name, segment) in [
            ("ada", "ada"),
            (".", "~."),
            ("..", "~.."),
            ("~.", "~~."),
            ("~~..", "~~~.."),
            ("~", "~"),
            ("~ada", "~ada"),
            ("...", "..."),
            ("../x", "../x"),
            ("\0", "\0"),
        ] {
            assert_eq!((path_segment(name).as_str(), of_path_segment(segment)), (segment, name));
        }
    }

    #[test]
    fn the_last_return_to_another_version_is_found_in_the_history() {
        let turn = |turn, version, back_to| WorkerTurn { turn, at: 0, back_to, bytes: 0, version };
        let upgraded = [turn(5, 2, None), turn(4, 1, Some(2)), turn(3, 1, None), turn(2, 1, None)];
        assert_eq!(WorkerRollback::last(&upgraded), None, "a handler was undone, and the worker moved since");
        let found = WorkerRollback::last(&[&[turn(9, 1, None), turn(8, 1, Some(3))][..], &upgraded].concat());
        assert_eq!(found, Some(WorkerRollback { at: 0, turn: 3, lost: 4, from: 2, version: 1 }));
        assert_eq!(WorkerRollback::last(&[turn(8, 1, Some(3))]), None, "it is not known from which version");
    }

    #[test]
    fn a_reason_has_a_bound() {
        let check = |bytes: usize| WorkerStopRequest { reason: Some("x".repeat(bytes)) }.check();
        assert!(check(REASON_BYTES_MAX).is_ok() && WorkerStopRequest::default().check().is_ok());
        assert_eq!(check(REASON_BYTES_MAX + 1).expect_err("too long").code(), Code::BadInput);
    }
}
