//! The rules that every tenant has, until it sets its own of the same name.

use super::metric::{MetricName, MetricScope};
use super::rule::{AlertCondition, AlertRuleSettings, AlertSeverity, GroupLabel, NoData};
use elias_names::{AlertRuleName, Environment, TenantId};

/// The page of the runbook, with a section for each rule.
const RUNBOOK: &str = "docs/reference/runbook.md";

/// A built-in rule: what differs from [`AlertRuleSettings::new`].
struct BuiltIn {
    name: &'static str,
    metric: MetricName,
    threshold: f64,
    window_seconds: u64,
    for_seconds: u64,
    severity: AlertSeverity,
    summary: &'static str,
}

/// Shorthand for the table. The window and `for` are in seconds.
const fn rule(
    name: &'static str,
    metric: MetricName,
    threshold: f64,
    (window_seconds, for_seconds): (u64, u64),
    severity: AlertSeverity,
    summary: &'static str,
) -> BuiltIn {
    BuiltIn { name, metric, threshold, window_seconds, for_seconds, severity, summary }
}

/// Their metrics say whether they are rules of each tenant or of the tenant `system`.
const BUILT_IN: &[BuiltIn] = &[
    rule(
        "errors",
        MetricName::ErrorPercent,
        5.0,
        (60, 300),
        AlertSeverity::Critical,
        "More than 5 % of the executions have failed for 5 minutes.",
    ),
    rule(
        "timeouts",
        MetricName::TimeoutsIncrease,
        5.0,
        (300, 0),
        AlertSeverity::Warning,
        "More executions exceeded their deadline in the last 5 minutes than in the 5 minutes before.",
    ),
    rule(
        "latency",
        MetricName::DurationAboveBaselineMs,
        100.0,
        (300, 300),
        AlertSeverity::Warning,
        "Executions take 100 ms longer than in the hour before.",
    ),
    rule(
        "memory",
        MetricName::MemoryPercent,
        80.0,
        (300, 60),
        AlertSeverity::Warning,
        "Executions use more than 80 % of their memory limit.",
    ),
    rule("rolled-back", MetricName::Rollbacks, 0.0, (600, 0), AlertSeverity::Warning, "A canary was rolled back."),
    rule(
        "queue-age",
        MetricName::QueueAgeSeconds,
        300.0,
        (60, 60),
        AlertSeverity::Warning,
        "Jobs that are ready have not started for more than 5 minutes.",
    ),
    rule(
        "dead-letters",
        MetricName::DeadLetters,
        0.0,
        (600, 0),
        AlertSeverity::Warning,
        "Jobs or deliveries became dead: they are not tried again.",
    ),
    rule(
        "late-schedules",
        MetricName::LateSchedules,
        0.0,
        (60, 60),
        AlertSeverity::Warning,
        "A schedule should have run and did not.",
    ),
    rule(
        "failing-schedules",
        MetricName::FailingSchedules,
        0.0,
        (60, 60),
        AlertSeverity::Warning,
        "The last runs of a schedule have failed.",
    ),
    rule(
        "instance-pool",
        MetricName::InstancesPercent,
        95.0,
        (60, 60),
        AlertSeverity::Critical,
        "A host has hardly any component instances left; further requests fail as overloaded.",
    ),
    rule(
        "database-connections",
        MetricName::ConnectionsPercent,
        90.0,
        (60, 60),
        AlertSeverity::Critical,
        "More than 90 % of the connections to a database are in use.",
    ),
    rule(
        "disk",
        MetricName::DiskPercent,
        85.0,
        (60, 300),
        AlertSeverity::Critical,
        "The disk of a host is nearly full.",
    ),
    rule(
        "certificate",
        MetricName::CertificateDays,
        14.0,
        (60, 0),
        AlertSeverity::Critical,
        "A TLS certificate expires within 14 days.",
    ),
    rule(
        "log-checkpoint",
        MetricName::CheckpointAgeSeconds,
        900.0,
        (60, 0),
        AlertSeverity::Critical,
        "The transparency log has had no valid checkpoint for 15 minutes.",
    ),
    rule(
        "evaluation",
        MetricName::EvaluationAgeSeconds,
        60.0,
        (60, 0),
        AlertSeverity::Critical,
        "No host evaluated the alert rules for a minute.",
    ),
];

impl BuiltIn {
    fn settings(&self) -> AlertRuleSettings {
        let is_of_services = self.metric.scope() == MetricScope::Service;
        // What happens in dev and staging is its developers' business.
        let environment = is_of_services.then_some(Environment::Production);
        let is_below = self.metric == MetricName::CertificateDays;
        AlertRuleSettings {
            environment,
            window_seconds: self.window_seconds,
            condition: if is_below { AlertCondition::Below } else { AlertCondition::Above },
            threshold: self.threshold,
            for_seconds: self.for_seconds,
            no_data: NoData::Ok,
            severity: self.severity,
            group_by: if is_of_services { vec![GroupLabel::Component] } else { Vec::new() },
            summary: self.summary.to_owned(),
            runbook: Some(format!("{RUNBOOK}#{}", self.name)),
            ..AlertRuleSettings::new(self.metric)
        }
    }
}

/// The built-in rules of a tenant, by name. Those of hosts belong to the tenant `system`.
#[must_use]
pub fn built_in_rules(tenant: &TenantId) -> Vec<(AlertRuleName, AlertRuleSettings)> {
    let is_of_host = |rule: &&BuiltIn| (rule.metric.scope() == MetricScope::Host) == tenant.is_system();
    let rules = BUILT_IN.iter().filter(is_of_host);
    // The names of the table are names, which a test checks.
    let named = rules.filter_map(|rule| Some((rule.name.parse::<AlertRuleName>().ok()?, rule.settings())));
    let mut rules: Vec<_> = named.collect();
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(TenantId, AlertRuleName, AlertRuleSettings)> {
        let tenants = [TenantId::system(), "acme".parse().expect("a name")];
        let of = |tenant: TenantId| {
            let rules = built_in_rules(&tenant).into_iter();
            rules.map(move |(name, settings)| (tenant.clone(), name, settings)).collect::<Vec<_>>()
        };
        tenants.into_iter().flat_map(of).collect()
    }

    #[test]
    fn built_in_rules_are_rules() {
        let all = all();
        assert_eq!(all.len(), BUILT_IN.len(), "each has a name and belongs to somebody");
        for (tenant, name, settings) in all {
            assert_eq!(settings.check(&tenant), Ok(()), "{name}");
            assert!(!settings.summary.is_empty(), "{name}");
        }
    }

    #[test]
    fn every_built_in_rule_has_a_section_in_the_runbook() {
        let page = include_str!("../../../../docs/reference/runbook.md");
        for (_, name, settings) in all() {
            assert_eq!(settings.runbook, Some(format!("{RUNBOOK}#{name}")));
            let heading = format!("\n## {name}\n");
            let (_, section) = page.split_once(&heading).unwrap_or_else(|| panic!("no section {name}"));
            let section = section.split("\n## ").next().unwrap_or_default();
            for part in ["**Meaning.**", "**Look at.**", "**Do.**"] {
                assert!(section.contains(part), "{name}: {part}");
            }
        }
        let sections = page.matches("\n## ").count();
        assert_eq!(sections, BUILT_IN.len(), "each section is of a rule");
    }
}
