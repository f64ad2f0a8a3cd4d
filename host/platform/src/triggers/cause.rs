//! The trace of executions that triggers cause: W3C Trace Context, a `traceparent` for each execution.

use elias_capabilities::trace_id;
use rand::Rng;

/// A `traceparent` that came from outside, if it is one.
pub(crate) fn checked(traceparent: Option<String>) -> Option<String> {
    traceparent.filter(|text| trace_id(text).is_some())
}

/// A `traceparent` for an execution that `parent` causes: in its trace, or in a new one without `parent`, which nobody
/// has had recorded yet.
pub(crate) fn child_of(parent: Option<&str>) -> String {
    let mut random = rand::thread_rng();
    let span: u64 = random.gen_range(1..=u64::MAX);
    let trace =
        parent.and_then(trace_id).map_or_else(|| format!("{:032x}", random.gen_range(1..=u128::MAX)), str::to_owned);
    let flags = parent.and_then(|parent| parent.get(53..55)).filter(|_| parent.and_then(trace_id).is_some());
    format!("00-{trace}-{span:016x}-{}", flags.unwrap_or("00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    #[test]
    fn what_comes_from_outside_is_checked() {
        assert_eq!(checked(Some(PARENT.to_owned())).as_deref(), Some(PARENT));
        for wrong in ["", "x", &format!("{PARENT}-1"), &PARENT.to_uppercase()] {
            assert_eq!(checked(Some(wrong.to_owned())), None, "{wrong}");
        }
    }

    #[test]
    fn a_child_is_in_the_trace_of_its_parent() {
        let child = child_of(Some(PARENT));
        assert_eq!((child.len(), &child[..36], &child[52..]), (55, &PARENT[..36], "-00"));
        assert_ne!(child, PARENT);
        for other in [None, Some("x"), Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01")] {
            let child = child_of(other);
            assert!(trace_id(&child).is_some() && child.ends_with("-00"), "{child}");
        }
    }
}
