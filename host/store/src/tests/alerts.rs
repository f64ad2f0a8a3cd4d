//! Alert rules, silences, receivers and notifications.

use super::*;
use elias_api::{AlertRule, Receiver, Silence};
use elias_telemetry::alert::{
    AlertMatcher, AlertRuleSettings, AlertState, AlertTracker, HostPoint, MetricName, SILENCE_MAX_SECONDS,
};
use elias_telemetry::notification::{ReceiverCircuit, ReceiverKind};
use serde_json::Value;

fn acme() -> TenantId {
    "acme".parse().expect("a name")
}

fn rule(name: &str, revision: u64) -> AlertRule {
    AlertRule {
        name: name.parse().expect("a name"),
        settings: AlertRuleSettings { summary: "a\0b".to_owned(), ..AlertRuleSettings::new(MetricName::ErrorPercent) },
        built_in: false,
        revision,
        changed_at: 1,
        changed_by: "ada".to_owned(),
    }
}

fn receiver(name: &str) -> Receiver {
    Receiver {
        name: name.parse().expect("a name"),
        kind: ReceiverKind::Slack,
        target: "https://chat.example".to_owned(),
        revision: 1,
        changed_at: 1,
        changed_by: "ada".to_owned(),
        delivered_at: None,
        error: None,
    }
}

async fn scope_of(test: &TestStore, tenant: &TenantId) -> TenantScope {
    test.store.write(tenant).await.expect("a scope")
}

pub(super) async fn alert_rules_have_revisions_and_are_bounded(test: &TestStore) {
    create_tenant(&test.store, "acme").await;
    let mut scope = scope_of(test, &acme()).await;
    let first = rule("errors", 1);
    scope.set_alert_rule(&first, None, &Actor::host()).await.expect("set");
    assert_eq!(
        scope.alert_rules().await.expect("read"),
        std::slice::from_ref(&first),
        "also a text that databases refuse"
    );
    let again = scope.set_alert_rule(&rule("errors", 1), None, &Actor::host()).await;
    assert_eq!(again.expect_err("it is there").code(), Code::Stale);
    scope.set_alert_rule(&rule("errors", 2), Some(&first), &Actor::host()).await.expect("changed");
    for number in 1..100 {
        scope.set_alert_rule(&rule(&format!("rule-{number}"), 1), None, &Actor::host()).await.expect("set");
    }
    scope.commit().await.expect("committed");
    let mut scope = scope_of(test, &acme()).await;
    let over = scope.set_alert_rule(&rule("one-more", 1), None, &Actor::host()).await;
    assert_eq!(over.expect_err("there are too many").code(), Code::QuotaExceeded);
    drop(scope);
    let mut other = scope_of(test, &"other".parse().expect("a name")).await;
    assert!(other.alert_rules().await.expect("read").is_empty(), "another tenant's are not seen");
    let missing = other.delete_alert_rule(&first.name, &Actor::host()).await;
    assert_eq!(missing.expect_err("it is not there").code(), Code::NotFound);
    drop(other);
    let mut scope = scope_of(test, &acme()).await;
    scope.delete_alert_rule(&first.name, &Actor::host()).await.expect("deleted");
    scope.commit().await.expect("committed");
    let all = test.store.host_read().await.expect("a scope").all_alert_rules().await.expect("read");
    assert_eq!(all.len(), 99);
}

pub(super) async fn silences_end_and_are_bounded(test: &TestStore) {
    create_tenant(&test.store, "acme").await;
    let now = now_ms();
    let silence = |id: &str, until| Silence {
        id: id.to_owned(),
        matcher: AlertMatcher { rule: Some("errors".parse().expect("a name")), ..AlertMatcher::default() },
        reason: "a\0b".to_owned(),
        until,
        created_at: now,
        created_by: "ada".to_owned(),
    };
    let later = now + SILENCE_MAX_SECONDS as i64 * 1_000;
    let mut scope = scope_of(test, &acme()).await;
    scope.add_silence(&silence("old", now - 1), &Actor::host()).await.expect("added");
    scope.add_silence(&silence("new", later), &Actor::host()).await.expect("added");
    assert_eq!(scope.silences().await.expect("read"), [silence("new", later)]);
    for number in 1..200 {
        scope.add_silence(&silence(&format!("n{number}"), later), &Actor::host()).await.expect("added");
    }
    scope.commit().await.expect("committed");
    let mut scope = scope_of(test, &acme()).await;
    let over = scope.add_silence(&silence("over", later), &Actor::host()).await;
    assert_eq!(over.expect_err("there are too many").code(), Code::QuotaExceeded);
    drop(scope);
    let mut scope = scope_of(test, &acme()).await;
    scope.delete_silence("new", &Actor::host()).await.expect("deleted");
    assert_eq!(scope.delete_silence("new", &Actor::host()).await.expect_err("gone").code(), Code::NotFound);
}

pub(super) async fn notifications_wait_for_their_receiver(test: &TestStore) {
    create_tenant(&test.store, "acme").await;
    let mut scope = scope_of(test, &acme()).await;
    scope.set_receiver(&receiver("team"), "sealed", None, &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    let notification = |id: u32| NewNotification {
        tenant: acme(),
        id: format!("01{id:04}"),
        receiver: receiver("team").name,
        body: "{}".to_owned(),
    };
    let new: Vec<_> = (0..5).map(notification).collect();
    let mut host = test.store.host_write().await.expect("a scope");
    host.add_notifications(&new, 100).await.expect("added");
    host.add_notifications(&new[..1], 100).await.expect("the same again is no other");
    assert!(host.due_notifications(99, 10, 100).await.expect("read").is_empty());
    let due = host.due_notifications(100, 2, 100).await.expect("read");
    assert_eq!(due.iter().map(|due| &due.notification).collect::<Vec<_>>(), [&new[0], &new[1]]);
    let other = NewNotification { receiver: "other".parse().expect("a name"), ..notification(9) };
    host.add_notifications(std::slice::from_ref(&other), 100).await.expect("added");
    let due = host.due_notifications(100, 1, 100).await.expect("read");
    assert_eq!(due.iter().map(|due| &due.notification).collect::<Vec<_>>(), [&other, &new[0]], "of each receiver");
    let due = host.due_notifications(100, 10, 3).await.expect("read");
    let due: Vec<_> = due.iter().map(|due| &due.notification).collect();
    assert_eq!(due, [&other, &new[0], &new[1]], "those of one take the place of no other");
    host.delete_orphan_notification(&new[0]).await.expect("it is no orphan");
    host.delete_orphan_notification(&other).await.expect("deleted");
    host.postpone_notification(&new[0], 1, 500).await.expect("postponed");
    host.delete_notification(&new[1]).await.expect("deleted");
    assert_eq!(host.bound_notifications(&acme(), &receiver("team").name, 2).await.expect("bounded"), 2);
    let due = host.due_notifications(1_000, 10, 100).await.expect("read");
    assert_eq!(due.iter().map(|due| &due.notification).collect::<Vec<_>>(), [&new[3], &new[4]], "the newest are kept");
    let mut circuit = ReceiverCircuit::default();
    circuit.record(false, 7);
    let name = receiver("team").name;
    let before = host.all_receivers().await.expect("read").remove(0);
    assert!(host.receiver_attempted(&before, &circuit, Some("it \"hangs\""), 7).await.expect("stored"));
    let stored = host.all_receivers().await.expect("read").remove(0);
    assert_eq!((stored.circuit, stored.receiver.error.as_deref()), (circuit, Some("it \"hangs\"")));
    assert!(host.receiver_attempted(&before, &ReceiverCircuit::default(), None, 9).await.expect("stored"));
    let stored = host.all_receivers().await.expect("read").remove(0);
    assert_eq!((stored.receiver.error, stored.receiver.delivered_at), (None, Some(9)));
    host.commit().await.expect("committed");
    let mut scope = scope_of(test, &acme()).await;
    let changed = Receiver { revision: before.receiver.revision + 1, ..receiver("team") };
    scope.set_receiver(&changed, "sealed", Some(&before.receiver), &Actor::host()).await.expect("changed");
    scope.commit().await.expect("committed");
    let mut host = test.store.host_write().await.expect("a scope");
    assert!(
        !host.receiver_attempted(&before, &ReceiverCircuit::default(), Some("late"), 9).await.expect("asked"),
        "it was changed"
    );
    assert_eq!(host.all_receivers().await.expect("read").remove(0).receiver.error, None);
    host.commit().await.expect("committed");
    let mut scope = scope_of(test, &acme()).await;
    scope.exchange_receiver(&name, "other", "anew").await.expect("nothing to do");
    assert_eq!(scope.receiver(&name).await.expect("read").expect("it is there").ciphertext, "sealed");
    let mut names_it = rule("errors", 1);
    names_it.settings.receivers = vec![name.clone()];
    scope.set_alert_rule(&names_it, None, &Actor::host()).await.expect("set");
    let refused = scope.delete_receiver(&name, &Actor::host()).await.expect_err("a rule names it");
    assert_eq!(refused.code(), Code::InUse);
    scope.delete_alert_rule(&names_it.name, &Actor::host()).await.expect("deleted");
    scope.delete_receiver(&name, &Actor::host()).await.expect("deleted");
    scope.commit().await.expect("committed");
    let mut host = test.store.host_write().await.expect("a scope");
    assert!(host.due_notifications(1_000, 10, 100).await.expect("read").is_empty(), "they go with the receiver");
}

pub(super) async fn rows_of_a_later_release_keep_no_rule_from_being_evaluated(test: &TestStore) {
    create_tenant(&test.store, "acme").await;
    let mut scope = scope_of(test, &acme()).await;
    scope.set_alert_rule(&rule("errors", 1), None, &Actor::host()).await.expect("set");
    scope.set_receiver(&receiver("pager"), "sealed", None, &Actor::host()).await.expect("set");
    scope.set_receiver(&receiver("team"), "sealed", None, &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    let mut host = test.store.host_write().await.expect("a scope");
    for statement in [
        "UPDATE receivers SET kind = '\"carrier-pigeon\"' WHERE name = 'pager'",
        "INSERT INTO silences (tenant, id, matcher, reason, until, created_at, created_by) VALUES \
         ('acme', '01', '{\"moon\":\"full\"}', '\"\"', 9000, 1, 'ada')",
        "INSERT INTO alerts (tenant, rule, target, tracker) VALUES ('acme', 'errors', '', '{\"state\":\"dozing\"}')",
        "INSERT INTO alert_groups (tenant, rule, name, known) VALUES ('acme', 'errors', '', '7')",
    ] {
        sqlx::query(statement).execute(&mut *host.tx).await.expect("written");
    }
    assert_eq!(host.all_alert_rules().await.expect("read").len(), 1);
    let receivers = host.all_receivers().await.expect("read");
    assert_eq!(receivers.iter().map(|stored| stored.receiver.name.as_str()).collect::<Vec<_>>(), ["team"]);
    assert!(host.all_silences(0).await.expect("read").is_empty());
    assert!(host.all_alerts().await.expect("read").is_empty());
    assert!(host.all_alert_groups().await.expect("read").is_empty());
}

pub(super) async fn the_state_of_alerts_and_the_counts_of_hosts_survive(test: &TestStore) {
    create_tenant(&test.store, "acme").await;
    let row = |state| AlertRow {
        tenant: acme(),
        rule: "errors".parse().expect("a name"),
        target: "shop/production".to_owned(),
        tracker: AlertTracker { state, since: 5, fired_at: Some(5), value: Some(7.5) },
    };
    let mut host = test.store.host_write().await.expect("a scope");
    host.put_alerts(&[row(AlertState::Pending)]).await.expect("stored");
    host.put_alerts(&[row(AlertState::Firing)]).await.expect("stored");
    assert_eq!(host.all_alerts().await.expect("read"), [row(AlertState::Firing)]);
    host.put_alerts(&[row(AlertState::Inactive)]).await.expect("deleted");
    assert!(host.all_alerts().await.expect("read").is_empty());
    let group =
        GroupRow { tenant: acme(), rule: row(AlertState::Firing).rule, name: String::new(), known: <_>::default() };
    host.put_alert_groups(&[(group.clone(), false)]).await.expect("stored");
    assert_eq!(host.all_alert_groups().await.expect("read"), std::slice::from_ref(&group));
    host.put_alert_groups(&[(group, true)]).await.expect("deleted");
    assert!(host.all_alert_groups().await.expect("read").is_empty());
    let point = HostPoint { host: [(MetricName::DiskPercent, 12.5)].into(), ..HostPoint::default() };
    for (host_name, at) in [("one", 10), ("two", 15), ("one", 20)] {
        host.add_alert_point(host_name, at, &point).await.expect("added");
    }
    let read = host.alert_points(10, 20).await.expect("read");
    assert_eq!(
        read.iter().map(|point| (point.host.as_str(), point.at)).collect::<Vec<_>>(),
        [("two", 15), ("one", 20)]
    );
    assert_eq!(read[0].point, point);
    assert_eq!(host.alert_points(10, 19).await.expect("read").len(), 1, "not those of a clock that was set back");
    host.prune_alert_points(16).await.expect("pruned");
    assert_eq!(host.alert_points(0, 20).await.expect("read").len(), 1);
}

pub(super) async fn executions_are_found_by_the_text_of_their_lines(test: &TestStore) {
    let tenant = create_tenant(&test.store, "acme").await;
    let service = service(&tenant);
    let record = |at: i64, lines: Option<Value>| ExecutionRecord {
        id: ulid::Ulid::from_parts(at.unsigned_abs(), 1).to_string(),
        lines,
        ..execution_record(&tenant, at)
    };
    let line = |text: &str| Some(json!([["error", text]]));
    let batch = [
        record(1_000, line("out of \"stock\"")),
        record(2_000, line("out of \"stock\"")),
        record(3_000, line("out of money")),
        record(4_000, None),
    ];
    let mut host = test.store.host_write().await.expect("a scope");
    host.insert_executions(&batch).await.expect("stored");
    for (text, since, matches) in [
        ("out of", 0, 3),
        ("out of", 1_000, 2),
        ("of \"stock\"", 0, 2),
        ("OUT OF", 0, 0),
        ("out%of", 0, 0),
        ("out_of", 0, 0),
    ] {
        assert_eq!(host.log_matches(&service, text, since).await.expect("counted"), matches, "{text}");
    }
    let many: Vec<_> = (0..10_000).map(|number| record(10_000 + number, line("sold"))).collect();
    host.insert_executions(&many).await.expect("stored");
    assert_eq!(host.log_matches(&service, "sold", 0).await.expect("counted"), 10_000);
    assert_eq!(host.log_matches(&service, "out of", 0).await.expect("counted"), 0, "only the newest are searched");
    let staging = ServiceId { environment: Environment::Staging, ..service };
    assert_eq!(host.log_matches(&staging, "out of", 0).await.expect("counted"), 0);
    assert!(host.rollbacks_since(0).await.expect("read").is_empty());
}
