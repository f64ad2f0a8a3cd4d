//! Alert rules: what is compared, for how long, and who is told.

use super::metric::{Metric, MetricName, MetricScope};
use elias_names::{ComponentName, Environment, ReceiverName, ServiceId, TenantId};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;

/// Bytes of a log pattern.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a summary.
const SUMMARY_BYTES_MAX: usize = 500;
/// Bytes of the address of a runbook.
const RUNBOOK_BYTES_MAX: usize = 500;
/// The shortest window: rules are evaluated each 10 seconds.
const WINDOW_MIN_SECONDS: u64 = 10;
/// The longest window: so long the counts of hosts are kept.
const WINDOW_MAX_SECONDS: u64 = 3_600;
/// The longest of the other times.
const TIME_MAX_SECONDS: u64 = 86_400;
/// Receivers that a rule can name.
const RECEIVERS_MAX: usize = 20;

/// How severe an alert is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// Worth knowing.
    Info,
    /// To be looked at during working hours.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl AlertSeverity {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for AlertSeverity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Info, Self::Warning, Self::Critical];
        let found = all.into_iter().find(|severity| severity.as_str() == text);
        found.ok_or_else(|| "a severity must be info, warning or critical".to_owned())
    }
}

/// The comparison of a metric with the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertCondition {
    /// The value is greater than the threshold.
    #[default]
    Above,
    /// The value is less than the threshold.
    Below,
}

/// The effect of a metric that has no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoData {
    /// The condition counts as false.
    #[default]
    Ok,
    /// The condition counts as true.
    Alert,
    /// The alert keeps its state.
    Keep,
}

/// A label by which the alerts of a rule are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupLabel {
    /// The component.
    Component,
    /// The environment.
    Environment,
}

/// The settings of an alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRuleSettings {
    /// The metric.
    pub metric: MetricName,
    /// The text that lines of the log contain, up to 256 bytes; for the metric `log-matches` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub pattern: Option<String>,
    /// Only this component; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// Only this environment; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The time over which the metric is taken, in seconds: 10 to 3,600.
    #[serde(default = "five_minutes")]
    #[schema(minimum = 10, maximum = 3600, default = 300)]
    pub window_seconds: u64,
    /// The comparison of the metric with the threshold.
    #[serde(default)]
    pub condition: AlertCondition,
    /// The threshold, in the metric's unit.
    pub threshold: f64,
    /// How long the condition must be true before the alert fires, in seconds: up to 86,400.
    #[serde(default)]
    #[schema(maximum = 86400)]
    pub for_seconds: u64,
    /// How long the condition must be false before the alert is resolved, in seconds: up to 86,400. A metric that flaps
    /// faster than this is one alert.
    #[serde(default = "five_minutes")]
    #[schema(maximum = 86400, default = 300)]
    pub keep_firing_for_seconds: u64,
    /// The effect of a metric that has no value.
    #[serde(default)]
    pub no_data: NoData,
    /// How severe the alert is.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// The labels by which alerts are grouped: each group has its own notifications. Without any, the rule is one
    /// group.
    #[serde(default)]
    pub group_by: Vec<GroupLabel>,
    /// How long a new group waits for further alerts before its first notification, in seconds: up to 86,400.
    #[serde(default)]
    #[schema(maximum = 86400)]
    pub group_wait_seconds: u64,
    /// The least time between two notifications of a group, in seconds: up to 86,400.
    #[serde(default = "five_minutes")]
    #[schema(maximum = 86400, default = 300)]
    pub group_interval_seconds: u64,
    /// The receivers, up to 20; all of the tenant's by default.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub receivers: Vec<ReceiverName>,
    /// What the alert means, up to 500 bytes.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub summary: String,
    /// The URL or the page of the runbook, up to 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    pub runbook: Option<String>,
    /// Whether the rule is evaluated.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

fn five_minutes() -> u64 {
    300
}

fn yes() -> bool {
    true
}

/// Invalid settings of a rule: the member, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRule(String);

impl AlertRuleSettings {
    /// A rule over a metric with the defaults of everything else: above 0, over five minutes.
    #[must_use]
    pub fn new(metric: MetricName) -> Self {
        Self {
            metric,
            pattern: None,
            component: None,
            environment: None,
            window_seconds: five_minutes(),
            condition: AlertCondition::Above,
            threshold: 0.0,
            for_seconds: 0,
            keep_firing_for_seconds: five_minutes(),
            no_data: NoData::Ok,
            severity: AlertSeverity::Warning,
            group_by: Vec::new(),
            group_wait_seconds: 0,
            group_interval_seconds: five_minutes(),
            receivers: Vec::new(),
            summary: String::new(),
            runbook: None,
            enabled: true,
        }
    }

    /// Checks the settings of a rule of this tenant.
    ///
    /// # Errors
    /// The member that is wrong, and what it must be.
    pub fn check(&self, tenant: &TenantId) -> Result<(), InvalidRule> {
        let wrong = |text: String| Err(InvalidRule(text));
        if !(WINDOW_MIN_SECONDS..=WINDOW_MAX_SECONDS).contains(&self.window_seconds) {
            return wrong(format!("`window_seconds` must be between {WINDOW_MIN_SECONDS} and {WINDOW_MAX_SECONDS}"));
        }
        let times = [
            ("for_seconds", self.for_seconds),
            ("keep_firing_for_seconds", self.keep_firing_for_seconds),
            ("group_wait_seconds", self.group_wait_seconds),
            ("group_interval_seconds", self.group_interval_seconds),
        ];
        if let Some((name, _)) = times.iter().find(|(_, seconds)| *seconds > TIME_MAX_SECONDS) {
            return wrong(format!("`{name}` must be at most {TIME_MAX_SECONDS}"));
        }
        // JSON has no others, but this is also called with what was not read from JSON.
        if !self.threshold.is_finite() {
            return wrong("`threshold` must be a finite number".to_owned());
        }
        match (&self.pattern, self.metric) {
            (None, MetricName::LogMatches) => return wrong("the metric log-matches needs a `pattern`".to_owned()),
            (Some(_), metric) if metric != MetricName::LogMatches => {
                return wrong("`pattern` is for the metric log-matches alone".to_owned());
            }
            (Some(pattern), _) if !(1..=PATTERN_BYTES_MAX).contains(&pattern.len()) => {
                return wrong(format!("`pattern` must have 1 to {PATTERN_BYTES_MAX} bytes"));
            }
            _ => {}
        }
        let scope = self.metric.scope();
        if scope == MetricScope::Host && !tenant.is_system() {
            return wrong(format!("the metric {} is for rules of the tenant `system`", self.metric));
        }
        if scope != MetricScope::Service && (self.component.is_some() || self.environment.is_some()) {
            return wrong(format!("the metric {} has neither component nor environment", self.metric));
        }
        if self.group_by.len() > 2 || (scope != MetricScope::Service && !self.group_by.is_empty()) {
            return wrong("`group_by` must be component, environment or both, for a metric of services".to_owned());
        }
        if self.receivers.len() > RECEIVERS_MAX {
            return wrong(format!("`receivers` must have at most {RECEIVERS_MAX} items"));
        }
        if self.summary.len() > SUMMARY_BYTES_MAX {
            return wrong(format!("`summary` must have at most {SUMMARY_BYTES_MAX} bytes"));
        }
        if self.runbook.as_ref().is_some_and(|runbook| runbook.len() > RUNBOOK_BYTES_MAX) {
            return wrong(format!("`runbook` must have at most {RUNBOOK_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// The metric, as it is asked for.
    #[must_use]
    pub fn metric(&self) -> Metric<'_> {
        Metric { name: self.metric, pattern: self.pattern.as_deref() }
    }

    /// The time over which the metric is taken.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }

    /// Whether the rule is about a service.
    #[must_use]
    pub fn covers(&self, service: &ServiceId) -> bool {
        self.component.as_ref().is_none_or(|component| *component == service.component)
            && self.environment.is_none_or(|environment| environment == service.environment)
    }

    /// Whether the condition is true for a value.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.condition {
            AlertCondition::Above => value > self.threshold,
            AlertCondition::Below => value < self.threshold,
        }
    }

    /// The name of the group of an alert, among those of the rule.
    #[must_use]
    pub fn group_of(&self, service: Option<&ServiceId>) -> String {
        let Some(service) = service else { return String::new() };
        let by = |label: GroupLabel| self.group_by.contains(&label);
        match (by(GroupLabel::Component), by(GroupLabel::Environment)) {
            (false, false) => String::new(),
            (true, false) => service.component.to_string(),
            (false, true) => service.environment.to_string(),
            (true, true) => format!("{}/{}", service.component, service.environment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> TenantId {
        "acme".parse().expect("a name")
    }

    #[test]
    fn what_is_left_out_has_a_default_and_what_is_not_known_is_refused() {
        let read = |text: &str| serde_json::from_str::<AlertRuleSettings>(text);
        let rule = read(r#"{"metric":"error-percent","threshold":5}"#).expect("a rule");
        assert_eq!(rule, AlertRuleSettings { threshold: 5.0, ..AlertRuleSettings::new(MetricName::ErrorPercent) });
        assert_eq!(rule.check(&acme()), Ok(()));
        for text in [
            r#"{"metric":"error-percent"}"#,
            r#"{"metric":"nothing","threshold":5}"#,
            r#"{"metric":"error-percent","threshold":5,"window":"5m"}"#,
            r#"{"metric":"error-percent","threshold":5,"for_seconds":-1}"#,
            r#"{"metric":"error-percent","threshold":5,"receivers":["A b"]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_bound_is_checked() {
        let rule = || AlertRuleSettings::new(MetricName::ErrorPercent);
        let logs = |pattern: &str| AlertRuleSettings {
            pattern: Some(pattern.to_owned()),
            ..AlertRuleSettings::new(MetricName::LogMatches)
        };
        let receivers = |count: usize| vec!["team".parse::<ReceiverName>().expect("a name"); count];
        for (wrong, member) in [
            (AlertRuleSettings { window_seconds: 9, ..rule() }, "window_seconds"),
            (AlertRuleSettings { window_seconds: 3_601, ..rule() }, "window_seconds"),
            (AlertRuleSettings { for_seconds: 86_401, ..rule() }, "for_seconds"),
            (AlertRuleSettings { keep_firing_for_seconds: u64::MAX, ..rule() }, "keep_firing_for_seconds"),
            (AlertRuleSettings { group_wait_seconds: 86_401, ..rule() }, "group_wait_seconds"),
            (AlertRuleSettings { group_interval_seconds: 86_401, ..rule() }, "group_interval_seconds"),
            (AlertRuleSettings { threshold: f64::NAN, ..rule() }, "threshold"),
            (AlertRuleSettings { receivers: receivers(21), ..rule() }, "receivers"),
            (AlertRuleSettings { summary: "x".repeat(501), ..rule() }, "summary"),
            (AlertRuleSettings { runbook: Some("x".repeat(501)), ..rule() }, "runbook"),
            (AlertRuleSettings { pattern: Some("x".to_owned()), ..rule() }, "pattern"),
            (AlertRuleSettings { group_by: vec![GroupLabel::Component; 3], ..rule() }, "group_by"),
            (AlertRuleSettings::new(MetricName::LogMatches), "pattern"),
            (logs(""), "pattern"),
            (logs(&"x".repeat(PATTERN_BYTES_MAX + 1)), "pattern"),
            (AlertRuleSettings::new(MetricName::DiskPercent), "system"),
            (
                AlertRuleSettings {
                    environment: Some(Environment::Dev),
                    ..AlertRuleSettings::new(MetricName::DeadLetters)
                },
                "environment",
            ),
        ] {
            let error = wrong.check(&acme()).expect_err(member).to_string();
            assert!(error.contains(member), "{error}");
        }
        assert_eq!(logs(&"x".repeat(PATTERN_BYTES_MAX)).check(&acme()), Ok(()));
        assert_eq!(AlertRuleSettings { receivers: receivers(20), ..rule() }.check(&acme()), Ok(()));
        assert_eq!(AlertRuleSettings::new(MetricName::DiskPercent).check(&TenantId::system()), Ok(()));
    }

    #[test]
    fn alerts_are_grouped_by_the_labels_that_the_rule_names() {
        let service = ServiceId {
            tenant: acme(),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let rule = |group_by| AlertRuleSettings { group_by, ..AlertRuleSettings::new(MetricName::ErrorPercent) };
        let group = |labels: Vec<GroupLabel>| rule(labels).group_of(Some(&service));
        assert_eq!(group(vec![]), "");
        assert_eq!(group(vec![GroupLabel::Component]), "shop");
        assert_eq!(group(vec![GroupLabel::Environment]), "production");
        assert_eq!(group(vec![GroupLabel::Environment, GroupLabel::Component]), "shop/production");
        assert_eq!(rule(vec![]).group_of(None), "");
    }
}
