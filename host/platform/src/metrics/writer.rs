//! Writes single metrics in the OpenMetrics text format.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

/// A metric that is being written.
pub(super) struct Metric<'a, V> {
    encoder: MetricEncoder<'a>,
    write: fn(V, MetricEncoder<'_>) -> fmt::Result,
}

impl<V> Metric<'_, V> {
    pub(super) fn labelled<const LABELS: usize>(&mut self, labels: [(&str, &str); LABELS], value: V) -> fmt::Result {
        (self.write)(value, self.encoder.encode_family(&labels)?)
    }

    pub(super) fn one(self, value: V) -> fmt::Result {
        (self.write)(value, self.encoder)
    }
}

/// Begins a gauge.
pub(super) fn gauge<'a>(
    out: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<Metric<'a, i64>, fmt::Error> {
    let encoder = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    Ok(Metric { encoder, write: |value, encoder| ConstGauge::new(value).encode(encoder) })
}

/// Begins a counter.
pub(super) fn counter<'a>(
    out: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
) -> Result<Metric<'a, u64>, fmt::Error> {
    let encoder = out.encode_descriptor(name, help, unit, MetricType::Counter)?;
    Ok(Metric { encoder, write: |value, encoder| ConstCounter::new(value).encode(encoder) })
}
