//! Hands over the rows of an outbox.

/// The result of handing over a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HandOverOutcome {
    /// The job is enqueued or the event published, now or before.
    Done,
    /// It can never be, and why.
    Refused(String),
    /// It refers to a job that does not exist, and which. It can never be, unless an earlier row has to be before.
    Missing(String),
    /// It cannot be now, and why.
    Later(String),
}

/// A `traceparent` that a row has, if it has the form of one.
pub(crate) fn traceparent(text: Option<String>) -> Option<String> {
    text.filter(|text| text.len() == 55 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
}
