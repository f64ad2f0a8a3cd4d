//! The metrics of services.

use super::OTHER;
use super::writer::{counter, gauge};
use crate::serving::{CircuitKind, ExecutionOutcome, Exemplar, IdempotencyOutcome, SeriesKey, ServiceMeter, Serving};
use elias_delivery::clock::Now;
use elias_delivery::supervision::Health;
use elias_names::ServiceId;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::Arc;

const HEALTH: [(Health, &str); 5] = [
    (Health::Healthy, "healthy"),
    (Health::Degraded, "degraded"),
    (Health::Open, "open"),
    (Health::HalfOpen, "half-open"),
    (Health::Stopped, "stopped"),
];

/// The beginning of the lines that have exemplars.
const WITH_EXEMPLARS: &str = "elias_execution_duration_seconds_bucket{";

/// The counts of services at one moment.
pub(super) struct ServiceFigures {
    /// The counters of each series, by its labels.
    services: Vec<([String; 3], Arc<ServiceMeter>)>,
    /// The services of each tenant that share a series.
    left_out: Vec<(String, u64)>,
    /// The circuits of services that have series of their own, and how many of all are in each state.
    circuits: Vec<([String; 3], CircuitKind, Health)>,
    states: [i64; HEALTH.len()],
    pub(super) loaded: i64,
    pub(super) in_flight: i64,
}

impl ServiceFigures {
    pub(super) fn read(serving: &Serving, now: Now) -> Self {
        let meters = serving.meters.services.all();
        let mut named = HashSet::new();
        let (mut services, mut left_out) = (Vec::with_capacity(meters.len()), Vec::new());
        for (key, meter) in meters {
            let labels = match &key {
                SeriesKey::Service(id) => labels(id),
                SeriesKey::RestOf(tenant) => {
                    left_out.push((tenant.to_string(), meter.left_out()));
                    [tenant.to_string(), OTHER.to_owned(), OTHER.to_owned()]
                }
                SeriesKey::Others => std::array::from_fn(|_| OTHER.to_owned()),
            };
            if let SeriesKey::Service(id) = key {
                named.insert(id);
            }
            services.push((labels, meter));
        }
        let (mut circuits, mut states) = (Vec::new(), [0; HEALTH.len()]);
        let (mut loaded, mut in_flight) = (0, 0);
        for service in serving.table().services.values() {
            let state = service.state();
            let health = state.release.breaker(CircuitKind::Requests).health(now).state;
            if let Some(at) = HEALTH.iter().position(|(one, _)| *one == health) {
                states[at] += 1;
            }
            loaded += state.releases().filter(|release| release.idle_since_ms().is_some()).count() as i64;
            in_flight += service.running_count() as i64;
            if named.contains(&service.id) {
                for circuit in CircuitKind::ALL {
                    circuits.push((labels(&service.id), circuit, state.release.breaker(circuit).health(now).state));
                }
            }
        }
        circuits.sort_by(|a, b| a.0.cmp(&b.0));
        Self { services, left_out, circuits, states, loaded, in_flight }
    }

    /// The exemplars of the buckets of durations, in the order in which they are written.
    pub(super) fn exemplars(&self) -> Vec<Option<Exemplar>> {
        self.services.iter().flat_map(|(_, meter)| meter.exemplars()).collect()
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut executions = counter(out, "executions", "Number of executions that have ended, by outcome", None)?;
        for (service, meter) in &self.services {
            let [tenant, component, environment] = of_service(service);
            for ended in ExecutionOutcome::ALL {
                let labels = [tenant, component, environment, ("outcome", ended.as_str())];
                executions.labelled(labels, meter.ended(ended))?;
            }
        }
        let text = "Number of requests with an idempotency key, by outcome";
        let mut idempotent = counter(out, "idempotent_requests", text, None)?;
        for (service, meter) in &self.services {
            let [tenant, component, environment] = of_service(service);
            for outcome in IdempotencyOutcome::ALL {
                let labels = [tenant, component, environment, ("outcome", outcome.as_str())];
                idempotent.labelled(labels, meter.idempotency(outcome))?;
            }
        }
        let text = "Wall-clock time from the request to the end of all work of the component, waitUntil included";
        let mut durations =
            out.encode_descriptor("execution_duration", text, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (service, meter) in &self.services {
            let (seconds, buckets) = meter.durations();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = of_service(service);
            let mut metric = durations.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        let mut circuits = gauge(
            out,
            "circuit_state",
            "1 for the current state of a circuit breaker of a service, 0 for its other states",
        )?;
        for (service, circuit, health) in &self.circuits {
            let [tenant, component, environment] = of_service(service);
            for (state, name) in HEALTH {
                let labels = [tenant, component, environment, ("circuit", circuit.as_str()), ("state", name)];
                circuits.labelled(labels, i64::from(state == *health))?;
            }
        }
        let text = "Number of services of a tenant that are beyond its budget of series and share one";
        let mut left_out = gauge(out, "series_left_out", text)?;
        for (tenant, count) in &self.left_out {
            left_out.labelled([("tenant", &**tenant)], i64::try_from(*count).unwrap_or(i64::MAX))?;
        }
        let mut states =
            gauge(out, "services", "Number of services by the state of the circuit breaker of their requests")?;
        for ((_, name), count) in HEALTH.iter().zip(self.states) {
            states.labelled([("state", *name)], count)?;
        }
        Ok(())
    }
}

/// Adds exemplars to the lines of the buckets of durations, which are in the same order.
pub(super) fn add_exemplars(text: &str, exemplars: &[Option<Exemplar>]) -> String {
    let mut with = String::with_capacity(text.len() + 100 * exemplars.len());
    let mut exemplars = exemplars.iter();
    for line in text.lines() {
        with.push_str(line);
        if line.starts_with(WITH_EXEMPLARS)
            && let Some(Some(Exemplar { trace, seconds, at_ms })) = exemplars.next()
        {
            // Writing to a text cannot fail.
            let _ = write!(with, " # {{trace_id=\"{trace}\"}} {seconds} {}", *at_ms as f64 / 1e3);
        }
        with.push('\n');
    }
    with
}

fn labels(id: &ServiceId) -> [String; 3] {
    [id.tenant.to_string(), id.component.to_string(), id.environment.to_string()]
}

fn of_service([tenant, component, environment]: &[String; 3]) -> [(&'static str, &str); 3] {
    [("tenant", tenant), ("component", component), ("environment", environment)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_are_at_the_lines_of_their_buckets() {
        let text = "# TYPE elias_execution_duration_seconds histogram\n\
            elias_execution_duration_seconds_bucket{le=\"0.1\"} 1\n\
            elias_execution_duration_seconds_bucket{le=\"+Inf\"} 2\n\
            elias_other 1\n# EOF\n";
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
        let exemplars = [None, Some(Exemplar { trace, seconds: 0.25, at_ms: 1_500 })];
        let with = add_exemplars(text, &exemplars);
        let end = "2 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.25 1.5";
        let lines: Vec<_> = with.lines().collect();
        assert_eq!((lines[1].ends_with("} 1"), lines[2].ends_with(end), lines[3]), (true, true, "elias_other 1"));
        assert!(with.ends_with("# EOF\n"));
    }
}
