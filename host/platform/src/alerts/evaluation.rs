//! One evaluation of all rules: from what was stored and the values of metrics to what is stored and sent next.

use elias_api::Silence;
use elias_names::{AlertRuleName, ReceiverName, ServiceId, TenantId};
use elias_store::{AlertRow, GroupRow};
use elias_telemetry::alert::{
    AlertGroup, AlertRuleSettings, AlertState, AlertTracker, GroupMember, MetricScope, Readings,
};
use elias_telemetry::notification::{Notification, NotifiedAlert, ReceiverKind, SHOWN_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// Notifications of a tenant in one evaluation, counted for each receiver: many rules, groups and receivers must not
/// keep the other tenants waiting. Groups that are over it are told of in the next evaluation.
const NOTIFICATIONS_MAX: usize = 500;

/// The place of an alert, or of a group: the rule, and the service or the name of the group.
pub(super) type AlertKey = (AlertRuleName, String);

/// What is known of a tenant before an evaluation.
#[derive(Debug, Default)]
pub(super) struct TenantAlerts {
    /// The rules that hold: those that the tenant has set, and the other built-in ones.
    pub(super) rules: Vec<(AlertRuleName, AlertRuleSettings)>,
    /// The services that serve.
    pub(super) services: Vec<ServiceId>,
    /// The silences that have not ended.
    pub(super) silences: Vec<Silence>,
    pub(super) receivers: Vec<(ReceiverName, ReceiverKind)>,
    pub(super) alerts: BTreeMap<AlertKey, AlertTracker>,
    pub(super) groups: BTreeMap<AlertKey, AlertGroup>,
}

/// A notification, and whom it is for.
#[derive(Debug)]
pub(super) struct AddressedNotification {
    pub(super) notification: Notification,
    pub(super) receivers: Vec<(ReceiverName, ReceiverKind)>,
}

/// What an evaluation changed.
#[derive(Debug, Default)]
pub(super) struct EvaluationChanges {
    pub(super) alerts: Vec<AlertRow>,
    /// Each with whether nothing is lost without it.
    pub(super) groups: Vec<(GroupRow, bool)>,
    pub(super) notifications: Vec<AddressedNotification>,
}

/// An alert of a rule, after the evaluation.
struct EvaluatedAlert<'a> {
    target: String,
    service: Option<&'a ServiceId>,
    tracker: AlertTracker,
}

/// Evaluates the rules of a tenant at the time `now_ms`.
pub(super) fn evaluate(
    tenant: &TenantId,
    mut known: TenantAlerts,
    readings: &dyn Readings,
    now_ms: i64,
    changes: &mut EvaluationChanges,
) {
    let mut told = 0;
    for (name, rule) in &known.rules {
        let alerts = evaluate_rule(tenant, name, rule, &known.services, &mut known.alerts, readings, now_ms, changes);
        let receivers: Vec<_> = known
            .receivers
            .iter()
            .filter(|(receiver, _)| rule.receivers.is_empty() || rule.receivers.contains(receiver))
            .cloned()
            .collect();
        let mut groups: BTreeMap<String, Vec<&EvaluatedAlert<'_>>> = BTreeMap::new();
        for alert in &alerts {
            groups.entry(rule.group_of(alert.service)).or_default().push(alert);
        }
        // A group of which receivers know something has perhaps no alert any more.
        let former = known.groups.keys().filter(|(of, _)| of == name).map(|(_, group)| group.clone());
        let former: BTreeSet<String> = former.collect();
        for group in former {
            groups.entry(group).or_default();
        }
        for (group, alerts) in groups {
            let before = known.groups.remove(&(name.clone(), group.clone()));
            // Whoever becomes a receiver later is told of what fires then.
            if receivers.is_empty() {
                if let Some(known) = before {
                    let row = GroupRow { tenant: tenant.clone(), rule: name.clone(), name: group, known };
                    changes.groups.push((row, true));
                }
                continue;
            }
            if told >= NOTIFICATIONS_MAX {
                continue;
            }
            let mut state = before.clone().unwrap_or_default();
            let is_silenced = |alert: &EvaluatedAlert<'_>| {
                known.silences.iter().any(|silence| silence.matcher.matches(name, rule.severity, alert.service))
            };
            let members: Vec<_> = alerts
                .iter()
                .map(|alert| GroupMember {
                    key: &alert.target,
                    is_firing: alert.tracker.state.is_firing(),
                    is_silenced: is_silenced(alert),
                })
                .collect();
            let change = state.step(&members, rule.group_wait_seconds, rule.group_interval_seconds, now_ms);
            let is_idle = state.is_idle(rule.group_interval_seconds, now_ms);
            let is_changed = match &before {
                Some(before) => is_idle || *before != state,
                None => !is_idle,
            };
            if is_changed {
                let row = GroupRow { tenant: tenant.clone(), rule: name.clone(), name: group, known: state };
                changes.groups.push((row, is_idle));
            }
            let Some(change) = change else { continue };
            told += receivers.len();
            let shown = |keys: &[String]| {
                let known = |key: &String| alerts.iter().find(|alert| alert.target == *key);
                keys.iter().take(SHOWN_MAX).map(|key| notified(key, known(key).copied(), now_ms)).collect()
            };
            let notification = Notification {
                id: ulid::Ulid::new().to_string(),
                at: now_ms,
                tenant: tenant.clone(),
                rule: name.clone(),
                severity: rule.severity,
                summary: rule.summary.clone(),
                runbook: rule.runbook.clone(),
                firing: shown(&change.firing),
                firing_count: change.firing.len(),
                resolved: shown(&change.resolved),
                resolved_count: change.resolved.len(),
                test: false,
            };
            changes.notifications.push(AddressedNotification { notification, receivers: receivers.clone() });
        }
    }
    // Their rules are gone: nobody is told.
    let gone = known.alerts.into_keys().map(|(rule, target)| AlertRow {
        tenant: tenant.clone(),
        rule,
        target,
        tracker: AlertTracker::default(),
    });
    changes.alerts.extend(gone);
    let gone = known
        .groups
        .into_keys()
        .map(|(rule, name)| (GroupRow { tenant: tenant.clone(), rule, name, known: AlertGroup::default() }, true));
    changes.groups.extend(gone);
}

/// Takes the values of a rule's metric into account; gives the alerts that are not inactive. Those that it looks at are
/// removed from `known`.
#[expect(clippy::too_many_arguments, reason = "what is changed is borrowed apart from what is read")]
fn evaluate_rule<'a>(
    tenant: &TenantId,
    name: &AlertRuleName,
    rule: &AlertRuleSettings,
    services: &'a [ServiceId],
    known: &mut BTreeMap<AlertKey, AlertTracker>,
    readings: &dyn Readings,
    now_ms: i64,
    changes: &mut EvaluationChanges,
) -> Vec<EvaluatedAlert<'a>> {
    let mut evaluated = Vec::new();
    let mut settle = |target: String, service: Option<&'a ServiceId>, before: AlertTracker, tracker: AlertTracker| {
        let is_inactive = tracker.state == AlertState::Inactive;
        if before != tracker && !(is_inactive && before.state == AlertState::Inactive) {
            changes.alerts.push(AlertRow {
                tenant: tenant.clone(),
                rule: name.clone(),
                target: target.clone(),
                tracker: tracker.clone(),
            });
        }
        if !is_inactive {
            evaluated.push(EvaluatedAlert { target, service, tracker });
        }
    };
    let targets: Vec<Option<&ServiceId>> = match rule.metric.scope() {
        _ if !rule.enabled => Vec::new(),
        MetricScope::Service => services.iter().filter(|service| rule.covers(service)).map(Some).collect(),
        MetricScope::Tenant | MetricScope::Host => vec![None],
    };
    for service in targets {
        let target = service.map_or_else(String::new, ServiceId::subject);
        let before = known.remove(&(name.clone(), target.clone())).unwrap_or_default();
        let mut tracker = before.clone();
        tracker.step(rule, readings.value(rule.metric(), tenant, service, rule.window()), now_ms);
        settle(target, service, before, tracker);
    }
    // Their service is gone, or the rule is not evaluated any more.
    let gone: Vec<_> = known.keys().filter(|(of, _)| of == name).cloned().collect();
    for key in gone {
        let before = known.remove(&key).unwrap_or_default();
        let mut tracker = before.clone();
        if tracker.state == AlertState::Resolved {
            tracker = AlertTracker::default();
        } else {
            tracker.end(now_ms);
        }
        settle(key.1, None, before, tracker);
    }
    evaluated
}

/// The alert in a notification. One that is not known any more has only its name.
fn notified(target: &str, alert: Option<&EvaluatedAlert<'_>>, now_ms: i64) -> NotifiedAlert {
    let (component, environment) = match target.split_once('/') {
        Some((component, environment)) => (component.parse().ok(), environment.parse().ok()),
        None => (None, None),
    };
    let tracker = alert.map(|alert| &alert.tracker);
    NotifiedAlert {
        component,
        environment,
        value: tracker.and_then(|tracker| tracker.value),
        fired_at: tracker.and_then(|tracker| tracker.fired_at).unwrap_or(now_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;
    use elias_telemetry::alert::{AlertMatcher, GroupLabel, Metric, MetricName};
    use std::cell::Cell;
    use std::time::Duration;

    /// A metric with the same value for every service.
    struct Value(Cell<Option<f64>>);

    impl Readings for Value {
        fn value(&self, _: Metric<'_>, _: &TenantId, _: Option<&ServiceId>, _: Duration) -> Option<f64> {
            self.0.get()
        }
    }

    /// A tenant as it is between evaluations.
    struct World {
        tenant: TenantId,
        rules: Vec<(AlertRuleName, AlertRuleSettings)>,
        services: Vec<ServiceId>,
        silences: Vec<Silence>,
        receivers: Vec<(ReceiverName, ReceiverKind)>,
        alerts: BTreeMap<AlertKey, AlertTracker>,
        groups: BTreeMap<AlertKey, AlertGroup>,
        value: Value,
    }

    impl World {
        fn new(rule: AlertRuleSettings) -> Self {
            let tenant: TenantId = "acme".parse().expect("a name");
            let service = |component: &str| ServiceId {
                tenant: tenant.clone(),
                component: component.parse().expect("a name"),
                environment: Environment::Production,
            };
            Self {
                services: vec![service("blog"), service("shop")],
                tenant,
                rules: vec![("errors".parse().expect("a name"), rule)],
                silences: Vec::new(),
                receivers: vec![("team".parse().expect("a name"), ReceiverKind::Webhook)],
                alerts: BTreeMap::new(),
                groups: BTreeMap::new(),
                value: Value(Cell::new(None)),
            }
        }

        /// Evaluates with this value, stores what has changed, and gives the notifications: how many alerts fire and
        /// how many are resolved.
        fn at(&mut self, seconds: i64, value: f64) -> Vec<(usize, usize)> {
            self.value.0.set(Some(value));
            let known = TenantAlerts {
                rules: self.rules.clone(),
                services: self.services.clone(),
                silences: self.silences.clone(),
                receivers: self.receivers.clone(),
                alerts: self.alerts.clone(),
                groups: self.groups.clone(),
            };
            let mut changes = EvaluationChanges::default();
            evaluate(&self.tenant, known, &self.value, seconds * 1_000, &mut changes);
            for row in changes.alerts {
                let key = (row.rule, row.target);
                if row.tracker.state == AlertState::Inactive {
                    self.alerts.remove(&key);
                } else {
                    self.alerts.insert(key, row.tracker);
                }
            }
            for (row, is_idle) in changes.groups {
                let key = (row.rule, row.name);
                if is_idle {
                    self.groups.remove(&key);
                } else {
                    self.groups.insert(key, row.known);
                }
            }
            let notifications = changes.notifications.iter();
            notifications.map(|told| (told.notification.firing_count, told.notification.resolved_count)).collect()
        }
    }

    const NOBODY_IS_TOLD: [(usize, usize); 0] = [];

    fn rule() -> AlertRuleSettings {
        AlertRuleSettings {
            threshold: 5.0,
            for_seconds: 20,
            keep_firing_for_seconds: 60,
            ..AlertRuleSettings::new(MetricName::ErrorPercent)
        }
    }

    #[test]
    fn from_the_condition_to_the_notification_it_takes_for_and_the_next_evaluation() {
        let mut world = World::new(rule());
        assert_eq!(world.at(0, 9.0), NOBODY_IS_TOLD);
        assert_eq!(world.at(10, 9.0), NOBODY_IS_TOLD);
        assert_eq!(world.at(20, 9.0), [(2, 0)], "both services in one notification");
        assert_eq!(world.at(30, 9.0), NOBODY_IS_TOLD);
        assert_eq!(world.at(400, 0.0), NOBODY_IS_TOLD, "it recovers");
        assert_eq!(world.at(460, 0.0), [(0, 2)]);
        assert_eq!(world.at(10_000, 0.0), NOBODY_IS_TOLD);
        assert!(world.alerts.is_empty() && world.groups.is_empty(), "nothing is left");
    }

    #[test]
    fn a_value_that_flaps_each_30_seconds_is_one_notification() {
        let mut world = World::new(AlertRuleSettings { for_seconds: 0, ..rule() });
        let mut told = Vec::new();
        for tick in 0..360 {
            told.extend(world.at(tick * 10, if (tick / 3) % 2 == 0 { 9.0 } else { 0.0 }));
        }
        assert_eq!(told, [(2, 0)]);
    }

    #[test]
    fn groups_silences_and_receivers_are_heeded() {
        let grouped = AlertRuleSettings { for_seconds: 0, group_by: vec![GroupLabel::Component], ..rule() };
        let mut world = World::new(grouped);
        let component = Some("shop".parse().expect("a name"));
        world.silences.push(Silence {
            id: "1".to_owned(),
            matcher: AlertMatcher { component, ..AlertMatcher::default() },
            reason: "known".to_owned(),
            until: i64::MAX,
            created_at: 0,
            created_by: "ada".to_owned(),
        });
        assert_eq!(world.at(0, 9.0), [(1, 0)], "the shop is silenced");
        world.silences.clear();
        assert_eq!(world.at(10, 9.0), [(1, 0)], "the silence has ended");
        let mut nobody = World::new(AlertRuleSettings { for_seconds: 0, ..rule() });
        let receivers = std::mem::take(&mut nobody.receivers);
        assert_eq!(nobody.at(0, 9.0), NOBODY_IS_TOLD);
        nobody.receivers = receivers;
        assert_eq!(nobody.at(10, 9.0), [(2, 0)], "a new receiver is told of what fires");
        let receivers = std::mem::take(&mut nobody.receivers);
        assert_eq!(nobody.at(20, 9.0), NOBODY_IS_TOLD);
        assert!(nobody.groups.is_empty(), "nobody knows anything any more");
        nobody.receivers = receivers;
        assert_eq!(nobody.at(30, 9.0), [(2, 0)], "and the next receiver is told too");
        let mut other = World::new(AlertRuleSettings {
            for_seconds: 0,
            receivers: vec!["other".parse().expect("a name")],
            ..rule()
        });
        assert_eq!(other.at(0, 9.0), NOBODY_IS_TOLD, "the rule names another receiver");
    }

    #[test]
    fn a_tenant_with_many_groups_and_receivers_is_told_of_them_in_turn() {
        let each = AlertRuleSettings { for_seconds: 0, group_by: vec![GroupLabel::Component], ..rule() };
        let mut world = World::new(each);
        let service = |number: usize| ServiceId {
            component: format!("c{number}").parse().expect("a name"),
            ..world.services[0].clone()
        };
        world.services = (0..25).map(service).collect();
        world.receivers =
            (0..50).map(|number| (format!("r{number}").parse().expect("a name"), ReceiverKind::Webhook)).collect();
        assert_eq!(world.at(0, 9.0).len(), NOTIFICATIONS_MAX / 50);
        assert_eq!(world.at(10, 9.0).len(), NOTIFICATIONS_MAX / 50);
        assert_eq!(world.at(20, 9.0).len(), 5, "the last of 25 groups");
        assert_eq!(world.at(30, 9.0), NOBODY_IS_TOLD, "each is told of once");
    }

    #[test]
    fn what_is_gone_is_resolved_and_of_a_rule_that_is_gone_nobody_is_told() {
        let now = AlertRuleSettings { for_seconds: 0, group_interval_seconds: 0, ..rule() };
        let mut world = World::new(now.clone());
        assert_eq!(world.at(0, 9.0), [(2, 0)]);
        world.services.truncate(1);
        assert_eq!(world.at(10, 9.0), [(1, 1)], "a service was deleted");
        world.rules[0].1.enabled = false;
        assert_eq!(world.at(20, 9.0), [(0, 1)], "the rule is not evaluated any more");
        let mut world = World::new(now);
        assert_eq!(world.at(0, 9.0), [(2, 0)]);
        world.rules.clear();
        assert_eq!(world.at(10, 9.0), NOBODY_IS_TOLD);
        assert!(world.alerts.is_empty() && world.groups.is_empty());
    }

    #[test]
    fn another_evaluator_goes_on_with_what_was_stored() {
        let mut first = World::new(rule());
        assert_eq!(first.at(0, 9.0), NOBODY_IS_TOLD);
        let mut second = World::new(rule());
        (second.alerts, second.groups) = (first.alerts.clone(), first.groups.clone());
        assert_eq!(second.at(20, 9.0), [(2, 0)], "the time began on the first host");
        (first.alerts, first.groups) = (second.alerts.clone(), second.groups.clone());
        assert_eq!(first.at(30, 9.0), NOBODY_IS_TOLD, "and what the second has told is not told again");
    }
}
