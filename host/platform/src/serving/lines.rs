//! The log lines of components, by execution: kept until the execution is recorded, and sent to those who follow the
//! log.

use crate::feed::{Feed, FeedBounds, Follower};
use crate::security_log::ServiceNotice;
use elias_api::FollowedLine;
use elias_host::{Line, Notice, Observer};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Lines that are kept of one execution.
const LINES_MAX: usize = 100;
/// Bytes that are kept of one execution's lines.
const BYTES_MAX: usize = 64 << 10;
/// Lines that wait for those who follow; who is slower loses some, and is told so.
const FOLLOWED: FeedBounds = FeedBounds { items: 1_000, bytes: 1 << 20 };
/// What a line takes beside its texts, about.
const LINE_BYTES: usize = 200;

/// Different notices of a service that are told apart until they are taken.
const NOTICES_MAX: usize = 100;
/// Bytes of the text of a notice.
const NOTICE_BYTES_MAX: usize = 256;

/// The lines of one service's executions under way.
#[derive(Default)]
pub(crate) struct Lines {
    /// How many executions have lines: those that have none, as most, take no lock.
    executions: AtomicUsize,
    kept: Mutex<HashMap<String, ExecutionLines>>,
    /// Notices since they were taken last, and how often each.
    notices: Mutex<BTreeMap<ServiceNotice, u64>>,
    has_notices: AtomicBool,
    /// Made for the first who follows: its thousand lines take 200 KB, which ten thousand services would feel.
    followers: OnceLock<Feed<FollowedLine>>,
}

#[derive(Default)]
struct ExecutionLines {
    /// The service worker, `CLASS/NAME`, if the execution is a turn of one.
    worker: Option<Arc<str>>,
    /// The id of the message that the worker handles.
    message: Option<Arc<str>>,
    lines: Vec<Value>,
    bytes: usize,
}

/// The lines of an execution that is not recorded; they are dropped with this.
pub(crate) struct UnrecordedLines<'a> {
    lines: &'a Lines,
    execution: String,
}

impl Drop for UnrecordedLines<'_> {
    fn drop(&mut self) {
        self.lines.take(&self.execution);
    }
}

impl Lines {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, ExecutionLines>> {
        self.kept.lock() // the map is whole after every operation
    }

    /// The lines of an execution that has ended.
    pub(crate) fn take(&self, execution: &str) -> Option<Value> {
        if self.executions.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut kept = self.kept();
        let lines = kept.remove(execution)?;
        self.executions.store(kept.len(), Ordering::Relaxed);
        (!lines.lines.is_empty()).then_some(Value::Array(lines.lines))
    }

    /// Says that an execution is a turn of a service worker, `CLASS/NAME`, which handles the message with this id:
    /// those who follow its lines know them by that. It is said before the turn begins, and holds until
    /// [`Lines::take`].
    pub(crate) fn of_worker(&self, execution: &str, worker: &str, message: &str) {
        let mut kept = self.kept();
        let lines = kept.entry(execution.to_owned()).or_default();
        (lines.worker, lines.message) = (Some(worker.into()), Some(message.into()));
        self.executions.store(kept.len(), Ordering::Relaxed);
    }

    /// Has the lines of an execution, which is about to begin, dropped with what this gives: nobody records it.
    pub(crate) fn unrecorded(&self, execution: &str) -> UnrecordedLines<'_> {
        UnrecordedLines { lines: self, execution: execution.to_owned() }
    }

    /// What the service's executions did since this was asked last, and how often.
    pub(crate) fn take_notices(&self) -> BTreeMap<ServiceNotice, u64> {
        // Most services have none, most of the time.
        if !self.has_notices.swap(false, Ordering::AcqRel) {
            return BTreeMap::new();
        }
        std::mem::take(&mut *self.notices.lock())
    }

    /// The lines after the one at the position `after`, or from now on.
    pub(crate) fn follow(&self, after: Option<u64>) -> Follower<FollowedLine> {
        self.followers.get_or_init(|| Feed::new(FOLLOWED)).follow(after)
    }
}

impl Observer for Lines {
    fn notice(&self, notice: Notice<'_>) {
        let text = |text: &str| text[..text.floor_char_boundary(NOTICE_BYTES_MAX)].to_owned();
        let mut notice = match notice {
            Notice::SecretRead(name) => ServiceNotice::SecretRead(text(name)),
            Notice::EgressRefused(server) => ServiceNotice::EgressRefused(Some(text(server))),
        };
        let mut notices = self.notices.lock();
        // The names of secrets are those of the grant, so there are not many.
        if notices.len() >= NOTICES_MAX && matches!(notice, ServiceNotice::EgressRefused(_)) {
            notice = if notices.contains_key(&notice) { notice } else { ServiceNotice::EgressRefused(None) };
        }
        *notices.entry(notice).or_default() += 1;
        drop(notices);
        self.has_notices.store(true, Ordering::Release);
    }

    fn line(&self, line: Line<'_>) {
        let level = line.level.as_str();
        let text = match (line.message, line.fields) {
            (message, "") => message.to_owned(),
            (message, fields) => format!("{message} {fields}"),
        };
        let mut all = self.kept();
        let kept = all.entry(line.execution.to_owned()).or_default();
        kept.bytes += text.len();
        if kept.lines.len() < LINES_MAX && kept.bytes <= BYTES_MAX {
            kept.lines.push(Value::from(vec![level.to_ascii_lowercase(), text]));
        }
        let (worker, handled) = (kept.worker.clone(), kept.message.clone());
        self.executions.store(all.len(), Ordering::Relaxed);
        drop(all);
        if let Some(followers) = self.followers.get() {
            let bytes = LINE_BYTES + line.message.len() + line.fields.len();
            let (message, fields) = (line.message.to_owned(), line.fields.to_owned());
            let (execution, worker) = (line.execution.to_owned(), worker.map(|worker| worker.to_string()));
            let message_id = handled.map(|id| id.to_string());
            followers.push(FollowedLine { execution, worker, message_id, level, message, fields }, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Followed;
    use futures::FutureExt;

    #[test]
    fn notices_are_counted_and_bounded() {
        let lines = Lines::default();
        assert!(lines.take_notices().is_empty());
        for number in 0..1_000 {
            lines.notice(Notice::EgressRefused(&format!("h{number}.example")));
            lines.notice(Notice::SecretRead("TOKEN"));
        }
        let notices = lines.take_notices();
        assert!(notices.len() <= NOTICES_MAX + 1, "{}", notices.len());
        assert_eq!(notices[&ServiceNotice::SecretRead("TOKEN".into())], 1_000);
        assert_eq!(notices.values().sum::<u64>(), 2_000, "none is lost");
        assert!(lines.take_notices().is_empty());
    }

    #[test]
    fn an_execution_keeps_its_own_lines_up_to_a_bound() {
        let lines = Lines::default();
        for number in 0..(2 * LINES_MAX) {
            let (level, message) = (tracing::Level::INFO, number.to_string());
            lines.line(Line { execution: "a", level, message: &message, fields: "" });
        }
        lines.line(Line { execution: "b", level: tracing::Level::WARN, message: "m", fields: "n=1" });
        assert_eq!(lines.take("a").expect("kept").as_array().map(Vec::len), Some(LINES_MAX));
        assert_eq!(lines.take("b"), Some(serde_json::json!([["warn", "m n=1"]])));
        assert_eq!((lines.take("a"), lines.take("b"), lines.kept().len()), (None, None, 0));
    }

    #[test]
    fn lines_that_nobody_records_are_dropped() {
        let lines = Lines::default();
        let kept = lines.unrecorded("a");
        lines.of_worker("a", "Cart/ada", "1");
        lines.line(Line { execution: "a", level: tracing::Level::INFO, message: "m", fields: "" });
        assert_eq!(lines.kept().len(), 1);
        drop(kept);
        assert_eq!(lines.kept().len(), 0);
    }

    #[test]
    fn lines_of_a_turn_name_their_worker() {
        let lines = Lines::default();
        let mut followed = lines.follow(None);
        lines.of_worker("a", "Cart/ada", "1");
        lines.of_worker("b", "Cart/bo", "2");
        for execution in ["a", "c"] {
            lines.line(Line { execution, level: tracing::Level::INFO, message: "m", fields: "" });
        }
        let mut next = || match followed.next().now_or_never().flatten() {
            Some(Followed::Item(_, line)) => (line.worker, line.message_id),
            other => panic!("a line, and not {other:?}"),
        };
        let workers = [next(), next()];
        assert_eq!(workers, [(Some("Cart/ada".to_owned()), Some("1".to_owned())), (None, None)]);
        assert!(lines.take("a").is_some() && lines.take("c").is_some());
        assert_eq!((lines.take("b"), lines.kept().len()), (None, 0), "a turn without lines has none");
    }
}
