//! Alerts, the rules that make them, silences, and receivers of notifications.

use elias_names::{AlertRuleName, ComponentName, Environment, ReceiverName};
use elias_telemetry::alert::{AlertMatcher, AlertRuleSettings, AlertSeverity, AlertState};
use elias_telemetry::notification::ReceiverKind;
use serde::{Deserialize, Serialize};

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertRule {
    /// The name.
    pub name: AlertRuleName,
    /// The settings.
    pub settings: AlertRuleSettings,
    /// Whether there is a built-in rule of this name, which holds again when this one is deleted.
    pub built_in: bool,
    /// The revision, for `If-Match`; 0 for a built-in rule that the tenant has not changed.
    pub revision: u64,
    /// When it was changed last, in milliseconds since 1970-01-01 UTC; 0 for a built-in rule.
    pub changed_at: i64,
    /// The identity that changed it last; `host` for a built-in rule.
    pub changed_by: String,
}

/// An alert that is not inactive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alert {
    /// The rule.
    pub rule: AlertRuleName,
    /// The component; absent for an alert about the tenant or the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The state.
    pub state: AlertState,
    /// When the state began, in milliseconds since 1970-01-01 UTC.
    pub since: i64,
    /// When it began to fire, in milliseconds since 1970-01-01 UTC; absent for a pending one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<i64>,
    /// The last value of the metric; absent if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The severity.
    pub severity: AlertSeverity,
    /// What it means.
    pub summary: String,
    /// The page of the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The id of a silence that matches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Silence {
    /// The id, a ULID.
    pub id: String,
    /// The alerts of which receivers are not told.
    pub matcher: AlertMatcher,
    /// Why.
    pub reason: String,
    /// When it ends, in milliseconds since 1970-01-01 UTC.
    pub until: i64,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that made it.
    pub created_by: String,
}

/// A receiver of notifications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receiver {
    /// The name.
    pub name: ReceiverName,
    /// The kind.
    pub kind: ReceiverKind,
    /// The target, without what is secret: the host of a URL, or addresses.
    pub target: String,
    /// The revision, for `If-Match`.
    pub revision: u64,
    /// When it was changed last, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that changed it last.
    pub changed_by: String,
    /// When a notification was delivered last, in milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<i64>,
    /// Why the last attempt failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The result of a test of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceiverTest {
    /// Whether the test notification was delivered.
    pub delivered: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
