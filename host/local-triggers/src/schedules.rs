//! Runs the schedules of a single project when their times come.

use crate::history::{Again, PastRun, RunKind};
use crate::report::Reporter;
use crate::run::{Message, RunOptions, Runner, TaskEnd};
use crate::settings::ScheduleSettings;
use crate::worker::new_id;
use elias_capabilities::trigger::Clock;
use elias_delivery::clock::Now;
use elias_host::{ExecutionHandle, Tick};
use elias_triggers::config::ScheduleConfig;
use elias_triggers::queue::{Outcome, RetryPolicy};
use elias_triggers::schedule::{Decision, ScheduleState};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The runs of a schedule that are not over.
#[derive(Default)]
struct ActiveRuns {
    /// Those that have begun.
    running: Vec<ExecutionHandle>,
    /// Those that wait for another one to end.
    waiting: u32,
    /// The last one.
    last: Option<TaskEnd>,
}

/// The runs of all schedules, by their names.
type AllRuns = Arc<Mutex<HashMap<String, ActiveRuns>>>;

/// Fires the schedules, as the settings have them at the time, from `since` on: the time when the triggers were
/// started, however late this is first polled.
pub(crate) async fn run_all(runner: Arc<Runner>, mut since: Now) {
    let mut changes = runner.changes();
    let runs = AllRuns::default();
    let mut armed: Vec<(ScheduleConfig, Option<Now>)> = Vec::new();
    loop {
        let settings = Arc::clone(&changes.borrow_and_update());
        // A schedule that has not changed keeps its next tick.
        let next = |schedule: &ScheduleSettings| {
            let known = armed.iter().find(|(config, _)| *config == schedule.config).map(|(_, next)| *next);
            known.unwrap_or_else(|| schedule.schedule.arm(since))
        };
        let enabled: Vec<_> = settings.schedules.iter().filter(|schedule| schedule.config.enabled).collect();
        armed = enabled.iter().map(|schedule| (schedule.config.clone(), next(schedule))).collect();
        loop {
            let due = armed.iter().filter_map(|(_, next)| *next).min();
            tokio::select! {
                () = sleep_until(&runner.clock, due) => {}
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    // Those who change them are gone, and with them whoever runs this.
                    Err(_) => return,
                },
            }
            for (schedule, (_, next)) in enabled.iter().zip(&mut armed) {
                *next = next.and_then(|due| look(&runner, &runs, schedule, due));
            }
        }
        since = runner.now();
    }
}

/// Waits until a time; for ever if there is none.
async fn sleep_until(clock: &Clock, due: Option<Now>) {
    match due {
        Some(due) => clock.sleep_until(due.unix_ms()).await,
        None => std::future::pending().await,
    }
}

/// Fires what is due; when the next tick is.
fn look(runner: &Arc<Runner>, runs: &AllRuns, settings: &ScheduleSettings, next_due: Now) -> Option<Now> {
    let name = &settings.config.name;
    let (running, waiting) = {
        let mut all = runs.lock();
        let runs = all.entry(name.clone()).or_default();
        (u32::try_from(runs.running.len()).unwrap_or(u32::MAX), runs.waiting)
    };
    let look = ScheduleState { now: runner.now(), next_due, paused: false, running, waiting, quota_left: u32::MAX };
    let verdict = settings.schedule.decide(&look);
    for decision in verdict.decisions {
        match decision {
            Decision::Fire { due, after_running, cancel_running, .. } => {
                let how = Firing { due, after_running, cancel_running };
                fire(runner, runs, name, &how);
            }
            Decision::Skip { reason, .. } | Decision::SkipRange { reason, .. } => {
                tracing::warn!("a tick of the schedule {name} is skipped: {}", reason.as_str());
            }
        }
    }
    verdict.next_due
}

struct Firing {
    due: Now,
    after_running: bool,
    cancel_running: bool,
}

fn fire(runner: &Arc<Runner>, runs: &AllRuns, name: &str, how: &Firing) {
    let Firing { due, after_running, cancel_running } = *how;
    let mut all = runs.lock();
    let of_schedule = all.entry(name.to_owned()).or_default();
    if cancel_running {
        of_schedule.running.iter().for_each(ExecutionHandle::cancel);
    }
    let before = of_schedule.last.take().filter(|_| after_running);
    of_schedule.waiting += u32::from(after_running);
    let running = ExecutionHandle::new();
    if !after_running {
        of_schedule.running.push(running.clone());
    }
    let (own, runs, name) = (Arc::clone(runner), Arc::clone(runs), name.to_owned());
    let run = async move {
        if let Some(before) = before {
            before.wait().await;
        }
        if after_running {
            let mut all = runs.lock();
            let of_schedule = all.entry(name.clone()).or_default();
            of_schedule.waiting = of_schedule.waiting.saturating_sub(1);
            of_schedule.running.push(running.clone());
        }
        let id = own.history.tick_id();
        run_tick(&own, &name, due, (id, running.clone()), None).await;
        if let Some(of_schedule) = runs.lock().get_mut(&name) {
            of_schedule.running.retain(|other| other.id() != running.id());
        }
    };
    of_schedule.last = Some(runner.spawn(run));
}

/// Runs a tick to its end, with retries. It has this id in the history.
pub(crate) async fn run_tick(
    runner: &Runner,
    name: &str,
    due: Now,
    (id, mut running): (String, ExecutionHandle),
    mut reporter: Option<Reporter>,
) {
    let mut attempt = 1;
    let settings = runner.settings();
    let schedule = settings.schedules.iter().find(|schedule| schedule.config.name == name);
    let input = schedule.and_then(|schedule| schedule.config.input.clone()).unwrap_or_default();
    runner.history.add(|| (past(&id, name, &input, due), Again::Tick));
    let worker = schedule.and_then(|schedule| schedule.worker.as_ref()).map(|worker| (worker, new_id()));
    loop {
        let late = runner.now().unix_ms().saturating_sub(due.unix_ms());
        let input = input.clone();
        let tick = Tick { name: name.to_owned(), scheduled_time: due.unix_ms(), late, attempt, input };
        let options = RunOptions { running, deadline: None, journal: None, hops: 0, policy: RetryPolicy::default() };
        let message = match &worker {
            None => Message::Tick(tick),
            Some((worker, id)) => {
                let tick = serde_json::to_value(tick).map_err(|error| error.to_string());
                let message = tick.map(|tick| worker.target.message_of_tick(tick));
                Message::Worker(worker.run(format!("schedule {name}"), id, message, attempt))
            }
        };
        match runner.execute(message, options, reporter.take().as_ref()).await {
            Outcome::Retry { at, attempt: next, .. } => {
                attempt = next;
                runner.clock.sleep_until(at.unix_ms()).await;
                running = ExecutionHandle::new();
            }
            outcome => {
                runner.history.end(&id, attempt, runner.now().unix_ms(), &outcome);
                return;
            }
        }
    }
}

/// A tick that begins.
fn past(id: &str, name: &str, input: &Value, due: Now) -> PastRun {
    PastRun {
        id: id.to_owned(),
        kind: RunKind::Schedule,
        name: name.to_owned(),
        input: input.to_string(),
        key: None,
        concurrency_key: None,
        attempt: 1,
        enqueued_at: due.unix_ms(),
        end: None,
    }
}
