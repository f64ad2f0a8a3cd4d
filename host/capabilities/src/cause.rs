//! The cause of an execution: its position in a trace, and in a chain of events.

use serde::{Deserialize, Serialize};

/// The cause of an execution, passed on to jobs, events and requests to other servers. The program that runs a handler
/// puts it into [`CallOptions::extensions`](elias_host::CallOptions::extensions), or for a request into the request's
/// extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The W3C trace context, as the header `traceparent` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// How many events led to the execution, each published by the handler of the one before; 0 if it is not the
    /// delivery of an event, nor a job that one enqueued.
    #[serde(default)]
    pub hops: u32,
}

/// The id of the trace, 32 hexadecimal digits, if the text is a `traceparent` of version 0.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = (version.len(), trace.len(), span.len(), flags.len(), traceparent.len());
    let good = lengths == (2, 32, 16, 2, 55) && [version, trace, span, flags].into_iter().all(is_hex);
    (good && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_that_of_a_whole_traceparent() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for wrong in [
            "",
            "x",
            &format!("{good}-1"),
            &good.to_uppercase(),
            &good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        ] {
            assert_eq!(trace_id(wrong), None, "{wrong}");
        }
    }
}
