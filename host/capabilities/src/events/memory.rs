//! A log of events in the memory of this process, for a single project. Its content ends with the process.

use super::backend::{EventLog, NewEvent};
use super::contract::{Error, ErrorCode};
use crate::trigger::{Clock, Origin, wait};
use futures::future::{BoxFuture, FutureExt, ready};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Events that were not taken yet, and bytes of their data together.
const EVENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// Idempotency keys that are remembered: those of the latest events.
const KEYS_MAX: usize = 10_000;

/// A log in memory. At most 10,000 events, with 64 MiB of data, wait in it to be taken by its [`EventReceiver`], and
/// the idempotency keys of the last 10,000 are known. Cloning it is cheap.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

/// Receives the events of a [`MemoryLog`] in the order in which they were published, to deliver them.
pub struct EventReceiver {
    shared: Arc<Shared>,
}

/// An event that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its id.
    pub id: String,
    /// The published event.
    pub event: NewEvent,
    /// When it is to be published, its delay included, in milliseconds since 1970.
    pub time: u64,
    /// The publisher.
    pub origin: Arc<Origin>,
}

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// There may be an event, or an earlier one.
    changed: Notify,
}

/// By component and key.
type IdempotencyKey = (String, String);

#[derive(Default)]
struct State {
    last: u64,
    /// By the times at which they are published, and their numbers.
    events: BTreeMap<(u64, u64), PublishedEvent>,
    bytes: usize,
    /// The ids of what was published with a key, and the hashes of its type and data.
    keys: HashMap<IdempotencyKey, (String, u64)>,
    /// The keys, the oldest first.
    ages: VecDeque<IdempotencyKey>,
}

impl MemoryLog {
    /// An empty log that goes by this clock, and where its events come out.
    #[must_use]
    pub fn new(clock: Clock) -> (Self, EventReceiver) {
        let shared = Arc::new(Shared { state: Mutex::default(), clock, changed: Notify::new() });
        (Self { shared: Arc::clone(&shared) }, EventReceiver { shared })
    }

    /// Adds an event, with its id if it was given one.
    fn add(&self, origin: Arc<Origin>, given: Option<String>, event: NewEvent) -> Result<String, Error> {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        // Ids that outboxes gave are remembered as keys of no component.
        let given_key = given.clone().map(|id| (String::new(), id));
        if let Some((id, _)) = given_key.as_ref().and_then(|key| state.keys.get(key)) {
            return Ok(id.clone());
        }
        let key = event.key.clone().map(|key| (origin.component.clone(), key));
        let hash = hash(&event);
        if let Some((id, known)) = key.as_ref().and_then(|key| state.keys.get(key)) {
            if *known == hash {
                return Ok(id.clone());
            }
            return Err(Error::new(ErrorCode::Conflict, "an event with this key is of another type or has other data"));
        }
        if state.events.len() >= EVENTS_MAX || state.bytes + event.data.len() > BYTES_MAX {
            let waiting = state.events.len();
            let message = format!("{waiting} events in memory were not delivered yet: wait for some of them");
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        state.last += 1;
        let number = state.last;
        let id = given.unwrap_or_else(|| format!("event-{number}"));
        for key in [key, given_key].into_iter().flatten() {
            state.remember(key, (id.clone(), hash));
        }
        let time = now.saturating_add(u64::try_from(event.delay.as_millis()).unwrap_or(u64::MAX));
        state.bytes += event.data.len();
        state.events.insert((time, number), PublishedEvent { id: id.clone(), event, time, origin });
        drop(state);
        self.shared.changed.notify_one();
        Ok(id)
    }
}

impl EventLog for MemoryLog {
    fn publish(&self, origin: Arc<Origin>, event: NewEvent) -> BoxFuture<'static, Result<String, Error>> {
        ready(self.add(origin, None, event)).boxed()
    }

    fn publish_once(
        &self,
        origin: Arc<Origin>,
        id: String,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<String, Error>> {
        ready(self.add(origin, Some(id), event)).boxed()
    }
}

impl EventReceiver {
    /// The next event, once there is one whose delay is over. If this is given up, no event is lost.
    pub async fn next(&mut self) -> PublishedEvent {
        loop {
            let due = match self.shared.take() {
                Ok(event) => return event,
                Err(due) => due,
            };
            wait(&self.shared.clock, due, &self.shared.changed).await;
        }
    }

    /// The next event, if there is one whose delay is over by now.
    pub fn try_next(&mut self) -> Option<PublishedEvent> {
        self.shared.take().ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// The next event whose time has come; else when there will be one.
    fn take(&self) -> Result<PublishedEvent, Option<u64>> {
        let now = self.clock.now();
        let mut state = self.state();
        let first = state.events.first_key_value().map(|((time, _), _)| *time);
        match first {
            Some(time) if time <= now => {
                let (_, event) = state.events.pop_first().ok_or(first)?;
                state.bytes -= event.event.data.len();
                Ok(event)
            }
            due => Err(due),
        }
    }
}

/// Of an event's type and data.
fn hash(event: &NewEvent) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&event.event_type, &event.data).hash(&mut hasher);
    hasher.finish()
}

impl State {
    /// Remembers a key, and forgets the oldest if there are too many.
    fn remember(&mut self, key: IdempotencyKey, published: (String, u64)) {
        if self.ages.len() >= KEYS_MAX
            && let Some(oldest) = self.ages.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.ages.push_back(key.clone());
        self.keys.insert(key, published);
    }
}
