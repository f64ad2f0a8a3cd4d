//! The functions of the store, once on SQLite and once on PostgreSQL (where ELIAS_TEST_POSTGRES is set).

/// Runs each of these on each store.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_sqlite { $(#[tokio::test] async fn $test() { super::$test(&super::sqlite()).await; })* }
        mod on_postgres { $(#[tokio::test] async fn $test() {
            if let Some(test_store) = super::postgres().await { super::$test(&test_store).await; }
        })* }
    };
}

mod access;
mod alerts;
mod drafts;
mod durability;
mod flags;
mod idempotent_requests;
mod identity;
mod issues;
pub(crate) mod plans;
mod spans;
mod support;
mod tls;
mod triggers;
mod usage;
mod workers;

use super::audit::NOTHING;
use super::*;
use access::{roles_have_revisions_and_are_bounded, sessions_are_a_tenants_and_end, users_are_a_tenants_and_bounded};
use alerts::{
    alert_rules_have_revisions_and_are_bounded, executions_are_found_by_the_text_of_their_lines,
    notifications_wait_for_their_receiver, rows_of_a_later_release_keep_no_rule_from_being_evaluated,
    silences_end_and_are_bounded, the_state_of_alerts_and_the_counts_of_hosts_survive,
};
use drafts::drafts_have_revisions_and_are_bounded;
use elias_api::{
    Actor, ExecutionFilter, ExecutionRecord, JobFilter, RecordedCalls, RecordedRun, TenantSettings, TraceFilter,
};
use elias_delivery::experiment::VariantMetrics;
use elias_names::{ComponentName, Digest, Environment, ServiceId};
use flags::{flags_are_bounded, flags_have_revisions_and_are_a_tenants};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use std::time::Duration;
use support::*;

async fn tenants_see_only_what_is_theirs(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    add_version(store, &a, b"of a").await.expect("stored");
    add_version(store, &b, b"of b").await.expect("stored");
    let mut scope = store.read(&b).await.expect("a scope");
    let versions = scope.versions(&shop(), None, 10).await.expect("read");
    assert_eq!(versions.iter().map(|version| version.digest.clone()).collect::<Vec<_>>(), [Digest::of(b"of b")]);
    assert_eq!(scope.audit_entries(None, 0, 10).await.expect("read").len(), 2, "its own creation, its own version");
    // PostgreSQL guards the rows also from a statement that forgets the tenant.
    if store.dialect == Dialect::Postgres {
        let rows = sqlx::query("SELECT tenant FROM versions").fetch_all(&mut *scope.tx).await.expect("read");
        assert_eq!(rows.len(), 1, "a statement without a condition sees one tenant's rows");
        let stolen = sqlx::query("UPDATE components SET versions = 7 WHERE tenant = 'a'").execute(&mut *scope.tx).await;
        assert_eq!(stolen.expect("it runs").rows_affected(), 0);
    }
}

async fn versions_count_up_also_when_they_come_at_once(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let uploads = (0..8_u8).map(|byte| {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { add_version(&store, &a, &[byte]).await.expect("stored").number })
    });
    let mut numbers = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        numbers.push(upload.await.expect("no panic"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    assert_eq!(store.check_log().await.expect("the log is whole"), 8);
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.stored_bytes().await.expect("read"), 8);
}

async fn of_two_changes_at_once_one_is_stale(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    add_version(store, &a, b"1").await.expect("stored");
    add_version(store, &a, b"2").await.expect("stored");
    let before = store.changes().await.expect("read");
    deploy(store, &a, 1, 0).await.expect("the first");
    for revision in [0, 7] {
        assert_eq!(deploy(store, &a, 2, revision).await.expect_err("too late").code(), Code::Stale, "{revision}");
    }
    deploy(store, &a, 2, 1).await.expect("who has read the newest");
    assert_eq!(store.changes().await.expect("read"), before + 2, "what failed changed nothing");
    let mut scope = store.host_read().await.expect("a scope");
    let target = scope.target(&service(&a)).await.expect("read").expect("it serves");
    assert_eq!((target.release.version, target.revision, target.canary), (2, 2, None));
    assert_eq!(scope.targets(TargetFilter::All).await.expect("read").len(), 1);
}

async fn what_changed_is_read_and_nothing_else(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    for tenant in [&a, &b] {
        add_version(store, tenant, b"1").await.expect("stored");
        deploy(store, tenant, 1, 0).await.expect("it serves");
    }
    /// The changes after a number: the tenants that were deleted, and whose services.
    async fn after(store: &Store, change: i64) -> (Vec<String>, Vec<String>) {
        let mut scope = store.host_read().await.expect("a scope");
        let tenants = scope.deleted_tenants(TargetFilter::ChangedAfter(change)).await.expect("read");
        let targets = scope.targets(TargetFilter::ChangedAfter(change)).await.expect("read");
        let mut of: Vec<_> = targets.iter().map(|target| target.id.tenant.to_string()).collect();
        of.sort();
        (tenants.iter().map(ToString::to_string).collect(), of)
    }
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(after(store, 0).await.1, ["a", "b"]);
    let seen = store.changes().await.expect("read");
    assert_eq!(after(store, seen).await, (names(&[]), names(&[])));
    deploy(store, &b, 1, 1).await.expect("it serves");
    assert_eq!(after(store, seen).await, (names(&[]), names(&["b"])));

    let seen = store.changes().await.expect("read");
    let mut scope = store.write(&a).await.expect("a scope");
    scope.set_secret(&service(&a), "KEY", "sealed", &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    let mut scope = store.host_read().await.expect("a scope");
    let targets = scope.targets(TargetFilter::ChangedAfter(seen)).await.expect("read");
    assert_eq!((targets.len(), targets[0].secrets["KEY"].as_str()), (1, "sealed"));
    drop(scope);

    let seen = store.changes().await.expect("read");
    let mut scope = store.write(&a).await.expect("a scope");
    scope.set_tenant(&TenantSettings::default(), None, &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    assert_eq!(after(store, seen).await, (names(&[]), names(&["a"])));
    let mut scope = store.write(&b).await.expect("a scope");
    scope.delete_tenant(&Actor::host()).await.expect("deleted");
    scope.commit().await.expect("committed");
    let mut scope = store.host_read().await.expect("a scope");
    assert_eq!(scope.latest_known_change().await.expect("read"), seen + 2);
    drop(scope);
    let (tenants, of) = after(store, seen + 1).await;
    assert_eq!((tenants, of), (names(&["b"]), names(&[])), "a tenant that is gone is told without services");
}

async fn a_version_that_serves_is_not_deleted(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    add_version(store, &a, b"1").await.expect("stored");
    add_version(store, &a, b"2").await.expect("stored");
    deploy(store, &a, 1, 0).await.expect("deployed");
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.delete_version(&shop(), 1, &Actor::host()).await.expect_err("it serves").code(), Code::InUse);
    assert!(!scope.delete_version(&shop(), 2, &Actor::host()).await.expect("nothing refers to it"), "one is left");
    assert_eq!(scope.version(&shop(), 2).await.expect_err("gone").code(), Code::NotFound);
}

async fn a_component_goes_with_its_last_version_and_counts_again_when_it_comes_back(
    TestStore { store, .. }: &TestStore,
) {
    let a = create_tenant(store, "a").await;
    add_version(store, &a, b"1").await.expect("stored");
    let mut scope = store.write(&a).await.expect("a scope");
    assert!(scope.delete_version(&shop(), 1, &Actor::host()).await.expect("nothing refers to it"), "the last");
    assert!(scope.components("", None, 10).await.expect("read").is_empty());
    scope.next_version(&"blog".parse().expect("a name"), 1).await.expect("within the quota");
    scope.commit().await.expect("committed");
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.next_version(&shop(), 1).await.expect_err("over it").code(), Code::QuotaExceeded);
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.next_version(&shop(), 2).await.expect("within the quota"), 2, "no number comes twice");
    assert_eq!(scope.components("", None, 10).await.expect("read").len(), 2);
}

async fn what_is_not_committed_never_was(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.next_version(&shop(), 10).await.expect("a number");
    scope.audit(&Actor::host(), "x", "y", NOTHING, NOTHING).await.expect("written");
    drop(scope);
    let mut scope = store.read(&a).await.expect("a scope");
    assert!(scope.components("", None, 10).await.expect("read").is_empty());
    assert_eq!(scope.audit_entries(None, 0, 10).await.expect("read").len(), 1, "the tenant's creation");
}

async fn quotas_of_components_hold(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    for name in ["one", "two"] {
        scope.next_version(&name.parse().expect("a name"), 2).await.expect("within the quota");
    }
    let third = scope.next_version(&"three".parse().expect("a name"), 2).await;
    assert_eq!(third.expect_err("over it").code(), Code::QuotaExceeded);
}

async fn what_a_tenant_has_is_bounded_and_what_is_replaced_counts_once(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    for sealed in ["one", "another"] {
        scope.set_secret(&service(&a), "TOKEN", sealed, &Actor::host()).await.expect("it is set, and replaced");
    }
    let count = "SELECT count(*) AS rows_there FROM secrets WHERE tenant = $1";
    scope.at_most(1, "secrets", count).await.expect("there is one");
    scope.set_secret(&service(&a), "OTHER", "two", &Actor::host()).await.expect("another one");
    assert_eq!(scope.at_most(1, "secrets", count).await.expect_err("two").code(), Code::QuotaExceeded);
}

async fn of_what_was_done_the_newest_is_kept_and_what_serves(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    later().await;
    add_version(store, &a, b"1").await.expect("stored");
    add_version(store, &b, b"1").await.expect("stored");
    for revision in 0..5 {
        deploy(store, &a, 1, revision).await.expect("it serves");
        later().await;
    }
    deploy(store, &b, 1, 0).await.expect("it serves");
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.prune_deployments(2).await.expect("pruned"), 3, "the other tenant has one");
    assert_eq!(scope.prune_deployments(0).await.expect("pruned"), 1, "the two that serve stay");
    let deleted = scope.prune_audit(1).await.expect("pruned");
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.deployments(&service(&a), None, 10).await.expect("read").len(), 1);
    let audit = scope.audit_entries(None, 0, 10).await.expect("read");
    assert!(deleted > 0 && audit.len() == 1 && audit[0].action.starts_with("version"), "{deleted} {audit:?}");
}

async fn answers_are_given_again_until_newer_ones_take_their_place(TestStore { store, .. }: &TestStore) {
    use super::idempotency::{ANSWER_BYTES_MAX, ANSWERS_MAX};
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    let answer = |bytes: usize| StoredResponse { status: 201, body: "x".repeat(bytes) };
    scope.remember("first", "POST /", &answer(7)).await.expect("kept");
    let known = scope.remembered("first", "POST /").await.expect("read").expect("it is there");
    assert_eq!((known.status, known.body.len()), (201, 7));
    let other = scope.remembered("first", "POST /other").await.expect_err("another request");
    assert_eq!(other.code(), Code::IdempotencyMismatch);
    later().await;
    for number in 0..ANSWERS_MAX {
        scope.remember(&format!("of many {number}"), "POST /", &answer(1)).await.expect("kept");
    }
    assert!(scope.remembered("first", "POST /").await.expect("read").is_none(), "the oldest is forgotten");
    assert!(scope.remembered("of many 0", "POST /").await.expect("read").is_some());
    later().await;
    let large = usize::try_from(ANSWER_BYTES_MAX).expect("it fits") / 2;
    for number in 0..3 {
        scope.remember(&format!("large {number}"), "POST /", &answer(large)).await.expect("kept");
        later().await;
    }
    for (key, kept) in [("of many 0", false), ("large 0", false), ("large 1", true), ("large 2", true)] {
        assert_eq!(scope.remembered(key, "POST /").await.expect("read").is_some(), kept, "{key}");
    }
}

async fn metrics_of_variants_are_those_of_other_hosts_and_go_with_the_experiment(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let seen = |skipped| VariantMetrics { skipped, ..VariantMetrics::default() };
    for tenant in [&a, &b] {
        let mut scope = store.write(tenant).await.expect("a scope");
        for (host, skipped) in [("one", 1), ("two", 2), ("two", 3)] {
            scope.set_variant_metrics(&service(tenant), "x", host, "stage2", &seen(skipped)).await.expect("stored");
        }
        scope.commit().await.expect("committed");
    }
    let mut scope = store.write(&a).await.expect("a scope");
    let theirs = scope.variant_metrics_elsewhere(&service(&a), "x", "one").await.expect("read");
    assert_eq!(theirs, [("stage2".to_owned(), seen(3))], "the latest of the other host");
    assert_eq!(
        scope.variant_metrics_elsewhere(&service(&a), "y", "one").await.expect("read"),
        [],
        "of another experiment"
    );
    scope.forget_variant_metrics(&service(&a)).await.expect("forgotten");
    assert_eq!(scope.variant_metrics_elsewhere(&service(&a), "x", "none").await.expect("read"), []);
    scope.commit().await.expect("committed");
    let mut scope = store.read(&b).await.expect("a scope");
    assert_eq!(
        scope.variant_metrics_elsewhere(&service(&b), "x", "none").await.expect("read").len(),
        2,
        "another tenant's stay"
    );
}

async fn executions_are_found_and_pruned(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let record = |at: i64, outcome: &str| ExecutionRecord {
        run: (at % 2 == 0).then(|| RecordedRun { job: format!("{at:026}"), attempt: 2, cause: None }),
        trace: (at % 10 == 0).then(|| format!("{:032x}", at / 100)),
        host_calls: vec![RecordedCalls { capability: "db".into(), calls: 2, duration_us: 3 }],
        flags: [("banner".to_owned(), "on".to_owned())].into(),
        outcome: outcome.into(),
        lines: Some(json!([["info", "a line"]])),
        ..execution_record(&a, at)
    };
    let mut scope = store.host_write().await.expect("a scope");
    let batch: Vec<_> = (0..2_500).map(|at| record(at, if at % 100 == 0 { "failed" } else { "completed" })).collect();
    scope.insert_executions(&batch).await.expect("stored");
    scope.insert_executions(&batch[..1]).await.expect("the same again is not an error");
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let failed = ExecutionFilter { failed: Some(true), component: Some(shop()), ..ExecutionFilter::default() };
    assert_eq!(scope.executions(&failed, &AllowedServices::All, 100).await.expect("read").len(), 25);
    assert_eq!(scope.execution(&format!("{:026}", 2_499)).await.expect("read"), Some(record(2_499, "completed")));
    let of_job = ExecutionFilter { job: Some(format!("{:026}", 12)), ..ExecutionFilter::default() };
    assert_eq!(scope.executions(&of_job, &AllowedServices::All, 9).await.expect("read"), [record(12, "completed")]);
    let of_none = ExecutionFilter { job: Some("%".to_owned()), ..ExecutionFilter::default() };
    assert_eq!(scope.executions(&of_none, &AllowedServices::All, 9).await.expect("read"), []);
    let of_trace = ExecutionFilter { trace: Some(format!("{:032x}", 3)), ..ExecutionFilter::default() };
    let mut found = async |filter: &ExecutionFilter, limit| {
        let found = scope.executions(filter, &AllowedServices::All, limit).await.expect("read");
        found.iter().map(|record| record.started_at).collect::<Vec<_>>()
    };
    assert_eq!(found(&of_trace, 3).await, [390, 380, 370]);
    assert_eq!(found(&ExecutionFilter { failed: Some(true), ..of_trace.clone() }, 9).await, [300], "both hold");
    assert_eq!(found(&ExecutionFilter { before: Some(format!("{:026}", 320)), ..of_trace }, 9).await, [310, 300]);
    let before = ExecutionFilter { before: Some(format!("{:026}", 10)), ..ExecutionFilter::default() };
    let mut page = async |allowed: AllowedServices| {
        let page = scope.executions(&before, &allowed, 3).await.expect("read");
        page.iter().map(|record| record.started_at).collect::<Vec<_>>()
    };
    assert_eq!(page(AllowedServices::All).await, [9, 8, 7]);
    let shops = |environment| AllowedServices::Only(vec![(shop(), environment)]);
    assert_eq!(page(shops(Environment::Production)).await, [9, 8, 7]);
    assert_eq!(page(shops(Environment::Dev)).await, [0; 0]);
    drop(scope);
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.prune_executions(1_000, 100).await.expect("pruned"), 2_400);
    scope.commit().await.expect("committed");
}

async fn any_text_may_stand_for_the_id_where_a_page_begins(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let text = "\0~";
    let mut scope = store.read(&a).await.expect("a scope");
    scope.audit_entries(Some(text), 0, 9).await.expect("a page");
    scope.deployments(&service(&a), Some(text), 9).await.expect("a page");
    scope.traces(&TraceFilter::default(), Some(text), &AllowedServices::All, 9).await.expect("a page");
    let filter = ExecutionFilter { before: Some(text.to_owned()), ..ExecutionFilter::default() };
    scope.executions(&filter, &AllowedServices::All, 9).await.expect("a page");
    let filter = JobFilter { before: Some(text.to_owned()), ..JobFilter::default() };
    scope.jobs(&filter, &AllowedServices::All, 9).await.expect("a page");
    scope.jobs_with_steps(&filter, &AllowedServices::All, 9).await.expect("a page");
    let events = SecurityEventQuery { before: Some(text.to_owned()), ..SecurityEventQuery::default() };
    scope.security_events(&events, 9).await.expect("a page");
}

on_both! {
    tenants_see_only_what_is_theirs
    versions_count_up_also_when_they_come_at_once
    of_two_changes_at_once_one_is_stale
    what_changed_is_read_and_nothing_else
    flags_have_revisions_and_are_a_tenants
    flags_are_bounded
    a_version_that_serves_is_not_deleted
    what_is_not_committed_never_was
    quotas_of_components_hold
    a_component_goes_with_its_last_version_and_counts_again_when_it_comes_back
    what_a_tenant_has_is_bounded_and_what_is_replaced_counts_once
    of_what_was_done_the_newest_is_kept_and_what_serves
    answers_are_given_again_until_newer_ones_take_their_place
    metrics_of_variants_are_those_of_other_hosts_and_go_with_the_experiment
    executions_are_found_and_pruned
    any_text_may_stand_for_the_id_where_a_page_begins
    drafts_have_revisions_and_are_bounded
    roles_have_revisions_and_are_bounded
    users_are_a_tenants_and_bounded
    sessions_are_a_tenants_and_end
    alert_rules_have_revisions_and_are_bounded
    silences_end_and_are_bounded
    notifications_wait_for_their_receiver
    rows_of_a_later_release_keep_no_rule_from_being_evaluated
    the_state_of_alerts_and_the_counts_of_hosts_survive
    executions_are_found_by_the_text_of_their_lines
}
