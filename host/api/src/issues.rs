//! Issues, which are groups of failures with one cause, and security events.

use crate::error::{Code, Error, Result};
use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of the name of the user to whom an issue is assigned.
pub const ASSIGNEE_BYTES_MAX: usize = 128;
/// The most occurrences that an issue may be ignored for.
pub const IGNORED_COUNT_MAX: u64 = 1_000_000_000;

/// The state of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IssueState {
    /// Nobody has dealt with it.
    New,
    /// It occurred in a later version than the one in which it was resolved.
    Regressed,
    /// It must not occur in later versions than `version`.
    Resolved,
    /// Nobody is to be told of it.
    Ignored,
}

impl IssueState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::Regressed, Self::Resolved, Self::Ignored];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Regressed => "regressed",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }
}

impl FromStr for IssueState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| "must be new, regressed, resolved or ignored".to_owned())
    }
}

impl fmt::Display for IssueState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the author's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourcePlace {
    /// The name of the function; null if it has none.
    pub function: Option<String>,
    /// The file, relative to the project.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// Lines of the author's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceExcerpt {
    /// The number of the first line, from 1.
    pub first_line: u32,
    /// The lines.
    pub lines: Vec<String>,
}

/// An execution in which an issue occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IssueOccurrence {
    /// The time of its start, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The number of the version that ran.
    pub version: u32,
    /// Its id. Executions are kept for a time that the platform operators choose.
    pub execution: String,
}

/// An issue: failed executions of one service with the same error code, message and place. Ids and numbers in messages
/// do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Issue {
    /// The id, 16 hexadecimal digits.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The error code, such as `exception`; null for a handler that responded with an error itself.
    pub code: Option<String>,
    /// The first line of the message of the last occurrence.
    pub title: String,
    /// The innermost place in the author's own files, in the original source; null without a stack.
    pub place: Option<SourcePlace>,
    /// The state.
    pub state: IssueState,
    /// The version in which it came back, if `state` is `regressed`; the last version that may have it, if it is
    /// `resolved`; null otherwise.
    pub version: Option<u32>,
    /// The number of occurrences in all at which it is new again, if `state` is `ignored`; null for no number.
    pub until_count: Option<u64>,
    /// The time from which on it is new again, if `state` is `ignored`, in milliseconds since 1970-01-01 UTC; null for
    /// no time.
    pub until: Option<i64>,
    /// The user who deals with it; null for nobody.
    pub assigned_to: Option<String>,
    /// The number of recorded occurrences in all.
    pub count: u64,
    /// The first occurrence.
    pub first_seen: IssueOccurrence,
    /// The last occurrence.
    pub last_seen: IssueOccurrence,
    /// The number of the newest version in which it occurred.
    pub newest_version: u32,
    /// The number of recorded occurrences in each of the last 168 hours, the oldest first. The last hour is the present
    /// one.
    pub hours: Vec<u64>,
    /// The ids of the newest executions in which it occurred, at most 10, the newest first.
    pub samples: Vec<String>,
    /// The revision. It increases with each change by a user and is the `ETag`.
    pub revision: u64,
    /// The lines of source around `place`, for tokens with the role `developer` or more; null in lists, without a
    /// place, and for a version whose source map has no text.
    #[serde(default)]
    pub source: Option<SourceExcerpt>,
}

/// The numbers of failures of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IssueTotals {
    /// Failed executions that this host has counted since it was started, recorded or not, of all services.
    pub failures: u64,
    /// Recorded failures that are in no issue, as the tenant has as many issues as it can have.
    pub folded: u64,
    /// Failures that are in no issue, as more failed in a second than are recorded.
    pub unrecorded: u64,
}

/// A filter for issues.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct IssueFilter {
    /// Only issues in these states, separated by commas: `new`, `regressed`, `resolved`, `ignored`; absent for all.
    pub state: Option<String>,
    /// Only issues of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only issues in this environment; absent for all.
    pub environment: Option<Environment>,
    /// Only issues with this text in the title, the file or the function, in upper or lower case; absent for all.
    pub text: Option<String>,
    /// Only issues that occurred since this time, in milliseconds since 1970-01-01 UTC; absent for all.
    pub since: Option<i64>,
}

impl IssueFilter {
    /// The states that are asked for; none for all.
    ///
    /// # Errors
    /// `bad-input`.
    pub fn states(&self) -> Result<Vec<IssueState>> {
        let parts = self.state.as_deref().into_iter().flat_map(|text| text.split(','));
        let states = parts.map(|part| part.trim().parse::<IssueState>());
        states.collect::<Result<_, String>>().map_err(|why| Error::new(Code::BadInput, format!("state: {why}")))
    }
}

/// A change of an issue. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssueChange {
    /// The state: `new`, `resolved` or `ignored`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<IssueState>,
    /// With `resolved`: the last version that may have it; the newest in which it occurred if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// With `ignored`: the number of further occurrences after which it is new again; 1 to 1,000,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_count: Option<u64>,
    /// With `ignored`: the time from which on it is new again, in milliseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The user who is to deal with it, such as an id of `elias users` or an e-mail address; null for nobody.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub assigned_to: Option<Option<String>>,
}

/// Reads a member that is there, null included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl IssueChange {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// `bad-input`, with the member.
    pub fn check(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(Code::BadInput, message));
        if self.state == Some(IssueState::Regressed) {
            return bad(
                "state: must be new, resolved or ignored; an issue is regressed when it occurs again".to_owned()
            );
        }
        if self.version.is_some() && self.state != Some(IssueState::Resolved) {
            return bad("version: only with the state `resolved`".to_owned());
        }
        if (self.for_count.is_some() || self.until.is_some()) && self.state != Some(IssueState::Ignored) {
            return bad("for_count, until: only with the state `ignored`".to_owned());
        }
        if self.for_count.is_some_and(|count| !(1..=IGNORED_COUNT_MAX).contains(&count)) {
            return bad(format!("for_count: must be from 1 to {IGNORED_COUNT_MAX}"));
        }
        if self.until.is_some_and(|until| until < 0) {
            return bad("until: must be a time in milliseconds since 1970".to_owned());
        }
        let is_name =
            |name: &str| !name.is_empty() && name.len() <= ASSIGNEE_BYTES_MAX && !name.chars().any(char::is_control);
        if self.assigned_to.iter().flatten().any(|name| !is_name(name)) {
            return bad(format!("assigned_to: must have 1 to {ASSIGNEE_BYTES_MAX} bytes and no control characters"));
        }
        Ok(())
    }
}

/// The kind of a security event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityKind {
    /// A request to the admin API that its token does not allow.
    Denied,
    /// A request of a component to a server that it is not granted.
    EgressRefused,
    /// A token or an API key that is not valid.
    SignInFailed,
    /// A limit of an execution, or a quota of the tenant, that was reached.
    LimitHit,
}

/// A security event, with its repeats within an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecurityEvent {
    /// The id. Ids sort by the hour.
    pub id: String,
    /// The kind.
    pub kind: SecurityKind,
    /// The id of the token or the user; empty if nobody is known, `(others)` where more happened than is told apart.
    pub actor: String,
    /// The IP address of the client; empty for a component.
    pub address: String,
    /// The component that it is about; null if it is about none.
    pub component: Option<ComponentName>,
    /// The environment of the component.
    pub environment: Option<Environment>,
    /// The object: method and route of the request, the server, or the limit.
    pub subject: String,
    /// The code of the refusal, such as `forbidden`.
    pub code: String,
    /// How often it happened.
    pub count: u64,
    /// The first time, in milliseconds since 1970-01-01 UTC.
    pub first_at: i64,
    /// The last time, in milliseconds since 1970-01-01 UTC.
    pub last_at: i64,
}

/// A filter for security events.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct SecurityFilter {
    /// Only events of this kind; absent for all.
    pub kind: Option<SecurityKind>,
    /// Only events since this time, in milliseconds since 1970-01-01 UTC; absent for all.
    pub since: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(value: serde_json::Value) -> Result<IssueChange> {
        let change: IssueChange =
            serde_json::from_value(value).map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        change.check().map(|()| change)
    }

    #[test]
    fn an_absent_assignee_stays_and_null_is_nobody() {
        assert_eq!(change(json!({})).expect("read").assigned_to, None);
        assert_eq!(change(json!({ "assigned_to": null })).expect("read").assigned_to, Some(None));
        let ada = change(json!({ "assigned_to": "ada" })).expect("read");
        assert_eq!(ada.assigned_to, Some(Some("ada".to_owned())));
        for value in [json!({}), json!({ "assigned_to": null }), json!({ "assigned_to": "ada", "state": "new" })] {
            let read = change(value.clone()).expect("read");
            assert_eq!(serde_json::to_value(read).expect("written"), value);
        }
    }

    #[test]
    fn members_are_bounded_and_fit_the_state() {
        for wrong in [
            json!({ "state": "regressed" }),
            json!({ "version": 3 }),
            json!({ "state": "ignored", "version": 3 }),
            json!({ "state": "new", "until": 5 }),
            json!({ "state": "ignored", "for_count": 0 }),
            json!({ "state": "ignored", "for_count": IGNORED_COUNT_MAX + 1 }),
            json!({ "state": "ignored", "until": -1 }),
            json!({ "assigned_to": "" }),
            json!({ "assigned_to": "a\u{1b}" }),
            json!({ "assigned_to": "a".repeat(ASSIGNEE_BYTES_MAX + 1) }),
            json!({ "other": 1 }),
        ] {
            assert_eq!(change(wrong.clone()).expect_err("refused").code(), Code::BadInput, "{wrong}");
        }
    }

    #[test]
    fn states_are_separated_by_commas() {
        let states = |text: &str| IssueFilter { state: Some(text.into()), ..IssueFilter::default() }.states();
        assert_eq!(states("new,regressed").expect("read"), [IssueState::New, IssueState::Regressed]);
        assert!(IssueFilter::default().states().expect("read").is_empty());
        assert!(states("").is_err() && states("open").is_err());
    }
}
