//! What was run and published, for a program that shows it: the newest runs and events, within bounds.

use elias_capabilities::events::PublishedEvent;
use elias_capabilities::jobs::QueuedJob;
use elias_triggers::event::Event;
use elias_triggers::queue::Outcome;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of the inputs, results and messages of all runs that are kept, and of the data of all events.
const BYTES_MAX: usize = 16 << 20;

/// What a run was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// A tick of a schedule.
    Schedule,
    /// A job.
    Job,
    /// An event that a subscription matches.
    Event,
    /// An event that is sent to a URL.
    Webhook,
}

/// A tick or a delivery that was begun, or a job that is over, with all of its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// The id: the job's; of a tick and of a delivery one of its own, which no job has.
    pub id: String,
    /// What it was for.
    pub kind: RunKind,
    /// The name of the job, the schedule, the subscription or the webhook.
    pub name: String,
    /// The input, a JSON text: of a delivery the event.
    pub input: String,
    /// The unique key of a job, if it has one.
    pub key: Option<String>,
    /// The concurrency key of a job, if it has one.
    pub concurrency_key: Option<String>,
    /// The last attempt, from 1.
    pub attempt: u32,
    /// When it was enqueued, due or published, in milliseconds since 1970.
    pub enqueued_at: u64,
    /// How it ended, and when, in milliseconds since 1970; none while it is not over.
    pub end: Option<(u64, Outcome)>,
}

/// An event that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEvent {
    /// Its position in the log, from 1.
    pub position: u64,
    /// The event.
    pub published: PublishedEvent,
}

/// What a run is run by once more.
#[derive(Clone)]
pub(crate) enum Again {
    Tick,
    Job(Box<QueuedJob>),
    /// An event as the subscription with this run's name was given it, and the number of events that led to it.
    Delivery(Box<Event>, u32),
}

/// The newest runs and events.
pub(crate) struct History {
    /// How many of each are kept.
    items: usize,
    ticks: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    runs: VecDeque<(PastRun, Again)>,
    run_bytes: usize,
    events: VecDeque<PastEvent>,
    event_bytes: usize,
    published: u64,
}

impl History {
    pub(crate) fn new(items: usize) -> Self {
        Self { items, ticks: AtomicU64::new(0), state: Mutex::default() }
    }

    /// The id of the next tick.
    pub(crate) fn tick_id(&self) -> String {
        format!("tick-{}", self.ticks.fetch_add(1, Relaxed) + 1)
    }

    /// A run has begun, or is over already. It takes the place of one with its id. It is made where runs are kept.
    pub(crate) fn add(&self, run: impl FnOnce() -> (PastRun, Again)) {
        if self.items == 0 {
            return;
        }
        let (run, again) = run();
        let mut state = self.state.lock();
        state.remove(&run.id);
        state.run_bytes += bytes_of(&run);
        state.runs.push_back((run, again));
        state.shrink(self.items);
    }

    /// A run that was added is over.
    pub(crate) fn end(&self, id: &str, attempt: u32, at: u64, outcome: &Outcome) {
        let mut state = self.state.lock();
        let State { runs, run_bytes, .. } = &mut *state;
        let Some((run, _)) = runs.iter_mut().find(|(run, _)| run.id == id) else { return };
        *run_bytes -= bytes_of(run);
        (run.attempt, run.end) = (attempt, Some((at, outcome.clone())));
        *run_bytes += bytes_of(run);
        state.shrink(self.items);
    }

    /// An event was published.
    pub(crate) fn publish(&self, published: &PublishedEvent) {
        if self.items == 0 {
            return;
        }
        let mut state = self.state.lock();
        state.published += 1;
        let position = state.published;
        state.event_bytes += published.event.data.len();
        state.events.push_back(PastEvent { position, published: published.clone() });
        while state.events.len() > self.items || state.event_bytes > BYTES_MAX {
            let Some(oldest) = state.events.pop_front() else { break };
            state.event_bytes -= oldest.published.event.data.len();
        }
    }

    /// The runs, the newest first.
    pub(crate) fn runs(&self) -> Vec<PastRun> {
        self.state.lock().runs.iter().rev().map(|(run, _)| run.clone()).collect()
    }

    /// The events, the oldest first.
    pub(crate) fn events(&self) -> Vec<PastEvent> {
        self.state.lock().events.iter().cloned().collect()
    }

    /// Forgets a run that failed for good; gives it, with what it is run by once more.
    pub(crate) fn take_failed(&self, id: &str) -> Option<(PastRun, Again)> {
        let mut state = self.state.lock();
        let is_there = state.runs.iter().any(|(run, _)| run.id == id && is_dead(run));
        if is_there { state.remove(id) } else { None }
    }
}

impl State {
    fn remove(&mut self, id: &str) -> Option<(PastRun, Again)> {
        let at = self.runs.iter().position(|(run, _)| run.id == id)?;
        let removed = self.runs.remove(at);
        if let Some((run, _)) = &removed {
            self.run_bytes -= bytes_of(run);
        }
        removed
    }

    fn shrink(&mut self, items: usize) {
        while self.runs.len() > items || self.run_bytes > BYTES_MAX {
            let Some((oldest, _)) = self.runs.pop_front() else { return };
            self.run_bytes -= bytes_of(&oldest);
        }
    }
}

fn is_dead(run: &PastRun) -> bool {
    matches!(run.end, Some((_, Outcome::Dead { .. })))
}

/// The bytes of a run's texts. The input counts twice: what it is run by once more has it, too.
fn bytes_of(run: &PastRun) -> usize {
    let ending = match &run.end {
        Some((_, Outcome::Done { result: text } | Outcome::Dead { message: text, .. })) => text.len(),
        _ => 0,
    };
    2 * run.input.len() + ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_triggers::queue::DeadReason;

    fn run(id: &str, bytes: usize) -> PastRun {
        PastRun {
            id: id.to_owned(),
            kind: RunKind::Schedule,
            name: "nightly".to_owned(),
            input: "x".repeat(bytes),
            key: None,
            concurrency_key: None,
            attempt: 1,
            enqueued_at: 0,
            end: None,
        }
    }

    fn ids(history: &History) -> Vec<String> {
        history.runs().into_iter().map(|run| run.id).collect()
    }

    #[test]
    fn the_newest_runs_are_kept_within_their_bounds() {
        let history = History::new(2);
        (0..3).for_each(|_| history.add(|| (run(&history.tick_id(), 1), Again::Tick)));
        assert_eq!(ids(&history), ["tick-3", "tick-2"]);
        history.add(|| (run("large", BYTES_MAX / 2), Again::Tick));
        assert_eq!(ids(&history), ["large"], "it takes all the room that there is");
        history.end("large", 1, 5, &Outcome::Done { result: "1".to_owned() });
        assert!(ids(&history).is_empty(), "with its result it is too large");
        let nothing = History::new(0);
        nothing.add(|| unreachable!("nobody keeps it"));
        assert!(ids(&nothing).is_empty());
    }

    #[test]
    fn only_dead_runs_are_run_again_and_discarded() {
        let history = History::new(10);
        let dead = Outcome::Dead { reason: DeadReason::AttemptsUsedUp, message: "Error: no".to_owned() };
        for id in ["running", "done", "dead"] {
            history.add(|| (run(id, 1), Again::Tick));
        }
        history.end("done", 1, 5, &Outcome::Done { result: "1".to_owned() });
        history.end("dead", 3, 6, &dead);
        for id in ["running", "done", "other"] {
            assert!(history.take_failed(id).is_none(), "{id}");
        }
        let (found, _) = history.take_failed("dead").expect("it is dead");
        assert_eq!((found.attempt, found.end), (3, Some((6, dead))));
        assert!(history.take_failed("dead").is_none());
        assert_eq!(ids(&history), ["done", "running"]);
    }
}
