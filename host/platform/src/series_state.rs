//! The points of the metrics of services that the store is still to be told of.

use crate::serving::SeriesKey;
use elias_names::{ComponentName, TenantId};
use elias_store::{SeriesRow, week_of};
use elias_telemetry::series::{Point, SeriesSampler, StepPoint};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};

/// Points that wait for a store that is away: with more the oldest are dropped and counted.
const WAITING_MAX: usize = 20_000;

/// The points of this host.
pub(crate) struct SeriesState {
    sampler: Mutex<SeriesSampler<SeriesKey>>,
    waiting: Mutex<Waiting>,
    /// The components of which the store knows that they are active in the present week.
    noted: Mutex<BTreeSet<ActiveComponent>>,
}

/// A component, and the beginning of a week in which something of it ran.
pub(crate) type ActiveComponent = (TenantId, ComponentName, i64);

#[derive(Default)]
struct Waiting {
    rows: VecDeque<SeriesRow>,
    /// The number of the first of them since the host began.
    first: u64,
    dropped: u64,
}

impl SeriesState {
    /// The state of a host that begins now.
    pub(crate) fn new(now_ms: u64) -> Self {
        let (sampler, waiting) = (Mutex::new(SeriesSampler::new(now_ms)), Mutex::default());
        Self { sampler, waiting, noted: Mutex::default() }
    }

    /// Whether a minute has ended since the counters were read.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.sampler.lock().is_due(now_ms)
    }

    /// Makes points of counters, which wait for the store from then on.
    pub(crate) fn sample(&self, now_ms: u64, totals: impl IntoIterator<Item = (SeriesKey, Point)>) {
        let points = self.sampler.lock().sample(now_ms, totals);
        let waiting = &mut *self.waiting.lock();
        waiting.rows.extend(points.into_iter().filter_map(row));
        let surplus = waiting.rows.len().saturating_sub(WAITING_MAX);
        waiting.forget(surplus);
        waiting.dropped += surplus as u64;
    }

    /// The rows that wait, and what to tell [`stored`](Self::stored). Of those of the same service, step and time the
    /// last one counts.
    pub(crate) fn waiting(&self) -> (Vec<SeriesRow>, u64) {
        let waiting = self.waiting.lock();
        let mut seen = BTreeSet::new();
        let newest_first = waiting.rows.iter().rev();
        let rows = newest_first.filter(|row| seen.insert((&row.tenant, &row.service, row.step_ms, row.at)));
        (rows.cloned().collect(), waiting.first + waiting.rows.len() as u64)
    }

    /// The store has taken the rows up to this number.
    pub(crate) fn stored(&self, end: u64) {
        let waiting = &mut *self.waiting.lock();
        let count = usize::try_from(end.saturating_sub(waiting.first)).unwrap_or(usize::MAX);
        waiting.forget(count.min(waiting.rows.len()));
    }

    /// Points that were not stored since the host began.
    pub(crate) fn dropped(&self) -> u64 {
        self.waiting.lock().dropped
    }

    /// The components of these rows of which the store does not know yet that they are active in the week of the row.
    pub(crate) fn newly_active(&self, rows: &[SeriesRow]) -> BTreeSet<ActiveComponent> {
        let active = |row: &SeriesRow| {
            let (component, _) = row.service.as_ref()?;
            Some((row.tenant.clone(), component.clone(), week_of(row.at)))
        };
        let noted = self.noted.lock();
        rows.iter().filter_map(active).filter(|active| !noted.contains(active)).collect()
    }

    /// The store knows of these. Those of weeks before the latest are forgotten.
    pub(crate) fn note_active(&self, active: BTreeSet<ActiveComponent>) {
        let mut noted = self.noted.lock();
        noted.extend(active);
        let latest = noted.iter().map(|(_, _, week_at)| *week_at).max();
        noted.retain(|(_, _, week_at)| Some(*week_at) == latest);
    }
}

impl Waiting {
    fn forget(&mut self, count: usize) {
        drop(self.rows.drain(..count));
        self.first += count as u64;
    }
}

/// The row of a point; none for those of tenants that are not told apart.
fn row(of: StepPoint<SeriesKey>) -> Option<SeriesRow> {
    let StepPoint { key, step_ms, at_ms, point } = of;
    let (tenant, service) = match key {
        SeriesKey::Service(id) => (id.tenant, Some((id.component, id.environment))),
        SeriesKey::RestOf(tenant) => (tenant, None),
        SeriesKey::Others => return None,
    };
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let point = serde_json::to_string(&point).ok()?;
    Some(SeriesRow { tenant, service, step_ms: signed(step_ms), at: signed(at_ms), point })
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::{Environment, ServiceId};
    use elias_telemetry::series::MINUTE_MS;

    fn key(component: &str) -> SeriesKey {
        let (tenant, component) = ("acme".parse().expect("a name"), component.parse().expect("a name"));
        SeriesKey::Service(ServiceId { tenant, component, environment: Environment::Production })
    }

    fn total(requests: u64) -> Point {
        Point { requests, ..Point::default() }
    }

    #[test]
    fn rows_wait_until_the_store_has_them_and_those_that_came_meanwhile_stay() {
        let state = SeriesState::new(0);
        state.sample(MINUTE_MS, [(key("shop"), total(1))]);
        let (rows, end) = state.waiting();
        assert_eq!(rows.len(), 2, "the minute and the hour");
        state.sample(2 * MINUTE_MS, [(key("shop"), total(3))]);
        state.stored(end);
        let (rows, end) = state.waiting();
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().any(|row| row.point.contains("\"requests\":3")), "the hour has all: {rows:?}");
        state.stored(end);
        state.stored(end);
        assert!(state.waiting().0.is_empty());
    }

    #[test]
    fn the_hour_is_written_once_however_long_the_store_was_away() {
        let state = SeriesState::new(0);
        for minute in 1..=5 {
            state.sample(minute * MINUTE_MS, [(key("shop"), total(minute))]);
        }
        assert_eq!(state.waiting().0.len(), 6);
    }

    #[test]
    fn a_store_that_is_away_for_long_costs_no_more_memory_and_losses_are_counted() {
        let state = SeriesState::new(0);
        let minutes = WAITING_MAX as u64 / 2 + 7;
        for minute in 1..=minutes {
            state.sample(minute * MINUTE_MS, [(key("shop"), total(minute))]);
        }
        let (_, end) = state.waiting();
        assert_eq!((state.dropped(), end), (14, 2 * minutes));
    }

    #[test]
    fn a_component_is_noted_once_a_week() {
        let state = SeriesState::new(0);
        state.sample(MINUTE_MS, [(key("shop"), total(1)), (key("blog"), total(1)), (SeriesKey::Others, total(1))]);
        let rows = state.waiting().0;
        let active = state.newly_active(&rows);
        assert_eq!(active.len(), 2);
        state.note_active(active);
        assert!(state.newly_active(&rows).is_empty());
    }
}
