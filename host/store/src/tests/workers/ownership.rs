//! One owner of a worker at a time, and what former ones commit.

use super::*;

async fn two_owners_cannot_both_commit(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    process(store, "one", LEASE_MS).await;
    process(store, "two", LEASE_MS).await;
    let first = acquire(store, &shop, &key, "one").await;
    assert_eq!((first.turns, &first.record, &first.component_digest), (0, &None, &None), "it is new");
    let other = try_acquire(store, &shop, &key, "two").await.expect("asked");
    assert_eq!(other, WorkerAcquisition::OwnedElsewhere { owner: "one".to_owned() });
    turn(store, &shop, &key, first.epoch, 1, whole("a")).await;

    let wanted =
        async |owner: &str| store.host_read().await.expect("a scope").wanted_workers(owner, 10).await.expect("read");
    assert_eq!(wanted("one").await, [WorkerRef { service: shop.clone(), key: key.clone() }]);
    assert_eq!(wanted("two").await, []);
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.release_worker(&shop, &key, first.epoch).await.expect("asked"));
    scope.commit().await.expect("committed");
    assert_eq!(wanted("one").await, []);
    let late = commit(store, &a, &[row(&shop, &key, first.epoch, 2, change("late"))]).await;
    assert_eq!(late, [CommitOutcome::NotOwner], "it has none");

    let second = acquire(store, &shop, &key, "two").await;
    assert!(second.epoch > first.epoch);
    assert_eq!((second.turns, second.record), (1, Some(b"record 1".to_vec())));
    assert_eq!((second.version, second.component_digest), (Some(1), Some(Digest::of(b"component"))));
    let late = commit(store, &a, &[row(&shop, &key, first.epoch, 2, change("late"))]).await;
    assert_eq!(late, [CommitOutcome::NotOwner]);
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(!scope.release_worker(&shop, &key, first.epoch).await.expect("asked"), "it is another's");
    assert!(!scope.remove_worker(&shop, &key, first.epoch).await.expect("asked"), "it is another's");
    drop(scope);
    turn(store, &shop, &key, second.epoch, 2, change("b")).await;
    assert_eq!(heap(store, &shop, &key, 2).await.as_deref(), Some("a b"));
    is_counted(store, &a).await;
}

async fn the_worker_of_a_dead_process_is_acquired_once_its_lease_has_ended(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    let lease = process(store, "host.1", LEASE_MS).await;
    let first = acquire(store, &shop, &key, "host.1").await;
    turn(store, &shop, &key, first.epoch, 1, whole("a")).await;
    process(store, "host.2", LEASE_MS).await;
    let early = try_acquire(store, &shop, &key, "host.2").await.expect("asked");
    assert!(matches!(early, WorkerAcquisition::OwnedElsewhere { .. }), "a process is not the host's former one");

    let end = "UPDATE leases SET until = 1 WHERE name = 'workers/host.1'";
    store.pool.execute(end).await.expect("it has ended");
    let second = acquire(store, &shop, &key, "host.2").await;
    let late = commit(store, &a, &[row(&shop, &key, first.epoch, 2, change("late"))]).await;
    assert_eq!(late, [CommitOutcome::NotOwner]);
    turn(store, &shop, &key, second.epoch, 2, change("b")).await;
    let mut scope = store.host_write().await.expect("a scope");
    assert!(!scope.renew_lease(&lease, LEASE_MS).await.expect("asked"));
}

async fn a_host_ends_the_leases_of_its_former_processes(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let shop = service(&a);
    for owner in ["h1.old", "h1.new", "h2.old"] {
        process(store, owner, LEASE_MS).await;
        acquire(store, &shop, &cart(owner), owner).await;
    }
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.end_worker_leases("h1.", "h1.new").await.expect("asked"), 1);
    scope.commit().await.expect("committed");
    acquire(store, &shop, &cart("h1.old"), "h1.new").await;
    let other = try_acquire(store, &shop, &cart("h2.old"), "h1.new").await.expect("asked");
    assert_eq!(other, WorkerAcquisition::OwnedElsewhere { owner: "h2.old".to_owned() });
}

async fn of_many_that_acquire_at_once_one_gets_the_worker(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let shop = service(&a);
    let owners: Vec<_> = (0..8).map(|number| format!("process {number}")).collect();
    for owner in &owners {
        process(store, owner, LEASE_MS).await;
    }
    let tasks = owners.into_iter().map(|owner| {
        let (store, shop) = (store.clone(), shop.clone());
        tokio::spawn(async move { try_acquire(&store, &shop, &cart("ada"), &owner).await.expect("asked") })
    });
    let mut acquired = 0;
    for task in tasks.collect::<Vec<_>>() {
        acquired += usize::from(matches!(task.await.expect("no panic"), WorkerAcquisition::Acquired(_)));
    }
    assert_eq!(acquired, 1);
    assert_eq!(is_counted(store, &a).await.workers, 1);
}

async fn a_refused_commit_keeps_the_others_of_its_transaction(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let shop = service(&a);
    let staging = ServiceId { environment: Environment::Staging, ..shop.clone() };
    process(store, "me", LEASE_MS).await;
    let mut rows = Vec::new();
    for number in 0..5 {
        for of in [&shop, &staging] {
            let key = cart(&number.to_string());
            let epoch = acquire(store, of, &key, "me").await.epoch;
            rows.push(row(of, &key, epoch, 1, whole(&format!("{number} {}", of.environment))));
        }
    }
    rows[3].epoch += 1;
    rows[6].heap = change("there is nothing that it changes");
    let outcomes = commit(store, &a, &rows).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = match number {
            3 => CommitOutcome::NotOwner,
            6 => CommitOutcome::NoSuchTurn,
            _ => CommitOutcome::Committed,
        };
        assert_eq!(*outcome, expected, "{number}");
        let row = &rows[number];
        let is_there = heap(store, &row.service, &row.key, 1).await.is_some();
        assert_eq!(is_there, expected == CommitOutcome::Committed, "{number}");
    }
    assert_eq!(heap(store, &staging, &cart("2"), 1).await.as_deref(), Some("2 staging"), "each has its own");
    is_counted(store, &a).await;
    let again = commit(store, &a, &rows[..1]).await;
    assert_eq!(again, [CommitOutcome::AlreadyCommitted], "its response was lost");
    let mut scope = store.worker_write(&a).await.expect("a scope");
    let twice = [rows[0].clone(), rows[0].clone()];
    assert_eq!(
        scope.commit_workers(&twice, &WorkerRetention::default()).await.expect_err("twice").code(),
        Code::Internal
    );
}

async fn a_worker_without_a_commit_leaves_nothing(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    process(store, "me", LEASE_MS).await;
    let first = acquire(store, &shop, &key, "me").await;
    assert_eq!(is_counted(store, &a).await.workers, 1);
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert_eq!(scope.worker(&shop, &key).await.expect("read"), None, "nobody sees it before its first commit");
    assert!(scope.release_worker(&shop, &key, first.epoch).await.expect("asked"));
    scope.commit().await.expect("committed");
    assert_eq!(is_counted(store, &a).await, WorkerUse::default());

    // One whose process died before it committed is deleted later.
    acquire(store, &shop, &key, "me").await;
    acquire(store, &shop, &cart("bob"), "gone").await;
    store.pool.execute("UPDATE workers SET created_at = 1").await.expect("changed");
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.prune_workers(10).await.expect("pruned"), 1);
    scope.commit().await.expect("committed");
    assert_eq!(is_counted(store, &a).await.workers, 1, "that of a process which lives stays");
}

async fn a_worker_that_is_made_anew_does_not_take_commits_of_the_former_one(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let (shop, key) = (service(&a), cart("ada"));
    process(store, "me", LEASE_MS).await;
    let first = acquire(store, &shop, &key, "me").await;
    turn(store, &shop, &key, first.epoch, 1, whole("a")).await;
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert!(scope.remove_worker(&shop, &key, first.epoch).await.expect("asked"));
    scope.commit().await.expect("committed");
    assert_eq!(is_counted(store, &a).await, WorkerUse::default());
    later().await;
    let second = acquire(store, &shop, &key, "me").await;
    assert_eq!((second.turns, second.record), (0, None));
    assert!(second.epoch > first.epoch);
    let late = commit(store, &a, &[row(&shop, &key, first.epoch, 2, whole("late"))]).await;
    assert_eq!(late, [CommitOutcome::NotOwner]);
}

on_both! {
    two_owners_cannot_both_commit
    the_worker_of_a_dead_process_is_acquired_once_its_lease_has_ended
    a_host_ends_the_leases_of_its_former_processes
    of_many_that_acquire_at_once_one_gets_the_worker
    a_refused_commit_keeps_the_others_of_its_transaction
    a_worker_without_a_commit_leaves_nothing
    a_worker_that_is_made_anew_does_not_take_commits_of_the_former_one
}
