//! Limits that all hosts keep together: by concurrency key, and by rate.

use super::*;
use crate::QueueLimit;

fn keyed(number: usize, key: &str) -> NewJob {
    NewJob { concurrency_key: Some(key.to_owned()), ..new_job("resize", number) }
}

async fn claim_keyed(store: &Store, tenant: &TenantId, most: u32) -> Vec<String> {
    let share = ClaimShare { key_concurrency: Some(1), ..share(tenant, "resize", most) };
    claim(store, "me", LEASE_MS, share).await.into_iter().map(|job| job.lease.id).collect()
}

async fn jobs_with_the_same_concurrency_key_wait_for_each_other(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let jobs = [keyed(1, "x"), keyed(2, "x"), keyed(3, "y"), new_job("resize", 4), new_job("resize", 5)];
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let id = |number: usize| format!("{number:026}");
    assert_eq!(claim_keyed(store, &a, 3).await, [id(1), id(3), id(4)]);
    assert_eq!(job(store, &a, &id(1)).await.concurrency_key.as_deref(), Some("x"));
    let same = ClaimShare { key_concurrency: Some(2), ..share(&a, "resize", 9) };
    let mut scope = store.queue_write().await.expect("a scope");
    let more = scope.claim_jobs("me", LEASE_MS, &[same]).await.expect("claimed");
    assert_eq!(more.len(), 2, "another limit, and those without a key have none");
    drop(scope);
    assert_eq!(claim_keyed(store, &a, 9).await, [id(5)]);
    assert!(claim_keyed(store, &a, 9).await.is_empty(), "the key is at its limit");
    let mut scope = store.queue_write().await.expect("a scope");
    let lease = JobLease { tenant: a.clone(), id: id(1), epoch: 1 };
    let retry = JobOutcome::Retry { in_ms: 600_000, error: "later".to_owned() };
    scope.finish_jobs("me", &[JobEnd { lease, outcome: retry, keep_ms: 0 }]).await.expect("finished");
    scope.commit().await.expect("committed");
    assert_eq!(claim_keyed(store, &a, 9).await, [id(2)], "one that waits for its retry does not count");
    is_counted(store, &a).await;
}

async fn a_long_queue_of_one_key_keeps_no_other_waiting(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut jobs: Vec<_> = (0..700).map(|number| keyed(number, "many")).collect();
    jobs.extend([keyed(900, "few"), keyed(901, "few"), keyed(902, "one")]);
    for jobs in jobs.chunks(200) {
        enqueue(store, &a, jobs).await.expect("enqueued");
    }
    assert_eq!(claim_keyed(store, &a, 9).await, [format!("{:026}", 0)]);
    assert_eq!(claim_keyed(store, &a, 9).await, [format!("{:026}", 900), format!("{:026}", 902)]);
    assert!(claim_keyed(store, &a, 9).await.is_empty());
}

async fn limits_of_queues_are_kept_and_forgotten(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let queues = [(a.clone(), queue("b")), (a.clone(), queue("a"))];
    let mut scope = store.queue_write().await.expect("a scope");
    let (mut limits, now) = scope.lock_queue_limits(&queues).await.expect("locked");
    let of = |name: &str| QueueLimit { tenant: a.clone(), queue: queue(name), full_at: 0 };
    assert_eq!(limits, [of("b"), of("a")], "in their order");
    assert!(now > 1_700_000_000_000);
    limits[0].full_at = 2_000_000_000_000_000_001;
    scope.put_queue_limits(&limits[..1]).await.expect("stored");
    scope.commit().await.expect("committed");
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.lock_queue_limits(&queues).await.expect("locked").0, limits);
    assert_eq!(scope.prune_queue_limits(2_000_000_000_000).await.expect("pruned"), 1);
    assert_eq!(scope.prune_queue_limits(2_000_000_000_001).await.expect("pruned"), 1);
}

async fn limits_that_are_locked_are_not_forgotten(TestStore { store, .. }: &TestStore) {
    if !store.is_shared() {
        return; // SQLite has one writer
    }
    let a = create_tenant(store, "a").await;
    let queues = [(a.clone(), queue("a")), (a.clone(), queue("b"))];
    let mut scope = store.queue_write().await.expect("a scope");
    scope.lock_queue_limits(&queues).await.expect("locked");
    scope.commit().await.expect("committed");
    let mut holder = store.queue_write().await.expect("a scope");
    holder.lock_queue_limits(&queues[1..]).await.expect("locked");
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.prune_queue_limits(1).await.expect("pruned without waiting"), 1);
    holder.commit().await.expect("committed");
    assert_eq!(scope.prune_queue_limits(1).await.expect("pruned"), 1);
}

async fn ready_jobs_are_counted_by_queue(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let b = create_tenant(store, "b").await;
    let jobs: Vec<_> = (0..120).map(|number| new_job(if number < 3 { "few" } else { "many" }, number)).collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    assert_eq!(claim(store, "me", LEASE_MS, share(&a, "few", 1)).await.len(), 1);
    let mut scope = store.host_read().await.expect("a scope");
    let mut queues = scope.ready_queues().await.expect("read");
    queues.extend([(&a, "none"), (&b, "few")].map(|(tenant, name)| ReadyQueue {
        tenant: tenant.clone(),
        queue: queue(name),
        rank: i64::MIN,
        ready_at: 0,
    }));
    let counts = scope.ready_counts(&queues.iter().collect::<Vec<_>>()).await.expect("counted");
    let counts: Vec<_> = queues.iter().map(|found| counts[&(found.tenant.clone(), found.queue.clone())]).collect();
    assert_eq!(counts, [2, 100, 0, 0], "at most as many as a batch has");
}

on_both! {
    ready_jobs_are_counted_by_queue
    limits_that_are_locked_are_not_forgotten
    jobs_with_the_same_concurrency_key_wait_for_each_other
    a_long_queue_of_one_key_keeps_no_other_waiting
    limits_of_queues_are_kept_and_forgotten
}
