//! The last week of a service's metrics: points by the minute and by the hour.
//!
//! A host reads its counters once a minute. Of what they grew by it makes a point of that minute, and it adds it to the
//! point of the hour. A point belongs to one run of a host; whoever reads adds the points of all runs.

mod latencies;

pub use latencies::{BUCKETS, LATENCY_ENDS_US, Latencies};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Milliseconds of a minute, the step of the finer points.
pub const MINUTE_MS: u64 = 60_000;
/// Milliseconds of an hour, the step of the coarser points.
pub const HOUR_MS: u64 = 3_600_000;
/// How long points by the minute are kept, in milliseconds: a day.
pub const MINUTES_KEPT_MS: u64 = 24 * HOUR_MS;
/// How long points by the hour are kept, in milliseconds: a week.
pub const HOURS_KEPT_MS: u64 = 7 * 24 * HOUR_MS;
/// The most points that a query gives of one series.
pub const QUERY_POINTS_MAX: u64 = 1_500;

/// What a service did in a step, or since its host began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Point {
    /// Executions of requests that ended.
    pub requests: u64,
    /// Runs of triggers that ended.
    pub runs: u64,
    /// Turns of service workers that ended.
    pub turns: u64,
    /// Executions that failed.
    pub errors: u64,
    /// Latencies of all executions.
    pub latency: Latencies,
    /// Units of fuel.
    pub fuel: u64,
    /// The most bytes of memory that an execution had.
    pub memory_max_bytes: u64,
    /// The longest time that a job waited from when it was ready to its start, in milliseconds.
    pub queue_age_max_ms: u64,
    /// Jobs that failed for good: dead jobs and dead letters.
    pub dead_letters: u64,
    /// Executions that waited for a slot, or were admitted at once.
    pub pool_waits: u64,
    /// The time that these waited together, in microseconds.
    pub pool_wait_us: u64,
    /// The longest of these waits, in microseconds.
    pub pool_wait_max_us: u64,
    /// The services that the point stands for beyond the budget of series; 0 for the point of a service.
    pub left_out: u64,
}

impl Point {
    /// Executions of all kinds.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.requests.saturating_add(self.runs).saturating_add(self.turns)
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { left_out: self.left_out, ..Self::default() }
    }

    /// Adds a point of another host, or of the next step.
    pub fn add(&mut self, other: &Self) {
        for (count, other) in [
            (&mut self.requests, other.requests),
            (&mut self.runs, other.runs),
            (&mut self.turns, other.turns),
            (&mut self.errors, other.errors),
            (&mut self.fuel, other.fuel),
            (&mut self.dead_letters, other.dead_letters),
            (&mut self.pool_waits, other.pool_waits),
            (&mut self.pool_wait_us, other.pool_wait_us),
        ] {
            *count = count.saturating_add(other);
        }
        self.latency.add(&other.latency);
        self.add_maxima(other);
    }

    /// The growth of counters since `before`. What is a maximum is one of the step already, and stays as it is.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        // Counters that are lower are those of another run of the service: all of them are new.
        let zero = Self::default();
        let before = if self.executions() < before.executions() { &zero } else { before };
        Self {
            requests: self.requests.saturating_sub(before.requests),
            runs: self.runs.saturating_sub(before.runs),
            turns: self.turns.saturating_sub(before.turns),
            errors: self.errors.saturating_sub(before.errors),
            latency: self.latency.since(&before.latency),
            fuel: self.fuel.saturating_sub(before.fuel),
            dead_letters: self.dead_letters.saturating_sub(before.dead_letters),
            pool_waits: self.pool_waits.saturating_sub(before.pool_waits),
            pool_wait_us: self.pool_wait_us.saturating_sub(before.pool_wait_us),
            ..*self
        }
    }

    fn add_maxima(&mut self, other: &Self) {
        for (most, other) in [
            (&mut self.memory_max_bytes, other.memory_max_bytes),
            (&mut self.queue_age_max_ms, other.queue_age_max_ms),
            (&mut self.pool_wait_max_us, other.pool_wait_max_us),
            // Hosts serve the same services, so that theirs are the same.
            (&mut self.left_out, other.left_out),
        ] {
            *most = (*most).max(other);
        }
    }
}

/// A point to be stored. It takes the place of the one with the same key, step and time of this run of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPoint<K> {
    /// The series.
    pub key: K,
    /// The length of the step in milliseconds: [`MINUTE_MS`] or [`HOUR_MS`].
    pub step_ms: u64,
    /// The beginning of the step, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened in it.
    pub point: Point,
}

/// The step that is under way: what has happened in it so far, by series.
#[derive(Debug)]
struct Step<K> {
    step_ms: u64,
    at_ms: u64,
    points: HashMap<K, Point>,
}

impl<K: Clone + Eq + Hash> Step<K> {
    fn new(step_ms: u64, now_ms: u64) -> Self {
        Self { step_ms, at_ms: now_ms - now_ms % step_ms, points: HashMap::new() }
    }

    /// Goes on to the step that has the moment `at_ms`.
    fn go_on(&mut self, at_ms: u64) {
        let at_ms = at_ms - at_ms % self.step_ms;
        if at_ms != self.at_ms {
            self.points.clear();
            self.at_ms = at_ms;
        }
    }

    /// Adds to a series; gives its point of the step so far.
    fn add(&mut self, key: &K, grown: &Point) -> StepPoint<K> {
        let point = self.points.entry(key.clone()).or_default();
        point.add(grown);
        StepPoint { key: key.clone(), step_ms: self.step_ms, at_ms: self.at_ms, point: *point }
    }
}

/// Makes points of counters that only grow.
#[derive(Debug)]
pub struct SeriesSampler<K> {
    /// The counters at the last look.
    last: HashMap<K, Point>,
    minute: Step<K>,
    hour: Step<K>,
}

impl<K: Clone + Eq + Hash + Ord> SeriesSampler<K> {
    /// A sampler of a host that begins now; all counters are zero.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { last: HashMap::new(), minute: Step::new(MINUTE_MS, now_ms), hour: Step::new(HOUR_MS, now_ms) }
    }

    /// Whether a minute has ended since the last look.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.minute.at_ms.saturating_add(MINUTE_MS)
    }

    /// Reads the counters: `totals` are those of every series, with the maxima since the last look. Gives the points
    /// that changed. What came since the last look is of the minute that began then: a host that looks late has one
    /// point for all of it.
    pub fn sample(&mut self, now_ms: u64, totals: impl IntoIterator<Item = (K, Point)>) -> Vec<StepPoint<K>> {
        self.hour.go_on(self.minute.at_ms);
        let mut points = Vec::new();
        let mut seen = HashMap::with_capacity(self.last.len());
        let zero = Point::default();
        for (key, total) in totals {
            let grown = total.since(self.last.get(&key).unwrap_or(&zero));
            if !grown.is_empty() {
                points.push(self.minute.add(&key, &grown));
                points.push(self.hour.add(&key, &grown));
            }
            seen.insert(key, total);
        }
        // Series that are gone are forgotten: one of the same name begins anew.
        self.last = seen;
        self.minute.go_on(now_ms.max(self.minute.at_ms));
        points.sort_by(|one, other| (one.step_ms, &one.key).cmp(&(other.step_ms, &other.key)));
        points
    }
}

/// The step in which points from `from_ms` on are kept at `now_ms`: minutes for the last day, hours before.
#[must_use]
pub fn kept_step_ms(from_ms: u64, now_ms: u64) -> u64 {
    if now_ms.saturating_sub(from_ms) <= MINUTES_KEPT_MS { MINUTE_MS } else { HOUR_MS }
}

/// Adds points to steps of `step_ms`: those of all hosts, and of shorter steps within.
pub fn by_step(points: impl IntoIterator<Item = (u64, Point)>, step_ms: u64) -> BTreeMap<u64, Point> {
    let mut steps: BTreeMap<u64, Point> = BTreeMap::new();
    for (at_ms, point) in points {
        steps.entry(at_ms - at_ms % step_ms.max(1)).or_default().add(&point);
    }
    steps
}

#[cfg(test)]
mod tests;
