//! The outward calls of a turn, over all of its attempts: their keys, and their results within the memory of all workers.

use super::Actor;
use elias_capabilities::turn::TurnJournal;
use elias_host::{Alarm, TurnKind};
use elias_workers::{DueTimer, MemoryReservation};
use parking_lot::Mutex;
use std::sync::Arc;

/// Bytes of the results that a turn may keep for a further attempt.
const JOURNAL_BYTES_MAX: usize = 4 << 20;

impl Actor {
    /// The empty journal of a turn that is to be tried.
    pub(super) fn journal(&self, id: &str, kind: &TurnKind) -> TurnJournal {
        let memory = Arc::clone(&self.manager.settings.memory);
        let held: Mutex<Option<MemoryReservation>> = Mutex::new(None);
        let may_hold = move |bytes| {
            if bytes > JOURNAL_BYTES_MAX {
                return false;
            }
            let mut held = held.lock();
            if let Some(reservation) = &mut *held {
                return reservation.resize(bytes).is_ok();
            }
            *held = memory.reserve(bytes).ok();
            held.is_some()
        };
        TurnJournal::new(self.identity(id, kind), may_hold)
    }

    /// What is the same of a turn in each attempt, also in another process and on another host, and of no other turn:
    /// the message that it handles, the reply with which its handler goes on, or what is due and when. The number of the
    /// turn is not: where commits were lost, another message may have it.
    fn identity(&self, id: &str, kind: &TurnKind) -> Vec<String> {
        let record = &self.record;
        // A turn of a handler that waits has the id of its message; that of another timer is new in each process.
        let handler = record.waiting.as_ref().map_or_else(String::new, |waiting| waiting.id.clone());
        let own = match kind {
            TurnKind::Reply { call, .. } => {
                let made = record.calls.get(call).map_or_else(|| id.to_owned(), |made| made.id.clone());
                vec!["reply".to_owned(), handler, made]
            }
            TurnKind::Timer { timer } => {
                let at = record.timers.due_at(&DueTimer::Timer(*timer)).unwrap_or_default();
                vec!["timer".to_owned(), handler, timer.to_string(), at.to_string()]
            }
            TurnKind::Alarm { alarm: Alarm { name, at } } => {
                vec!["alarm".to_owned(), handler, name.clone(), at.to_string()]
            }
            _ => vec!["message".to_owned(), id.to_owned()],
        };
        let key = &self.handle.key;
        [key.class.clone(), key.name.clone()].into_iter().chain(own).collect()
    }
}
