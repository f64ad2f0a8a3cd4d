//! What hosts count, in points of ten seconds: the values of most metrics are sums over them.
//!
//! Each host writes its own points into the store, so that whichever host evaluates the rules has those of all, and a
//! host that takes over has those of the past hour at once.

use super::metric::MetricName;
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How often a host writes a point, and rules are evaluated, in milliseconds.
pub const POINT_INTERVAL_MS: i64 = 10_000;
/// The time before a window whose mean duration is the baseline, in milliseconds.
pub const BASELINE_MS: i64 = 3_600_000;
/// Executions that a mean duration needs, so that it is compared with another.
pub const BASELINE_EXECUTIONS_MIN: u64 = 20;
/// The longest window and the baseline before it.
const KEPT_MS: i64 = 2 * BASELINE_MS;
/// A host whose last point is older does not count in the metrics of hosts: it has ended.
const HOST_GONE_MS: i64 = 60_000;

/// What a host counted of a service in ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServicePoint {
    /// The tenant.
    #[serde(rename = "t")]
    pub tenant: TenantId,
    /// The component.
    #[serde(rename = "c")]
    pub component: ComponentName,
    /// The environment.
    #[serde(rename = "e")]
    pub environment: Environment,
    /// Executions that ended.
    #[serde(rename = "n")]
    pub executions: u64,
    /// Those of them that failed.
    #[serde(rename = "f", default)]
    pub failed: u64,
    /// Those of them that exceeded their deadline.
    #[serde(rename = "d", default)]
    pub timeouts: u64,
    /// The time of all together, in microseconds.
    #[serde(rename = "us")]
    pub duration_us: u64,
    /// The largest memory of one, in percent of the memory limit.
    #[serde(rename = "m", default)]
    pub memory_percent: f64,
}

/// What a host counted in ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostPoint {
    /// The services that had executions.
    pub services: Vec<ServicePoint>,
    /// Jobs and deliveries that became dead, by tenant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dead: BTreeMap<TenantId, u64>,
    /// The metrics of the host itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub host: BTreeMap<MetricName, f64>,
}

impl ServicePoint {
    fn id(&self) -> ServiceId {
        let Self { tenant, component, environment, .. } = self.clone();
        ServiceId { tenant, component, environment }
    }

    fn add(&mut self, other: &Self) {
        self.executions = self.executions.saturating_add(other.executions);
        self.failed = self.failed.saturating_add(other.failed);
        self.timeouts = self.timeouts.saturating_add(other.timeouts);
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.memory_percent = self.memory_percent.max(other.memory_percent);
    }
}

impl HostPoint {
    /// Adds what was counted before and could not be stored. The metrics of the host itself stay those of this point.
    pub fn add_earlier(&mut self, earlier: Self) {
        let mut services: BTreeMap<ServiceId, ServicePoint> = BTreeMap::new();
        for point in self.services.drain(..).chain(earlier.services) {
            match services.entry(point.id()) {
                Entry::Occupied(mut known) => known.get_mut().add(&point),
                Entry::Vacant(free) => {
                    free.insert(point);
                }
            }
        }
        self.services = services.into_values().collect();
        for (tenant, count) in earlier.dead {
            let known = self.dead.entry(tenant).or_default();
            *known = known.saturating_add(count);
        }
    }
}

/// The sums over some points of a service.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    executions: u64,
    failed: u64,
    timeouts: u64,
    duration_us: u64,
    memory_percent: f64,
}

impl Sums {
    fn add(&mut self, point: &ServicePoint) {
        self.executions = self.executions.saturating_add(point.executions);
        self.failed = self.failed.saturating_add(point.failed);
        self.timeouts = self.timeouts.saturating_add(point.timeouts);
        self.duration_us = self.duration_us.saturating_add(point.duration_us);
        self.memory_percent = self.memory_percent.max(point.memory_percent);
    }

    /// The mean duration in milliseconds.
    fn mean_ms(&self) -> Option<f64> {
        (self.executions > 0).then(|| self.duration_us as f64 / 1e3 / self.executions as f64)
    }
}

/// Points with the times that they end at, in milliseconds since 1970, in the order of these: a window is found without
/// a look at all points of two hours, and many rules over many services are evaluated in a moment.
#[derive(Debug)]
struct Timeline<T>(VecDeque<(i64, T)>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Timeline<T> {
    /// Adds a point at its place: those of another host may come late.
    fn add(&mut self, at_ms: i64, point: T) {
        let place = self.0.partition_point(|(at, _)| *at <= at_ms);
        self.0.insert(place, (at_ms, point));
    }

    /// The points after `from_ms`, until `to_ms` inclusive.
    fn within(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = &T> {
        let start = self.0.partition_point(|(at, _)| *at <= from_ms);
        let end = self.0.partition_point(|(at, _)| *at <= to_ms);
        self.0.range(start..end.max(start)).map(|(_, point)| point)
    }

    /// Forgets points until `oldest_ms` inclusive; whether there are others.
    fn prune(&mut self, oldest_ms: i64) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at <= oldest_ms) {
            self.0.pop_front();
        }
        !self.0.is_empty()
    }
}

/// The points of the past two hours, of all hosts.
#[derive(Debug, Default)]
pub struct PointWindow {
    services: BTreeMap<ServiceId, Timeline<ServicePoint>>,
    dead: BTreeMap<TenantId, Timeline<u64>>,
    /// The newest of each host.
    hosts: BTreeMap<String, (i64, BTreeMap<MetricName, f64>)>,
}

impl PointWindow {
    /// Adds the point of a host that ended at `at_ms`. Points of a host come in their order.
    pub fn add(&mut self, host: &str, at_ms: i64, point: HostPoint) {
        for service in point.services {
            self.services.entry(service.id()).or_default().add(at_ms, service);
        }
        for (tenant, count) in point.dead {
            self.dead.entry(tenant).or_default().add(at_ms, count);
        }
        self.hosts.insert(host.to_owned(), (at_ms, point.host));
    }

    /// Forgets the points that no metric looks at any more.
    pub fn prune(&mut self, now_ms: i64) {
        let oldest = now_ms.saturating_sub(KEPT_MS);
        self.services.retain(|_, points| points.prune(oldest));
        self.dead.retain(|_, points| points.prune(oldest));
        self.hosts.retain(|_, (at, _)| *at > oldest);
    }

    /// The value of a metric of a service at the time `now_ms`; `None` for one that is not counted in points.
    #[must_use]
    pub fn service_value(&self, metric: MetricName, service: &ServiceId, window: Duration, now_ms: i64) -> Option<f64> {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let from = now_ms.saturating_sub(window_ms);
        let during = |from: i64, to: i64| {
            let mut sums = Sums::default();
            let points = self.services.get(service).into_iter();
            points.flat_map(|points| points.within(from, to)).for_each(|point| sums.add(point));
            sums
        };
        let sums = during(from, now_ms);
        match metric {
            MetricName::Executions => Some(sums.executions as f64),
            MetricName::ErrorPercent => {
                (sums.executions > 0).then(|| 100.0 * sums.failed as f64 / sums.executions as f64)
            }
            MetricName::Timeouts => Some(sums.timeouts as f64),
            MetricName::TimeoutsIncrease => {
                let before = during(from.saturating_sub(window_ms), from);
                Some(sums.timeouts as f64 - before.timeouts as f64)
            }
            MetricName::DurationMs => sums.mean_ms(),
            MetricName::DurationAboveBaselineMs => {
                let before = during(from.saturating_sub(BASELINE_MS), from);
                let enough = sums.executions.min(before.executions) >= BASELINE_EXECUTIONS_MIN;
                if enough { Some(sums.mean_ms()? - before.mean_ms()?) } else { None }
            }
            MetricName::MemoryPercent => (sums.executions > 0).then_some(sums.memory_percent),
            _ => None,
        }
    }

    /// The mean duration of a service in the window, in milliseconds; `None` with too few executions to compare it.
    #[must_use]
    pub fn comparable_mean_ms(&self, service: &ServiceId, window: Duration, now_ms: i64) -> Option<f64> {
        let executions = self.service_value(MetricName::Executions, service, window, now_ms)?;
        if executions < BASELINE_EXECUTIONS_MIN as f64 {
            return None;
        }
        self.service_value(MetricName::DurationMs, service, window, now_ms)
    }

    /// The jobs and deliveries of a tenant that became dead in the window.
    #[must_use]
    pub fn dead_letters(&self, tenant: &TenantId, window: Duration, now_ms: i64) -> f64 {
        let from = now_ms.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        let points = self.dead.get(tenant).into_iter();
        points.flat_map(|points| points.within(from, i64::MAX)).map(|count| *count as f64).sum()
    }

    /// The value of a metric of hosts: of the host with the most, or with the least where less is worse.
    #[must_use]
    pub fn host_value(&self, metric: MetricName, now_ms: i64) -> Option<f64> {
        let seen = self.hosts.values().filter(|(at, _)| now_ms.saturating_sub(*at) < HOST_GONE_MS);
        let values = seen.filter_map(|(_, metrics)| metrics.get(&metric).copied());
        if metric == MetricName::CertificateDays { values.reduce(f64::min) } else { values.reduce(f64::max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> ServiceId {
        ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        }
    }

    fn point(executions: u64, failed: u64, timeouts: u64, mean_ms: u64) -> HostPoint {
        let ServiceId { tenant, component, environment } = shop();
        let duration_us = executions * mean_ms * 1_000;
        let memory_percent = if executions > 0 { 50.0 + failed as f64 } else { 0.0 };
        let service =
            ServicePoint { tenant, component, environment, executions, failed, timeouts, duration_us, memory_percent };
        HostPoint { services: vec![service], ..HostPoint::default() }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn counts_of_all_hosts_are_summed_over_the_window() {
        let mut window = PointWindow::default();
        window.add("one", 1_000, point(100, 100, 9, 500));
        window.add("one", 70_000, point(30, 3, 1, 10));
        window.add("two", 75_000, point(10, 1, 2, 50));
        let value = |metric| window.service_value(metric, &shop(), MINUTE, 80_000);
        assert_eq!(value(MetricName::Executions), Some(40.0));
        assert_eq!(value(MetricName::ErrorPercent), Some(10.0));
        assert_eq!(value(MetricName::Timeouts), Some(3.0));
        assert_eq!(value(MetricName::TimeoutsIncrease), Some(-6.0));
        assert_eq!(value(MetricName::DurationMs), Some(20.0));
        assert_eq!(value(MetricName::DurationAboveBaselineMs), Some(-480.0));
        assert_eq!(value(MetricName::MemoryPercent), Some(53.0));
        assert_eq!(value(MetricName::DiskPercent), None);
    }

    #[test]
    fn without_executions_there_is_no_share_and_no_mean() {
        let mut window = PointWindow::default();
        let value = |window: &PointWindow, metric| window.service_value(metric, &shop(), MINUTE, 80_000);
        assert_eq!(value(&window, MetricName::ErrorPercent), None);
        assert_eq!(value(&window, MetricName::Executions), Some(0.0));
        window.add("one", 70_000, point(19, 0, 0, 10));
        window.add("one", 10_000, point(1_000, 0, 0, 10));
        assert_eq!(value(&window, MetricName::DurationAboveBaselineMs), None, "too few to compare");
        assert_eq!(window.comparable_mean_ms(&shop(), MINUTE, 80_000), None);
        window.add("one", 80_000, point(1, 0, 0, 30));
        assert_eq!(window.comparable_mean_ms(&shop(), MINUTE, 80_000), Some(11.0));
    }

    #[test]
    fn the_metric_of_hosts_is_that_of_the_worst_host_that_is_there() {
        let mut window = PointWindow::default();
        let host = |disk, days| HostPoint {
            host: [(MetricName::DiskPercent, disk), (MetricName::CertificateDays, days)].into(),
            ..HostPoint::default()
        };
        window.add("one", 0, host(99.0, 1.0));
        window.add("two", 50_000, host(40.0, 90.0));
        window.add("three", 55_000, host(70.0, 10.0));
        assert_eq!(window.host_value(MetricName::DiskPercent, 59_000), Some(99.0));
        assert_eq!(window.host_value(MetricName::DiskPercent, 60_000), Some(70.0), "the first host has ended");
        assert_eq!(window.host_value(MetricName::CertificateDays, 60_000), Some(10.0));
        assert_eq!(window.host_value(MetricName::DiskPercent, 900_000), None);
    }

    #[test]
    fn dead_letters_are_counted_by_tenant_and_points_are_forgotten() {
        let acme = shop().tenant;
        let mut window = PointWindow::default();
        window.add("one", 5_000, HostPoint { dead: [(acme.clone(), 7)].into(), ..point(1, 0, 0, 1) });
        window.add("two", 70_000, HostPoint { dead: [(acme.clone(), 2)].into(), ..HostPoint::default() });
        assert_eq!(window.dead_letters(&acme, MINUTE, 80_000), 2.0);
        assert_eq!(window.dead_letters(&acme, Duration::from_secs(600), 80_000), 9.0);
        assert_eq!(window.dead_letters(&TenantId::system(), MINUTE, 80_000), 0.0);
        window.prune(5_000 + KEPT_MS);
        assert_eq!((window.services.len(), window.dead[&acme].0.len(), window.hosts.len()), (0, 1, 1));
    }

    #[test]
    fn a_point_that_came_late_is_in_its_window() {
        let mut window = PointWindow::default();
        for (host, at) in [("one", 70_000), ("two", 10_000), ("three", 20_001), ("two", 80_000), ("one", 80_001)] {
            window.add(host, at, point(1, 0, 0, 1));
        }
        let value = window.service_value(MetricName::Executions, &shop(), MINUTE, 80_000);
        assert_eq!(value, Some(3.0), "after 20 s and until 80 s");
        window.prune(10_000 + KEPT_MS);
        assert_eq!(window.services[&shop()].0.len(), 4, "the oldest is forgotten, though it did not come first");
    }

    #[test]
    fn what_could_not_be_stored_is_in_the_next_point() {
        let acme = shop().tenant;
        let blog = ServiceId { component: "blog".parse().expect("a name"), ..shop() };
        let host = |disk: f64| BTreeMap::from([(MetricName::DiskPercent, disk)]);
        let mut later = HostPoint { dead: [(acme.clone(), 1)].into(), host: host(9.0), ..point(10, 1, 1, 5) };
        let mut earlier = HostPoint { dead: [(acme.clone(), 2)].into(), host: host(7.0), ..point(30, 20, 2, 5) };
        earlier.services.push(ServicePoint { component: blog.component.clone(), ..earlier.services[0].clone() });
        later.add_earlier(earlier);
        let of = |id: &ServiceId| later.services.iter().find(|point| point.id() == *id).cloned().expect("it is there");
        let ServicePoint { executions, failed, timeouts, duration_us, memory_percent, .. } = of(&shop());
        assert_eq!((executions, failed, timeouts, duration_us, memory_percent), (40, 21, 3, 200_000, 70.0));
        assert_eq!((of(&blog).executions, later.services.len()), (30, 2));
        assert_eq!((later.dead[&acme], later.host[&MetricName::DiskPercent]), (3, 9.0));
    }

    #[test]
    fn a_point_can_be_written_and_read() {
        let written = HostPoint { host: [(MetricName::DiskPercent, 4.5)].into(), ..point(3, 1, 0, 7) };
        let json = serde_json::to_string(&written).expect("JSON");
        assert_eq!(serde_json::from_str::<HostPoint>(&json).expect("read"), written);
    }
}
