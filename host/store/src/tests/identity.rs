//! Which store a data directory takes for its own.

use super::*;
use crate::IDENTITY_FILE;
use elias_api::Actor;
use std::path::Path;

fn open(folder: &Path, url: Option<&str>) -> Store {
    Store::open(folder, url).expect("it is a store")
}

/// Writes what a host has of a service.
fn serve(folder: &Path, tenant: &str, component: &str) {
    let folder = folder.join("services").join(tenant);
    std::fs::create_dir_all(&folder).expect("the folder is ours");
    std::fs::write(folder.join(format!("{component}.production.json")), "{}").expect("the folder is ours");
}

fn remove_store(folder: &Path) {
    for name in std::iter::once(STORE_FILE).chain(crate::BESIDE) {
        let _ = std::fs::remove_file(folder.join(name)); // some are not there
    }
}

async fn refusal(store: &Store) -> (Code, String) {
    let error = store.ping().await.expect_err("it is another store");
    (error.code(), error.to_string())
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_and_nothing_is_made_in_its_place() {
    for trace in ["store-id", "services", "artifacts"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        match trace {
            "services" => serve(path, "a", "shop"),
            "artifacts" => {
                std::fs::create_dir_all(path.join("artifacts/ab")).expect("ours");
                std::fs::write(path.join("artifacts/ab/abcd"), "x").expect("ours");
            }
            _ => {
                let store = open(path, None);
                store.ping().await.expect("a new one");
                store.close().await.expect("it is closed");
                remove_store(path);
            }
        }
        // An empty file is as good as none.
        for empty in [false, true] {
            if empty {
                std::fs::write(path.join(STORE_FILE), "").expect("ours");
            }
            let (code, said) = refusal(&open(path, None)).await;
            assert_eq!(code, Code::StoreMissing, "{trace}");
            assert!(said.contains("--abandon-former-store") && said.contains(STORE_FILE), "{said}");
            assert_eq!(path.join(STORE_FILE).exists(), empty, "{trace}");
        }
        // An operator who says so begins anew, and loses nothing.
        let store = open(path, None);
        store.abandon_former().await.expect("it is a new one");
        assert!(!path.join("services").exists() && !path.join("artifacts").exists(), "{trace}");
        let former = std::fs::read_dir(path).expect("ours").flatten();
        let former = former.filter(|entry| entry.file_name().to_string_lossy().starts_with("former.")).count();
        assert_eq!(former, usize::from(trace != "store-id"), "{trace}");
        open(path, None).ping().await.expect("it is its store from now on");
    }
}

async fn another_store_is_told_from_the_own_one(TestStore { store, folder }: &TestStore, other: &TestStore) {
    let (own, found) = (store.identity().await.expect("it has one"), other.store.identity().await.expect("it has one"));
    assert_ne!(own, found);
    let remembered = std::fs::read_to_string(folder.path().join(IDENTITY_FILE)).expect("it is remembered");
    assert_eq!(remembered.trim(), own);
    let swapped = match &other.url() {
        None => {
            other.store.close().await.expect("closed");
            store.close().await.expect("closed");
            remove_store(folder.path());
            std::fs::copy(other.folder.path().join(STORE_FILE), folder.path().join(STORE_FILE)).expect("there is room");
            open(folder.path(), None)
        }
        Some(url) => open(folder.path(), Some(url)),
    };
    let (code, said) = refusal(&swapped).await;
    assert_eq!(code, Code::StoreMismatch);
    assert!(said.contains(own) && said.contains(found) && said.contains("--abandon-former-store"), "{said}");
}

#[tokio::test]
async fn another_store_is_told_from_the_own_one_on_both() {
    another_store_is_told_from_the_own_one(&sqlite(), &sqlite()).await;
    if let (Some(own), Some(other)) = (postgres().await, postgres().await) {
        another_store_is_told_from_the_own_one(&own, &other).await;
        // A host that has not been here yet joins.
        let new = tempfile::tempdir().expect("a folder");
        open(new.path(), own.url().as_deref()).ping().await.expect("another host on the same store");
    }
    if let Some(empty) = postgres().await {
        // The database is there, and nothing was ever made in it.
        let own = sqlite();
        own.store.ping().await.expect("it is there");
        let (code, said) = refusal(&open(own.folder.path(), empty.url().as_deref())).await;
        assert_eq!(code, Code::StoreMissing);
        assert!(said.contains("--store"), "{said}");
        let tables = "SELECT count(*) AS tables FROM pg_tables WHERE schemaname = current_schema()";
        let mut connection = empty.store.connect().await.expect("it is there");
        let row = sqlx::query(tables).fetch_one(&mut connection).await.expect("read");
        assert_eq!(get::<i64>(&row, "tables").expect("a number"), 0, "nothing is made in a database that is refused");
    }
}

#[tokio::test]
async fn a_store_from_before_identities_is_known_by_its_components() {
    for (component, known) in [("shop", true), ("blog", false)] {
        let TestStore { store, folder } = sqlite();
        let a = create_tenant(&store, "a").await;
        add_version(&store, &a, b"1").await.expect("stored");
        let undo = "DROP TABLE store_identity; DROP TABLE hosts; DELETE FROM _sqlx_migrations WHERE version = 6";
        store.pool.execute(undo).await.expect("as it was");
        store.close().await.expect("closed");
        std::fs::remove_file(folder.path().join(IDENTITY_FILE)).expect("it is there");
        serve(folder.path(), "a", component);
        let store = open(folder.path(), None);
        let opened = store.ping().await;
        assert_eq!(opened.is_ok(), known, "{component}: {opened:?}");
        if let Err(error) = opened {
            assert_eq!(error.code(), Code::StoreMismatch);
            assert!(!folder.path().join(IDENTITY_FILE).exists());
        }
    }
}

#[tokio::test]
async fn a_server_that_is_exchanged_while_the_host_runs_is_noticed() {
    let Some(test_store) = postgres().await else { return };
    let store = &test_store.store;
    store.ping().await.expect("it is there");
    let other = ulid::Ulid::new().to_string();
    sqlx::query("UPDATE store_identity SET id = $1").bind(other.clone()).execute(&store.pool).await.expect("altered");
    // Connections that there are know no better; each new one does.
    let mut held = Vec::new();
    while held.len() < store.pool.size() as usize {
        match store.pool.try_acquire() {
            Some(connection) => held.push(connection),
            None => tokio::task::yield_now().await, // it is on its way back
        }
    }
    let error = store.host_write().await.err().expect("no connection");
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert!(error.to_string().contains(&other), "{error}");
}

#[tokio::test]
async fn all_of_a_store_is_moved_to_postgresql_and_its_identity_stays() {
    let Some(target) = postgres().await else { return };
    let url = target.url().expect("a URL");
    let TestStore { store, folder } = sqlite();
    let a = create_tenant(&store, "a").await;
    for number in 0..250_u32 {
        add_version(&store, &a, &number.to_le_bytes()).await.expect("stored");
    }
    deploy(&store, &a, 1, 0).await.expect("it serves");
    let mut scope = store.write(&a).await.expect("a scope");
    scope.set_secret(&service(&a), "TOKEN", "sealed \"'é\n", &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    // Events in two segments.
    for number in 0..2 {
        let mut scope = store.write(&a).await.expect("a scope");
        scope.publish_events(&[triggers::new_event("order.paid", number)], None).await.expect("published");
        scope.commit().await.expect("committed");
        let mut scope = store.host_write().await.expect("a scope");
        assert!(scope.begin_event_segment(0).await.expect("asked"));
        scope.commit().await.expect("committed");
    }
    let identity = store.identity().await.expect("it has one").to_owned();
    let targets = store.host_read().await.expect("read").targets(TargetFilter::All).await.expect("read");
    store.close().await.expect("closed");

    let moved = crate::move_store(folder.path(), &url).await.expect("it is moved");
    assert_eq!(moved.identity, identity);
    assert!(moved.rows.contains(&("versions", 250)) && moved.rows.contains(&("secrets", 1)), "{:?}", moved.rows);
    let there = open(folder.path(), Some(&url));
    assert_eq!(there.identity().await.expect("it is the same"), identity);
    assert_eq!(there.host_read().await.expect("read").targets(TargetFilter::All).await.expect("read"), targets);
    assert_eq!(there.check_log().await.expect("whole"), 250);
    add_version(&there, &a, b"the next").await.expect("it goes on there");
    let mut scope = there.write(&a).await.expect("a scope");
    let published = scope.publish_events(&[triggers::new_event("order.paid", 2)], None).await.expect("published");
    assert_eq!((published[0].position, scope.events(0, 10).await.expect("read").len()), (3, 3));
    drop(scope);
    assert_eq!(refusal(&open(folder.path(), None)).await.0, Code::StoreMissing, "nobody goes on with the file");

    // A store that is not empty is not written over.
    let again = sqlite();
    create_tenant(&again.store, "b").await;
    again.store.close().await.expect("closed");
    let error = crate::move_store(again.folder.path(), &url).await.expect_err("it is not empty");
    assert_eq!(error.code(), Code::WrongState, "{error}");
    open(again.folder.path(), None).ping().await.expect("it is as it was");
}

#[tokio::test]
async fn every_table_is_moved() {
    let TestStore { store, folder: _folder } = sqlite();
    store.ping().await.expect("it is there");
    let rows = sqlx::query("SELECT name AS name FROM sqlite_master WHERE type = 'table'").fetch_all(&store.pool).await;
    let names = rows.expect("read").iter().map(|row| get::<String>(row, "name").expect("a name")).collect::<Vec<_>>();
    for name in names.iter().filter(|name| !["hosts", "_sqlx_migrations"].contains(&name.as_str())) {
        assert!(crate::transfer::TABLES.contains(&name.as_str()), "{name} would be lost");
    }
}

#[tokio::test]
async fn tenants_count_and_append_and_alter_nothing_of_the_hosts() {
    let Some(TestStore { store, folder: _folder }) = postgres().await else { return };
    let a = create_tenant(&store, "a").await;
    add_version(&store, &a, b"1").await.expect("it counts and appends");
    for statement in [
        "UPDATE log_records SET record = 'x'",
        "DELETE FROM log_records",
        "SELECT record FROM log_records",
        "INSERT INTO log_records (position, record) VALUES (7, 'x')",
        "INSERT INTO log_records (position, record) VALUES (0, 'x') ON CONFLICT (position) DO UPDATE SET record = 'x'",
        "UPDATE log_hashes SET hash = 'x'",
        "DELETE FROM log_hashes",
        "DELETE FROM counters",
        "INSERT INTO counters (name, value) VALUES ('x', 1)",
        "UPDATE counters SET name = 'x'",
        "UPDATE counters SET value = 0 WHERE name = 'log'",
        "UPDATE counters SET value = value + 2 WHERE name = 'log'",
        "UPDATE counters SET value = value - 1 WHERE name = 'changes'",
        "TRUNCATE counters",
        "INSERT INTO event_segments (segment, begun_at) VALUES (1, 0)",
        "UPDATE event_segments SET begun_at = 0",
        "DELETE FROM event_segments",
        "TRUNCATE events_0",
        "INSERT INTO leases (name, owner, epoch, until) VALUES ('workers/x', 'x', 1, 1)",
        "UPDATE leases SET until = 0",
        "DELETE FROM leases",
        "UPDATE store_identity SET id = 'x'",
        "SELECT id FROM hosts",
    ] {
        let mut scope = store.write(&a).await.expect("a scope");
        let done = sqlx::query(statement).execute(&mut *scope.tx).await;
        assert!(done.is_err(), "{statement}: {done:?}");
    }
    assert_eq!(store.check_log().await.expect("the log is whole"), 1);
    add_version(&store, &a, b"2").await.expect("it still counts and appends");
}
