//! What caused a job or an event, as the store keeps it: a `traceparent`, and how many events led to it.

use elias_capabilities::trigger::Cause;
use rand::Rng;
use std::fmt::Write;

/// What stands before the number of events, and before the name of who replayed one.
const HOPS: &str = "hops=";
const REPLAY: &str = "replay=";

/// The column `cause` of a job: the `traceparent` of W3C Trace Context and, for what events led to, `hops=N` behind a
/// semicolon. A column of its own would be one more of each job, and most have none.
pub(super) fn to_stored(cause: &Cause) -> Option<String> {
    let mut stored = cause.traceparent.clone().unwrap_or_default();
    if cause.hops > 0 {
        if !stored.is_empty() {
            stored.push(';');
        }
        // Writing to a String cannot fail.
        let _ = write!(stored, "{HOPS}{}", cause.hops);
    }
    (!stored.is_empty()).then_some(stored)
}

/// The cause that a column holds.
pub(super) fn cause_of(stored: Option<&str>) -> Cause {
    let mut cause = Cause::default();
    for part in stored.unwrap_or_default().split(';').filter(|part| !part.is_empty()) {
        match part.strip_prefix(HOPS) {
            Some(hops) => cause.hops = hops.parse().unwrap_or(u32::MAX),
            None if part.starts_with(REPLAY) => {}
            None => cause.traceparent = Some(part.to_owned()),
        }
    }
    cause
}

/// The column `cause` of the delivery of an event that somebody replays: `replay=NAME` is behind the rest. What the
/// delivery causes in turn is no replay.
pub(super) fn replayed(cause: &Cause, by: &str) -> String {
    let mut stored = to_stored(cause).unwrap_or_default();
    if !stored.is_empty() {
        stored.push(';');
    }
    stored.push_str(REPLAY);
    stored.extend(by.chars().map(|character| if character == ';' || character.is_control() { '_' } else { character }));
    stored
}

/// Whether a job is the delivery of an event that somebody replayed.
pub(super) fn is_replayed(stored: Option<&str>) -> bool {
    stored.unwrap_or_default().split(';').any(|part| part.starts_with(REPLAY))
}

/// A `traceparent` that came from outside, if it is one.
pub(crate) fn checked(traceparent: Option<String>) -> Option<String> {
    traceparent.filter(|text| trace_of(text).is_some())
}

/// The `traceparent` of what is caused by `parent`: in its trace, else in a new one.
pub(super) fn child_of(parent: Option<&str>) -> String {
    let mut random = rand::thread_rng();
    let span: u64 = random.gen_range(1..=u64::MAX);
    let trace =
        parent.and_then(trace_of).map_or_else(|| format!("{:032x}", random.gen_range(1..=u128::MAX)), str::to_owned);
    let flags = parent.and_then(|parent| parent.get(53..55)).filter(|_| parent.and_then(trace_of).is_some());
    format!("00-{trace}-{span:016x}-{}", flags.unwrap_or("01"))
}

/// The id of the trace, if the text is a `traceparent` of version 0.
fn trace_of(traceparent: &str) -> Option<&str> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = (version.len(), trace.len(), span.len(), flags.len(), traceparent.len());
    let good = lengths == (2, 32, 16, 2, 55) && [version, trace, span, flags].into_iter().all(is_hex);
    (good && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn causes_are_stored_and_read() {
        for (traceparent, hops) in [(None, 0), (Some(PARENT), 0), (None, 3), (Some(PARENT), 16)] {
            let cause = Cause { traceparent: traceparent.map(str::to_owned), hops };
            assert_eq!(cause_of(to_stored(&cause).as_deref()), cause);
            assert!(!is_replayed(to_stored(&cause).as_deref()));
            let replay = replayed(&cause, "a;b");
            assert!(is_replayed(Some(&replay)) && replay.ends_with("replay=a_b"), "{replay}");
            assert_eq!(cause_of(Some(&replay)), cause);
        }
        assert_eq!(to_stored(&Cause::default()), None);
        assert_eq!(checked(Some(PARENT.to_owned())).as_deref(), Some(PARENT));
        assert_eq!(checked(Some(format!("{PARENT};hops=1"))), None);
    }

    #[test]
    fn a_child_is_in_the_trace_of_its_parent() {
        let child = child_of(Some(PARENT));
        assert_eq!((child.len(), &child[..36], &child[52..]), (55, &PARENT[..36], "-00"));
        assert_ne!(child, PARENT);
        for other in [None, Some("x"), Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01")] {
            let child = child_of(other);
            assert!(trace_of(&child).is_some() && child.ends_with("-01"), "{child}");
        }
    }
}
