//! Tests of the table with the outbox.

use super::*;
use crate::outbox::{OutboxRelay, OutboxRow, RelayUnavailable, RowKind, new_id};
use futures::future::{BoxFuture, FutureExt, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counts what it is asked for.
#[derive(Default)]
pub(in crate::db::tests) struct CountingRelay {
    is_away: AtomicBool,
    remembered: AtomicU32,
    committed: AtomicU32,
}

impl CountingRelay {
    fn counts(&self) -> (u32, u32) {
        (self.remembered.load(Ordering::SeqCst), self.committed.load(Ordering::SeqCst))
    }
}

impl OutboxRelay for CountingRelay {
    fn remember(&self, _: &str) -> BoxFuture<'static, Result<(), RelayUnavailable>> {
        if self.is_away.load(Ordering::SeqCst) {
            return ready(Err(RelayUnavailable)).boxed();
        }
        self.remembered.fetch_add(1, Ordering::SeqCst);
        ready(Ok(())).boxed()
    }

    fn committed(&self, _: &str) {
        self.committed.fetch_add(1, Ordering::SeqCst);
    }
}

impl DbContext {
    /// Writes a row with this body; gives its id.
    async fn write(&self, transaction: &mut Transaction, body: &str) -> Result<String, Error> {
        let row = OutboxRow { id: new_id(), kind: RowKind::Job, body: body.to_owned() };
        let id = row.id.clone();
        self.database.write_outbox(transaction, row, &self.reserve()?)?.await.map(|()| id)
    }

    async fn bodies(&self) -> Vec<String> {
        let rows = self.database.read_outbox().await.unwrap();
        rows.into_iter().map(|row| row.body.unwrap()).collect()
    }
}

pub(in crate::db::tests) async fn rows_of_the_outbox_are_parts_of_their_transaction(backend: TestBackend) {
    let db = backend.open("outbox", json!({})).await;
    // The table is not created yet.
    assert!(db.bodies().await.is_empty());
    for action in [Action::Rollback, Action::Commit] {
        let mut transaction = db.begin(Isolation::ReadCommitted, false);
        db.write(&mut transaction, "1").await.unwrap();
        read(db.act(&mut transaction, Action::Savepoint(1))).await.unwrap();
        db.write(&mut transaction, "2").await.unwrap();
        read(db.act(&mut transaction, Action::RollbackTo(1))).await.unwrap();
        db.write(&mut transaction, "3").await.unwrap();
        read(db.act(&mut transaction, action)).await.unwrap();
    }
    assert_eq!((db.bodies().await, backend.relay.counts()), (vec!["1".to_owned(), "3".to_owned()], (1, 1)));
    // The table is known now. One that was dropped is noticed when the rows are read.
    let mut transaction = db.begin(Isolation::Serializable, false);
    db.write(&mut transaction, "4").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["1", "3", "4"]);
    let ids: Vec<String> = db.database.read_outbox().await.unwrap().into_iter().map(|row| row.id).collect();
    db.database.delete_from_outbox(&ids[..2]).await.unwrap();
    db.by_people("UPDATE elias_outbox SET id = 'with '' a quote'", Vec::new()).await;
    db.database.delete_from_outbox(&["with ' a quote".to_owned()]).await.unwrap();
    assert!(db.bodies().await.is_empty());
    db.by_people("DROP TABLE elias_outbox", Vec::new()).await;
    assert!(db.bodies().await.is_empty());
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "5").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["5"]);
    // Large rows are read one by one; what is too large is not read.
    db.by_people("UPDATE elias_outbox SET body = 'x'", Vec::new()).await;
    let large = "x".repeat(900_000);
    for at in 0..6 {
        let insert = format!("INSERT INTO elias_outbox VALUES ('large{at}', 'job', $1)");
        db.by_people(&insert, vec![text(&large)]).await;
    }
    let rows = db.database.read_outbox().await.unwrap();
    assert_eq!(rows.len(), 1);
    let mut over = db.begin(Isolation::ReadCommitted, true);
    db.write(&mut over, "6").await.unwrap_err();
    drop(over);
}

pub(in crate::db::tests) async fn an_outbox_that_was_dropped_is_made_again(backend: TestBackend) {
    let db = backend.open("dropped", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    // The table is known from here on.
    assert_eq!(db.bodies().await, ["1"]);
    db.by_people("DROP TABLE elias_outbox", Vec::new()).await;
    let mut failing = db.begin(Isolation::ReadCommitted, false);
    let error = db.write(&mut failing, "2").await.unwrap_err();
    assert_eq!(error.sqlstate.as_deref(), Some("42P01"));
    read(db.act(&mut failing, Action::Rollback)).await.unwrap();
    // Nobody has read the rows meanwhile.
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "3").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["3"]);
}

pub(in crate::db::tests) async fn the_outbox_is_remembered_before_it_is_relied_on(backend: TestBackend) {
    let db = backend.open("remembered", json!({})).await;
    backend.relay.is_away.store(true, Ordering::SeqCst);
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let error = db.write(&mut transaction, "1").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    backend.relay.is_away.store(false, Ordering::SeqCst);
    db.write(&mut transaction, "2").await.unwrap();
    db.write(&mut transaction, "3").await.unwrap();
    read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    // Nobody is told of what was rolled back.
    assert_eq!(backend.relay.counts(), (1, 0));
    let error = db.write(&mut transaction, "4").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TransactionOver);
}

pub(in crate::db::tests) async fn transactions_that_are_the_first_to_use_the_outbox_take_turns(backend: TestBackend) {
    let db = Arc::new(backend.open("turns", json!({ "connections": 4 })).await);
    let all = (0..8).map(|at: u32| {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            let mut transaction = db.begin(Isolation::ReadCommitted, false);
            db.write(&mut transaction, &at.to_string()).await.unwrap();
            read(db.act(&mut transaction, Action::Commit)).await.unwrap();
        })
    });
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    assert_eq!(db.bodies().await.len(), 8);
    assert_eq!(backend.relay.counts().1, 8);
}

pub(in crate::db::tests) async fn rows_that_a_file_has_when_it_is_opened_are_told_of(backend: TestBackend) {
    let db = backend.open("opened", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    drop(db);
    let before = backend.relay.counts().1;
    let db = backend.open("opened", json!({})).await;
    // Of a PostgreSQL the other hosts are told by who remembers it.
    assert_eq!(backend.relay.counts().1 - before, u32::from(backend.url.is_none()));
    assert_eq!(db.bodies().await, ["1"]);
}

pub(in crate::db::tests) async fn rows_beside_a_large_schema_are_told_of(backend: TestBackend) {
    if backend.url.is_none() {
        // To look through so many tables is not done at once.
        let tables: Vec<String> = (0..1_500).map(|at| format!("CREATE TABLE t{at} (a INTEGER);\n")).collect();
        backend.migration("1_tables.sql", &tables.concat());
    }
    let db = backend.open("schema", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    drop(db);
    let before = backend.relay.counts().1;
    drop(backend.open("schema", json!({})).await);
    assert_eq!(backend.relay.counts().1 - before, u32::from(backend.url.is_none()));
}

pub(in crate::db::tests) async fn a_table_of_an_earlier_release_is_the_host_s_own(backend: TestBackend) {
    let db = backend.open("earlier", json!({})).await;
    // As the first release with an outbox made it: the text must not change without a way from it.
    let sql = "CREATE TABLE IF NOT EXISTS elias_outbox \
        (id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)";
    db.by_people(sql, Vec::new()).await;
    db.by_people("INSERT INTO elias_outbox VALUES ('1', 'job', 'old')", Vec::new()).await;
    assert_eq!(db.bodies().await, ["old"]);
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "new").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    let mut bodies = db.bodies().await;
    bodies.sort_unstable();
    assert_eq!(bodies, ["new", "old"]);
}

/// Some servers turn row-level security on for each new table.
pub(in crate::db::tests) async fn row_level_security_that_hides_nothing_is_harmless(backend: TestBackend) {
    let Some(url) = &backend.url else { return };
    let db = backend.open("open", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    let table = format!("\"{}\".elias_outbox", db.say("SELECT current_schema()::text").await);
    let (admin, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let restricts = format!("CREATE POLICY half ON {table} AS RESTRICTIVE USING (true)");
    for (change, is_harmless) in [
        (format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"), true),
        (format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"), false),
        (format!("CREATE POLICY later ON {table} USING (id > '5')"), false),
        (format!("CREATE POLICY reads ON {table} FOR SELECT USING (true)"), false),
        (format!("CREATE POLICY all_rows ON {table} USING (true)"), true),
        (restricts, false),
        (format!("DROP POLICY half ON {table}"), true),
    ] {
        admin.batch_execute(&change).await.unwrap();
        match db.database.read_outbox().await {
            Ok(rows) => assert!(is_harmless && rows.len() == 1, "{change}"),
            Err(error) => assert!(!is_harmless && state(&error) == "42809", "{change}: {error:?}"),
        }
        let mut transaction = db.begin(Isolation::ReadCommitted, false);
        let written = db.write(&mut transaction, "2").await;
        assert_eq!(written.is_ok(), is_harmless, "{change}: {written:?}");
        read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    }
    drop(admin);
    connection.await.unwrap().unwrap();
}

pub(in crate::db::tests) async fn what_is_not_the_table_of_the_host_is_refused(backend: TestBackend) {
    const TABLE: &str =
        "CREATE TABLE elias_outbox (id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)";
    const DROP: &str = "DROP TABLE elias_outbox";
    const ENABLE: &str = "ALTER TABLE elias_outbox ENABLE ROW LEVEL SECURITY";
    const FORCE: &str = "ALTER TABLE elias_outbox FORCE ROW LEVEL SECURITY";
    let db = backend.open("foreign", json!({})).await;
    let view = "CREATE VIEW elias_outbox AS SELECT 'a' AS id, 'job' AS kind, '{}' AS body";
    let other = "CREATE TABLE elias_outbox (id TEXT NOT NULL PRIMARY KEY, kind TEXT, body TEXT, more TEXT)";
    let mut cases = vec![vec![view, "DROP VIEW elias_outbox"], vec![other, DROP]];
    if backend.url.is_some() {
        let child = "CREATE TABLE child () INHERITS (elias_outbox)";
        let refers = "CREATE TABLE refers (id TEXT REFERENCES elias_outbox (id))";
        cases.extend([
            vec![TABLE, ENABLE, FORCE, DROP],
            vec![TABLE, child, "DROP TABLE child", DROP],
            vec![TABLE, refers, "DROP TABLE refers", DROP],
        ]);
    } else {
        let again = "CREATE TRIGGER again AFTER DELETE ON elias_outbox BEGIN \
            INSERT INTO elias_outbox VALUES (old.id, old.kind, old.body); END";
        let renamed = "CREATE TABLE mine (id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)";
        cases.extend([
            vec!["CREATE VIRTUAL TABLE elias_outbox USING fts5(id, kind, body)", DROP],
            vec![TABLE, again, DROP],
            vec![renamed, "ALTER TABLE mine RENAME TO elias_outbox", DROP],
        ]);
    }
    for case in cases {
        let foreign = case.iter().take_while(|sql| !sql.starts_with("DROP"));
        for sql in foreign {
            db.by_people(sql, Vec::new()).await;
        }
        let error = db.database.read_outbox().await.err().expect("nothing is read");
        assert_eq!(state(&error), "42809", "{case:?}: {error:?}");
        let mut transaction = db.begin(Isolation::ReadCommitted, false);
        let error = db.write(&mut transaction, "1").await.unwrap_err();
        assert_eq!(state(&error), "42809", "{case:?}: {error:?}");
        assert!(error.message.contains("elias_outbox"), "{error:?}");
        read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
        for sql in case.iter().skip_while(|sql| !sql.starts_with("DROP")) {
            db.by_people(sql, Vec::new()).await;
        }
    }
    // With its name free again, the host makes its own; an index on it does no harm.
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    db.by_people("CREATE INDEX kinds ON elias_outbox (kind)", Vec::new()).await;
    assert_eq!(db.bodies().await, ["1"]);
}

pub(in crate::db::tests) async fn components_cannot_name_the_outbox(backend: TestBackend) {
    let db = backend.open("forged", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let id = db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    db.done("CREATE TABLE mine (id TEXT)").await;
    let mut forged = vec![
        "SELECT id FROM elias_outbox",
        "INSERT INTO elias_outbox VALUES ('a', 'event', '{}')",
        "INSERT INTO \"elias_outbox\" VALUES ('a', 'event', '{}')",
        "UPDATE Elias_Outbox SET body = '{}'",
        "DELETE FROM elias_outbox",
        "DROP TABLE elias_outbox",
        "CREATE VIEW shown AS SELECT * FROM elias_outbox",
        "ALTER TABLE mine RENAME TO elias_outbox",
    ];
    if backend.url.is_none() {
        // SQLite takes strings for names.
        db.done("CREATE TRIGGER forge AFTER INSERT ON mine BEGIN INSERT INTO 'elias_outbox' VALUES (1, 2, 3); END")
            .await;
        forged.extend([
            "INSERT INTO 'elias_outbox' VALUES ('a', 'event', '{}')",
            "INSERT INTO [elias_outbox] VALUES ('a', 'event', '{}')",
            "INSERT INTO mine VALUES ('a')",
            "SELECT id FROM 'elias_outbox'",
            "DROP TABLE 'elias_outbox'",
        ]);
    }
    for sql in forged {
        let error = db.fails(sql).await;
        assert_eq!(error.code, ErrorCode::Denied, "{sql}: {error:?}");
    }
    if backend.url.is_none() {
        // Nor as what goes with a row that the host deletes.
        for sql in [
            "CREATE TABLE child (id TEXT REFERENCES 'elias_outbox' (id) ON DELETE CASCADE)",
            "CREATE TRIGGER with_child AFTER DELETE ON child BEGIN \
             INSERT INTO 'elias_outbox' VALUES ('forged', 'event', '{}'); END",
        ] {
            db.done(sql).await;
        }
        // To refer to a row is to ask whether it is there.
        let error = db.fails(&format!("INSERT INTO child VALUES ('{id}')")).await;
        assert_eq!(error.code, ErrorCode::Denied, "{error:?}");
        let error = db.database.delete_from_outbox(&[id]).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied, "{error:?}");
    }
    assert_eq!(db.bodies().await, ["1"]);
    backend.migration("001.sql", "CREATE VIEW elias_outbox AS SELECT 'a' AS id");
    assert!(backend.try_open("migrated", json!({})).await.is_err(), "migrations are the component's, too");
}
