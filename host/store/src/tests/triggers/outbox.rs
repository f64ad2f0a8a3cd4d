//! Outboxes, and what was handed over from them.

use super::*;

async fn use_outbox(store: &Store, service: &ServiceId) {
    let mut scope = store.write(&service.tenant).await.expect("a scope");
    scope.use_outbox(service).await.expect("remembered");
    scope.commit().await.expect("committed");
}

async fn take(store: &Store, pause_ms: u64) -> Vec<DueOutbox> {
    let mut scope = store.host_write().await.expect("a scope");
    let due = scope.take_outboxes(pause_ms, 10).await.expect("taken");
    scope.commit().await.expect("committed");
    due
}

async fn an_outbox_is_looked_into_by_one_host_at_a_time(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    use_outbox(store, &service(&a)).await;
    use_outbox(store, &service(&a)).await;
    let due = take(store, 60_000).await;
    assert_eq!(due.iter().map(|due| (&due.service, due.is_unused)).collect::<Vec<_>>(), [(&service(&a), false)]);
    assert_eq!(take(store, 60_000).await, []);
    // Used since: it stays.
    later().await;
    use_outbox(store, &service(&a)).await;
    for expected in [1, 0] {
        later().await;
        let due = take(store, 1).await;
        assert_eq!(due.len(), 1);
        let mut scope = store.host_write().await.expect("a scope");
        let known = DueOutbox { used_at: due[0].used_at - i64::from(expected == 1), ..due[0].clone() };
        scope.forget_outbox(&known).await.expect("it runs");
        scope.commit().await.expect("committed");
        later().await;
        assert_eq!(take(store, 1).await.len(), expected);
    }
}

async fn receipts(store: &Store, tenant: &TenantId, ids: &[&str]) -> Vec<bool> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut scope = store.queue_write().await.expect("a scope");
    let new = scope.take_receipts(tenant, &ids).await.expect("taken");
    scope.commit().await.expect("committed");
    new
}

async fn what_was_handed_over_is_known(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    assert_eq!(receipts(store, &a, &["2", "1", "2"]).await, [true, true, false]);
    assert_eq!(receipts(store, &a, &["1", "3"]).await, [false, true]);
    assert_eq!(receipts(store, &b, &["1"]).await, [true]);
    assert_eq!(receipts(store, &a, &[]).await, [false; 0]);
    // The id of a job that is there already, whoever gave it.
    let jobs = [new_job("resize", 7), new_job("waiting", 8)];
    let jobs =
        jobs.map(|job| NewJob { start: JobStart::In(if job.queue.name == "resize" { 0 } else { 9_000 }), ..job });
    enqueue(store, &a, &jobs).await.expect("enqueued");
    assert_eq!(receipts(store, &a, &[jobs[0].id.as_str(), jobs[1].id.as_str(), "4"]).await, [false, false, true]);
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.prune_receipts(10).await.expect("pruned"), 0);
}

on_both! {
    an_outbox_is_looked_into_by_one_host_at_a_time
    what_was_handed_over_is_known
}
