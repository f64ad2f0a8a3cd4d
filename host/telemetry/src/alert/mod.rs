//! Alerts: rules over metrics, the state of each alert, silences, and the groups that are notified together.
//!
//! Everything here is told the time, in milliseconds since 1970, and reads metrics through [`Readings`]. Nothing of it
//! waits, stores or sends.

mod built_in;
mod certificate;
mod group;
mod metric;
mod points;
mod rule;
mod silence;
mod state;

pub use built_in::built_in_rules;
pub use certificate::certificate_expiry_ms;
pub use group::{AlertGroup, GroupChange, GroupMember};
pub use metric::{Metric, MetricName, MetricScope, Readings};
pub use points::{BASELINE_EXECUTIONS_MIN, BASELINE_MS, HostPoint, POINT_INTERVAL_MS, PointWindow, ServicePoint};
pub use rule::{AlertCondition, AlertRuleSettings, AlertSeverity, GroupLabel, InvalidRule, NoData, PATTERN_BYTES_MAX};
pub use silence::{AlertMatcher, InvalidSilence, SILENCE_MAX_SECONDS, SilenceSettings};
pub use state::{AlertState, AlertTracker, RESOLVED_SHOWN_MS};

/// The type of the event, and of the webhook, that tells of alerts that fire.
pub const FIRING_EVENT: &str = "alert.firing";
/// The type of the event, and of the webhook, that tells of alerts that are all resolved.
pub const RESOLVED_EVENT: &str = "alert.resolved";
