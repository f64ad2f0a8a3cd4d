//! The durable timers of a worker, by number, and its alarms, by name.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueTimer {
    /// A timer of `setTimeout` or `setInterval`.
    Timer(u64),
    /// An alarm of `worker.after`.
    Alarm {
        /// Its name.
        name: String,
        /// When it was due.
        at: u64,
    },
}

/// Timers and alarms, with the time at which each is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    timers: BTreeMap<u64, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    alarms: BTreeMap<String, u64>,
    /// When alarms may enter that were set for a time which had come by then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    delayed: BTreeMap<String, u64>,
}

impl Timers {
    /// Bytes that a timer takes in memory, as they are counted; an alarm takes those of its name beside them.
    pub const BYTES_EACH: usize = 64;

    /// Sets a timer, or has it due at another time.
    pub fn set(&mut self, timer: u64, at: u64) {
        self.timers.insert(timer, at);
    }

    /// Forgets a timer; one that is not set does not matter.
    pub fn clear(&mut self, timer: u64) {
        self.timers.remove(&timer);
    }

    /// Forgets all timers; alarms stay: another version of the component has the worker, which knows no timer.
    pub fn clear_timers(&mut self) {
        self.timers.clear();
    }

    /// Sets an alarm in place of the one of its name, or clears it where there is no time.
    pub fn set_alarm(&mut self, name: impl Into<String>, at: Option<u64>) {
        let name: String = name.into();
        self.delayed.remove(&name);
        if let Some(at) = at {
            self.alarms.insert(name, at);
        } else {
            self.alarms.remove(&name);
        }
    }

    /// Has an alarm enter not before a time. It is still the alarm of the time that it was set for.
    pub fn delay_alarm(&mut self, name: &str, until: u64) {
        if self.alarms.get(name).is_some_and(|at| *at < until) {
            self.delayed.insert(name.to_owned(), until);
        }
    }

    /// What is due first, and when. While a handler waits no alarm can enter, and only timers count. Of those that are
    /// due at the same time, timers come before alarms, and each in the order of their numbers or names.
    #[must_use]
    pub fn next(&self, is_waiting: bool) -> Option<(u64, DueTimer)> {
        let timer = self.timers.iter().min_by_key(|(_, at)| **at);
        let enters = |(name, at): (&String, &u64)| self.delayed.get(name).copied().unwrap_or(*at);
        let alarm = self.alarms.iter().filter(|_| !is_waiting).min_by_key(|alarm| enters(*alarm));
        let alarm = alarm.map(|(name, at)| (enters((name, at)), DueTimer::Alarm { name: name.clone(), at: *at }));
        match (timer, alarm) {
            (Some((_, at)), Some(alarm)) if alarm.0 < *at => Some(alarm),
            (Some((timer, at)), _) => Some((*at, DueTimer::Timer(*timer))),
            (None, alarm) => alarm,
        }
    }

    /// When something is due; none if it is not set. An alarm is known by the time that it was set for.
    #[must_use]
    pub fn due_at(&self, due: &DueTimer) -> Option<u64> {
        match due {
            DueTimer::Timer(timer) => self.timers.get(timer).copied(),
            DueTimer::Alarm { name, at } => self.alarms.get(name).copied().filter(|set| set == at),
        }
    }

    /// Forgets what was due: its turn was committed. An alarm that was set anew meanwhile stays.
    pub fn finish(&mut self, due: &DueTimer) {
        match due {
            DueTimer::Timer(timer) => self.clear(*timer),
            DueTimer::Alarm { name, at } => {
                if self.alarms.get(name) == Some(at) {
                    self.set_alarm(name.as_str(), None);
                }
            }
        }
    }

    /// How many are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len() + self.alarms.len()
    }

    /// Bytes that they take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let names = self.alarms.keys().chain(self.delayed.keys()).map(String::len);
        Self::BYTES_EACH * self.len() + names.sum::<usize>()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_due_comes_first_and_alarms_not_while_a_handler_waits() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(false), None);
        timers.set(1, 500);
        timers.set(2, 300);
        timers.set_alarm("expire", Some(200));
        let expire = DueTimer::Alarm { name: "expire".into(), at: 200 };
        assert_eq!(timers.next(false), Some((200, expire.clone())));
        assert_eq!(timers.next(true), Some((300, DueTimer::Timer(2))));
        assert_eq!((timers.due_at(&DueTimer::Timer(2)), timers.due_at(&DueTimer::Timer(9))), (Some(300), None));
        assert_eq!(timers.due_at(&expire), Some(200));
        assert_eq!(timers.due_at(&DueTimer::Alarm { name: "expire".into(), at: 100 }), None);
        timers.finish(&DueTimer::Timer(2));
        timers.set_alarm("expire", Some(900));
        timers.finish(&expire);
        assert_eq!((timers.len(), timers.next(false)), (2, Some((500, DueTimer::Timer(1)))));
        timers.clear(1);
        timers.set(3, 100);
        timers.clear_timers();
        assert_eq!(timers.len(), 1, "the alarm is left");
        timers.set_alarm("expire", None);
        assert!(timers.is_empty());
    }

    #[test]
    fn timers_take_memory_and_alarms_that_of_their_names() {
        let mut timers = Timers::default();
        assert_eq!(timers.memory_bytes(), 0);
        timers.set(1, 500);
        timers.set_alarm("expire", Some(200));
        assert_eq!(timers.memory_bytes(), 2 * Timers::BYTES_EACH + "expire".len());
        timers.finish(&DueTimer::Alarm { name: "expire".into(), at: 200 });
        assert_eq!(timers.memory_bytes(), Timers::BYTES_EACH);
    }

    #[test]
    fn an_alarm_that_is_delayed_is_still_that_of_its_time() {
        let mut timers = Timers::default();
        timers.set_alarm("a", Some(100));
        timers.delay_alarm("a", 100);
        let alarm = DueTimer::Alarm { name: "a".into(), at: 100 };
        assert_eq!(timers.next(false), Some((100, alarm.clone())));
        timers.delay_alarm("a", 101);
        timers.delay_alarm("b", 101);
        timers.set(1, 101);
        assert_eq!(timers.next(false), Some((101, DueTimer::Timer(1))));
        timers.clear(1);
        assert_eq!(timers.next(false), Some((101, alarm.clone())));
        timers.finish(&alarm);
        assert!(timers.is_empty());
        timers.set_alarm("a", Some(50));
        assert_eq!(timers.next(false).map(|(at, _)| at), Some(50), "another one is not delayed");
    }

    #[test]
    fn timers_are_read_as_they_were_written() {
        let mut timers = Timers::default();
        timers.set(7, 1_000);
        timers.set_alarm("a/b", Some(2_000));
        let text = serde_json::to_string(&timers).expect("it is written");
        assert_eq!(serde_json::from_str::<Timers>(&text).expect("it is read"), timers);
        assert_eq!(serde_json::from_str::<Timers>("{}").expect("it is read"), Timers::default());
    }
}
