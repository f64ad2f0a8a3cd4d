//! The metrics of service workers.

use super::OTHER;
use super::writer::{counter, gauge};
use crate::serving::QuotaCounts;
use crate::workers::WorkerRunner;
use elias_names::TenantId;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A histogram: all values together, and how many there are in each bucket, by its end.
type Buckets = (f64, Vec<(f64, u64)>);

/// The counts of service workers of this host.
pub(super) struct WorkerFigures {
    awake: BTreeMap<String, u64>,
    turns: u64,
    wakes: u64,
    commit_times: Buckets,
    batch_sizes: Buckets,
}

impl WorkerFigures {
    /// `named` are the tenants that are told apart.
    pub(super) fn read(runner: &WorkerRunner, named: &[(TenantId, Arc<QuotaCounts>)]) -> Self {
        let mut awake = BTreeMap::new();
        for (tenant, count) in runner.awake() {
            let is_named = named.iter().any(|(named, _)| *named == tenant);
            let name = if is_named { tenant.to_string() } else { OTHER.to_owned() };
            *awake.entry(name).or_default() += count;
        }
        let meters = runner.meters();
        let (commit_times, batch_sizes) = (meters.commit_times.read(), meters.batch_sizes.read());
        Self { awake, turns: meters.turns(), wakes: meters.wakes(), commit_times, batch_sizes }
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut awake = gauge(out, "workers_awake", "Number of service workers that are in memory on this host")?;
        for (tenant, count) in &self.awake {
            awake.labelled([("tenant", &**tenant)], i64::try_from(*count).unwrap_or(i64::MAX))?;
        }
        let text = "Number of turns of service workers that were run on this host";
        counter(out, "worker_turns", text, None)?.one(self.turns)?;
        let text = "Number of heaps that were read on this host to bring a service worker into memory";
        counter(out, "worker_wakes", text, None)?.one(self.wakes)?;
        let text = "Time of transactions that commit turns of service workers";
        histogram(out, "worker_commit", text, Some(&Unit::Seconds), &self.commit_times)?;
        let text = "Number of service workers that are committed in one transaction";
        histogram(out, "worker_commit_workers", text, None, &self.batch_sizes)
    }
}

fn histogram(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    text: &str,
    unit: Option<&Unit>,
    (sum, buckets): &Buckets,
) -> fmt::Result {
    let mut histogram = out.encode_descriptor(name, text, unit, MetricType::Histogram)?;
    let count = buckets.iter().map(|(_, count)| count).sum();
    histogram.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
}
