//! The mean durations of services over a day, from the series of metrics: the baseline of a service that hardly ran in
//! the hour before, such as one that nobody uses at night.

use elias_api::Result;
use elias_names::ServiceId;
use elias_store::HostScope;
use elias_telemetry::alert::BASELINE_EXECUTIONS_MIN;
use elias_telemetry::series::{Latencies, Point};
use std::collections::HashMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The mean durations over the 24 hours before the present one.
#[derive(Default)]
pub(super) struct Baselines {
    /// When the hour began in which they were read, in milliseconds since 1970.
    read_in: Option<i64>,
    mean_ms: HashMap<ServiceId, f64>,
}

impl Baselines {
    /// Reads them, once an hour: until then no point of an hour that has ended comes to them.
    pub(super) async fn refresh(&mut self, scope: &mut HostScope, now_ms: i64) -> Result<()> {
        let hour = now_ms - now_ms.rem_euclid(HOUR_MS);
        if self.read_in == Some(hour) {
            return Ok(());
        }
        let mut latencies: HashMap<ServiceId, Latencies> = HashMap::new();
        for (service, point) in scope.service_points(HOUR_MS, (hour - DAY_MS, hour)).await? {
            // A later release may write what this one cannot read.
            let Ok(point) = serde_json::from_str::<Point>(&point) else { continue };
            latencies.entry(service).or_default().add(&point.latency);
        }
        let enough = latencies.into_iter().filter(|(_, latency)| latency.count() >= BASELINE_EXECUTIONS_MIN);
        self.mean_ms = enough.filter_map(|(service, latency)| Some((service, latency.mean()? * 1e3))).collect();
        self.read_in = Some(hour);
        Ok(())
    }

    /// The mean duration of a service, in milliseconds; `None` with too few executions.
    pub(super) fn mean_ms(&self, service: &ServiceId) -> Option<f64> {
        self.mean_ms.get(service).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;
    use elias_store::SeriesRow;

    #[tokio::test]
    async fn the_baseline_of_a_service_is_that_of_the_day_before_the_hour() {
        let (store, _folder) = crate::test_store::sqlite();
        let service = |component: &str| ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: component.parse().expect("a name"),
            environment: Environment::Production,
        };
        let now = 100 * DAY_MS;
        let row = |component: &str, at: i64, executions: usize, us: u64| {
            let mut point = Point::default();
            (0..executions).for_each(|_| point.latency.record(us));
            let id = service(component);
            SeriesRow {
                tenant: id.tenant,
                service: Some((id.component, id.environment)),
                step_ms: HOUR_MS,
                at,
                point: serde_json::to_string(&point).expect("JSON"),
            }
        };
        let rows = [
            row("shop", now - DAY_MS, 15, 10_000),
            row("shop", now - HOUR_MS, 5, 50_000),
            row("shop", now - DAY_MS - HOUR_MS, 100, 900_000),
            row("shop", now, 100, 900_000),
            row("rare", now - HOUR_MS, 19, 10_000),
        ];
        let mut scope = store.host_write().await.expect("a scope");
        scope.put_points("one", &rows).await.expect("stored");
        let mut baselines = Baselines::default();
        baselines.refresh(&mut scope, now + 5_000).await.expect("read");
        let found = baselines.mean_ms(&service("shop")).expect("it ran");
        assert!((found - 20.0).abs() < 1e-6, "{found}");
        assert_eq!(baselines.mean_ms(&service("rare")), None, "too few to compare with");
        baselines.refresh(&mut scope, now + HOUR_MS).await.expect("read");
        assert!(baselines.mean_ms(&service("shop")).is_some_and(|mean| mean > 700.0), "the next hour has others");
    }
}
