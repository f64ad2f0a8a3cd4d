//! The metrics of what is told of executions.

use super::writer::{counter, gauge};
use crate::config::PlatformConfig;
use crate::recorder::Recorder;
use crate::spans::ExportCounts;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;

/// The counts of spans and log lines of this host.
pub(super) struct TelemetryFigures {
    spans_dropped: u64,
    exports: Vec<ExportCounts>,
}

impl TelemetryFigures {
    pub(super) fn read(recorder: &Recorder, config: &PlatformConfig) -> Self {
        let exports = config.traces.exporter.as_ref().map_or_else(Vec::new, |exporter| exporter.counts());
        Self { spans_dropped: recorder.spans_dropped(), exports }
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let text = "Number of executions whose spans were to be kept and were not, because the store was too slow";
        counter(out, "traces_dropped", text, None)?.one(self.spans_dropped)?;
        let text = "Number of spans and log lines that a collector has taken, by signal";
        let mut exported = counter(out, "telemetry_exported", text, None)?;
        for counts in &self.exports {
            exported.labelled([("signal", counts.signal)], counts.exported)?;
        }
        let text = "Number of spans and log lines that did not reach a collector and will not, by signal";
        let mut dropped = counter(out, "telemetry_dropped", text, None)?;
        for counts in &self.exports {
            dropped.labelled([("signal", counts.signal)], counts.dropped)?;
        }
        let text = "Bytes of spans and log lines that wait for a collector, by signal";
        let mut waiting = gauge(out, "telemetry_waiting_bytes", text)?;
        for counts in &self.exports {
            waiting.labelled([("signal", counts.signal)], i64::try_from(counts.waiting_bytes).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }
}
