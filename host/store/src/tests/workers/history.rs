//! Heaps at former turns: what is kept of them, what is made one, and what is deleted.

use super::*;

/// Sweeps until nothing is left to do, a few commits at a time; says how many were deleted.
async fn sweep(store: &Store) -> u64 {
    let mut deleted = 0;
    loop {
        let mut scope = store.queue_write().await.expect("a scope");
        let swept = scope.sweep_worker_turns(3).await.expect("swept");
        scope.commit().await.expect("committed");
        deleted += swept.deleted;
        if swept.is_done {
            return deleted;
        }
    }
}

/// The turns whose heaps can be given.
async fn kept(store: &Store, service: &ServiceId, key: &WorkerKey, turns: u64) -> Vec<u64> {
    let mut kept = Vec::new();
    for turn in 0..=turns {
        if heap(store, service, key, turn).await.is_some() {
            kept.push(turn);
        }
    }
    kept
}

async fn the_heap_of_each_kept_turn_can_be_given(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    turn(store, &shop, &key, epoch, 2, whole("a")).await;
    turn(store, &shop, &key, epoch, 3, change("b")).await;
    turn(store, &shop, &key, epoch, 5, change("c")).await;
    turn(store, &shop, &key, epoch, 6, HeapCommitRow::BackTo(3)).await;
    turn(store, &shop, &key, epoch, 7, change("d")).await;
    turn(store, &shop, &key, epoch, 9, HeapCommitRow::Unchanged).await;
    let large = TurnPages::Artifact { digest: Digest::of(b"large"), bytes: 1 << 20 };
    turn(store, &shop, &key, epoch, 10, HeapCommitRow::Whole(large)).await;
    turn(store, &shop, &key, epoch, 11, change("e")).await;
    turn(store, &shop, &key, epoch, 12, HeapCommitRow::BackTo(8)).await;
    let large = format!("{} e", Digest::of(b"large"));
    for (turn, expected) in [
        (0, None),
        (1, None),
        (2, Some("a")),
        (3, Some("a b")),
        (4, Some("a b")),
        (5, Some("a b c")),
        (6, Some("a b")),
        (7, Some("a b d")),
        (8, Some("a b d")),
        (9, Some("a b d")),
        (11, Some(large.as_str())),
        (12, Some("a b d")),
        (13, None),
    ] {
        assert_eq!(heap(store, &shop, &key, turn).await.as_deref(), expected, "turn {turn}");
    }
    let mut scope = store.read(&a).await.expect("a scope");
    let history = scope.worker_history(&shop, &key, Some(12), 3).await.expect("read");
    assert_eq!(history.iter().map(|row| (row.turn, row.bytes)).collect::<Vec<_>>(), [(11, 1), (10, 1 << 20), (7, 1)]);
    let history = scope.worker_history(&shop, &key, None, 100).await.expect("read");
    let back: Vec<_> = history.iter().filter_map(|row| Some((row.turn, row.back_to?))).collect();
    assert_eq!(back, [(12, 7), (6, 3)], "turn 8 has the heap of turn 7");
    assert_eq!(scope.heap_parts(&shop, &cart("bob"), 1).await.expect("read"), None);
    drop(scope);
    assert!(is_counted(store, &a).await.bytes > 1 << 20, "what is in artifacts counts");
}

async fn pages_have_up_to_64_kib_in_a_row(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    let bytes: Vec<u8> = (0..=255).cycle().take(WORKER_PAGES_INLINE_MAX).collect();
    let large = HeapCommitRow::Whole(TurnPages::Inline([&bytes[..], b"x"].concat()));
    let mut scope = store.worker_write(&a).await.expect("a scope");
    let refused = scope.commit_workers(&[row(&shop, &key, epoch, 1, large)], &WorkerRetention::default()).await;
    assert_eq!(refused.expect_err("a byte more").code(), Code::TooLarge);
    drop(scope);
    turn(store, &shop, &key, epoch, 1, HeapCommitRow::Whole(TurnPages::Inline(bytes.clone()))).await;
    let mut scope = store.read(&a).await.expect("a scope");
    let parts = scope.heap_parts(&shop, &key, 1).await.expect("read").expect("it is kept");
    assert_eq!(parts, [TurnPart { turn: 1, kind: PartKind::Whole, pages: TurnPages::Inline(bytes) }]);
}

async fn the_history_is_kept_by_number(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let retention = WorkerRetention { history_turns: 4, chain_changes: 0, ..WorkerRetention::default() };
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    for turns in 1..=20 {
        let heap = if turns % 5 == 1 { whole(&turns.to_string()) } else { change(&turns.to_string()) };
        let committed = commit_kept(store, &a, &[row(&shop, &key, epoch, turns, heap)], &retention).await;
        assert_eq!(committed, [CommitOutcome::Committed]);
    }
    assert_eq!(sweep(store).await, 15, "the whole one before the last four is a part of them");
    assert_eq!(kept(store, &shop, &key, 20).await, [17, 18, 19, 20]);
    assert_eq!(heap(store, &shop, &key, 20).await.as_deref(), Some("16 17 18 19 20"));
    assert_eq!(sweep(store).await, 0);
    let back = commit_kept(store, &a, &[row(&shop, &key, epoch, 21, HeapCommitRow::BackTo(16))], &retention).await;
    assert_eq!(back, [CommitOutcome::NoSuchTurn]);
    let summary = store.read(&a).await.expect("a scope").worker(&shop, &key).await.expect("read").expect("it is there");
    assert_eq!((summary.kept_from, summary.turns), (17, 20));
    is_counted(store, &a).await;
}

async fn the_history_is_kept_by_time_but_for_the_last_heap(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    for turns in 1..=6 {
        let heap = if turns % 3 == 1 { whole(&turns.to_string()) } else { change(&turns.to_string()) };
        turn(store, &shop, &key, epoch, turns, heap).await;
    }
    assert_eq!(sweep(store).await, 0, "nothing is old");
    store.pool.execute("UPDATE worker_turns SET at = 1 WHERE turn <= 4").await.expect("it is long ago");
    store.pool.execute("UPDATE workers SET sweep_at = 1").await.expect("it is time");
    assert_eq!(sweep(store).await, 3, "turn 4 is a part of turn 5");
    assert_eq!(kept(store, &shop, &key, 6).await, [5, 6]);
    store.pool.execute("UPDATE worker_turns SET at = 1").await.expect("it is long ago");
    store.pool.execute("UPDATE workers SET sweep_at = 1").await.expect("it is time");
    assert_eq!(sweep(store).await, 0, "the last heap is of turn 4 and later");
    assert_eq!(kept(store, &shop, &key, 6).await, [6]);
    assert_eq!(heap(store, &shop, &key, 6).await.as_deref(), Some("4 5 6"));
    let due = sqlx::query("SELECT sweep_at FROM workers").fetch_one(&store.pool).await.expect("read");
    assert_eq!(get::<Option<i64>>(&due, "sweep_at").expect("read"), None, "a worker at rest is not looked at again");
}

async fn the_restorable_turn_is_kept_for_as_long_as_a_handler_waits(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let retention = WorkerRetention { history_turns: 2, chain_changes: 0, ..WorkerRetention::default() };
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    turn(store, &shop, &key, epoch, 1, whole("a")).await;
    turn(store, &shop, &key, epoch, 2, change("b")).await;
    let commit = async |turns, restorable_turn, heap| {
        let row = WorkerCommitRow { restorable_turn, ..row(&shop, &key, epoch, turns, heap) };
        assert_eq!(commit_kept(store, &a, &[row], &retention).await, [CommitOutcome::Committed], "turn {turns}");
    };
    for turns in 3..=8 {
        let heap = if turns == 5 { whole("c") } else { change(&turns.to_string()) };
        commit(turns, Some(2), heap).await;
        sweep(store).await;
    }
    assert_eq!(kept(store, &shop, &key, 8).await, [2, 7, 8]);
    assert_eq!(heap(store, &shop, &key, 2).await.as_deref(), Some("a b"));
    commit(9, None, HeapCommitRow::BackTo(2)).await;
    assert_eq!(heap(store, &shop, &key, 9).await.as_deref(), Some("a b"));
    for turns in 10..=12 {
        commit(turns, None, change(&turns.to_string())).await;
    }
    sweep(store).await;
    assert_eq!(kept(store, &shop, &key, 12).await, [11, 12]);
    assert_eq!(heap(store, &shop, &key, 12).await.as_deref(), Some("a b 10 11 12"), "it goes on from turn 2");
    is_counted(store, &a).await;
}

async fn the_turn_before_an_upgrade_is_kept_beside_the_restorable_one(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let retention = WorkerRetention { history_turns: 2, chain_changes: 0, ..WorkerRetention::default() };
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    turn(store, &shop, &key, epoch, 1, whole("a")).await;
    turn(store, &shop, &key, epoch, 2, change("b")).await;
    let commit = async |turns, upgraded_from_turn, restorable_turn, heap| {
        let row = WorkerCommitRow { restorable_turn, upgraded_from_turn, ..row(&shop, &key, epoch, turns, heap) };
        commit_kept(store, &a, &[row], &retention).await
    };
    for turns in 3..=9 {
        let heap = if turns == 3 { whole("c") } else { change(&turns.to_string()) };
        let restorable = (turns > 5).then_some(5);
        assert_eq!(commit(turns, Some(2), restorable, heap).await, [CommitOutcome::Committed], "turn {turns}");
        sweep(store).await;
    }
    assert_eq!(heap(store, &shop, &key, 2).await.as_deref(), Some("a b"));
    assert_eq!(heap(store, &shop, &key, 5).await.as_deref(), Some("c 4 5"));
    assert_eq!(heap(store, &shop, &key, 4).await, None, "it is not of the history any more");
    assert_eq!(commit(10, None, None, HeapCommitRow::BackTo(4)).await, [CommitOutcome::NoSuchTurn]);
    assert_eq!(commit(10, None, None, HeapCommitRow::BackTo(2)).await, [CommitOutcome::Committed]);
    assert_eq!(heap(store, &shop, &key, 10).await.as_deref(), Some("a b"));
    for turns in 11..=13 {
        assert_eq!(commit(turns, None, None, whole("d")).await, [CommitOutcome::Committed]);
    }
    sweep(store).await;
    assert_eq!(heap(store, &shop, &key, 2).await, None, "the rollout is over");
    is_counted(store, &a).await;
}

async fn many_changes_are_made_one_heap(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let retention = WorkerRetention { chain_changes: 3, ..WorkerRetention::default() };
    process(store, "me", LEASE_MS).await;
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    let compactable = async |owner: &str| {
        store.host_read().await.expect("a scope").compactable_workers(owner, 10, 0).await.expect("read")
    };
    for turns in 1..=4 {
        assert_eq!(compactable("me").await, []);
        let heap = if turns == 1 { whole("1") } else { change(&turns.to_string()) };
        commit_kept(store, &a, &[row(&shop, &key, epoch, turns, heap)], &retention).await;
    }
    let worker = WorkerRef { service: shop.clone(), key: key.clone() };
    assert_eq!(compactable("me").await, [CompactableWorker { worker, turn: 4, changes: 3, bytes: 3 }]);
    assert_eq!(compactable("another").await, [], "its owner does it");
    commit_kept(store, &a, &[row(&shop, &key, epoch, 5, change("5"))], &retention).await;
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.compact_worker(&shop, &key, 4, &pages("1 2 3 4")).await.expect("compacted"));
    assert!(!scope.compact_worker(&shop, &key, 4, &pages("1 2 3 4")).await.expect("asked"), "it is whole");
    assert!(!scope.compact_worker(&shop, &key, 7, &pages("7")).await.expect("asked"), "it is not there");
    scope.commit().await.expect("committed");
    assert_eq!(compactable("me").await, []);
    for (turn, expected) in [(3, "1 2 3"), (4, "1 2 3 4"), (5, "1 2 3 4 5")] {
        assert_eq!(heap(store, &shop, &key, turn).await.as_deref(), Some(expected));
    }
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.heap_parts(&shop, &key, 5).await.expect("read").expect("it is kept").len(), 2);
    drop(scope);
    is_counted(store, &a).await;

    let of_bytes = WorkerRetention { chain_bytes: 4, ..WorkerRetention::default() };
    commit_kept(store, &a, &[row(&shop, &key, epoch, 6, change("678"))], &of_bytes).await;
    assert_eq!(compactable("me").await.len(), 1, "by its bytes");
    let mut scope = store.worker_write(&a).await.expect("a scope");
    scope.skip_compaction(&shop, &key).await.expect("changed");
    scope.commit().await.expect("committed");
    assert_eq!(compactable("me").await, [], "until its next change");
}

async fn artifacts_that_workers_need_are_not_deleted(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    for bytes in [&b"old"[..], b"unused", b"new"] {
        add_version(store, &a, bytes).await.expect("stored");
    }
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    let artifact = TurnPages::Artifact { digest: Digest::of(b"pages"), bytes: 100_000 };
    let first = row(&shop, &key, epoch, 1, HeapCommitRow::Whole(artifact));
    let old = WorkerCommitRow { component_digest: Digest::of(b"old"), ..first };
    assert_eq!(commit(store, &a, &[old]).await, [CommitOutcome::Committed]);
    let mut scope = store.write(&a).await.expect("a scope");
    for number in [1, 2] {
        scope.delete_version(&super::shop(), number, &Actor::host()).await.expect("it does not serve");
    }
    scope.commit().await.expect("committed");
    let is_needed = async |bytes: &[u8]| {
        let needed = store.host_read().await.expect("a scope").referenced_artifacts().await.expect("read");
        needed.contains(Digest::of(bytes).as_str())
    };
    assert!(is_needed(b"pages").await && is_needed(b"new").await);
    assert!(is_needed(b"old").await, "the heap of a worker belongs to it");
    assert!(!is_needed(b"unused").await);
    let next = |turns: u64, upgraded_from_turn| WorkerCommitRow {
        component_digest: Digest::of(b"new"),
        upgraded_from_turn,
        ..row(&shop, &key, epoch, turns, whole("upgraded"))
    };
    assert_eq!(commit(store, &a, &[next(2, Some(1))]).await, [CommitOutcome::Committed]);
    assert!(is_needed(b"old").await, "a rollback would bring its heap back");
    assert_eq!(commit(store, &a, &[next(3, None)]).await, [CommitOutcome::Committed]);
    assert!(!is_needed(b"old").await && is_needed(b"new").await);
    assert!(is_needed(b"pages").await, "its history has them");
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.remove_worker(&shop, &key, epoch).await.expect("removed"));
    scope.commit().await.expect("committed");
    assert!(!is_needed(b"pages").await);
}

/// The commits of a worker, the newest first, with whether a handler waited.
async fn waiting_turns(store: &Store, service: &ServiceId, key: &WorkerKey) -> Vec<(u64, bool)> {
    let mut scope = store.read(&service.tenant).await.expect("a scope");
    let commits = scope.worker_history(service, key, None, 10).await.expect("read");
    commits.into_iter().map(|commit| (commit.turn, commit.is_waiting)).collect()
}

async fn a_commit_says_whether_a_handler_waited_also_when_that_is_over(test_store: &TestStore) {
    let TestStore { store, folder } = test_store;
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let epoch = acquire(store, &shop, &key, "me").await.epoch;
    let waits = async |turns: u64, heap: HeapCommitRow| {
        let row = WorkerCommitRow {
            is_waiting: true,
            restorable_turn: Some(turns - 1),
            ..row(&shop, &key, epoch, turns, heap)
        };
        assert_eq!(commit(store, &a, &[row]).await, [CommitOutcome::Committed]);
    };
    turn(store, &shop, &key, epoch, 1, whole("a")).await;
    waits(2, change("b")).await;
    turn(store, &shop, &key, epoch, 3, HeapCommitRow::BackTo(1)).await;
    turn(store, &shop, &key, epoch, 4, change("c")).await;
    waits(5, change("d")).await;
    let all = [(5, true), (4, false), (3, false), (2, true), (1, false)];
    assert_eq!(waiting_turns(store, &shop, &key).await, all);
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.compact_worker(&shop, &key, 5, &pages("a c d")).await.expect("asked"));
    scope.commit().await.expect("committed");
    assert_eq!(waiting_turns(store, &shop, &key).await, all);
    // A store of before knows of the handler that waits now.
    undo_steps_after(store, 13).await;
    let url = test_store.url();
    store.close().await.expect("closed");
    let store = Store::open(folder.path(), url.as_deref()).expect("it opens");
    let known = [(5, true), (4, false), (3, false), (2, false), (1, false)];
    assert_eq!(waiting_turns(&store, &shop, &key).await, known);
}

on_both! {
    a_commit_says_whether_a_handler_waited_also_when_that_is_over
    the_heap_of_each_kept_turn_can_be_given
    pages_have_up_to_64_kib_in_a_row
    the_history_is_kept_by_number
    the_history_is_kept_by_time_but_for_the_last_heap
    the_restorable_turn_is_kept_for_as_long_as_a_handler_waits
    the_turn_before_an_upgrade_is_kept_beside_the_restorable_one
    many_changes_are_made_one_heap
    artifacts_that_workers_need_are_not_deleted
}
