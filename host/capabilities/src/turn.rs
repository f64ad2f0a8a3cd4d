//! The turn of a service worker that an execution runs: the keys of its outward calls, and the journal of their
//! results, from which a further attempt gets them.
//!
//! Calls are told apart by what they are and how many of the same came before, and not by their order alone: that of
//! calls which wait side by side may differ from attempt to attempt.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Calls of a turn that its journal has at most, and calls that differ which an attempt tells apart; further ones are
/// made again in each attempt, and have keys by their order.
const CALLS_MAX: usize = 10_000;

/// Bytes that a call takes in a journal beside its result, as they are counted.
const CALL_BYTES: usize = 256;

/// The SHA-256 of what a call is, in its turn.
type CallId = [u8; 32];

/// Says whether a journal may hold so many bytes in all.
type MayHold = dyn Fn(usize) -> bool + Send + Sync;

/// What a turn of a service worker has called, over all of its attempts in one process. Cloning it is cheap.
#[derive(Clone)]
pub struct TurnJournal {
    shared: Arc<Shared>,
}

struct Shared {
    turn: Vec<String>,
    may_hold: Box<MayHold>,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    calls: BTreeMap<CallId, RecordedCall>,
    bytes: usize,
}

struct RecordedCall {
    name: String,
    /// None until it is there, and where there was no room for it.
    result: Option<Box<dyn Any + Send>>,
}

impl TurnJournal {
    /// The empty journal of a turn. `turn` is the same in all attempts of it, also in another process, and no other
    /// turn of any worker of the component has it. `may_hold` says whether the journal may hold so many bytes in all:
    /// the results for which it may not are not kept.
    #[must_use]
    pub fn new(turn: Vec<String>, may_hold: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self { shared: Arc::new(Shared { turn, may_hold: Box::new(may_hold), recorded: Mutex::default() }) }
    }

    /// The calls of an attempt that begins.
    #[must_use]
    pub fn attempt(&self) -> TurnCalls {
        TurnCalls { shared: Arc::clone(&self.shared), made: Arc::default() }
    }
}

impl fmt::Debug for TurnJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnJournal").field("bytes", &self.shared.recorded.lock().bytes).finish_non_exhaustive()
    }
}

/// The outward calls of one attempt of a turn, in
/// [`CallOptions::extensions`](elias_host::CallOptions::extensions). Cloning it is cheap.
#[derive(Clone)]
pub struct TurnCalls {
    shared: Arc<Shared>,
    made: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    /// How many calls are the same, by what they are.
    counts: HashMap<CallId, u32>,
    /// How many calls were made beside those.
    others: u64,
    /// The calls that the journal has.
    ids: HashSet<CallId>,
}

impl Made {
    /// The id of a call that is made now.
    fn count(&mut self, what: &CallId) -> CallId {
        if self.counts.len() >= CALLS_MAX && !self.counts.contains_key(what) {
            self.others += 1;
            return digest([&what[..], &self.others.to_le_bytes()]);
        }
        let count = self.counts.entry(*what).or_default();
        *count = count.saturating_add(1);
        digest([&what[..], &count.to_le_bytes()])
    }
}

impl TurnCalls {
    /// A call that begins now: of this component, with this name and these arguments.
    #[must_use]
    pub fn begin(&self, component: &str, name: &str, arguments: &[&[u8]]) -> TurnCall {
        let what = digest([component.as_bytes(), name.as_bytes()].into_iter().chain(arguments.iter().copied()));
        let mut made = self.made.lock();
        let id = made.count(&what);
        let Recorded { calls, bytes } = &mut *self.shared.recorded.lock();
        if calls.len() < CALLS_MAX && !calls.contains_key(&id) && (self.shared.may_hold)(*bytes + CALL_BYTES) {
            *bytes += CALL_BYTES;
            calls.insert(id, RecordedCall { name: name.to_owned(), result: None });
        }
        if calls.contains_key(&id) {
            made.ids.insert(id);
        }
        let key = uuid(&digest(self.shared.turn.iter().map(String::as_bytes).chain([&id[..]])));
        TurnCall { shared: Arc::clone(&self.shared), id, key }
    }

    /// The name of a call that a former attempt has made, and this one has not; none if it has made all of them.
    #[must_use]
    pub fn missed(&self) -> Option<String> {
        let made = self.made.lock();
        let recorded = self.shared.recorded.lock();
        let missed = recorded.calls.iter().find(|(id, _)| !made.ids.contains(*id));
        missed.map(|(_, call)| call.name.clone())
    }
}

impl fmt::Debug for TurnCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnCalls").field("made", &self.made.lock().ids.len()).finish_non_exhaustive()
    }
}

/// An outward call of a turn.
pub struct TurnCall {
    shared: Arc<Shared>,
    id: CallId,
    key: String,
}

impl TurnCall {
    /// Its idempotency key, a UUID: the same for the same call in each attempt of the turn, and another one for every
    /// other call.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The result that a former attempt has recorded.
    #[must_use]
    pub fn recorded<T: Clone + 'static>(&self) -> Option<T> {
        let recorded = self.shared.recorded.lock();
        recorded.calls.get(&self.id)?.result.as_ref()?.downcast_ref::<T>().cloned()
    }

    /// Room for its result while that comes; none if the journal does not have the call, or has its result.
    pub(crate) fn room(&self) -> Option<ResultRoom> {
        let is_open = self.shared.recorded.lock().calls.get(&self.id).is_some_and(|call| call.result.is_none());
        is_open.then(|| ResultRoom { shared: Arc::clone(&self.shared), bytes: 0 })
    }

    /// Records its result, of so many bytes, for further attempts, unless there is no room for it. The first one stays:
    /// an attempt may have gone on with it.
    pub fn record<T: Send + 'static>(&self, result: T, result_bytes: usize) {
        let Recorded { calls, bytes } = &mut *self.shared.recorded.lock();
        if let Some(call) = calls.get_mut(&self.id)
            && call.result.is_none()
            && (self.shared.may_hold)(bytes.saturating_add(result_bytes))
        {
            *bytes = bytes.saturating_add(result_bytes);
            call.result = Some(Box::new(result));
        }
    }
}

impl fmt::Debug for TurnCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnCall").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Room in a journal for a result that is not whole yet, which is free again once this is dropped.
pub(crate) struct ResultRoom {
    shared: Arc<Shared>,
    bytes: usize,
}

impl ResultRoom {
    /// Takes so many bytes more; whether they are there.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let Recorded { bytes, .. } = &mut *self.shared.recorded.lock();
        let grown = bytes.saturating_add(more);
        let is_held = (self.shared.may_hold)(grown);
        if is_held {
            *bytes = grown;
            self.bytes += more;
        }
        is_held
    }
}

impl Drop for ResultRoom {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let Recorded { bytes, .. } = &mut *self.shared.recorded.lock();
            *bytes = bytes.saturating_sub(self.bytes);
            // Less is never refused.
            (self.shared.may_hold)(*bytes);
        }
    }
}

/// A UUID that is made of these parts: always the same.
#[must_use]
pub fn uuid_of(parts: &[&str]) -> String {
    uuid(&digest(parts.iter().map(|part| part.as_bytes())))
}

/// The SHA-256 of parts, each behind its length.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> CallId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A UUID (version 8) of the first bytes of a digest.
fn uuid(digest: &CallId) -> String {
    let bits = digest[..16].iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    fn journal(most: usize) -> TurnJournal {
        TurnJournal::new(turn(&["A", "a", "message"]), move |bytes| bytes <= most)
    }

    #[test]
    fn a_call_has_the_same_key_in_each_attempt_and_no_other_call_has_it() {
        let journal = journal(usize::MAX);
        let keys = |calls: &TurnCalls, order: &[&str]| -> Vec<String> {
            order.iter().map(|argument| calls.begin("shop", "post", &[argument.as_bytes()]).key().to_owned()).collect()
        };
        let first = keys(&journal.attempt(), &["x", "y", "x"]);
        assert_eq!(keys(&journal.attempt(), &["x", "y", "x"]), first);
        // The order of those that wait side by side does not matter.
        let [x, y, second_x] = first.as_slice() else { panic!("three keys") };
        assert_eq!(keys(&journal.attempt(), &["y", "x", "x"]), [y.clone(), x.clone(), second_x.clone()]);
        assert!(x != y && x != second_x && y != second_x, "{first:?}");
        // Another process has nothing but the turn.
        assert_eq!(keys(&self::journal(usize::MAX).attempt(), &["x"]), std::slice::from_ref(x));
        let others = [
            TurnJournal::new(turn(&["A", "a", "other"]), |_| true).attempt().begin("shop", "post", &[b"x"]),
            TurnJournal::new(turn(&["A", "amessage"]), |_| true).attempt().begin("shop", "post", &[b"x"]),
            journal.attempt().begin("other", "post", &[b"x"]),
            journal.attempt().begin("shop", "posts", &[b"x"]),
        ];
        for other in others {
            assert!(!first.contains(&other.key().to_owned()), "{other:?}");
        }
        assert_eq!((x.len(), &x[14..15]), (36, "8"), "{x}");
    }

    #[test]
    fn results_are_given_to_further_attempts_and_the_first_one_stays() {
        let journal = journal(usize::MAX);
        let call = journal.attempt().begin("shop", "post", &[b"x"]);
        assert_eq!(call.recorded::<u32>(), None);
        call.record(7_u32, 4);
        call.record(8_u32, 4);
        let calls = journal.attempt();
        assert_eq!(calls.begin("shop", "post", &[b"x"]).recorded(), Some(7_u32));
        assert_eq!(calls.begin("shop", "post", &[b"x"]).recorded::<u32>(), None, "it is the second one");
        assert_eq!(calls.begin("shop", "post", &[b"y"]).recorded::<u32>(), None);
    }

    #[test]
    fn an_attempt_that_does_not_make_a_call_of_a_former_one_has_missed_it() {
        let journal = journal(usize::MAX);
        let first = journal.attempt();
        let _made = [first.begin("shop", "a", &[]), first.begin("shop", "b", &[])];
        assert_eq!(first.missed(), None);
        let second = journal.attempt();
        let _made = [second.begin("shop", "b", &[]), second.begin("shop", "c", &[])];
        assert_eq!(second.missed().as_deref(), Some("a"));
        let _made = second.begin("shop", "a", &[]);
        assert_eq!(second.missed(), None, "more calls are none that it missed");
    }

    #[test]
    fn what_there_is_no_room_for_is_not_kept() {
        let journal = journal(CALL_BYTES + 10);
        let calls = journal.attempt();
        let (kept, other) = (calls.begin("shop", "a", &[]), calls.begin("shop", "b", &[]));
        kept.record("eleven bytes", 11);
        assert_eq!(kept.recorded::<&str>(), None);
        kept.record("ten bytes", 10);
        other.record("none", 0);
        let again = journal.attempt();
        assert_eq!(again.begin("shop", "a", &[]).recorded(), Some("ten bytes"));
        assert_eq!(again.begin("shop", "b", &[]).recorded::<&str>(), None);
        assert_eq!(again.missed(), None, "a call that the journal does not have is not missed");
    }

    #[test]
    fn a_journal_has_a_bounded_number_of_calls() {
        let journal = journal(usize::MAX);
        let calls = journal.attempt();
        for _ in 0..=CALLS_MAX {
            calls.begin("shop", "a", &[]).record(1_u8, 1);
        }
        assert_eq!(journal.shared.recorded.lock().calls.len(), CALLS_MAX);
    }

    #[test]
    fn an_attempt_tells_a_bounded_number_of_calls_apart_and_each_has_its_key() {
        let journal = journal(usize::MAX);
        let keys = |calls: &TurnCalls| -> Vec<String> {
            let numbers = (0..CALLS_MAX + 10).map(u64::try_from).map(|number| number.expect("small").to_le_bytes());
            numbers.map(|number| calls.begin("shop", "a", &[&number[..]]).key().to_owned()).collect()
        };
        let calls = journal.attempt();
        let first = keys(&calls);
        {
            let made = calls.made.lock();
            assert_eq!((made.counts.len(), made.ids.len(), made.others), (CALLS_MAX, CALLS_MAX, 10));
        }
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        let again = journal.attempt();
        assert_eq!(keys(&again), first);
        assert_eq!(again.missed(), None);
    }

    #[test]
    fn a_uuid_is_made_of_all_parts() {
        assert_eq!(uuid_of(&["a", "b"]), uuid_of(&["a", "b"]));
        assert_ne!(uuid_of(&["a", "b"]), uuid_of(&["ab"]));
        assert_ne!(uuid_of(&["a", "b"]), uuid_of(&["a", "b", ""]));
    }
}
