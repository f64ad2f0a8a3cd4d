//! The journal of a job while its handler runs.

use super::record::{
    JOURNAL_BYTES_MAX, JournalError, NAME_BYTES_MAX, OUTCOME_BYTES_MAX, Record, RecordKind, STEPS_MAX, TimedOut,
    WAIT_MAX,
};
use elias_delivery::clock::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// The instruction for a step that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It was done before: this is its outcome, as JSON.
    Recorded(String),
    /// It runs; its outcome is recorded by [`Journal::finish`].
    Run {
        /// Its position.
        position: u32,
    },
}

/// The outcome of a sleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sleep {
    /// It is over.
    Over,
    /// The instance is to be released, and the handler run again at this time.
    Until {
        /// When the sleep is over.
        until: Now,
        /// The record to write; none if it is there already.
        record: Option<Record>,
    },
}

/// The outcome of a wait for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The event came: as JSON.
    Happened(String),
    /// It did not come in time.
    TimedOut {
        /// The record to write, so that an event that comes later changes nothing; none if it is there already.
        record: Option<Record>,
    },
    /// The instance is to be released, and the handler run again when the event comes, or at this time.
    Until {
        /// When the wait is given up.
        until: Now,
        /// The record to write; none if it is there already.
        record: Option<Record>,
    },
}

/// The journal of a job during one run of its handler.
#[derive(Debug, Default)]
pub struct Journal {
    records: BTreeMap<u32, Record>,
    /// Steps that run: their names and the hashes of their inputs.
    running: BTreeMap<u32, (String, String)>,
    /// The position of the next that begins.
    next: u32,
    bytes: usize,
}

impl Journal {
    /// The journal at the beginning of a run, with all that earlier runs recorded. A record that comes twice counts
    /// once.
    #[must_use]
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let records: BTreeMap<u32, Record> = records.into_iter().map(|record| (record.position, record)).collect();
        let bytes = records.values().map(Record::bytes).sum();
        Self { records, running: BTreeMap::new(), next: 0, bytes }
    }

    /// Begins a step.
    ///
    /// # Errors
    /// A name that is none, one step too many, or a position where the journal has something else.
    pub fn begin(&mut self, name: &str, input_hash: &str) -> Result<Begin, JournalError> {
        let position = self.next_position(name)?;
        let Some(record) = self.records.get(&position) else {
            self.running.insert(position, (name.to_owned(), input_hash.to_owned()));
            return Ok(Begin::Run { position });
        };
        match &record.kind {
            RecordKind::Step { input_hash: recorded, outcome } if record.name == name => {
                if recorded != input_hash {
                    return Err(differs(record, format!("step {name}, with another input")));
                }
                Ok(Begin::Recorded(outcome.clone()))
            }
            RecordKind::Step { .. } | RecordKind::Sleep { .. } | RecordKind::Wait { .. } => {
                Err(differs(record, format!("step {name}")))
            }
        }
    }

    /// The first running step of a name.
    #[must_use]
    pub fn running(&self, name: &str) -> Option<u32> {
        self.running.iter().find(|(_, (running, _))| running == name).map(|(position, _)| *position)
    }

    /// Records the outcome of a step that ran: the record to write before the handler goes on.
    ///
    /// # Errors
    /// A step that does not run, or an outcome that is too large. It runs on then.
    pub fn finish(&mut self, position: u32, outcome: String) -> Result<&Record, JournalError> {
        if outcome.len() > OUTCOME_BYTES_MAX {
            return Err(JournalError::OutcomeTooLarge);
        }
        let Some((name, input_hash)) = self.running.get(&position).cloned() else {
            return Err(JournalError::NotRunning { position });
        };
        let record = Record { position, name, kind: RecordKind::Step { input_hash, outcome } };
        self.reserve(&record)?;
        self.running.remove(&position);
        Ok(&*self.records.entry(position).or_insert(record))
    }

    /// Begins a sleep, or goes on after it.
    ///
    /// # Errors
    /// As [`Self::begin`], and a sleep of more than 366 days.
    pub fn sleep(&mut self, name: &str, duration: Duration, now: Now) -> Result<Sleep, JournalError> {
        let position = self.next_position(name)?;
        if let Some(record) = self.records.get(&position) {
            return match record.kind {
                RecordKind::Sleep { until } if record.name == name && now >= until => Ok(Sleep::Over),
                RecordKind::Sleep { until } if record.name == name => Ok(Sleep::Until { until, record: None }),
                RecordKind::Step { .. } | RecordKind::Sleep { .. } | RecordKind::Wait { .. } => {
                    Err(differs(record, format!("sleep {name}")))
                }
            };
        }
        let until = end(now, duration)?;
        let record = Record { position, name: name.to_owned(), kind: RecordKind::Sleep { until } };
        self.write(record.clone())?;
        Ok(Sleep::Until { until, record: Some(record) })
    }

    /// Begins a wait for an event, or goes on after it. `wanted` is the event's type and filter, in a form that is the
    /// same whenever the handler runs.
    ///
    /// # Errors
    /// As [`Self::begin`], and a wait of more than 366 days.
    pub fn wait_for(&mut self, name: &str, wanted: &str, timeout: Duration, now: Now) -> Result<Wait, JournalError> {
        let position = self.next_position(name)?;
        let Some(record) = self.records.get_mut(&position) else {
            let until = end(now, timeout)?;
            let kind = RecordKind::Wait { wanted: wanted.to_owned(), until, outcome: None };
            let record = Record { position, name: name.to_owned(), kind };
            self.write(record.clone())?;
            return Ok(Wait::Until { until, record: Some(record) });
        };
        if record.name != name {
            return Err(differs(record, format!("wait {name}")));
        }
        match &mut record.kind {
            RecordKind::Wait { wanted: recorded, .. } if recorded.as_str() != wanted => {
                Err(differs(record, format!("wait {name}, for another event")))
            }
            RecordKind::Wait { outcome: Some(Ok(event)), .. } => Ok(Wait::Happened(event.clone())),
            RecordKind::Wait { outcome: Some(Err(TimedOut)), .. } => Ok(Wait::TimedOut { record: None }),
            RecordKind::Wait { until, .. } if now < *until => Ok(Wait::Until { until: *until, record: None }),
            RecordKind::Wait { outcome, .. } => {
                *outcome = Some(Err(TimedOut));
                Ok(Wait::TimedOut { record: Some(record.clone()) })
            }
            RecordKind::Step { .. } | RecordKind::Sleep { .. } => Err(differs(record, format!("wait {name}"))),
        }
    }

    /// The handler has returned or thrown.
    ///
    /// # Errors
    /// It ended before it came to a step that it did when it ran before.
    pub fn end(&self) -> Result<(), JournalError> {
        match self.records.range(self.next..).next() {
            Some((_, record)) => Err(differs(record, "the end of the handler".to_owned())),
            None => Ok(()),
        }
    }

    fn next_position(&mut self, name: &str) -> Result<u32, JournalError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(JournalError::InvalidName);
        }
        if self.next >= STEPS_MAX {
            return Err(JournalError::TooManySteps);
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn write(&mut self, record: Record) -> Result<(), JournalError> {
        self.reserve(&record)?;
        self.records.insert(record.position, record);
        Ok(())
    }

    fn reserve(&mut self, record: &Record) -> Result<(), JournalError> {
        let bytes = self.bytes.saturating_add(record.bytes());
        if bytes > JOURNAL_BYTES_MAX {
            return Err(JournalError::JournalTooLarge);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Record {
    /// The event that a wait is for has come: the wait's record with it. None if nothing is waited for any more.
    #[must_use]
    pub fn happened(&self, event: String) -> Option<Self> {
        match &self.kind {
            RecordKind::Wait { wanted, until, outcome: None } => {
                let kind = RecordKind::Wait { wanted: wanted.clone(), until: *until, outcome: Some(Ok(event)) };
                Some(Self { position: self.position, name: self.name.clone(), kind })
            }
            RecordKind::Step { .. } | RecordKind::Sleep { .. } | RecordKind::Wait { .. } => None,
        }
    }
}

fn differs(record: &Record, found: String) -> JournalError {
    JournalError::NondeterministicStep { position: record.position, expected: record.title(), found }
}

fn end(now: Now, duration: Duration) -> Result<Now, JournalError> {
    if duration > WAIT_MAX {
        return Err(JournalError::TooLong);
    }
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Now::from_unix_ms(now.unix_ms().saturating_add(duration_ms)))
}
