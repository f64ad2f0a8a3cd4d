//! Issues and security events, on both databases.

use super::*;
use crate::{IssueCounts, IssueQuery, IssueRow, SecurityEventQuery};
use elias_telemetry::issue::{Failure, Issue, Occurrence, Occurrences, Status, group};
use elias_telemetry::security::{Repeats, SecurityEventKey, SecurityEventKind};

on_both! {
    issues_are_read_as_they_were_written
    lists_of_issues_have_pages_and_filters
    no_occurrence_is_lost_to_a_change_at_the_same_time
    repeats_of_a_security_event_are_one_row
    an_error_with_a_character_0_is_recorded
}

fn row(of: &ServiceId, error: &str, at_ms: i64) -> IssueRow {
    let failure = Failure { code: Some("exception"), status: 500, source: "GET /", error: Some(error) };
    let seen = Occurrence { at_ms, version: 3, execution: format!("{at_ms:026}") };
    let occurrences = Occurrences::new(group(of, &failure), Some("exception".into()), seen);
    let (component, environment) = (of.component.clone(), of.environment);
    IssueRow { component, environment, issue: Issue::new(&occurrences) }
}

async fn put(store: &Store, of: &TenantId, rows: &[&IssueRow]) {
    let mut scope = store.host_write().await.expect("a scope");
    scope.lock_issues(of, IssueCounts::default()).await.expect("locked");
    for row in rows {
        scope.put_issue(of, row).await.expect("written");
    }
    scope.commit().await.expect("committed");
}

async fn issues_are_read_as_they_were_written(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let mut first = row(&service(&a), "Error: a\0 \u{1b}[2J\n    at f (src/a.ts:3:4)", 5);
    put(store, &a, &[&first]).await;
    // PostgreSQL cannot hold the character 0.
    first.issue.title = first.issue.title.replace('\0', "\u{fffd}");
    let id = first.issue.id.clone();
    assert_eq!(store.read(&a).await.expect("a scope").issue(&id).await.expect("read"), Some(first.clone()));
    for status in [
        Status::Regressed { version: 9 },
        Status::Resolved { version: 3 },
        Status::Ignored { until_count: Some(7), until_ms: None },
        Status::Ignored { until_count: None, until_ms: Some(99) },
    ] {
        first.issue.status = status;
        first.issue.assigned_to = Some("ada".into());
        put(store, &a, &[&first]).await;
        assert_eq!(store.read(&a).await.expect("a scope").issue(&id).await.expect("read"), Some(first.clone()));
    }
    assert_eq!(store.read(&b).await.expect("a scope").issue(&id).await.expect("read"), None, "it is another's");
    let mut scope = store.host_write().await.expect("a scope");
    let (found, all) = scope.issues(&a, &[&id, "none"]).await.expect("read");
    assert_eq!((found, all), (vec![first], 1));
    assert_eq!(scope.issues(&b, &[&id]).await.expect("read"), (Vec::new(), 0));
    assert_eq!(scope.prune_issues(6).await.expect("pruned"), 1);
}

async fn lists_of_issues_have_pages_and_filters(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let rows: Vec<_> =
        ["A", "B", "C", "D", "E"].map(|name| row(&service(&a), &format!("{name}: 100% _Late_"), 7)).into();
    let late = row(&ServiceId { environment: Environment::Staging, ..service(&a) }, "Error: x", 9);
    put(store, &a, &rows.iter().chain([&late]).collect::<Vec<_>>()).await;
    let list = async |wanted: IssueQuery, limit| {
        let mut scope = store.read(&a).await.expect("a scope");
        let found = scope.issues(&wanted, &AllowedServices::All, limit).await.expect("read");
        found.into_iter().map(|row| row.issue).collect::<Vec<_>>()
    };
    let all = list(IssueQuery::default(), 10).await;
    assert_eq!((all.len(), &all[0].id), (6, &late.issue.id), "the one that occurred last is the first");
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = list(IssueQuery { after: after.clone(), ..IssueQuery::default() }, 2).await;
        let Some(last) = page.last() else { break };
        after = Some((last.last.at_ms, last.id.clone()));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let count = async |wanted: IssueQuery| list(wanted, 100).await.len();
    let text = |text: &str| IssueQuery { text: text.into(), ..IssueQuery::default() };
    assert_eq!((count(text("100% _late")).await, count(text("100_")).await, count(text("%")).await), (5, 0, 5));
    let staging = IssueQuery { environment: Some(Environment::Staging), ..IssueQuery::default() };
    assert_eq!((count(staging).await, count(IssueQuery { since_ms: 8, ..IssueQuery::default() }).await), (1, 1));
    let states = |states: &[&str]| IssueQuery {
        states: states.iter().map(ToString::to_string).collect(),
        ..IssueQuery::default()
    };
    assert_eq!((count(states(&["resolved"])).await, count(states(&["resolved", "new"])).await), (0, 6));
    let mut scope = store.read(&a).await.expect("a scope");
    let only = AllowedServices::Only(vec![(shop(), Environment::Staging)]);
    assert_eq!(scope.issues(&IssueQuery::default(), &only, 10).await.expect("read").len(), 1);
}

async fn no_occurrence_is_lost_to_a_change_at_the_same_time(TestStore { store, .. }: &TestStore) {
    const TIMES: u64 = 20;
    let a = create_tenant(store, "a").await;
    let first = row(&service(&a), "Error: a", 1);
    put(store, &a, &[&first]).await;
    let id = first.issue.id;
    let count = async || {
        for _ in 0..TIMES {
            let mut scope = store.host_write().await.expect("a scope");
            scope.lock_issues(&a, IssueCounts { folded: 1, unrecorded: 2 }).await.expect("locked");
            let (mut found, _) = scope.issues(&a, &[&id]).await.expect("read");
            found[0].issue.count += 1;
            scope.put_issue(&a, &found[0]).await.expect("written");
            scope.commit().await.expect("committed");
        }
    };
    let change = async || {
        for _ in 0..TIMES {
            let mut scope = store.write(&a).await.expect("a scope");
            let mut found = scope.issue_to_change(&id).await.expect("read").expect("it is there");
            found.issue.revision += 1;
            scope.put_issue(&found).await.expect("written");
            scope.commit().await.expect("committed");
        }
    };
    tokio::join!(count(), count(), change());
    let mut scope = store.read(&a).await.expect("a scope");
    let issue = scope.issue(&id).await.expect("read").expect("it is there").issue;
    assert_eq!((issue.count, issue.revision), (1 + 2 * TIMES, 1 + TIMES));
    let counts = scope.issue_counts().await.expect("read");
    assert_eq!(counts, IssueCounts { folded: 2 * TIMES, unrecorded: 4 * TIMES });
}

async fn repeats_of_a_security_event_are_one_row(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let denied = |actor: &str| SecurityEventKey {
        kind: SecurityEventKind::Denied,
        actor: actor.into(),
        address: "192.0.2.1".into(),
        service: Some((shop(), Environment::Production)),
        subject: "GET /x\0".into(),
        code: "forbidden".into(),
    };
    let mut scope = store.host_write().await.expect("a scope");
    for (at, is_new) in [(10, true), (20, false), (4_000_000, true)] {
        let repeats = Repeats { count: 3, first_ms: at, last_ms: at };
        let added = scope.add_security_event(&a, &denied("ada"), &repeats).await.expect("stored");
        assert_eq!(added, is_new, "{at}");
    }
    let other = SecurityEventKey { kind: SecurityEventKind::LimitHit, service: None, ..denied("") };
    let repeats = Repeats { count: 1, first_ms: 5, last_ms: 5 };
    scope.add_security_event(&a, &other, &repeats).await.expect("stored");
    scope.commit().await.expect("committed");
    let list = async |of: &TenantId, wanted: SecurityEventQuery| {
        let mut scope = store.read(of).await.expect("a scope");
        scope.security_events(&wanted, 10).await.expect("read")
    };
    let all = list(&a, SecurityEventQuery::default()).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!((all[0].repeats.first_ms, &all[0].key.service), (4_000_000, &denied("").service));
    let kind = Some(SecurityEventKind::Denied);
    let before = Some(all[0].id.clone());
    let denials = list(&a, SecurityEventQuery { kind, before, ..SecurityEventQuery::default() }).await;
    assert_eq!(denials.len(), 1);
    assert_eq!(denials[0].repeats, Repeats { count: 6, first_ms: 10, last_ms: 20 });
    assert!(list(&b, SecurityEventQuery::default()).await.is_empty(), "they are another's");
    let mut scope = store.host_write().await.expect("a scope");
    scope.prune_security_events(6, 1).await.expect("pruned");
    scope.commit().await.expect("committed");
    assert_eq!(list(&a, SecurityEventQuery::default()).await, all[..1]);
}

async fn an_error_with_a_character_0_is_recorded(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let record = ExecutionRecord {
        id: "01J".into(),
        status: 500,
        outcome: "failed".into(),
        code: Some("exception".into()),
        error: Some("Error: a\0b".into()),
        lines: Some(json!([["info", "a\0b"]])),
        ..execution_record(&a, 1)
    };
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.insert_executions(std::slice::from_ref(&record)).await.expect("stored"), 1);
    assert_eq!(scope.insert_executions(&[record]).await.expect("stored"), 0, "it is there already");
    scope.commit().await.expect("committed");
    let found = store.read(&a).await.expect("a scope").execution("01J").await.expect("read").expect("it is there");
    assert_eq!(found.error.as_deref(), Some("Error: a\u{fffd}b"));
}
