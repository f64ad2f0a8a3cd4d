//! The journal of a job, over the store.
//!
//! A row of the store is never changed: what a step, a sleep or a wait began with has the even row of its position, and
//! what a wait came to the odd row behind it.

use super::super::Runner;
use super::super::run::RunClock;
use elias_api::Result;
use elias_capabilities::workflow::{
    BeginAnswer, Error, ErrorCode, EventWait, Journal as JournalOfRun, JournalHandle, SleepAnswer, WaitAnswer,
};
use elias_delivery::clock::Now;
use elias_store::{ClaimedJob, JobLease, NewStep, Step, Store};
use elias_triggers::event::{Filter, TypePattern};
use elias_triggers::workflow::{Begin, Journal, JournalError, Record, RecordKind, Sleep, TimedOut, WAIT_MAX, Wait};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The fields of a row beside its position, its name and the hash of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum StoredOutcome {
    /// A step's result or error.
    Step(String),
    /// When a sleep is over, in milliseconds since 1970.
    Sleep(u64),
    /// A wait that began.
    Wait {
        /// The event that is waited for, as the handler described it.
        wanted: String,
        /// When it is given up, in milliseconds since 1970.
        until: u64,
        /// The position of the tenant's last event then.
        after: u64,
    },
    /// The event of a wait.
    Happened(String),
    /// A wait was given up.
    TimedOut,
}

/// The wait of a suspended job, as the store has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct StoredWaits {
    pub(in super::super) waits: Vec<StoredWait>,
}

/// One of these waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct StoredWait {
    /// The position in the journal.
    pub(in super::super) position: u32,
    /// The name of the step.
    pub(in super::super) name: String,
    /// The type, or a pattern of types.
    #[serde(rename = "type")]
    pub(in super::super) event_type: String,
    /// The filter.
    #[serde(rename = "where")]
    pub(in super::super) filter: Map<String, Value>,
    /// Events behind this position count.
    pub(in super::super) after: u64,
}

/// The row that says what a wait at a position came to.
pub(in super::super) fn row_of_outcome(position: u32) -> u32 {
    position.saturating_mul(2).saturating_add(1)
}

/// The journal of one job during one run.
pub(in super::super) struct StoredJournal {
    shared: Arc<Shared>,
}

struct Shared {
    runner: Weak<Runner>,
    store: Store,
    lease: JobLease,
    clock: RunClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    journal: Journal,
    /// The position that the journal gives next.
    next: u32,
    /// The positions in the journal of steps that run, by those that the handler was told.
    positions: HashMap<u32, u32>,
    /// The position of the tenant's last event when a wait began.
    afters: BTreeMap<u32, u64>,
    /// The waits of this run that are not over.
    until: Option<Now>,
    waits: Vec<StoredWait>,
}

impl StoredJournal {
    /// The journal of a job that is about to run, with the records of its former runs.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(in super::super) async fn open(runner: &Arc<Runner>, job: &ClaimedJob, clock: RunClock) -> Result<Self> {
        // At the first claim there is nothing, and most jobs have no other.
        let rows = if job.lease.epoch > 1 {
            runner.store.host_read().await?.journal(&job.lease.tenant, &job.lease.id).await?
        } else {
            Vec::new()
        };
        let mut state = State::default();
        let mut records: BTreeMap<u32, Record> = BTreeMap::new();
        for row in rows {
            read(row, &mut records, &mut state.afters);
        }
        state.journal = Journal::new(records.into_values());
        let (runner, store) = (Arc::downgrade(runner), runner.store.clone());
        let shared = Shared { runner, store, lease: job.lease.clone(), clock, state: Mutex::new(state) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The journal as the handler gets it.
    pub(in super::super) fn handle(&self) -> JournalHandle {
        JournalHandle::new(&self.shared.lease.id, Arc::new(Self { shared: Arc::clone(&self.shared) }))
    }

    /// The time at which a suspended job is to go on, in milliseconds since 1970, and the event that it waits for, as
    /// JSON. `None` if it waits for nothing.
    pub(in super::super) fn suspension(&self) -> Option<(Option<i64>, Option<String>)> {
        let state = self.shared.state.lock();
        let until = state.until?;
        let waits = StoredWaits { waits: state.waits.clone() };
        let wait = if waits.waits.is_empty() { None } else { serde_json::to_string(&waits).ok() };
        Some((Some(i64::try_from(until.unix_ms()).unwrap_or(i64::MAX)), wait))
    }
}

impl State {
    /// The position that the journal gave to what was begun.
    fn given<T>(&mut self, answer: &Result<T, JournalError>) -> u32 {
        let given = self.next;
        // These are refused before they have one.
        if !matches!(answer, Err(JournalError::InvalidName | JournalError::TooManySteps)) {
            self.next += 1;
        }
        given
    }

    fn wait_until(&mut self, until: Now) {
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }
}

impl Shared {
    /// Adds a row to the journal.
    async fn write(&self, step: Step) -> Result<(), Error> {
        let unavailable = |message: &str| Error::new(ErrorCode::Unavailable, message);
        let runner = self.runner.upgrade().ok_or_else(|| unavailable("the host is about to end"))?;
        let written = runner.steps.write(NewStep { lease: self.lease.clone(), step }).await;
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(unavailable("the job's lease has ended: another host runs it")),
            Err(_) => Err(unavailable("the platform's store cannot be reached; try again")),
        }
    }

    /// The position of the tenant's last event.
    async fn last_event(&self) -> Result<u64, Error> {
        let last = async {
            let mut scope = self.store.host_read().await?;
            let last = scope.last_events().await?.get(&self.lease.tenant).copied();
            Ok::<_, elias_api::Error>(last.unwrap_or_default())
        };
        let unavailable = |_: elias_api::Error| {
            Error::new(ErrorCode::Unavailable, "the platform's store cannot be reached; try again")
        };
        last.await.map_err(unavailable)
    }
}

impl JournalOfRun for StoredJournal {
    fn begin(&self, position: u32, name: String, input_hash: String) -> BoxFuture<'static, Result<BeginAnswer, Error>> {
        let mut state = self.shared.state.lock();
        let begun = state.journal.begin(&name, &input_hash);
        state.given(&begun);
        let answer = match begun {
            Ok(Begin::Recorded(outcome)) => Ok(BeginAnswer::Recorded(outcome)),
            Ok(Begin::Run { position: own }) => {
                state.positions.insert(position, own);
                Ok(BeginAnswer::Run)
            }
            Err(error) => Err(refused(&error)),
        };
        ready(answer).boxed()
    }

    fn finish(&self, position: u32, outcome: String) -> BoxFuture<'static, Result<(), Error>> {
        let mut state = self.shared.state.lock();
        let own = state.positions.remove(&position).unwrap_or(u32::MAX);
        let row = match state.journal.finish(own, outcome) {
            Ok(record) => row(record, 0),
            Err(error) => return ready(Err(refused(&error))).boxed(),
        };
        let shared = Arc::clone(&self.shared);
        async move { shared.write(row).await }.boxed()
    }

    fn sleep(&self, _: u32, name: String, time: Duration) -> BoxFuture<'static, Result<SleepAnswer, Error>> {
        let mut state = self.shared.state.lock();
        let begun = state.journal.sleep(&name, time, self.shared.clock.now());
        state.given(&begun);
        let record = match begun {
            Ok(Sleep::Over) => return ready(Ok(SleepAnswer::Elapsed)).boxed(),
            Ok(Sleep::Until { until, record }) => {
                state.wait_until(until);
                record
            }
            Err(error) => return ready(Err(refused(&error))).boxed(),
        };
        let shared = Arc::clone(&self.shared);
        async move {
            if let Some(record) = record {
                shared.write(row(&record, 0)).await?;
            }
            Ok(SleepAnswer::Wait)
        }
        .boxed()
    }

    fn wait_for(&self, _: u32, name: String, wait: EventWait) -> BoxFuture<'static, Result<WaitAnswer, Error>> {
        let filter = match check(&wait) {
            Ok(filter) => filter,
            Err(message) => return ready(Err(Error::new(ErrorCode::Invalid, message))).boxed(),
        };
        let wanted = format!("{} {}", wait.event_type, wait.filter);
        let timeout = wait.timeout.unwrap_or(WAIT_MAX);
        let mut state = self.shared.state.lock();
        let answer = state.journal.wait_for(&name, &wanted, timeout, self.shared.clock.now());
        let position = state.given(&answer);
        let shared = Arc::clone(&self.shared);
        match answer {
            Ok(Wait::Happened(event)) => ready(Ok(WaitAnswer::Happened(event))).boxed(),
            Ok(Wait::TimedOut { record }) => async move {
                if let Some(record) = record {
                    shared.write(timed_out(&record)).await?;
                }
                Ok(WaitAnswer::TimedOut)
            }
            .boxed(),
            Ok(Wait::Until { until, record }) => {
                state.wait_until(until);
                let known = state.afters.get(&position).copied();
                async move {
                    let after = match known {
                        Some(after) => after,
                        None => shared.last_event().await?,
                    };
                    if let Some(record) = record {
                        shared.write(row(&record, after)).await?;
                    }
                    let event_type = wait.event_type;
                    let stored = StoredWait { position, name, event_type, filter, after };
                    shared.state.lock().waits.push(stored);
                    Ok(WaitAnswer::Wait)
                }
                .boxed()
            }
            Err(error) => ready(Err(refused(&error))).boxed(),
        }
    }
}

/// The filter of a wait, if it and the type are such.
fn check(wait: &EventWait) -> Result<Map<String, Value>, String> {
    wait.event_type.parse::<TypePattern>().map_err(|error| format!("the event's type {error}"))?;
    let filter = serde_json::from_str(&wait.filter).map_err(|error| format!("the filter: {error}"))?;
    Filter::parse(&filter).map_err(|error| format!("the filter: {error}"))?;
    Ok(filter)
}

fn refused(error: &JournalError) -> Error {
    let code = match error {
        JournalError::NondeterministicStep { .. } => ErrorCode::NondeterministicStep,
        JournalError::TooManySteps | JournalError::JournalTooLarge => ErrorCode::QuotaExceeded,
        JournalError::OutcomeTooLarge => ErrorCode::TooLarge,
        JournalError::InvalidName | JournalError::TooLong | JournalError::NotRunning { .. } => ErrorCode::Invalid,
    };
    Error::new(code, error.to_string())
}

/// The row of a record; `after` is for waits.
fn row(record: &Record, after: u64) -> Step {
    let (input_hash, outcome) = match &record.kind {
        RecordKind::Step { input_hash, outcome } => (input_hash.clone(), StoredOutcome::Step(outcome.clone())),
        RecordKind::Sleep { until } => (String::new(), StoredOutcome::Sleep(until.unix_ms())),
        RecordKind::Wait { wanted, until, .. } => {
            (String::new(), StoredOutcome::Wait { wanted: wanted.clone(), until: until.unix_ms(), after })
        }
    };
    step(record.position.saturating_mul(2), &record.name, input_hash, &outcome)
}

fn timed_out(record: &Record) -> Step {
    step(row_of_outcome(record.position), &record.name, String::new(), &StoredOutcome::TimedOut)
}

fn step(position: u32, name: &str, input_hash: String, outcome: &StoredOutcome) -> Step {
    // Texts and numbers are JSON always.
    let outcome = serde_json::to_string(outcome).unwrap_or_default();
    Step { position, name: name.to_owned(), input_hash, outcome }
}

/// Adds what a row says. One that this release cannot read is left out: the step is done again.
fn read(row: Step, records: &mut BTreeMap<u32, Record>, afters: &mut BTreeMap<u32, u64>) {
    let (position, name) = (row.position / 2, row.name);
    let kind = match serde_json::from_str(&row.outcome) {
        Ok(StoredOutcome::Step(outcome)) => RecordKind::Step { input_hash: row.input_hash, outcome },
        Ok(StoredOutcome::Sleep(until)) => RecordKind::Sleep { until: Now::from_unix_ms(until) },
        Ok(StoredOutcome::Wait { wanted, until, after }) => {
            afters.insert(position, after);
            RecordKind::Wait { wanted, until: Now::from_unix_ms(until), outcome: None }
        }
        Ok(StoredOutcome::Happened(event)) => return end(records, position, Ok(event)),
        Ok(StoredOutcome::TimedOut) => return end(records, position, Err(TimedOut)),
        Err(error) => {
            tracing::error!(position, %error, "a step in a journal cannot be read");
            return;
        }
    };
    records.insert(position, Record { position, name, kind });
}

/// The outcome of the wait at a position; its own row comes before.
fn end(records: &mut BTreeMap<u32, Record>, position: u32, ended: Result<String, TimedOut>) {
    if let Some(Record { kind: RecordKind::Wait { outcome, .. }, .. }) = records.get_mut(&position) {
        *outcome = Some(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_rows_and_back() {
        let now = Now::from_unix_ms(5);
        let wait = RecordKind::Wait { wanted: "a {}".to_owned(), until: now, outcome: None };
        let kinds = [
            RecordKind::Step { input_hash: "h".to_owned(), outcome: "{\"value\":1}".to_owned() },
            RecordKind::Sleep { until: now },
            wait.clone(),
            wait,
        ];
        let records: Vec<_> =
            (0..).zip(kinds).map(|(position, kind)| Record { position, name: "n".to_owned(), kind }).collect();
        let mut rows: Vec<_> = records.iter().map(|record| row(record, 7)).collect();
        let happened = StoredOutcome::Happened("{}".to_owned());
        rows.push(step(row_of_outcome(2), "n", String::new(), &happened));
        rows.push(timed_out(&records[3]));
        rows.sort_by_key(|row| row.position);
        let (mut read_back, mut afters) = (BTreeMap::new(), BTreeMap::new());
        rows.into_iter().for_each(|row| read(row, &mut read_back, &mut afters));
        assert_eq!(afters, BTreeMap::from([(2, 7), (3, 7)]));
        assert_eq!(read_back[&0], records[0]);
        assert_eq!(read_back[&1], records[1]);
        let outcome = |position: u32| match &read_back[&position].kind {
            RecordKind::Wait { outcome, .. } => outcome.clone(),
            _ => None,
        };
        assert_eq!((outcome(2), outcome(3)), (Some(Ok("{}".to_owned())), Some(Err(TimedOut))));
    }
}
