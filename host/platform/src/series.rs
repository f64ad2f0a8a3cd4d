//! The metrics of services over the last week, and the adoption of the platform.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{AdoptionWeek, Code, Error, MetricName, MetricQuery, MetricSeries, Result, ServiceSeries};
use elias_names::{ComponentName, Environment, TenantId};
use elias_store::{SeriesFilter, week_of};
use elias_telemetry::series::{
    HOUR_MS, HOURS_KEPT_MS, MINUTE_MS, MINUTES_KEPT_MS, Point, QUERY_POINTS_MAX, by_step, kept_step_ms,
};
use std::collections::BTreeMap;

/// The longest time of which all services of a tenant are shown by the minute, in milliseconds. What is read is bounded
/// by it; of one component it is a day.
const ALL_BY_MINUTE_MS: u64 = 3 * HOUR_MS;
/// The most weeks of adoption.
const WEEKS_MAX: u32 = 52;
/// Milliseconds of a week.
const WEEK_MS: i64 = 7 * 24 * 3_600_000;
/// Weeks for which it is kept which components were active.
const WEEKS_KEPT: i64 = 53;

/// The steps of a query, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    from: u64,
    to: u64,
    step: u64,
    /// The step of the points that are read.
    kept: u64,
}

/// The service that points are of; none for the services of a tenant that share a series.
type PointsOf = Option<(ComponentName, Environment)>;

impl Platform {
    /// A metric of the services that the session may read, over time.
    ///
    /// # Errors
    /// `bad-input` for a time that is none, or more steps than a response has; `forbidden`, `store-unavailable`.
    pub async fn metric(&self, session: &Session, tenant: &TenantId, query: &MetricQuery) -> Result<MetricSeries> {
        let (permission, component) = (Permission::Read, query.component.as_ref());
        let mut scope = self.read(session, permission, tenant, component).await?;
        let steps = steps(query, self.serving().clock.now().unix_ms())?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let filter = SeriesFilter {
            component,
            environment: query.environment,
            step_ms: signed(steps.kept),
            time: (signed(steps.from), signed(steps.to)),
        };
        let mut services: BTreeMap<PointsOf, Vec<(u64, Point)>> = BTreeMap::new();
        let mut left_out = 0;
        for row in scope.points(filter, &allowed).await? {
            // One that a later release has written may have more in it, and is read all the same.
            let point: Point = serde_json::from_str(&row.point)
                .map_err(|error| Error::new(Code::Internal, format!("a stored point: {error}")))?;
            left_out = left_out.max(point.left_out);
            services.entry(row.service).or_default().push((u64::try_from(row.at).unwrap_or_default(), point));
        }
        let series = |(service, points): (PointsOf, Vec<(u64, Point)>)| {
            let (component, environment) = service.unzip();
            let by_step = by_step(points, steps.step);
            let starts = (steps.from..steps.to).step_by(usize::try_from(steps.step).unwrap_or(usize::MAX));
            let values = starts.map(|at| value(query.metric, by_step.get(&at))).collect();
            ServiceSeries { component, environment, values }
        };
        Ok(MetricSeries {
            metric: query.metric,
            unit: query.metric.unit().to_owned(),
            from: signed(steps.from),
            step: steps.step,
            items: services.into_iter().map(series).collect(),
            left_out,
        })
    }

    /// The adoption of the platform by a tenant in the last `weeks`, the present one included; the newest last.
    ///
    /// # Errors
    /// `bad-input` for too many weeks; `forbidden`, `store-unavailable`.
    pub async fn adoption(&self, session: &Session, tenant: &TenantId, weeks: u32) -> Result<Vec<AdoptionWeek>> {
        if !(1..=WEEKS_MAX).contains(&weeks) {
            return Err(Error::new(Code::BadInput, format!("`weeks` must be between 1 and {WEEKS_MAX}")));
        }
        let mut scope = self.read(session, Permission::Audit, tenant, None).await?;
        let this_week = week_of(signed(self.serving().clock.now().unix_ms()));
        let first = this_week - i64::from(weeks - 1) * WEEK_MS;
        let mut found: BTreeMap<_, _> =
            scope.adoption(first).await?.into_iter().map(|week| (week.week_at, week)).collect();
        let starts = (0..i64::from(weeks)).map(|week| first + week * WEEK_MS);
        let empty = |week_at| AdoptionWeek { week_at, ..AdoptionWeek::default() };
        Ok(starts.map(|week_at| found.remove(&week_at).unwrap_or_else(|| empty(week_at))).collect())
    }

    /// Reads the counters if a minute has ended, or this `is_the_end` of the process, and tells the store.
    pub(crate) async fn store_series(&self, is_the_end: bool) -> Result<()> {
        let (serving, series) = (self.serving(), self.series());
        let now = serving.clock.now().unix_ms();
        if is_the_end || series.is_due(now) {
            for (service, counts) in self.runner().meters().take_queues() {
                if let Some(service) = serving.service(&service) {
                    service.meter.record_queue(counts.dead, counts.age_max_ms);
                }
            }
            let meters = serving.meters.services.all();
            series.sample(now, meters.into_iter().map(|(key, meter)| (key, meter.totals())));
        }
        let (rows, end) = series.waiting();
        if rows.is_empty() {
            return Ok(());
        }
        let active = series.newly_active(&rows);
        let mut scope = self.store().host_write().await?;
        scope.put_points(self.run_id(), &rows).await?;
        for (tenant, component, week_at) in &active {
            scope.component_is_active(tenant, component, *week_at).await?;
        }
        scope.commit().await?;
        series.stored(end);
        series.note_active(active);
        Ok(())
    }

    /// Deletes points and weeks that are kept no longer.
    pub(crate) async fn prune_series(&self) -> Result<()> {
        let now = self.serving().clock.now().unix_ms();
        let before = |kept_ms| signed(now.saturating_sub(kept_ms));
        let mut scope = self.store().host_write().await?;
        // An hour more than is shown: the step in which the time begins is shown whole.
        scope.prune_points(signed(MINUTE_MS), before(MINUTES_KEPT_MS + HOUR_MS)).await?;
        scope.prune_points(signed(HOUR_MS), before(HOURS_KEPT_MS + HOUR_MS)).await?;
        scope.prune_active_components(signed(now) - WEEKS_KEPT * WEEK_MS).await?;
        Ok(scope.commit().await?)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The steps that a query asks for.
fn steps(query: &MetricQuery, now: u64) -> Result<Steps> {
    let bad = |message: String| Err(Error::new(Code::BadInput, message));
    let to = query.to.map_or(Some(now), |to| u64::try_from(to).ok());
    let from = query.from.map_or(to.map(|to| to.saturating_sub(HOUR_MS)), |from| u64::try_from(from).ok());
    let (Some(from), Some(to)) = (from, to) else {
        return bad("`from` and `to` must be milliseconds since 1970".to_owned());
    };
    if from >= to {
        return bad("`from` must be before `to`".to_owned());
    }
    let has_minutes =
        kept_step_ms(from, now) == MINUTE_MS && (query.component.is_some() || to - from <= ALL_BY_MINUTE_MS);
    let shortest = if has_minutes { MINUTE_MS } else { HOUR_MS };
    let step = query.step.unwrap_or(shortest);
    if step == 0 || !step.is_multiple_of(shortest) {
        let why = if has_minutes {
            ""
        } else {
            ", since `from` is more than 24 hours ago, or a time of more than 3 hours is asked for without a component"
        };
        return bad(format!("`step` must be a multiple of {shortest}{why}"));
    }
    let from = from - from % step;
    if (to - from).div_ceil(step) > QUERY_POINTS_MAX {
        return bad(format!("a response has at most {QUERY_POINTS_MAX} steps: make `step` longer"));
    }
    let kept = if step.is_multiple_of(HOUR_MS) { HOUR_MS } else { MINUTE_MS };
    Ok(Steps { from, to, step, kept })
}

/// The value of a metric in a step; none where there is none, such as the latency of no execution.
fn value(metric: MetricName, point: Option<&Point>) -> Option<f64> {
    let none = Point::default();
    let point = point.unwrap_or(&none);
    let share = |part: f64, of: u64| (of > 0).then(|| part / of as f64);
    let seconds = |amount: u64, unit: f64, count: u64| (count > 0).then(|| amount as f64 / unit);
    match metric {
        MetricName::Requests => Some(point.requests as f64),
        MetricName::Runs => Some(point.runs as f64),
        MetricName::WorkerTurns => Some(point.turns as f64),
        MetricName::Errors => Some(point.errors as f64),
        MetricName::ErrorRate => share(point.errors as f64, point.executions()),
        MetricName::LatencyP50 => point.latency.quantile(0.5),
        MetricName::LatencyP95 => point.latency.quantile(0.95),
        MetricName::LatencyP99 => point.latency.quantile(0.99),
        MetricName::LatencyMean => point.latency.mean(),
        MetricName::Fuel => Some(point.fuel as f64),
        MetricName::MemoryMax => seconds(point.memory_max_bytes, 1.0, point.memory_max_bytes),
        MetricName::QueueAge => Some(point.queue_age_max_ms as f64 / 1e3),
        MetricName::DeadLetters => Some(point.dead_letters as f64),
        MetricName::PoolWait => share(point.pool_wait_us as f64 / 1e6, point.pool_waits),
        MetricName::PoolWaitMax => seconds(point.pool_wait_max_us, 1e6, point.pool_waits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 100 * 24 * HOUR_MS + 17;

    fn query(from: u64, to: u64, step: Option<u64>, component: Option<&str>) -> MetricQuery {
        MetricQuery {
            metric: MetricName::Requests,
            component: component.map(|name| name.parse().expect("a name")),
            environment: None,
            from: Some(signed(from)),
            to: Some(signed(to)),
            step,
        }
    }

    #[test]
    fn the_shortest_step_is_what_is_kept_and_what_can_be_read_at_once() {
        let step = |before: u64, component| {
            let steps = steps(&query(NOW - before, NOW, None, component), NOW).expect("steps");
            assert_eq!((steps.step, steps.from % steps.step), (steps.kept, 0));
            steps.step
        };
        assert_eq!(step(HOUR_MS, None), MINUTE_MS);
        assert_eq!((step(4 * HOUR_MS, None), step(4 * HOUR_MS, Some("shop"))), (HOUR_MS, MINUTE_MS));
        assert_eq!((step(24 * HOUR_MS, Some("shop")), step(25 * HOUR_MS, Some("shop"))), (MINUTE_MS, HOUR_MS));
        assert_eq!(step(HOURS_KEPT_MS, None), HOUR_MS);
    }

    #[test]
    fn a_longer_step_is_read_from_the_longest_points_that_fit() {
        let kept = |step| steps(&query(NOW - HOUR_MS, NOW, Some(step), None), NOW).expect("steps").kept;
        assert_eq!((kept(5 * MINUTE_MS), kept(2 * HOUR_MS)), (MINUTE_MS, HOUR_MS));
    }

    #[test]
    fn without_a_time_it_is_the_last_hour() {
        let query = MetricQuery { from: None, to: None, ..query(0, 1, None, None) };
        let steps = steps(&query, NOW).expect("steps");
        assert!(steps.to == NOW && (59..=61).contains(&((steps.to - steps.from) / MINUTE_MS)), "{steps:?}");
    }

    #[test]
    fn what_no_response_could_have_is_refused() {
        let day = 24 * HOUR_MS;
        for (from, to, step) in [
            (NOW, NOW, None),
            (NOW, NOW - 1, None),
            (NOW - HOUR_MS, NOW, Some(0)),
            (NOW - HOUR_MS, NOW, Some(1)),
            (NOW - 2 * day, NOW, Some(MINUTE_MS)),
            (0, NOW, None),
            (NOW - HOUR_MS, i64::MAX as u64, Some(HOUR_MS)),
        ] {
            let refused = steps(&query(from, to, step, Some("shop")), NOW).expect_err("it is refused");
            assert_eq!(refused.code(), Code::BadInput, "{from} {to} {step:?}");
        }
        let negative = MetricQuery { from: Some(-1), ..query(0, NOW, None, None) };
        assert_eq!(steps(&negative, NOW).expect_err("it is refused").code(), Code::BadInput);
    }

    #[test]
    fn counts_of_nothing_are_zero_and_figures_of_nothing_are_none() {
        for metric in MetricName::ALL {
            let counts = ["requests", "runs", "worker-turns", "errors", "fuel", "queue-age", "dead-letters"];
            let expected = counts.contains(&metric.as_str()).then_some(0.0);
            assert_eq!(value(*metric, None), expected, "{metric}");
        }
        let mut point = Point { requests: 3, turns: 1, errors: 1, pool_waits: 2, ..Point::default() };
        (point.pool_wait_us, point.pool_wait_max_us, point.memory_max_bytes) = (3_000_000, 2_500_000, 7);
        point.latency.record(2_000);
        let read = |metric| value(metric, Some(&point)).expect("a value");
        let values = [MetricName::ErrorRate, MetricName::PoolWait, MetricName::PoolWaitMax, MetricName::MemoryMax];
        assert_eq!(values.map(read), [0.25, 1.5, 2.5, 7.0]);
        assert!((0.001..=0.0025).contains(&read(MetricName::LatencyP99)));
    }
}
