//! The spans of executions.

use super::*;
use crate::spans::TRACE_BYTES_MAX;
use elias_api::{ExecutionTrace, Span, TraceFilter, TraceSummary};

/// The spans of the execution `at`: of the trace `at / 3`, each third failed, `at` microseconds long.
fn execution(tenant: &TenantId, at: u64) -> ExecutionTrace {
    let span = Span {
        id: format!("{:016x}", at + 1),
        parent: None,
        name: "GET".to_owned(),
        kind: "server".to_owned(),
        started_us: at * 1_000_000,
        duration_us: at,
        failed: at.is_multiple_of(3),
        message: Some("\u{0}<b>".to_owned()),
        attributes: [("http.request.method".to_owned(), json!("GET"))].into(),
    };
    ExecutionTrace {
        tenant: tenant.clone(),
        trace: format!("{:032x}", at / 3 + 1),
        execution: format!("{at:026}"),
        component: shop(),
        environment: if at.is_multiple_of(2) { Environment::Production } else { Environment::Dev },
        version: 1,
        name: format!("GET /{at}"),
        started_us: at * 1_000_000,
        duration_us: at,
        failed: at.is_multiple_of(3),
        left_out: 2,
        spans: vec![span],
    }
}

async fn stored(store: &Store, count: u64) -> (TenantId, TenantId) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let mut scope = store.host_write().await.expect("a scope");
    let batch: Vec<_> = (0..count).map(|at| execution(&a, at)).chain([execution(&b, 0)]).collect();
    scope.insert_spans(&batch).await.expect("stored");
    scope.insert_spans(&batch[..1]).await.expect("the same again is not an error");
    scope.commit().await.expect("committed");
    (a, b)
}

async fn traces_are_listed_and_shown(TestStore { store, .. }: &TestStore) {
    let (a, b) = stored(store, 900).await;
    let mut scope = store.read(&a).await.expect("a scope");
    let id = |number: u64| format!("{number:032x}");
    let all = scope.trace(&id(1), &AllowedServices::All, 3).await.expect("read");
    assert_eq!(all, ([0, 1, 2].map(|at| execution(&a, at)).to_vec(), false));
    let dev = AllowedServices::Only(vec![(shop(), Environment::Dev)]);
    assert_eq!(scope.trace(&id(1), &dev, 100).await.expect("read"), (vec![execution(&a, 1)], false));
    let (cut, is_cut) = scope.trace(&id(1), &AllowedServices::All, 2).await.expect("read");
    assert_eq!((cut.len(), is_cut), (2, true));

    let newest = TraceSummary {
        trace: id(300),
        name: "GET /897".to_owned(),
        component: shop(),
        environment: Environment::Dev,
        started_us: 897_000_000,
        duration_us: 2_000_899,
        executions: 3,
        failed: 1,
        last: format!("{:026}", 899),
    };
    let listed = scope.traces(&TraceFilter::default(), None, &AllowedServices::All, 2).await.expect("read");
    assert_eq!(listed[0], newest);
    let mut found = async |filter: TraceFilter, before: Option<String>, allowed: &AllowedServices| {
        let found = scope.traces(&filter, before.as_deref(), allowed, 3).await.expect("read");
        found.iter().map(|found| (found.trace.clone(), found.executions)).collect::<Vec<_>>()
    };
    let every = AllowedServices::All;
    let of = |numbers: [u64; 3], executions| numbers.map(|number| (id(number), executions)).to_vec();
    assert_eq!(found(TraceFilter::default(), Some(listed[1].last.clone()), &every).await, of([298, 297, 296], 3));
    let long = TraceFilter { min_duration_ms: Some(1), ..TraceFilter::default() };
    assert!(found(long, None, &every).await.is_empty(), "none took a millisecond");
    let failed = TraceFilter { failed: Some(true), until: Some(10_000), ..TraceFilter::default() };
    assert_eq!(found(failed, None, &every).await, of([4, 3, 2], 3), "a trace is counted whole");
    let since = TraceFilter { since: Some(897_500), ..TraceFilter::default() };
    assert_eq!(found(since, None, &every).await, [(id(300), 3)]);
    assert_eq!(found(TraceFilter::default(), None, &dev).await, [(id(300), 2), (id(299), 1), (id(298), 2)]);
    drop(scope);
    let mut scope = store.read(&b).await.expect("a scope");
    let of_b = (vec![execution(&b, 0)], false);
    assert_eq!(scope.trace(&id(1), &AllowedServices::All, 9).await.expect("read"), of_b);
    assert_eq!(scope.trace(&id(2), &AllowedServices::All, 9).await.expect("read"), (Vec::new(), false));
}

async fn a_large_trace_is_shown_in_part(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let large = |at| {
        let mut large = execution(&a, at);
        large.spans[0].message = Some("x".repeat(TRACE_BYTES_MAX * 3 / 4));
        large
    };
    let mut scope = store.host_write().await.expect("a scope");
    scope.insert_spans(&[large(0), large(1), large(2)]).await.expect("stored");
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let (shown, is_cut) = scope.trace(&format!("{:032x}", 1), &AllowedServices::All, 100).await.expect("read");
    assert_eq!((shown.len(), is_cut), (2, true));
}

async fn old_spans_are_deleted_and_more_than_are_kept(TestStore { store, .. }: &TestStore) {
    let (a, b) = stored(store, 900).await;
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.prune_spans(100_000, 50).await.expect("pruned"), 100 + 1 + 750);
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let kept = scope.traces(&TraceFilter::default(), None, &AllowedServices::All, 1_000).await.expect("read");
    assert_eq!(kept.iter().map(|trace| trace.executions).sum::<u32>(), 50);
    drop(scope);
    let mut scope = store.read(&b).await.expect("a scope");
    let kept = scope.traces(&TraceFilter::default(), None, &AllowedServices::All, 9).await.expect("read");
    assert_eq!(kept, []);
}

/// Databases of a language have punctuation before digits.
#[tokio::test]
async fn lists_are_whole_in_a_database_of_any_collation() {
    const ENGLISH: &str = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
    let Some(TestStore { store, .. }) = &postgres_with(ENGLISH).await else { return };
    let (a, _) = stored(store, 3).await;
    let mut scope = store.host_write().await.expect("a scope");
    let record = ExecutionRecord { id: ulid::Ulid::new().to_string(), ..execution_record(&a, 1) };
    scope.insert_executions(&[record]).await.expect("recorded");
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let every = AllowedServices::All;
    assert_eq!(scope.traces(&TraceFilter::default(), None, &every, 9).await.expect("read").len(), 1);
    assert_eq!(scope.executions(&ExecutionFilter::default(), &every, 9).await.expect("read").len(), 1);
    let audited = scope.audit_entries(None, 0, 9).await.expect("read");
    assert_eq!(audited.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["tenant.create"]);
}

on_both! {
    traces_are_listed_and_shown
    a_large_trace_is_shown_in_part
    old_spans_are_deleted_and_more_than_are_kept
}
