//! The counts of a release, and the metrics that are made of them.

use crate::statistics::{Histogram, HistogramSnapshot};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use utoipa::ToSchema;

/// Counts of one release since it was loaded. Recording takes five relaxed additions and no lock. The 5 KB of
/// histograms are made with the first request.
#[derive(Debug, Default)]
pub struct ReleaseStats {
    requests: AtomicU64,
    failures: AtomicU64,
    fuel: AtomicU64,
    histograms: OnceLock<Histograms>,
}

#[derive(Debug, Default)]
struct Histograms {
    latency_us: Histogram,
    fuel: Histogram,
}

/// The counts of a release at a moment, or between two.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    requests: u64,
    failures: u64,
    fuel: u64,
    latency_us: HistogramSnapshot,
    fuel_each: HistogramSnapshot,
}

/// The measurements of a version by which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct VersionMetrics {
    /// The number of served requests.
    pub requests: u64,
    /// The number of requests that failed because of the component: the execution failed or the status was 500 or more.
    /// Turns of service workers count too, and workers that could not be moved to the version.
    pub failures: u64,
    /// The 99th percentile of the latency in microseconds, up to 1/16 too high; null without requests.
    pub p99_us: Option<u64>,
    /// The mean fuel per request, in units of fuel.
    pub fuel_mean: f64,
    /// The standard deviation of the fuel per request, in units of fuel.
    pub fuel_deviation: f64,
}

impl ReleaseStats {
    /// Counts a request that has ended. It failed if that was the component's fault: a failed execution or a status of
    /// 500 or more.
    pub fn record(&self, failed: bool, latency: Duration, fuel: u64) {
        let histograms = self.histograms.get_or_init(Histograms::default);
        histograms.latency_us.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        histograms.fuel.record(fuel);
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if failed {
            // Last, and read first, so that no failure is seen without its request.
            self.failures.fetch_add(1, Ordering::Release);
        }
    }

    /// Requests and failures.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let failures = self.failures.load(Ordering::Acquire);
        (self.requests.load(Ordering::Relaxed), failures)
    }

    /// The present counts.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (requests, failures) = self.counts();
        let histograms = self.histograms.get();
        Snapshot {
            requests,
            failures,
            fuel: self.fuel.load(Ordering::Relaxed),
            latency_us: histograms.map(|all| all.latency_us.snapshot()).unwrap_or_default(),
            fuel_each: histograms.map(|all| all.fuel.snapshot()).unwrap_or_default(),
        }
    }
}

impl Snapshot {
    /// The counts since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failures: self.failures.saturating_sub(earlier.failures),
            fuel: self.fuel.wrapping_sub(earlier.fuel),
            latency_us: self.latency_us.since(&earlier.latency_us),
            fuel_each: self.fuel_each.since(&earlier.fuel_each),
        }
    }

    /// Requests served.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Those that failed by the component's fault.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// How long they took, in microseconds.
    #[must_use]
    pub fn latency_us(&self) -> &HistogramSnapshot {
        &self.latency_us
    }

    /// The figures to compare by.
    #[must_use]
    pub fn figures(&self) -> VersionMetrics {
        VersionMetrics {
            requests: self.requests,
            failures: self.failures,
            p99_us: self.latency_us.quantile(0.99),
            fuel_mean: if self.requests == 0 { 0.0 } else { self.fuel as f64 / self.requests as f64 },
            fuel_deviation: self.fuel_each.deviation(),
        }
    }
}
