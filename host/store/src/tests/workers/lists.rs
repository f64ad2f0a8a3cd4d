//! Lists of workers, those that go on without a message, and the counts of a tenant.

use super::*;

/// Commits the first turn of a worker, with changes to the commit.
async fn first_turn(
    store: &Store,
    service: &ServiceId,
    key: &WorkerKey,
    owner: &str,
    with: impl Fn(WorkerCommitRow) -> WorkerCommitRow,
) -> u64 {
    let epoch = acquire(store, service, key, owner).await.epoch;
    let committed = commit(store, &service.tenant, &[with(row(service, key, epoch, 1, whole("a")))]).await;
    assert_eq!(committed, [CommitOutcome::Committed], "{key}");
    epoch
}

async fn listed(
    store: &Store,
    service: &ServiceId,
    filter: &WorkerFilter,
    after: Option<&WorkerKey>,
    limit: u32,
) -> Vec<WorkerKey> {
    let mut scope = store.read(&service.tenant).await.expect("a scope");
    let page = scope.workers(service, filter, after, limit).await.expect("read");
    page.into_iter().map(|worker| worker.key).collect()
}

async fn any_name_is_stored_and_lists_are_sorted_by_it(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let shop = service(&a);
    let names =
        ["..", "/", "a", "a\0", "a\0b", "A", "a/b", "a/b/../c", "a\u{1}", "ab", "é", "\u{10ffff}", "\0", " ", "%", "_"];
    let mut keys: Vec<_> = names.iter().map(|name| cart(name)).collect();
    keys.extend(["a", "z\0"].map(|name| WorkerKey::new("Box", name)));
    keys.push(WorkerKey::new("Cart\0", "a"));
    for key in &keys {
        first_turn(store, &shop, key, "me", |row| row).await;
        assert_eq!(heap(store, &shop, key, 1).await.as_deref(), Some("a"), "{key}");
        let summary = store.read(&a).await.expect("a scope").worker(&shop, key).await.expect("read");
        assert_eq!(summary.expect("it is there").key, *key);
    }
    keys.sort();
    let all = WorkerFilter::default();
    assert_eq!(listed(store, &shop, &all, None, 100).await, keys);
    let mut paged = Vec::new();
    loop {
        let page = listed(store, &shop, &all, paged.last(), 3).await;
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, keys);
    let carts = WorkerFilter { class: Some("Cart".to_owned()), prefix: None };
    let expected: Vec<_> = keys.iter().filter(|key| key.class == "Cart").cloned().collect();
    assert_eq!(listed(store, &shop, &carts, None, 100).await, expected);
    for (after, expected) in [(keys[0].clone(), &expected[..]), (expected[3].clone(), &expected[4..])] {
        assert_eq!(listed(store, &shop, &carts, Some(&after), 100).await, expected, "after {after}");
    }
    let last = WorkerKey::new("Cart\0", "a");
    assert_eq!(listed(store, &shop, &carts, Some(&last), 100).await, []);
    for (prefix, expected) in [("a/b", 2), ("a\0", 2), ("a", 7), ("\u{10ffff}", 1), ("", names.len()), ("b", 0)] {
        let filter = WorkerFilter { prefix: Some(prefix.to_owned()), ..carts.clone() };
        let found = listed(store, &shop, &filter, None, 100).await;
        assert!(found.iter().all(|key| key.name.starts_with(prefix)), "{prefix:?}: {found:?}");
        assert_eq!(found.len(), expected, "{prefix:?}");
    }
    for key in [cart(""), WorkerKey::new("", "a"), cart(&"n".repeat(WorkerKey::CHARACTERS_MAX + 1))] {
        let refused = try_acquire(store, &shop, &key, "me").await.expect_err("nobody has this name");
        assert_eq!(refused.code(), Code::BadInput);
    }
}

async fn workers_that_go_on_without_a_message_are_found(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let shop = service(&a);
    add_version(store, &a, b"1").await.expect("stored");
    deploy(store, &a, 1, 0).await.expect("it serves");
    for owner in ["one", "two"] {
        process(store, owner, LEASE_MS).await;
    }
    let due = |at| move |row| WorkerCommitRow { next_due: Some(at), ..row };
    let calls = |row| WorkerCommitRow { has_calls: true, ..row };
    for owner in ["one", "two"] {
        first_turn(store, &shop, &cart(&format!("{owner} rests")), owner, |row| row).await;
        first_turn(store, &shop, &cart(&format!("{owner} soon")), owner, due(1_000)).await;
        first_turn(store, &shop, &cart(&format!("{owner} late")), owner, due(9_000)).await;
        first_turn(store, &shop, &cart(&format!("{owner} calls")), owner, calls).await;
    }
    let pending = async |owner: &str, after: Option<&WorkerKey>, limit| {
        let mut scope = store.read(&a).await.expect("a scope");
        let page = scope.pending_workers(&shop, owner, after, limit).await.expect("read");
        page.into_iter().map(|worker| worker.key.name).collect::<Vec<_>>()
    };
    let orphaned = async |due_before, most| {
        let mut scope = store.host_read().await.expect("a scope");
        let found = scope.orphaned_workers(due_before, most, 0).await.expect("read");
        let mut names: Vec<_> = found.into_iter().map(|worker| worker.key.name).collect();
        names.sort();
        names
    };
    assert_eq!(pending("one", None, 10).await, ["one calls", "one late", "one soon"]);
    assert_eq!(pending("one", Some(&cart("one calls")), 1).await, ["one late"]);
    assert_eq!(pending("three", None, 10).await, [""; 0], "all are others'");
    assert_eq!(orphaned(9_000, 10).await, [""; 0]);

    store.pool.execute("UPDATE leases SET until = 1 WHERE name = 'workers/two'").await.expect("it has ended");
    assert_eq!(orphaned(8_999, 10).await, ["two calls", "two soon"]);
    assert_eq!(orphaned(9_000, 10).await, ["two calls", "two late", "two soon"]);
    assert_eq!(orphaned(9_000, 2).await.len(), 2);
    let mut all = Vec::new();
    for passed in [0, 1, 2, 3] {
        let mut scope = store.host_read().await.expect("a scope");
        all.extend(scope.orphaned_workers(9_000, 1, passed).await.expect("read").into_iter().map(|one| one.key.name));
    }
    all.sort();
    assert_eq!(all, ["two calls", "two late", "two soon"], "one after the other, each once");
    assert_eq!(pending("three", None, 10).await, ["two calls", "two late", "two soon"]);
    acquire(store, &shop, &cart("two soon"), "one").await;
    assert_eq!(orphaned(9_000, 10).await, ["two calls", "two late"]);

    let released = acquire(store, &shop, &cart("one late"), "one").await;
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.release_worker(&shop, &cart("one late"), released.epoch).await.expect("released"));
    scope.commit().await.expect("committed");
    assert_eq!(orphaned(9_000, 10).await, ["one late", "two calls", "two late"], "nobody owns it");
    store.pool.execute("UPDATE services SET stopped = 1").await.expect("changed");
    assert_eq!(orphaned(9_000, 10).await, [""; 0], "they wait until their service runs");
}

async fn summaries_have_what_was_committed_last(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let epoch = first_turn(store, &shop, &key, "me", |row| row).await;
    let second = WorkerCommitRow {
        is_waiting: true,
        next_due: Some(77),
        has_calls: true,
        restorable_turn: Some(1),
        heap_bytes: 4_000,
        version: 3,
        ..row(&shop, &key, epoch, 2, change("bc"))
    };
    assert_eq!(commit(store, &a, &[second]).await, [CommitOutcome::Committed]);
    let found = store.read(&a).await.expect("a scope").worker(&shop, &key).await.expect("read").expect("it is there");
    let times = (found.created_at, found.updated_at);
    assert!(times.0 > 0 && times.0 <= times.1);
    assert_eq!(
        found,
        WorkerSummaryRow {
            key,
            owner: Some("me".to_owned()),
            turns: 2,
            is_waiting: true,
            restorable_turn: Some(1),
            next_due: Some(77),
            has_calls: true,
            heap_bytes: 4_000,
            kept_from: 1,
            version: 3,
            bytes: "a".len() as u64 + "bc".len() as u64 + "record 2".len() as u64,
            created_at: times.0,
            updated_at: times.1,
        }
    );
}

async fn counts_of_workers_that_are_off_are_corrected(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    for tenant in [&a, &b] {
        first_turn(store, &service(tenant), &cart("ada"), "me", |row| row).await;
        assert_eq!(is_counted(store, tenant).await, WorkerUse { workers: 1, bytes: 9 });
    }
    let wrong = "UPDATE worker_counts SET workers = workers - 50, bytes = bytes - 5000 WHERE tenant = 'a'";
    store.pool.execute(wrong).await.expect("changed");
    let used = store.host_read().await.expect("a scope").worker_use_by_tenant().await.expect("read");
    assert_eq!((used[&a], used[&b].workers), (WorkerUse::default(), 1), "others are counted all the same");
    let mut scope = store.queue_write().await.expect("a scope");
    assert!(!scope.are_workers_counted(&a).await.expect("read"));
    for (tenant, was_off) in [(&a, true), (&b, false), (&a, false)] {
        assert_eq!(scope.recount_workers(tenant).await.expect("counted"), was_off);
    }
    scope.commit().await.expect("committed");
    is_counted(store, &a).await;
    is_counted(store, &b).await;
}

on_both! {
    any_name_is_stored_and_lists_are_sorted_by_it
    workers_that_go_on_without_a_message_are_found
    summaries_have_what_was_committed_last
    counts_of_workers_that_are_off_are_corrected
}
