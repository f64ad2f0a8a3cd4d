//! The counts of jobs and their bytes: after an upgrade, and once they are off.

use super::*;

async fn records_of_before_an_upgrade_count(test_store: &TestStore) {
    let TestStore { store, folder } = test_store;
    let a = create_tenant(store, "a").await;
    for (number, outcome) in [(1, done()), (2, dead())] {
        enqueue(store, &a, &[new_job("resize", number)]).await.expect("enqueued");
        run(store, &a, "resize", outcome).await;
    }
    enqueue(store, &a, &[new_job("resize", 3)]).await.expect("enqueued");
    is_counted(store, &a).await;
    // As the ninth step of the schema leaves it: the input of the unfinished job counts, and executions have no trace.
    let uncounted =
        "UPDATE job_counts SET bytes = CASE WHEN slot = (SELECT MIN(slot) FROM job_counts) THEN 2 ELSE 0 END";
    store.pool.execute(uncounted).await.expect("changed");
    undo_steps_after(store, 9).await;
    let url = test_store.url();
    store.close().await.expect("closed");
    let store = Store::open(folder.path(), url.as_deref()).expect("it opens");
    is_counted(&store, &a).await;
    let mut scope = store.read(&a).await.expect("a scope");
    let of_trace = ExecutionFilter { trace: Some("1".repeat(32)), ..ExecutionFilter::default() };
    assert_eq!(scope.executions(&of_trace, &AllowedServices::All, 9).await.expect("read"), []);
}

async fn counts_that_are_off_are_corrected(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    for (number, outcome) in [(1, done()), (2, dead())] {
        enqueue(store, &a, &[new_job("resize", number)]).await.expect("enqueued");
        run(store, &a, "resize", outcome).await;
    }
    let later = NewJob { start: JobStart::At(now_ms() + 600_000), ..new_job("resize", 3) };
    enqueue(store, &a, &[later, new_job("resize", 4)]).await.expect("enqueued");
    enqueue(store, &b, &[new_job("resize", 5)]).await.expect("enqueued");
    assert!(store.host_read().await.expect("a scope").are_jobs_counted(&a).await.expect("read"));

    // Hosts of an earlier release have counted less, in the end less than nothing.
    let wrong = "UPDATE job_counts SET unfinished = unfinished - 50, bytes = bytes - 5000 WHERE tenant = 'a'";
    store.pool.execute(wrong).await.expect("changed");
    let used = store.host_read().await.expect("a scope").trigger_use_by_tenant().await.expect("read");
    assert_eq!((used[&a], used[&b].unfinished_jobs), (TriggerUse::default(), 1), "others are counted all the same");
    let mut scope = store.queue_write().await.expect("a scope");
    assert!(!scope.are_jobs_counted(&a).await.expect("read"));
    for (tenant, was_off) in [(&a, true), (&b, false), (&a, false)] {
        assert_eq!(scope.recount_jobs(tenant).await.expect("counted"), was_off);
    }
    scope.commit().await.expect("committed");
    is_counted(store, &a).await;
    is_counted(store, &b).await;
}

on_both! {
    records_of_before_an_upgrade_count
    counts_that_are_off_are_corrected
}
