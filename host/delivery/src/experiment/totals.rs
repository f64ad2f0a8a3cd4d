//! The totals of the executions of a variant.

use super::response::ResponseDifference;
use crate::statistics::Moments;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One execution of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// From the request to the end of the response.
    pub latency: Duration,
    /// Units of fuel used.
    pub fuel: u64,
    /// The most bytes of linear memory that the instance had.
    pub memory_peak_bytes: u64,
    /// Whether it failed by the component's fault: a failed execution or a status of 500 or more.
    pub failed: bool,
}

/// The totals of many executions. Those of several hosts, or of before and after a restart, can be
/// merged.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VariantTotals {
    /// Milliseconds.
    pub(super) latency_ms: Moments,
    /// Units.
    pub(super) fuel: Moments,
    /// Bytes.
    pub(super) memory_bytes: Moments,
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) compared: u64,
    pub(super) differing: u64,
}

impl VariantTotals {
    /// Adds an execution.
    pub fn add(&mut self, observation: &Observation) {
        self.latency_ms.add(observation.latency.as_secs_f64() * 1000.0);
        self.fuel.add(observation.fuel as f64);
        self.memory_bytes.add(observation.memory_peak_bytes as f64);
        self.requests += 1;
        self.failures += u64::from(observation.failed);
    }

    /// Adds that its response was compared with the baseline's to the same request.
    pub fn add_comparison(&mut self, differs: bool) {
        self.compared += 1;
        self.differing += u64::from(differs);
    }

    /// Adds all that another has.
    pub fn merge(&mut self, other: &Self) {
        self.latency_ms.merge(&other.latency_ms);
        self.fuel.merge(&other.fuel);
        self.memory_bytes.merge(&other.memory_bytes);
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.compared = self.compared.saturating_add(other.compared);
        self.differing = self.differing.saturating_add(other.differing);
    }

    /// Executions.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }
}

/// The metrics of a variant on one host, or on several when merged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VariantMetrics {
    /// The totals of its executions.
    pub observed: VariantTotals,
    /// Mirrored requests that it did not get: they were too large, the host was busy, or its circuit was open.
    pub skipped: u64,
    /// The latest responses that differ from the baseline's, the latest first.
    pub differences: Vec<ResponseDifference>,
}

impl VariantMetrics {
    /// The number of responses kept of those that differ.
    pub const DIFFERENCES: usize = 20;

    /// Adds what another host has seen.
    pub fn merge(&mut self, other: &Self) {
        self.observed.merge(&other.observed);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.differences.extend_from_slice(&other.differences);
        self.differences.sort_by_key(|differing| std::cmp::Reverse(differing.at));
        self.differences.truncate(Self::DIFFERENCES);
    }
}

/// [`VariantTotals`], for many threads to add to. Adding holds a lock for some ten multiplications.
#[derive(Debug, Default)]
pub struct VariantStats {
    observed: Mutex<VariantTotals>,
}

impl VariantStats {
    /// Goes on from what was stored.
    #[must_use]
    pub fn resume(observed: VariantTotals) -> Self {
        Self { observed: Mutex::new(observed) }
    }

    /// Adds an execution.
    pub fn record(&self, observation: &Observation) {
        self.with(|observed| observed.add(observation));
    }

    /// Adds that its response was compared with the baseline's to the same request.
    pub fn record_comparison(&self, differs: bool) {
        self.with(|observed| observed.add_comparison(differs));
    }

    /// The totals so far.
    #[must_use]
    pub fn observed(&self) -> VariantTotals {
        self.with(|observed| *observed)
    }

    fn with<T>(&self, act: impl FnOnce(&mut VariantTotals) -> T) -> T {
        act(&mut self.observed.lock())
    }
}
