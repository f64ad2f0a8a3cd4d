//! The metrics of alerts.

use super::writer::counter;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;

/// What is known of the evaluation of alert rules, and of notifications.
pub(super) struct AlertFigures {
    /// The time since any host evaluated the rules, in milliseconds, if it is known.
    pub(super) evaluation_age_ms: Option<i64>,
    /// Attempts of this host at notifications, by their result.
    pub(super) notifications: [(&'static str, u64); 3],
}

impl AlertFigures {
    pub(super) fn encode(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(ms) = self.evaluation_age_ms {
            let text = "Time since any host evaluated the alert rules";
            let age = out.encode_descriptor("alert_evaluation_age", text, Some(&Unit::Seconds), MetricType::Gauge)?;
            ConstGauge::new(ms as f64 / 1e3).encode(age)?;
        }
        let text = "Number of attempts of this host to send notifications of alerts, by their result";
        let mut notifications = counter(out, "notifications", text, None)?;
        for (result, count) in self.notifications {
            notifications.labelled([("result", result)], count)?;
        }
        Ok(())
    }
}
