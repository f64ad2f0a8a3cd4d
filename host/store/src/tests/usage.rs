//! Usage by hours, points of metrics, and adoption by weeks.

use super::*;
use crate::series::PRUNE_ACTIVE_COMPONENTS;
use crate::usage::PRUNE_USAGE;

const HOUR: i64 = 3_600_000;

fn row(tenant: &TenantId, hour: i64, source: &str, executions: u64, storage_bytes: u64) -> UsageRow {
    let usage = UsageHour {
        tenant: tenant.clone(),
        hour_at: hour * HOUR,
        executions,
        fuel: 10 * executions,
        bytes_in: 1,
        bytes_out: 3,
        storage_bytes,
    };
    UsageRow { usage, source: source.to_owned() }
}

async fn put(store: &Store, rows: &[UsageRow]) {
    let mut scope = store.host_write().await.expect("a scope");
    scope.put_usage(rows).await.expect("the store is there");
    scope.commit().await.expect("committed");
}

async fn usage(store: &Store, tenant: &TenantId) -> Vec<(i64, u64, u64)> {
    let mut scope = store.read(tenant).await.expect("a scope");
    let hours = scope.usage((0, 10 * HOUR), 100).await.expect("the store is there");
    hours.iter().map(|usage| (usage.hour_at / HOUR, usage.executions, usage.storage_bytes)).collect()
}

async fn usage_is_the_sum_of_what_hosts_have_counted_however_often_they_tell_it(test_store: &TestStore) {
    let store = &test_store.store;
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let first = [row(&a, 1, "host-1", 5, 0), row(&a, 2, "host-1", 1, 0), row(&b, 1, "host-1", 9, 0)];
    put(store, &first).await;
    put(store, &first).await;
    put(store, &[row(&a, 1, "host-1", 7, 0), row(&a, 1, "host-2", 100, 0), row(&a, 1, "", 0, 50)]).await;
    put(store, &[row(&a, 1, "", 0, 20)]).await;
    assert_eq!(usage(store, &a).await, [(1, 107, 50), (2, 1, 0)], "of storage the most counts");
    assert_eq!(usage(store, &b).await, [(1, 9, 0)]);
    let mut scope = store.host_read().await.expect("a scope");
    let all = scope.usage_of_all((0, 10 * HOUR), (i64::MIN, ""), 2).await.expect("the store is there");
    let tenants: Vec<_> = all.iter().map(|usage| (usage.tenant.as_str(), usage.hour_at / HOUR)).collect();
    assert_eq!(tenants, [("a", 1), ("b", 1)]);
    let rest = scope.usage_of_all((0, 10 * HOUR), (HOUR, "b"), 10).await.expect("the store is there");
    assert_eq!(rest.len(), 1);
    drop(scope);
    let mut scope = store.host_write().await.expect("a scope");
    scope.prune_usage(2 * HOUR).await.expect("the store is there");
    scope.commit().await.expect("committed");
    assert_eq!(usage(store, &a).await, [(2, 1, 0)]);
}

async fn the_webhook_is_told_of_each_hour_once_and_again_when_it_has_changed(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    put(store, &[row(&a, 1, "host-1", 5, 0), row(&a, 3, "host-1", 5, 0)]).await;
    let untold = async || {
        let mut scope = store.host_read().await.expect("a scope");
        scope.untold_usage((0, 3 * HOUR), 10).await.expect("the store is there")
    };
    let tell = async |notice: &UsageNotice| {
        let mut scope = store.host_write().await.expect("a scope");
        scope.usage_told(notice, 7).await.expect("the store is there");
        scope.commit().await.expect("committed");
    };
    let first = untold().await;
    assert_eq!(first.iter().map(|notice| (notice.usage.executions, notice.revision)).collect::<Vec<_>>(), [(5, 1)]);
    tell(&first[0]).await;
    assert!(untold().await.is_empty());
    // A host that was killed has started again.
    put(store, &[row(&a, 1, "host-2", 2, 0)]).await;
    let second = untold().await;
    assert_eq!(second.iter().map(|notice| (notice.usage.executions, notice.revision)).collect::<Vec<_>>(), [(7, 2)]);
    tell(&second[0]).await;
    assert!(untold().await.is_empty());
}

async fn points_are_those_of_the_services_that_are_asked_for(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    let service = |component: &str, environment| Some((component.parse().expect("a name"), environment));
    let point = |service: &Option<(ComponentName, Environment)>, step_ms, at| SeriesRow {
        tenant: a.clone(),
        service: service.clone(),
        step_ms,
        at,
        point: "{}".to_owned(),
    };
    let shop = service("shop", Environment::Production);
    let staging = service("shop", Environment::Staging);
    let rows = [point(&shop, 60, 60), point(&shop, 60, 120), point(&staging, 60, 60), point(&None, 60, 60)];
    for source in ["run-1", "run-2", "run-2"] {
        let mut scope = store.host_write().await.expect("a scope");
        scope.put_points(source, &rows).await.expect("the store is there");
        scope.put_points(source, &[point(&shop, 3_600, 0)]).await.expect("the store is there");
        scope.commit().await.expect("committed");
    }
    let count = async |filter: SeriesFilter<'_>, allowed: &AllowedServices| {
        let mut scope = store.read(&a).await.expect("a scope");
        scope.points(filter, allowed).await.expect("the store is there").len()
    };
    let all = SeriesFilter { component: None, environment: None, step_ms: 60, time: (0, 1_000) };
    assert_eq!(count(all, &AllowedServices::All).await, 8);
    assert_eq!(count(SeriesFilter { time: (61, 1_000), ..all }, &AllowedServices::All).await, 2);
    assert_eq!(count(SeriesFilter { step_ms: 3_600, ..all }, &AllowedServices::All).await, 2);
    let production = SeriesFilter { environment: Some(Environment::Production), ..all };
    assert_eq!(count(production, &AllowedServices::All).await, 4);
    let only = AllowedServices::Only(vec![("shop".parse().expect("a name"), Environment::Staging)]);
    assert_eq!(count(all, &only).await, 2, "nor those that share a series");
    let mut scope = store.host_write().await.expect("a scope");
    scope.prune_points(60, 120).await.expect("the store is there");
    scope.commit().await.expect("committed");
    assert_eq!(count(all, &AllowedServices::All).await, 2);
    assert_eq!(count(SeriesFilter { step_ms: 3_600, ..all }, &AllowedServices::All).await, 2);
}

async fn adoption_counts_what_is_different_in_a_week(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    let this_week = week_of(now_ms());
    for (component, week_at) in [("shop", this_week), ("shop", this_week), ("blog", this_week), ("shop", this_week - 1)]
    {
        let mut scope = store.host_write().await.expect("a scope");
        let component = component.parse().expect("a name");
        scope.component_is_active(&a, &component, week_at).await.expect("the store is there");
        scope.commit().await.expect("committed");
    }
    let mut scope = store.read(&a).await.expect("a scope");
    let weeks = scope.adoption(this_week).await.expect("the store is there");
    let expected = elias_api::AdoptionWeek { week_at: this_week, active_components: 2, ..Default::default() };
    assert_eq!(weeks, [expected]);
}

/// A year of usage is much, and what is deleted of it every ten minutes is little.
async fn old_usage_is_found_by_an_index(TestStore { store, .. }: &TestStore) {
    create_tenant(store, "a").await;
    let amounts = "1, 1, 1, 1, 1";
    for rows in [
        format!(
            "INSERT INTO usage_hours (tenant, hour_at, source, executions, fuel, bytes_in, bytes_out, storage_bytes) \
             ROWS SELECT 'a', i, 'host', {amounts} FROM n"
        ),
        format!(
            "INSERT INTO usage_notices (tenant, hour_at, revision, executions, fuel, bytes_in, bytes_out, \
             storage_bytes, sent_at) ROWS SELECT 'a', i, 1, {amounts}, i FROM n"
        ),
        "INSERT INTO active_components (tenant, week_at, component) ROWS SELECT 'a', i, 'shop' FROM n".to_owned(),
    ] {
        plans::fill(store, &rows).await;
    }
    sqlx::query("ANALYZE").execute(&store.pool).await.expect("analyzed");
    let mut scope = store.queue_write().await.expect("a scope");
    for sql in PRUNE_USAGE.into_iter().chain([PRUNE_ACTIVE_COMPONENTS]) {
        let plan = plans::plan(&mut scope, sql, vec![plans::Value::Number(10)], "").await;
        let reads_all = |line: &String| plans::reads_all(store.dialect, line, |_, _| false);
        assert!(!plan.is_empty() && !plan.iter().any(reads_all), "{sql}\n{}", plan.join("\n"));
    }
}

on_both! {
    old_usage_is_found_by_an_index
    usage_is_the_sum_of_what_hosts_have_counted_however_often_they_tell_it
    the_webhook_is_told_of_each_hour_once_and_again_when_it_has_changed
    points_are_those_of_the_services_that_are_asked_for
    adoption_counts_what_is_different_in_a_week
}
