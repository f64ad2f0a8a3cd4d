//! A disk that is full, a database that is busy, futures that are dropped, files that are moved: what the store is
//! afterwards.

use super::*;
use crate::BESIDE;
use elias_api::Actor;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Connections of the pool.
const CONNECTIONS: usize = 8;

/// Sets something on each connection of the pool.
async fn on_each_connection(store: &Store, pragma: &str) {
    store.ping().await.expect("it is there");
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        all.push(store.pool.acquire().await.expect("a connection"));
    }
    for connection in &mut all {
        connection.execute(AssertSqlSafe(pragma.to_owned())).await.expect("it is set");
    }
    // They go back in tasks of their own.
    drop(all);
    while store.pool.num_idle() < CONNECTIONS {
        later().await;
    }
}

/// Writes in one transaction until that fails.
async fn fill(store: &Store, tenant: &TenantId) -> Error {
    let text = "x".repeat(100_000);
    let mut scope = match store.write(tenant).await {
        Ok(scope) => scope,
        Err(error) => return error,
    };
    for _ in 0..1_000 {
        if let Err(error) = scope.audit(&Actor::host(), "fill", text.clone(), NOTHING, NOTHING).await {
            return error;
        }
    }
    panic!("the disk is not full");
}

/// Whether all connections write at the first try, and read what was written last.
async fn is_as_new(store: &Store, tenant: &TenantId) {
    let before = store.read(tenant).await.expect("read").versions(&shop(), None, 1_000).await.expect("read").len();
    for more in 1..=2 * CONNECTIONS {
        let bytes = [more.to_le_bytes(), before.to_le_bytes()].concat();
        add_version(store, tenant, &bytes).await.expect("at the first try");
        let mut scope = store.read(tenant).await.expect("read");
        assert_eq!(
            scope.versions(&shop(), None, 1_000).await.expect("read").len(),
            before + more,
            "nobody reads the past"
        );
        assert!(scope.has_artifact(&Digest::of(&bytes)).await.expect("read"));
    }
    store.check_log().await.expect("the log is whole");
}

#[tokio::test]
async fn once_there_is_room_again_each_connection_is_as_new() {
    let TestStore { store, .. } = &sqlite();
    let a = create_tenant(store, "a").await;
    on_each_connection(store, "PRAGMA max_page_count = 1").await; // no more than there are
    for _ in 0..CONNECTIONS {
        assert_eq!(fill(store, &a).await.code(), Code::NoSpaceLeft);
    }
    // Those that met the full disk are not given out again; the others have room from here on.
    on_each_connection(store, "PRAGMA max_page_count = 1000000").await;
    is_as_new(store, &a).await;
}

/// A file system of its own, with little room; only for root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={kilobytes}k,mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        mount.is_ok_and(|status| status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Takes what room is left, but for `spare` bytes.
    fn take(&self, spare: u64) -> PathBuf {
        let file = self.path().join("ballast");
        let disk = rustix::fs::statvfs(self.path()).expect("it is mounted");
        let free = disk.f_bavail * disk.f_frsize;
        std::fs::write(&file, vec![0; usize::try_from(free.saturating_sub(spare)).expect("small")])
            .expect("there is room");
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn on_a_disk_that_is_full_nothing_is_acknowledged_and_with_room_everything_works() {
    let Some(disk) = SmallDisk::mount(4 << 10) else {
        eprintln!("not root: a full file system cannot be had; max_page_count stands for it");
        return;
    };
    let store = &Store::open(disk.path(), None).expect("it opens");
    let a = create_tenant(store, "a").await;
    on_each_connection(store, "PRAGMA wal_autocheckpoint = 10").await;
    for spare in [0, 4096, 50_000] {
        let ballast = disk.take(spare);
        for _ in 0..CONNECTIONS {
            let failed = fill(store, &a).await.code();
            assert!(matches!(failed, Code::NoSpaceLeft | Code::StoreUnavailable), "{failed}");
        }
        std::fs::remove_file(ballast).expect("it is ours");
        is_as_new(store, &a).await;
    }
}

#[tokio::test]
async fn what_is_dropped_half_way_leaves_each_connection_as_new() {
    let TestStore { store, .. } = &sqlite();
    let a = create_tenant(store, "a").await;
    for number in 0..200_u32 {
        // Somewhere else in the transaction each time; some come through.
        let bytes = number.to_le_bytes();
        let adding = add_version(store, &a, &bytes);
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(number) * 7), adding).await;
    }
    is_as_new(store, &a).await;
}

#[tokio::test]
async fn once_a_database_is_busy_no_more_each_connection_is_as_new() {
    let TestStore { store, folder } = &sqlite();
    let a = create_tenant(store, "a").await;
    on_each_connection(store, "PRAGMA busy_timeout = 1").await;
    let other = rusqlite::Connection::open(folder.path().join(STORE_FILE)).expect("the file is there");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    for _ in 0..2 * CONNECTIONS {
        assert_eq!(fill(store, &a).await.code(), Code::StoreUnavailable);
    }
    other.execute_batch("ROLLBACK").expect("it is ours");
    on_each_connection(store, "PRAGMA busy_timeout = 10000").await;
    is_as_new(store, &a).await;
}

#[tokio::test]
async fn a_file_that_is_removed_or_replaced_is_noticed_and_works_again_when_it_is_back() {
    let TestStore { store, folder } = &sqlite();
    let a = create_tenant(store, "a").await;
    let path = |name: &str| folder.path().join(name);
    for name in [STORE_FILE, BESIDE[0]] {
        let aside = path("aside");
        let refused = async |what: &str| {
            for error in [store.write(&a).await.err(), store.read(&a).await.err(), store.check_write().await.err()] {
                let error = error.expect("it is refused");
                assert_eq!(error.code(), Code::StoreUnavailable);
                assert!(error.to_string().contains(what) && error.to_string().contains(name), "{error}");
            }
        };
        std::fs::rename(path(name), &aside).expect("it is ours");
        refused("removed").await;
        std::fs::copy(&aside, path(name)).expect("there is room");
        refused("replaced").await;
        std::fs::rename(&aside, path(name)).expect("it is ours");
        add_version(store, &a, name.as_bytes()).await.expect("it is back");

        // Between the beginning and the end.
        let mut scope = store.write(&a).await.expect("a scope");
        scope.audit(&Actor::host(), "x", "y", NOTHING, NOTHING).await.expect("written");
        std::fs::rename(path(name), &aside).expect("it is ours");
        assert_eq!(scope.commit().await.expect_err("not acknowledged").code(), Code::StoreUnavailable);
        std::fs::rename(&aside, path(name)).expect("it is ours");
    }
    is_as_new(store, &a).await;
}

#[tokio::test]
async fn its_files_are_for_their_owner_alone_also_those_of_before() {
    use std::os::unix::fs::PermissionsExt;
    let TestStore { store, folder } = &sqlite();
    create_tenant(store, "a").await;
    let files: Vec<_> = std::iter::once(STORE_FILE).chain(BESIDE).map(|name| folder.path().join(name)).collect();
    let mode = |path: &PathBuf| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(files.iter().map(mode).collect::<Vec<_>>(), [0o600; 3]);
    for file in &files {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    }
    let again = Store::open(folder.path(), None).expect("it opens");
    again.ping().await.expect("it is there");
    assert_eq!(files.iter().map(mode).collect::<Vec<_>>(), [0o600; 3]);
}

async fn connections_that_a_server_has_closed_are_replaced(TestStore { store, .. }: &TestStore) {
    if !store.is_shared() {
        return; // a file closes none
    }
    let a = create_tenant(store, "a").await;
    on_each_connection(store, "SELECT 1").await;
    let mut beside = store.connect().await.expect("a connection beside the pool");
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let terminate = format!("SELECT count(pg_terminate_backend(pid)) AS closed {others}");
    beside.execute(AssertSqlSafe(terminate)).await.expect("they are told to end");
    loop {
        let count = sqlx::query(AssertSqlSafe(format!("SELECT count(*) AS still_there {others}")));
        let row = count.fetch_one(&mut beside).await.expect("counted");
        if get::<i64>(&row, "still_there").expect("a number") == 0 {
            break;
        }
        later().await;
    }
    is_as_new(store, &a).await;
}

async fn hints_reach_other_hosts(TestStore { store, .. }: &TestStore) {
    let Some(mut hints) = store.hints().await.expect("it listens") else {
        assert!(!store.is_shared());
        return store.hint("one").await.expect("nobody is told");
    };
    for sender in ["one", "two"] {
        store.hint(sender).await.expect("sent");
        assert_eq!(hints.next().await.expect("a hint"), sender);
    }
}

on_both! {
    connections_that_a_server_has_closed_are_replaced
    hints_reach_other_hosts
}
