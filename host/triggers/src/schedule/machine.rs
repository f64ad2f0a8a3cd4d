//! The decision about each due time of a schedule.

use super::{CatchUp, Overlap, Recurrence};
use elias_delivery::clock::Now;
use std::time::Duration;

/// Milliseconds after its due time within which a tick counts as on time. Hosts look each second; a minute leaves room
/// for a busy store.
const ON_TIME_MS: u64 = 60_000;
/// Ticks of one schedule that wait for a run to end (`overlap = "queue"`).
const WAITING_MAX: u32 = 100;
/// Due times that are decided on one by one, at least as many as `catch-up-max`. Those before them are skipped as one
/// range, so that deciding after an outage of years takes no longer than at another time.
const DECIDED_MAX: usize = 1_000;

/// A schedule: when it is due, and its policies.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When ticks are due.
    pub recurrence: Recurrence,
    /// The policy for a tick that is due while a run is not over.
    pub overlap: Overlap,
    /// The policy for ticks that were due while no host could run them.
    pub catch_up: CatchUp,
    /// How many of them are run at most with [`CatchUp::All`]: 1 to 1,000.
    pub catch_up_max: u32,
    /// A tick that is later than this is skipped; none: ticks are never too late.
    pub max_lateness: Option<Duration>,
}

/// A schedule as it stands when its due times are decided on: all read in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleState {
    /// The time, by the store's clock.
    pub now: Now,
    /// The first due time that no tick was recorded for.
    pub next_due: Now,
    /// Whether the schedule is paused: its due times are skipped.
    pub paused: bool,
    /// How many runs of it are not over.
    pub running: u32,
    /// How many of its ticks wait for a run to end.
    pub waiting: u32,
    /// How many more jobs the tenant's quota allows.
    pub quota_left: u32,
}

/// Why a due time is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// A run was not over, and the policy is to skip; or too many ticks wait for it already.
    Overlap,
    /// It was later than `max-lateness`.
    TooLate,
    /// The schedule was paused.
    Paused,
    /// It was due while no host could run it, and the catch-up policy leaves it out.
    CatchUp,
    /// The tenant's quota of waiting jobs is used up.
    Quota,
}

impl SkipReason {
    /// Its stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::TooLate => "too-late",
            Self::Paused => "paused",
            Self::CatchUp => "catch-up",
            Self::Quota => "quota",
        }
    }
}

/// The decision about one due time, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Run the tick.
    Fire {
        /// When it was due.
        due: Now,
        /// How late it is.
        lateness: Duration,
        /// Whether it waits until the runs before it are over.
        after_running: bool,
        /// Whether the runs that are not over are cancelled first.
        cancel_running: bool,
    },
    /// Do not run the tick.
    Skip {
        /// When it was due.
        due: Now,
        /// Why.
        reason: SkipReason,
    },
    /// Do not run what was due from `from` on and before `before`: more than are recorded singly.
    SkipRange {
        /// The first of them.
        from: Now,
        /// The first due time that is not among them.
        before: Now,
        /// Why.
        reason: SkipReason,
    },
}

/// The result of [`Schedule::decide`]. The decisions and the new `next_due` must be written in one transaction, which
/// fails if a tick of one of the decisions is there already: then another host has decided. Without decisions nothing
/// is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickDecisions {
    /// The decisions about the due times that have come, in their order.
    pub decisions: Vec<Decision>,
    /// The next due time; none if the schedule is never due again.
    pub next_due: Option<Now>,
}

impl Schedule {
    /// The first due time of a schedule that is new or whose recurrence was changed.
    #[must_use]
    pub fn arm(&self, now: Now) -> Option<Now> {
        self.recurrence.next_after(now)
    }

    /// Decides on every due time that has come.
    #[must_use]
    pub fn decide(&self, state: &ScheduleState) -> TickDecisions {
        if state.now < state.next_due {
            return TickDecisions { decisions: Vec::new(), next_due: Some(state.next_due) };
        }
        let decided_max = DECIDED_MAX.min(usize::try_from(self.catch_up_max).unwrap_or(DECIDED_MAX).max(100));
        let before_first = Now::from_unix_ms(state.next_due.unix_ms().saturating_sub(1));
        let due = self.recurrence.latest(before_first, state.now, decided_max);
        let mut decisions = Vec::with_capacity(due.times.len() + 1);
        if let (true, Some(before)) = (due.earlier, due.times.first()) {
            let reason = if state.paused { SkipReason::Paused } else { self.range_reason(state.now, *before) };
            decisions.push(Decision::SkipRange { from: state.next_due, before: *before, reason });
        }
        let mut progress = Progress { active: state.running, waiting: state.waiting, quota_left: state.quota_left };
        let fired = self.to_fire(state, &due.times);
        let last_fired = fired.iter().rposition(Result::is_ok);
        for (position, (due, fired)) in due.times.iter().zip(fired).enumerate() {
            let decision = fired.and_then(|()| self.overlapping(&mut progress, last_fired == Some(position)));
            decisions.push(match decision {
                Ok(Start { after_running, cancel_running }) => {
                    let lateness = Duration::from_millis(late_ms(state.now, *due));
                    Decision::Fire { due: *due, lateness, after_running, cancel_running }
                }
                Err(reason) => Decision::Skip { due: *due, reason },
            });
        }
        TickDecisions { decisions, next_due: self.recurrence.next_after(state.now) }
    }

    /// Which due times are to be run by the catch-up policy and the lateness, else why not.
    fn to_fire(&self, state: &ScheduleState, due: &[Now]) -> Vec<Result<(), SkipReason>> {
        let on_time = |due: &Now| late_ms(state.now, *due) <= ON_TIME_MS;
        let any_on_time = due.last().is_some_and(on_time);
        let catch_up_max = usize::try_from(self.catch_up_max).unwrap_or(usize::MAX);
        let caught_up_from = due.len().saturating_sub(catch_up_max);
        let decide = |(position, due_time): (usize, &Now)| {
            if state.paused {
                return Err(SkipReason::Paused);
            }
            if self.too_late(state.now, *due_time) {
                return Err(SkipReason::TooLate);
            }
            let fires = match self.catch_up {
                CatchUp::None => on_time(due_time),
                CatchUp::Last => on_time(due_time) || (!any_on_time && position + 1 == due.len()),
                CatchUp::All => on_time(due_time) || position >= caught_up_from,
            };
            if fires { Ok(()) } else { Err(SkipReason::CatchUp) }
        };
        due.iter().enumerate().map(decide).collect()
    }

    /// How a tick that is to be run starts beside those before it, else why it does not.
    fn overlapping(&self, progress: &mut Progress, is_last: bool) -> Result<Start, SkipReason> {
        let start = match self.overlap {
            Overlap::Allow => Start::default(),
            Overlap::Skip if progress.active > 0 => return Err(SkipReason::Overlap),
            Overlap::Skip => Start::default(),
            Overlap::Queue if progress.waiting >= WAITING_MAX => return Err(SkipReason::Overlap),
            Overlap::Queue => Start { after_running: progress.active > 0, cancel_running: false },
            // Those before the last would be cancelled at once.
            Overlap::Cancel if !is_last => return Err(SkipReason::Overlap),
            Overlap::Cancel => Start { after_running: false, cancel_running: progress.active > 0 },
        };
        progress.quota_left = progress.quota_left.checked_sub(1).ok_or(SkipReason::Quota)?;
        progress.active = progress.active.saturating_add(1);
        progress.waiting = progress.waiting.saturating_add(u32::from(start.after_running));
        Ok(start)
    }

    fn too_late(&self, now: Now, due: Now) -> bool {
        self.max_lateness.is_some_and(|max| u128::from(late_ms(now, due)) > max.as_millis())
    }

    /// Why a range of due times is skipped of which all were before `before`.
    fn range_reason(&self, now: Now, before: Now) -> SkipReason {
        if self.too_late(now, before) { SkipReason::TooLate } else { SkipReason::CatchUp }
    }

    /// The next due time that a schedule lacks and should have: the first that has no tick, which may have passed.
    /// `last_due` is the last due time that a tick was recorded for; the new one follows it, so that nothing that was
    /// due since then is lost. None if all is well, or it is never due again.
    #[must_use]
    pub fn reconcile(&self, enabled: bool, next_due: Option<Now>, last_due: Option<Now>, now: Now) -> Option<Now> {
        if !enabled || next_due.is_some() {
            return None;
        }
        self.recurrence.next_after(last_due.unwrap_or(now))
    }
}

/// How a tick starts.
#[derive(Default)]
struct Start {
    after_running: bool,
    cancel_running: bool,
}

/// The budget that the ticks decided on so far have used up.
struct Progress {
    active: u32,
    waiting: u32,
    quota_left: u32,
}

fn late_ms(now: Now, due: Now) -> u64 {
    now.unix_ms().saturating_sub(due.unix_ms())
}
