//! Failures become issues in the store, on SQLite and on PostgreSQL.

use super::*;
use crate::test_records::failed;
use crate::test_store::{create_tenant, postgres, sqlite};
use elias_store::{AllowedServices, IssueQuery};
use elias_telemetry::issue::Status;

fn acme() -> TenantId {
    "acme".parse().expect("a name")
}

fn failure(number: usize, version: u32, error: &str) -> ExecutionRecord {
    let started_at = 1_000 + i64::try_from(number).expect("small");
    ExecutionRecord { id: format!("{number:026}"), version, started_at, ..failed(error) }
}

/// Records a batch as the recorder does.
async fn write(store: &Store, batch: &[ExecutionRecord], unrecorded: &Unrecorded) -> Vec<Transition> {
    let mut scope = store.host_write().await.expect("a scope");
    scope.insert_executions(batch).await.expect("stored");
    let changed = record(&mut scope, batch, unrecorded).await.expect("counted");
    scope.commit().await.expect("committed");
    changed.into_iter().map(|changed| changed.transition).collect()
}

async fn issues(store: &Store) -> Vec<Issue> {
    let mut scope = store.read(&acme()).await.expect("a scope");
    let found = scope.issues(&IssueQuery::default(), &AllowedServices::All, 10_000).await.expect("read");
    found.into_iter().map(|row| row.issue).collect()
}

async fn counts(store: &Store) -> IssueCounts {
    store.read(&acme()).await.expect("a scope").issue_counts().await.expect("read")
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    for opened in [Some(sqlite()), postgres()].into_iter().flatten() {
        let (store, _folder) = opened;
        create_tenant(&store, &acme()).await;
        test(store).await;
    }
}

#[tokio::test]
async fn a_thousand_failures_of_fifty_kinds_are_fifty_issues_with_exact_counts() {
    on_both(|store| async move {
        let names: Vec<_> = (0..50).map(|kind| format!("handler{kind}")).collect();
        let all: Vec<_> = (0..1_000)
            .map(|number| {
                let name = &names[number % 50];
                let line = 10 + number % 50;
                failure(number, 1, &format!("Error: order {number} is late\n    at {name} (src/shop.ts:{line}:7)"))
            })
            .collect();
        for batch in all.chunks(300) {
            write(&store, batch, &Unrecorded::new()).await;
        }
        let found = issues(&store).await;
        assert_eq!(found.len(), 50);
        for issue in found {
            let place = issue.place.expect("a place");
            let function = place.function.expect("a name");
            let kind = names.iter().position(|name| *name == function).expect("one of them");
            assert_eq!((issue.count, place.line as usize), (20, 10 + kind), "{function}");
            assert_eq!(issue.hours.values().sum::<u64>(), 20);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_resolved_comes_back_in_a_later_version() {
    on_both(|store| async move {
        let error = "Error: no\n    at f (src/a.ts:1:1)";
        assert_eq!(write(&store, &[failure(1, 1, error)], &Unrecorded::new()).await, [Transition::Appeared]);
        let id = issues(&store).await[0].id.clone();
        let mut scope = store.write(&acme()).await.expect("a scope");
        let mut row = scope.issue_to_change(&id).await.expect("read").expect("it is there");
        row.issue.status = Status::Resolved { version: 1 };
        scope.put_issue(&row).await.expect("written");
        scope.commit().await.expect("committed");
        assert_eq!(write(&store, &[failure(2, 1, error)], &Unrecorded::new()).await, []);
        let later = [failure(3, 2, error), failure(4, 1, error)];
        assert_eq!(write(&store, &later, &Unrecorded::new()).await, [Transition::Regressed]);
        let issue = issues(&store).await.remove(0);
        assert_eq!((issue.status, issue.count), (Status::Regressed { version: 2 }, 4));
    })
    .await;
}

#[tokio::test]
async fn more_issues_than_a_tenant_has_are_counted_together() {
    on_both(|store| async move {
        let name = |number: usize| number.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>();
        let max = usize::try_from(ISSUES_MAX).expect("small");
        let all: Vec<_> = (0..max + 30).map(|number| failure(number, 1, &format!("Error: {}", name(number)))).collect();
        write(&store, &all, &Unrecorded::from([(acme(), 5)])).await;
        write(&store, &[failure(9_999, 1, "Error: a")], &Unrecorded::from([(acme(), 2)])).await;
        let found = issues(&store).await;
        assert_eq!(found.len(), max);
        let counted: u64 = found.iter().map(|issue| issue.count).sum();
        let IssueCounts { folded, unrecorded } = counts(&store).await;
        assert_eq!((counted + folded, unrecorded), (ISSUES_MAX + 31, 7), "none is lost");
    })
    .await;
}

#[tokio::test]
async fn what_did_not_occur_for_a_week_makes_room_unless_somebody_looks_after_it() {
    on_both(|store| async move {
        let name = |number: usize| number.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>();
        let max = usize::try_from(ISSUES_MAX).expect("small");
        let all: Vec<_> = (0..max).map(|number| failure(number, 1, &format!("Error: {}", name(number)))).collect();
        write(&store, &all, &Unrecorded::new()).await;
        let mut scope = store.write(&acme()).await.expect("a scope");
        let oldest = scope.issues(&IssueQuery::default(), &AllowedServices::All, 10_000).await.expect("read").pop();
        let mut oldest = oldest.expect("there are some");
        oldest.issue.assigned_to = Some("ada".to_owned());
        scope.put_issue(&oldest).await.expect("assigned");
        scope.commit().await.expect("committed");
        let soon = failure(max, 1, "Error: within the week");
        write(&store, std::slice::from_ref(&soon), &Unrecorded::new()).await;
        assert_eq!(counts(&store).await.folded, 1);
        let started_at = soon.started_at + MAKES_ROOM_AFTER_MS;
        let later = ExecutionRecord { started_at, ..failure(max + 1, 1, "Error: after a week") };
        assert_eq!(write(&store, &[later], &Unrecorded::new()).await, [Transition::Appeared]);
        let found = issues(&store).await;
        assert_eq!((found.len(), found[0].title.as_str()), (max, "Error: after a week"));
        assert!(found.iter().any(|issue| issue.id == oldest.issue.id), "it is assigned to somebody");
        assert_eq!(counts(&store).await.folded, 1);
    })
    .await;
}

#[tokio::test]
async fn what_completed_is_no_failure() {
    let (store, _folder) = sqlite();
    create_tenant(&store, &acme()).await;
    let completed = ExecutionRecord { outcome: "completed".into(), code: None, error: None, ..failure(1, 1, "") };
    let cancelled = ExecutionRecord { outcome: "cancelled".into(), ..completed.clone() };
    assert_eq!(write(&store, &[completed, cancelled], &Unrecorded::new()).await, []);
    assert!(issues(&store).await.is_empty());
}
