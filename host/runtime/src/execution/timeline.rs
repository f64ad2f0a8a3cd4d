//! The timeline of an execution: its calls to capabilities and the spans of its guest, each with its time.

use std::borrow::Cow;
use std::time::Duration;

/// Bytes of a text about a call.
pub const DETAIL_BYTES_MAX: usize = 512;
/// Bytes of all texts of an execution.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Bytes of the name of a span, before secrets in it are redacted.
pub(crate) const SPAN_NAME_BYTES_MAX: usize = 128;

/// The id of a span in its trace. Not all zeros.
pub type SpanId = [u8; 8];

/// The calls of an execution, as far as their times were kept: see
/// [`ExecutionHandle::keep_calls`](super::ExecutionHandle::keep_calls).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The calls in the order of their ends, and the spans of the guest in that of their beginnings.
    pub calls: Vec<TimedCall>,
    /// Calls and spans that were more than are kept.
    pub left_out: u32,
}

/// One call to a capability, or one span of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedCall {
    /// The capability's name; [`SPAN`] for a span of the guest.
    pub capability: &'static str,
    /// What the call does, such as `get`; empty if its capability does only one thing.
    pub operation: &'static str,
    /// The name that the guest gave its span; none for a call.
    pub name: Option<Box<str>>,
    /// From the execution's beginning to the call's.
    pub offset: Duration,
    /// From the call's beginning to its end.
    pub duration: Duration,
    /// Whether it failed.
    pub failed: bool,
    /// The id that the other server was told.
    pub span: Option<SpanId>,
    /// The number of a span of the guest, from 1; 0 for a call.
    pub number: u32,
    /// The number of the span of which it is a part; 0 for none.
    pub parent: u32,
    /// Texts about it by their names.
    pub texts: Vec<(&'static str, Cow<'static, str>)>,
    /// Numbers about it by their names.
    pub numbers: Vec<(&'static str, i64)>,
}

/// The capability of spans of the guest.
pub const SPAN: &str = "span";

/// What is told of a call while it is under way.
#[derive(Debug, Default)]
pub(super) struct CallDetails {
    pub(super) is_kept: bool,
    pub(super) operation: &'static str,
    pub(super) failed: bool,
    pub(super) span: Option<SpanId>,
    texts: Vec<(&'static str, Cow<'static, str>)>,
    numbers: Vec<(&'static str, i64)>,
}

impl CallDetails {
    pub(super) fn new(is_kept: bool) -> Self {
        Self { is_kept, ..Self::default() }
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        if self.is_kept {
            self.texts.push((name, Cow::Owned(cut(value, DETAIL_BYTES_MAX).to_owned())));
        }
    }

    pub(super) fn label(&mut self, name: &'static str, value: &'static str) {
        if self.is_kept {
            self.texts.push((name, Cow::Borrowed(value)));
        }
    }

    pub(super) fn number(&mut self, name: &'static str, value: i64) {
        if self.is_kept {
            self.numbers.push((name, value));
        }
    }
}

/// The calls whose times are kept, while the execution runs.
#[derive(Debug)]
pub(super) struct TimedCalls {
    kept: Vec<TimedCall>,
    most: usize,
    bytes: usize,
    left_out: u32,
    /// The spans that have begun.
    spans: u32,
}

impl TimedCalls {
    pub(super) fn new(most: u32) -> Self {
        Self { kept: Vec::new(), most: most as usize, bytes: 0, left_out: 0, spans: 0 }
    }

    /// Adds a call that has ended; says whether there was a place for it.
    pub(super) fn add(
        &mut self,
        capability: &'static str,
        offset: Duration,
        duration: Duration,
        details: CallDetails,
    ) -> bool {
        let bytes = details.texts.iter().map(|(_, text)| text.len()).sum();
        if !self.has_place(bytes) {
            return false;
        }
        let CallDetails { operation, failed, span, texts, numbers, .. } = details;
        self.kept.push(TimedCall {
            capability,
            operation,
            name: None,
            offset,
            duration,
            failed,
            span,
            number: 0,
            parent: 0,
            texts,
            numbers,
        });
        true
    }

    /// Begins a span; gives its number, or 0 if there is no place for it.
    pub(super) fn begin_span(&mut self, name: &str, parent: u32, offset: Duration) -> u32 {
        if !self.has_place(name.len()) {
            return 0;
        }
        self.spans += 1;
        self.kept.push(TimedCall {
            capability: SPAN,
            operation: "",
            name: Some(name.into()),
            offset,
            // Until it ends, it ends with the execution.
            duration: Duration::MAX,
            failed: false,
            span: None,
            number: self.spans,
            // A guest can name any number: only of a span that has begun before it is a span a part.
            parent: if parent < self.spans { parent } else { 0 },
            texts: Vec::new(),
            numbers: Vec::new(),
        });
        self.spans
    }

    pub(super) fn end_span(&mut self, number: u32, offset: Duration, failed: bool) {
        let is_it = |call: &&mut TimedCall| call.number == number && call.duration == Duration::MAX;
        if let Some(span) = self.kept.iter_mut().rev().find(is_it) {
            span.duration = offset.saturating_sub(span.offset);
            span.failed = failed;
        }
    }

    /// Whether there is a place for something with texts of so many bytes, which is then taken; counts it otherwise.
    fn has_place(&mut self, bytes: usize) -> bool {
        let fits = self.kept.len() < self.most && self.bytes + bytes <= TEXT_BYTES_MAX;
        if fits {
            self.bytes += bytes;
        } else if self.most > 0 {
            self.left_out = self.left_out.saturating_add(1);
        }
        fits
    }

    /// The timeline of the execution, which took `duration`; none if nothing is to be told.
    pub(super) fn take(&mut self, duration: Duration) -> Option<Timeline> {
        let mut calls = std::mem::take(&mut self.kept);
        for span in calls.iter_mut().filter(|call| call.duration == Duration::MAX) {
            span.duration = duration.saturating_sub(span.offset);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (!calls.is_empty() || left_out > 0).then_some(Timeline { calls, left_out })
    }
}

/// The beginning of a text, in whole characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn spans_are_parts_of_those_that_began_before_them() {
        let mut calls = TimedCalls::new(10);
        let outer = calls.begin_span("outer", 0, MS);
        let inner = calls.begin_span("inner", outer, 2 * MS);
        let wrong = calls.begin_span("wrong", 99, 3 * MS);
        let itself = calls.begin_span("itself", 4, 3 * MS);
        calls.end_span(inner, 5 * MS, true);
        calls.end_span(inner, 9 * MS, false);
        calls.end_span(77, 9 * MS, false);
        let timeline = calls.take(10 * MS).expect("spans");
        let spans: Vec<_> =
            timeline.calls.iter().map(|call| (call.number, call.parent, call.duration, call.failed)).collect();
        let open = 10 * MS;
        assert_eq!(
            spans,
            [
                (outer, 0, open - MS, false),
                (inner, outer, 3 * MS, true),
                (wrong, 0, open - 3 * MS, false),
                (itself, 0, open - 3 * MS, false)
            ]
        );
    }

    #[test]
    fn texts_are_bounded_each_and_together() {
        let mut calls = TimedCalls::new(1_000);
        let long = "ü".repeat(DETAIL_BYTES_MAX);
        let mut kept = 0;
        for _ in 0..1_000 {
            let mut details = CallDetails::new(true);
            details.text("db.query.text", &long);
            kept += u32::from(calls.add("db", MS, MS, details));
        }
        let timeline = calls.take(MS).expect("calls");
        assert_eq!(kept as usize, TEXT_BYTES_MAX / DETAIL_BYTES_MAX);
        assert_eq!((timeline.calls.len(), timeline.left_out), (kept as usize, 1_000 - kept));
        assert!(timeline.calls.iter().all(|call| call.texts[0].1.len() == DETAIL_BYTES_MAX));
        assert_eq!(cut("aü", 2), "a", "whole characters only");
    }

    #[test]
    fn spans_without_a_place_are_counted() {
        let mut calls = TimedCalls::new(1);
        assert_eq!(calls.begin_span("a", 0, MS), 1);
        assert_eq!(calls.begin_span("b", 0, MS), 0);
        assert_eq!(calls.take(MS).map(|timeline| timeline.left_out), Some(1));
    }
}
