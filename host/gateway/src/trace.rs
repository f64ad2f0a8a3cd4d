//! The ids that a request is followed by: the W3C trace context (Recommendation of 2021, level 1) and request ids.

use crate::field::single;
use elias_contract::{hexadecimal, push_hexadecimal};
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest `tracestate` that is passed on, in bytes of all its lines (section 3.3.1.5 has 512 as the least).
pub const MAX_TRACESTATE_BYTES: usize = 512;

/// The most entries of a `tracestate` (section 3.3.1.1).
pub const MAX_TRACESTATE_ENTRIES: usize = 32;

/// Where a request is in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace. Not all zeros.
    pub trace_id: [u8; 16],
    /// The span of this host, which is the parent of what the component does. Not all zeros.
    pub span_id: [u8; 8],
    /// The caller's span, if it named one.
    pub parent_id: Option<[u8; 8]>,
    /// Whether the caller records the trace, which is the one flag of level 1.
    pub sampled: bool,
}

impl TraceContext {
    /// Continues the trace of a request, or begins one if it has none or a malformed one. `random` are the ids for
    /// that.
    #[must_use]
    pub fn continued(request: &HeaderMap, random: [u8; 24]) -> Self {
        let (fresh_trace, fresh_span) = random.split_at(16);
        let fresh_trace = not_zero(fresh_trace.try_into().unwrap_or([1; 16]));
        let span_id = not_zero(fresh_span.try_into().unwrap_or([1; 8]));
        let parent = single(request, &TRACEPARENT).and_then(|value| parse(value.as_bytes()));
        match parent {
            Some((trace_id, parent_id, sampled)) => Self { trace_id, span_id, parent_id: Some(parent_id), sampled },
            None => Self { trace_id: fresh_trace, span_id, parent_id: None, sampled: false },
        }
    }

    /// The value of `traceparent` for what follows this host.
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hexadecimal(&mut text, &self.trace_id);
        text.push('-');
        push_hexadecimal(&mut text, &self.span_id);
        text.push_str(if self.sampled { "-01" } else { "-00" });
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The trace's id in hexadecimal, as logs have it.
    #[must_use]
    pub fn trace_id_hex(&self) -> String {
        hexadecimal(&self.trace_id)
    }

    /// Puts the context into the headers that the component gets. `tracestate` is kept if the trace goes on and it is
    /// within the limits.
    pub fn apply(&self, request: &mut HeaderMap) {
        request.insert(TRACEPARENT, self.traceparent());
        if self.parent_id.is_none() || !keeps_state(request) {
            request.remove(TRACESTATE);
        }
    }
}

fn not_zero<const N: usize>(mut id: [u8; N]) -> [u8; N] {
    if id == [0; N] {
        id = [1; N];
    }
    id
}

/// `version-trace-parent-flags` (section 3.2).
fn parse(value: &[u8]) -> Option<([u8; 16], [u8; 8], bool)> {
    let (known, rest) = value.split_first_chunk::<55>()?;
    let mut parts = known.split(|byte| *byte == b'-');
    let [version] = hex::<1>(parts.next()?)?;
    let trace = hex::<16>(parts.next()?)?;
    let parent = hex::<8>(parts.next()?)?;
    let [flags] = hex::<1>(parts.next()?)?;
    // A later version may have more fields, and this much of it is as here (section 3.2.4).
    let ends = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let complete = ends && parts.next().is_none() && trace != [0; 16] && parent != [0; 8];
    complete.then_some((trace, parent, flags & 1 == 1))
}

/// Lower case only (section 3.2.2.3).
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

fn keeps_state(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TRACESTATE);
    let (mut bytes, mut entries) = (0, 0);
    for line in lines {
        let Ok(text) = line.to_str() else { return false };
        bytes += text.len();
        entries += text.split(',').count();
    }
    bytes <= MAX_TRACESTATE_BYTES && entries <= MAX_TRACESTATE_ENTRIES
}

/// The id that a proxy gave a request in `X-Request-Id`: one value of 1 to 128 letters, digits and `-_.`. Only such an
/// id may get into a log. Whether the proxy is trusted is for the caller to know.
#[must_use]
pub fn request_id(request: &HeaderMap) -> Option<&str> {
    let id = single(request, &X_REQUEST_ID)?.to_str().ok()?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=128).contains(&id.len())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_trace_goes_on_under_a_new_span() {
        let mut request = headers(&[(TRACEPARENT, PARENT), (TRACESTATE, "a=1,b=2")]);
        let context = TraceContext::continued(&request, [7; 24]);
        assert!(context.sampled);
        assert_eq!(context.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
        context.apply(&mut request);
        assert_eq!(request[TRACEPARENT], "00-0af7651916cd43dd8448eb211c80319c-0707070707070707-01");
        assert_eq!(request[TRACESTATE], "a=1,b=2");
        let later = PARENT.replacen("00", "cc", 1) + "-more";
        let context = TraceContext::continued(&headers(&[(TRACEPARENT, &later)]), [7; 24]);
        assert_eq!(context.parent_id, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
    }

    #[test]
    fn what_is_malformed_begins_a_new_trace_without_state() {
        let malformed = [
            String::new(),
            PARENT.to_uppercase(),
            PARENT.replacen("00", "ff", 1),
            format!("{PARENT}-"),
            format!("{PARENT}x"),
            PARENT.replacen("00", "cc", 1) + "x",
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            PARENT.replace("b7ad", "b7-d"),
            PARENT.replace("b7ad", "b7ag"),
            PARENT.replace('-', "_"),
        ];
        for value in malformed {
            let mut request = headers(&[(TRACEPARENT, &value), (TRACESTATE, "a=1")]);
            let context = TraceContext::continued(&request, [0; 24]);
            assert_eq!((context.trace_id, context.parent_id, context.sampled), ([1; 16], None, false), "{value}");
            context.apply(&mut request);
            assert!(!request.contains_key(TRACESTATE), "{value}");
        }
        let twice = headers(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)]);
        assert_eq!(TraceContext::continued(&twice, [7; 24]).parent_id, None);
    }

    #[test]
    fn the_state_is_bounded() {
        let entries = |count: usize| vec!["a=1"; count].join(",");
        for (state, kept) in [
            (entries(MAX_TRACESTATE_ENTRIES), true),
            (entries(MAX_TRACESTATE_ENTRIES + 1), false),
            (format!("a={}", "x".repeat(MAX_TRACESTATE_BYTES - 2)), true),
            (format!("a={}", "x".repeat(MAX_TRACESTATE_BYTES - 1)), false),
        ] {
            let mut request = headers(&[(TRACEPARENT, PARENT), (TRACESTATE, &state)]);
            TraceContext::continued(&request, [7; 24]).apply(&mut request);
            assert_eq!(request.contains_key(TRACESTATE), kept, "{state}");
        }
    }

    #[test]
    fn request_ids_are_plain() {
        let long = "x".repeat(129);
        for (id, taken) in
            [("01HX-a_b.c", true), ("", false), ("a b", false), ("a\tb", false), ("<b>", false), (&long, false)]
        {
            assert_eq!(request_id(&headers(&[(X_REQUEST_ID, id)])).is_some(), taken, "{id}");
        }
        assert_eq!(request_id(&headers(&[(X_REQUEST_ID, "a"), (X_REQUEST_ID, "b")])), None);
    }
}
