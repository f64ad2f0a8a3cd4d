//! Workers of other tenants, of services and tenants that are deleted, and of a store that is moved.

use super::*;

const TABLES: [&str; 3] = ["workers", "worker_turns", "worker_counts"];

async fn count(store: &Store, table: &str, tenant: &TenantId) -> i64 {
    let select = format!("SELECT count(*) AS rows_there FROM {table} WHERE tenant = $1");
    let query = sqlx::query(AssertSqlSafe(select)).bind(tenant.as_str().to_owned());
    get(&query.fetch_one(&store.pool).await.expect("read"), "rows_there").expect("a number")
}

/// Commits two turns of so many workers; gives their epochs.
async fn fill(store: &Store, service: &ServiceId, workers: usize) -> Vec<u64> {
    let mut epochs = Vec::new();
    for number in 0..workers {
        let key = cart(&number.to_string());
        let epoch = acquire(store, service, &key, "me").await.epoch;
        turn(store, service, &key, epoch, 1, whole("a")).await;
        turn(store, service, &key, epoch, 2, HeapCommitRow::BackTo(1)).await;
        epochs.push(epoch);
    }
    epochs
}

async fn a_tenant_sees_only_its_own_workers(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let (shop, key) = (service(&a), cart("0"));
    process(store, "me", LEASE_MS).await;
    let epoch = fill(store, &shop, 1).await[0];
    // Also with the other's service and epoch the scope's tenant is what counts.
    let mut scope = store.worker_write(&b).await.expect("a scope");
    assert_eq!(scope.workers(&shop, &WorkerFilter::default(), None, 10).await.expect("read"), []);
    assert_eq!(scope.worker(&shop, &key).await.expect("read"), None);
    assert_eq!(scope.pending_workers(&shop, "me", None, 10).await.expect("read"), []);
    assert_eq!(scope.heap_parts(&shop, &key, 2).await.expect("read"), None);
    assert_eq!(scope.worker_history(&shop, &key, None, 10).await.expect("read"), []);
    assert_eq!(scope.worker_use().await.expect("read"), WorkerUse::default());
    assert!(!scope.release_worker(&shop, &key, epoch).await.expect("asked"));
    assert!(!scope.remove_worker(&shop, &key, epoch).await.expect("asked"));
    assert!(!scope.compact_worker(&shop, &key, 2, &pages("a")).await.expect("asked"));
    assert_eq!(scope.delete_workers(&shop, 10).await.expect("asked"), 0);
    let stolen = [row(&shop, &key, epoch, 3, change("stolen"))];
    let outcomes = scope.commit_workers(&stolen, &WorkerRetention::default()).await.expect("asked");
    assert_eq!(outcomes, [CommitOutcome::NotOwner]);
    scope.commit().await.expect("committed");
    for table in TABLES {
        assert!(count(store, table, &a).await > 0, "{table}");
        // PostgreSQL guards the rows also from a statement that forgets the tenant.
        if store.dialect == Dialect::Postgres {
            let mut scope = store.write(&b).await.expect("a scope");
            let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *scope.tx).await;
            assert_eq!(delete.expect("it runs").rows_affected(), 0, "{table}");
        }
    }
    if store.dialect == Dialect::Postgres {
        let insert = "INSERT INTO worker_counts (tenant, slot, workers, bytes) VALUES ('a', 99, 5, 5)";
        let mut scope = store.write(&b).await.expect("a scope");
        assert!(sqlx::query(insert).execute(&mut *scope.tx).await.is_err(), "a row of another tenant");
        drop(scope);
        let mut scope = store.host_write().await.expect("a scope");
        scope.acquire_lease("another", "me", LEASE_MS).await.expect("asked").expect("it is free");
        scope.commit().await.expect("committed");
        let mut scope = store.write(&b).await.expect("a scope");
        let rows = sqlx::query("SELECT name FROM leases").fetch_all(&mut *scope.tx).await.expect("read");
        let names: Vec<String> = rows.iter().map(|row| get(row, "name").expect("a name")).collect();
        assert_eq!(names, ["workers/me"], "the others are the host's own");
    }
    // The same, as the tenant that they belong to.
    fill(store, &service(&b), 1).await;
    assert_eq!(heap(store, &shop, &key, 2).await.as_deref(), Some("a"));
}

async fn workers_go_with_their_service_component_or_tenant(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let shop = service(&a);
    let staging = ServiceId { environment: Environment::Staging, ..shop.clone() };
    let epoch = fill(store, &shop, 5).await[0];
    fill(store, &staging, 2).await;
    fill(store, &service(&b), 1).await;
    let mut scope = store.worker_write(&a).await.expect("a scope");
    assert_eq!(scope.delete_workers(&shop, 3).await.expect("deleted"), 3);
    assert_eq!(scope.delete_workers(&shop, 3).await.expect("deleted"), 2);
    assert_eq!(scope.delete_workers(&shop, 3).await.expect("deleted"), 0);
    scope.commit().await.expect("committed");
    assert_eq!(is_counted(store, &a).await.workers, 2, "those of another environment stay");
    let late = commit(store, &a, &[row(&shop, &cart("0"), epoch, 3, whole("late"))]).await;
    assert_eq!(late, [CommitOutcome::NotOwner]);

    add_version(store, &a, b"1").await.expect("stored");
    let mut scope = store.write(&a).await.expect("a scope");
    assert!(scope.delete_version(&super::shop(), 1, &Actor::host()).await.expect("deleted"), "the last");
    scope.commit().await.expect("committed");
    assert_eq!(is_counted(store, &a).await, WorkerUse::default());

    fill(store, &shop, 3).await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.delete_tenant(&Actor::host()).await.expect("deleted");
    scope.commit().await.expect("committed");
    for deleted in [2, 1, 0] {
        let mut scope = store.queue_write().await.expect("a scope");
        assert_eq!(scope.prune_workers(2).await.expect("pruned"), deleted);
        scope.commit().await.expect("committed");
    }
    for table in TABLES {
        assert_eq!(count(store, table, &a).await > 0, table == "worker_counts", "{table}");
        assert!(count(store, table, &b).await > 0, "{table}: another tenant's stay");
    }
    assert_eq!(is_counted(store, &a).await, WorkerUse::default());
}

#[tokio::test]
async fn workers_are_moved_to_postgresql() {
    let Some(target) = postgres().await else { return };
    let url = target.url().expect("a URL");
    let TestStore { store, folder } = sqlite();
    let a = create_tenant(&store, "a").await;
    add_version(&store, &a, b"1").await.expect("stored");
    let (shop, key) = (service(&a), cart("a\0/..\u{ff}"));
    let epoch = acquire(&store, &shop, &key, "me").await.epoch;
    let bytes: Vec<u8> = (0..=255).collect();
    turn(&store, &shop, &key, epoch, 1, HeapCommitRow::Whole(TurnPages::Inline(bytes.clone()))).await;
    turn(&store, &shop, &key, epoch, 2, HeapCommitRow::BackTo(1)).await;
    store.close().await.expect("closed");
    let moved = crate::move_store(folder.path(), &url).await.expect("it is moved");
    assert!(moved.rows.contains(&("workers", 1)) && moved.rows.contains(&("worker_turns", 2)), "{:?}", moved.rows);
    let there = Store::open(folder.path(), Some(&url)).expect("it opens");
    let acquired = acquire(&there, &shop, &key, "another").await;
    assert_eq!((acquired.turns, acquired.record), (2, Some(b"record 2".to_vec())));
    let mut scope = there.read(&a).await.expect("a scope");
    let parts = scope.heap_parts(&shop, &key, 2).await.expect("read").expect("it is kept");
    assert_eq!(parts, [TurnPart { turn: 1, kind: PartKind::Whole, pages: TurnPages::Inline(bytes) }]);
    drop(scope);
    is_counted(&there, &a).await;
}

on_both! {
    a_tenant_sees_only_its_own_workers
    workers_go_with_their_service_component_or_tenant
}
