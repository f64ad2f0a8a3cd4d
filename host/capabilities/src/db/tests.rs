//! What every backend does, written once and run on each. PostgreSQL's part runs where ELIAS_TEST_POSTGRES is set.

use super::transaction::{Action, Transaction};
use super::*;
use serde_json::json;
use std::time::{Duration, Instant};
use wasmtime_wasi_io::poll::Pollable;

/// A backend, with a folder for what it and the components keep.
struct Place {
    folder: tempfile::TempDir,
    url: Option<String>,
}

impl Place {
    fn info(&self, name: &str) -> ComponentInfo {
        // PostgreSQL outlives the test: names are new each time.
        let unique = self.folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{name}{unique}");
        ComponentInfo { name, version: "1".into(), digest: "0".into(), folder: self.folder.path().join("component") }
    }

    async fn try_open(&self, name: &str, mut grant: Json) -> Result<DbContext, ConfigureError> {
        if let Some(url) = &self.url {
            grant["backend"] = "postgres".into();
            grant["url"] = url.as_str().into();
        }
        let db = Db::new(self.folder.path().join("data"));
        let opened = Arc::new(db.configure(&self.info(name), Some(&grant)).await?);
        let budget = Arc::new(Semaphore::new(opened.limits.queries as usize));
        Ok(DbContext { opened, budget })
    }

    async fn open(&self, name: &str, grant: Json) -> DbContext {
        self.try_open(name, grant).await.unwrap()
    }

    fn migration(&self, name: &str, sql: &str) {
        let folder = self.folder.path().join("component/migrations");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), sql).unwrap();
    }
}

/// A result, read to its end.
#[derive(Debug)]
struct Whole {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    batches: usize,
    affected: u64,
}

async fn next(query: &mut Query) -> Result<Batch, Error> {
    loop {
        if let Some(part) = query.next().unwrap() {
            return part;
        }
        query.ready().await;
    }
}

async fn read(mut query: Query) -> Result<Whole, Error> {
    let mut whole = Whole { columns: Vec::new(), rows: Vec::new(), batches: 0, affected: 0 };
    loop {
        let batch = next(&mut query).await?;
        whole.columns = batch.columns;
        whole.rows.extend(batch.rows);
        whole.batches += 1;
        if batch.last {
            whole.affected = batch.affected;
            assert!(query.next().is_err());
            return Ok(whole);
        }
    }
}

impl DbContext {
    async fn all(&self, sql: &str, parameters: Vec<Value>) -> Result<Whole, Error> {
        read(self.query(sql, parameters)).await
    }

    async fn done(&self, sql: &str) -> Whole {
        self.all(sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    async fn fails(&self, sql: &str) -> Error {
        match self.all(sql, Vec::new()).await {
            Ok(_) => panic!("{sql} does not fail"),
            Err(error) => error,
        }
    }

    async fn count(&self, table: &str) -> i64 {
        match self.done(&format!("SELECT count(*) FROM {table}")).await.rows[0][0] {
            Value::Integer(count) => count,
            ref other => panic!("{other:?}"),
        }
    }

    fn act(&self, transaction: &mut Transaction, action: Action) -> Query {
        let (output, query) = self.start().unwrap();
        transaction.send(action, output);
        query
    }

    fn within(&self, transaction: &mut Transaction, sql: &str) -> Query {
        match self.check(sql, Vec::new()) {
            Ok(statement) => self.act(transaction, Action::Run(statement)),
            Err(error) => Query::failed(error),
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn state(error: &Error) -> &str {
    error.sqlstate.as_deref().unwrap_or("none")
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Place { folder: tempfile::tempdir().unwrap(), url: None }).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Ok(url) = std::env::var("ELIAS_TEST_POSTGRES") else { return };
                super::$name(super::Place { folder: tempfile::tempdir().unwrap(), url: Some(url) }).await;
            })*
        }
    };
}

on_both! {
    rows_come_back_as_they_went
    large_results_come_in_batches
    results_are_capped
    statements_are_capped
    slow_statements_time_out
    dropping_a_query_frees_its_connection
    forbidden_statements_are_denied
    errors_have_their_sqlstate
    parameters_are_counted_by_number
    transactions_commit_and_roll_back
    dropped_transactions_roll_back
    a_row_taken_is_enough_in_a_transaction
    savepoints_undo_a_part
    read_only_transactions_do_not_write
    connections_are_waited_for
    queries_are_budgeted
    migrations_run_once
    failed_migrations_leave_nothing
    components_do_not_see_each_other
    concurrent_writers_take_turns
}

async fn rows_come_back_as_they_went(place: Place) {
    let db = place.open("types", json!({})).await;
    let postgres = place.url.is_some();
    let uuid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
    let table = if postgres {
        "CREATE TABLE t (a boolean, b bigint, c double precision, d text, e bytea, f jsonb, g timestamptz, h uuid, i numeric)"
    } else {
        "CREATE TABLE t (a BOOLEAN, b INTEGER, c REAL, d TEXT, e BLOB, f TEXT, g TEXT, h TEXT, i TEXT)"
    };
    db.done(table).await;
    let sent = vec![
        Value::Boolean(true),
        Value::Integer(i64::MIN),
        Value::Float(1.5),
        text("žluť 🐎"),
        Value::Bytes(vec![0, 255, 1]),
        Value::Json("{\"a\": [1]}".into()),
        Value::Timestamp(1_709_210_096_789_123),
        Value::Uuid(uuid.into()),
        Value::Numeric("-12345678901234567890.0123".into()),
    ];
    let insert = "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    assert_eq!(db.all(insert, sent.clone()).await.unwrap().affected, 1);
    db.all(insert, vec![Value::Null; 9]).await.unwrap();
    let got = db.done("SELECT * FROM t").await;
    assert_eq!(got.columns, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let expected = if postgres {
        sent
    } else {
        let mut expected = sent;
        expected[5] = text("{\"a\": [1]}");
        expected[6] = text("2024-02-29T12:34:56.789123Z");
        expected[7] = text(uuid);
        expected[8] = text("-12345678901234567890.0123");
        expected
    };
    assert_eq!(got.rows[0], expected);
    assert_eq!(got.rows[1], vec![Value::Null; 9]);
}

async fn large_results_come_in_batches(place: Place) {
    let db = place.open("batches", json!({})).await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'some text' AS b FROM n";
    let whole = db.done(sql).await;
    assert_eq!(whole.rows.len(), 50_000);
    assert!(whole.batches > 10, "{}", whole.batches);
    assert_eq!(whole.columns, ["i", "b"]);
    // The same in a transaction.
    let mut transaction = db.begin(Isolation::ReadCommitted, true);
    let whole = read(db.within(&mut transaction, sql)).await.unwrap();
    assert_eq!(whole.rows.len(), 50_000);
    assert_eq!(whole.affected, 0);
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
}

async fn results_are_capped(place: Place) {
    let db = place.open("caps", json!({ "rows": 10, "result-bytes": 1000 })).await;
    let numbers = |n: u32| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) SELECT i FROM n")
    };
    assert_eq!(db.done(&numbers(10)).await.rows.len(), 10);
    let error = db.fails(&numbers(11)).await;
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert!(error.message.contains("rows"));
    let long = "a".repeat(1000);
    assert_eq!(db.fails(&format!("SELECT '{long}'")).await.code, ErrorCode::TooLarge);
    assert_eq!(db.done("SELECT 1").await.rows.len(), 1);
}

async fn statements_are_capped(place: Place) {
    let db = place.open("texts", json!({ "statement-bytes": 100, "parameters": 2, "parameter-bytes": 100 })).await;
    assert_eq!(db.fails(&format!("SELECT '{}'", "a".repeat(100))).await.code, ErrorCode::TooLarge);
    let error = db.all("SELECT $1", vec![text(&"a".repeat(100))]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    let error = db.all("SELECT $1, $2, $3", vec![Value::Null; 3]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
}

fn endless(db: &DbContext) -> &'static str {
    match db.opened.limits.backend {
        BackendKind::Sqlite => "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        BackendKind::Postgres => "SELECT pg_sleep(60)",
    }
}

async fn slow_statements_time_out(place: Place) {
    let db = place.open("slow", json!({ "statement-timeout-ms": 300 })).await;
    let started = Instant::now();
    let error = db.fails(endless(&db)).await;
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "57014"));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(db.done("SELECT 1").await.rows, [[Value::Integer(1)]]);
}

async fn dropping_a_query_frees_its_connection(place: Place) {
    let db = place.open("dropped", json!({ "connections": 1, "statement-timeout-ms": 20_000 })).await;
    let query = db.query(endless(&db), Vec::new());
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(query);
    let started = Instant::now();
    db.done("SELECT 1").await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let query = db.within(&mut transaction, endless(&db));
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop((query, transaction));
    db.done("SELECT 1").await;
    assert!(started.elapsed() < Duration::from_secs(8));
}

async fn forbidden_statements_are_denied(place: Place) {
    let db = place.open("forbidden", json!({})).await;
    let common = ["BEGIN", "COMMIT", "SAVEPOINT a", "SELECT 1; SELECT 2", "VACUUM"];
    let sqlite = [
        "ATTACH ':memory:' AS other",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only",
        "SELECT * FROM pragma_journal_mode",
        "SELECT load_extension('x')",
        "CREATE TABLE elias_migrations (a)",
        "CREATE TEMP TABLE t (a)",
        "CREATE VIRTUAL TABLE t USING fts4(a)",
        "EXPLAIN ATTACH ':memory:' AS other",
    ];
    let postgres = [
        "SET ROLE postgres",
        "RESET ROLE",
        "SELECT set_config('search_path', 'public', false)",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "CREATE EXTENSION dblink",
        "DO $$ BEGIN END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ];
    for sql in common.iter().chain(if place.url.is_some() { &postgres[..] } else { &sqlite[..] }) {
        let error = db.fails(sql).await;
        assert_eq!(error.code, ErrorCode::Denied, "{sql}: {error:?}");
    }
    if place.url.is_some() {
        let rows = db.done("SELECT current_user = session_user, current_schema() LIKE 'c_forbidden%'").await.rows;
        assert_eq!(rows, [[Value::Boolean(false), Value::Boolean(true)]]);
        assert_eq!(state(&db.fails("CREATE TABLE public.t (a int)").await), "42501");
        assert_eq!(state(&db.fails("SELECT rolpassword FROM pg_authid").await), "42501");
    } else {
        db.done("CREATE TABLE t (a)").await;
        assert_eq!(db.done("SELECT name FROM pragma_table_info('t')").await.rows, [[text("a")]]);
        db.done("CREATE VIRTUAL TABLE words USING fts5(a)").await;
        db.done("INSERT INTO words VALUES ('one two')").await;
        assert_eq!(db.done("SELECT a FROM words WHERE words MATCH 'two'").await.rows.len(), 1);
        db.done("ALTER TABLE t RENAME COLUMN a TO b").await;
    }
}

async fn errors_have_their_sqlstate(place: Place) {
    let db = place.open("errors", json!({})).await;
    db.done("CREATE TABLE parent (id INTEGER PRIMARY KEY)").await;
    db.done(
        "CREATE TABLE t (a INTEGER UNIQUE, b TEXT NOT NULL, c INTEGER CHECK (c > 0), d INTEGER REFERENCES parent (id))",
    )
    .await;
    db.done("INSERT INTO t VALUES (1, 'a', 1, NULL)").await;
    for (sql, expected) in [
        ("INSERT INTO t VALUES (1, 'a', 1, NULL)", "23505"),
        ("INSERT INTO t VALUES (2, NULL, 1, NULL)", "23502"),
        ("INSERT INTO t VALUES (2, 'a', 0, NULL)", "23514"),
        ("INSERT INTO t VALUES (2, 'a', 1, 7)", "23503"),
        ("SELECT FROM WHERE", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing FROM t", "42703"),
        ("SELECT nothing(1)", "42883"),
        ("CREATE TABLE t (a INTEGER)", "42P07"),
    ] {
        let error = db.fails(sql).await;
        assert_eq!((error.code, state(&error)), (ErrorCode::Database, expected), "{sql}: {error:?}");
    }
}

async fn parameters_are_counted_by_number(place: Place) {
    let db = place.open("numbers", json!({})).await;
    for sql in ["SELECT CAST($2 AS TEXT), CAST($1 AS TEXT)", "SELECT CAST(?2 AS TEXT), CAST(?1 AS TEXT)"] {
        let rows = db.all(sql, vec![text("a"), text("b")]).await.unwrap().rows;
        assert_eq!(rows, [[text("b"), text("a")]], "{sql}");
        assert!(db.all(sql, vec![text("a")]).await.is_err());
        assert!(db.all(sql, vec![Value::Null; 3]).await.is_err());
    }
}

async fn transactions_commit_and_roll_back(place: Place) {
    let db = place.open("transactions", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        let mut transaction = db.begin(isolation, false);
        let one = db.within(&mut transaction, "INSERT INTO t VALUES (1)");
        let two = db.within(&mut transaction, "INSERT INTO t VALUES (2)");
        let commit = db.act(&mut transaction, Action::Commit);
        assert_eq!(read(one).await.unwrap().affected, 1);
        read(two).await.unwrap();
        read(commit).await.unwrap();
        let error = read(db.within(&mut transaction, "SELECT 1")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::TransactionOver);
    }
    assert_eq!(db.count("t").await, 6);
    let mut transaction = db.begin(Isolation::Serializable, false);
    read(db.within(&mut transaction, "DELETE FROM t")).await.unwrap();
    assert_eq!(db.count("t").await, 6);
    read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    assert_eq!(db.count("t").await, 6);
}

async fn dropped_transactions_roll_back(place: Place) {
    let db = place.open("forgotten", json!({ "connections": 1 })).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    drop(transaction);
    assert_eq!(db.count("t").await, 0);
    // One that nobody used.
    drop(db.begin(Isolation::ReadCommitted, false));
    assert_eq!(db.count("t").await, 0);
}

async fn a_row_taken_is_enough_in_a_transaction(place: Place) {
    let db = place.open("enough", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'some text' FROM n";
    let mut query = db.within(&mut transaction, sql);
    assert!(!next(&mut query).await.unwrap().last);
    drop(query);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.count("t").await, 1);
}

async fn savepoints_undo_a_part(place: Place) {
    let db = place.open("savepoints", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER PRIMARY KEY)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    read(db.act(&mut transaction, Action::Savepoint(7))).await.unwrap();
    read(db.within(&mut transaction, "INSERT INTO t VALUES (2)")).await.unwrap();
    assert_eq!(state(&read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap_err()), "23505");
    read(db.act(&mut transaction, Action::RollbackTo(7))).await.unwrap();
    read(db.act(&mut transaction, Action::Release(7))).await.unwrap();
    read(db.within(&mut transaction, "INSERT INTO t VALUES (3)")).await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.done("SELECT a FROM t ORDER BY a").await.rows, [[Value::Integer(1)], [Value::Integer(3)]]);
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    assert_eq!(state(&read(db.act(&mut transaction, Action::Release(1))).await.unwrap_err()), "3B001");
}

async fn read_only_transactions_do_not_write(place: Place) {
    let db = place.open("reading", json!({ "connections": 1 })).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::RepeatableRead, true);
    read(db.within(&mut transaction, "SELECT * FROM t")).await.unwrap();
    let error = read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap_err();
    assert_eq!(state(&error), "25006");
    drop(transaction);
    assert_eq!(db.done("INSERT INTO t VALUES (1)").await.affected, 1);
}

async fn connections_are_waited_for(place: Place) {
    let db = place.open("waiting", json!({ "connections": 1, "statement-timeout-ms": 400 })).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, true);
    read(db.within(&mut transaction, "SELECT 1")).await.unwrap();
    let error = db.fails("SELECT 1").await;
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "53300"));
    let mut other = db.begin(Isolation::ReadCommitted, true);
    let error = read(db.within(&mut other, "SELECT 1")).await.unwrap_err();
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "53300"));
    drop(transaction);
    db.done("SELECT 1").await;
}

async fn queries_are_budgeted(place: Place) {
    let db = place.open("budget", json!({ "queries": 2 })).await;
    let held = [db.query("SELECT 1", Vec::new()), db.query("SELECT 2", Vec::new())];
    assert_eq!(state(&db.fails("SELECT 3").await), "53400");
    for query in held {
        read(query).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    db.done("SELECT 3").await;
}

async fn migrations_run_once(place: Place) {
    place.migration("1_first.sql", "CREATE TABLE t (a INTEGER);\nINSERT INTO t VALUES (1); -- done");
    let db = place.open("migrated", json!({})).await;
    assert_eq!(db.count("t").await, 1);
    place.migration("2_second.sql", "INSERT INTO t VALUES (2)");
    let (one, two) = tokio::join!(place.open("migrated", json!({})), place.open("migrated", json!({})));
    assert_eq!(one.count("t").await, 2);
    assert_eq!(two.count("t").await, 2);
    assert!(db.all("DELETE FROM elias_migrations", Vec::new()).await.is_err());
    place.migration("1_first.sql", "CREATE TABLE other (a INTEGER)");
    match place.try_open("migrated", json!({})).await {
        Err(ConfigureError::Invalid(why)) => assert!(why.contains("1_first.sql"), "{why}"),
        other => panic!("{:?}", other.err()),
    }
}

async fn failed_migrations_leave_nothing(place: Place) {
    place.migration("1.sql", "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (nothing)");
    match place.try_open("failing", json!({})).await {
        Err(ConfigureError::Invalid(why)) => assert!(why.contains("1.sql") && why.contains("42703"), "{why}"),
        other => panic!("{:?}", other.err()),
    }
    place.migration("1.sql", "CREATE TABLE t (a INTEGER); COMMIT");
    assert!(matches!(place.try_open("failing", json!({})).await, Err(ConfigureError::Invalid(_))));
    place.migration("1.sql", "CREATE TABLE t (a INTEGER)");
    assert_eq!(place.open("failing", json!({})).await.count("t").await, 0);
}

async fn components_do_not_see_each_other(place: Place) {
    let (one, two) = (place.open("one", json!({})).await, place.open("two", json!({})).await);
    one.done("CREATE TABLE t (a INTEGER)").await;
    assert_eq!(state(&two.fails("SELECT * FROM t").await), "42P01");
    if place.url.is_some() {
        let schema = one.done("SELECT current_schema()::text").await.rows[0][0].clone();
        let Value::Text(schema) = schema else { panic!("{schema:?}") };
        assert_eq!(state(&two.fails(&format!("SELECT * FROM {schema}.t")).await), "42501");
    }
    // The same component sees what it has made.
    assert_eq!(place.open("one", json!({})).await.count("t").await, 0);
}

async fn concurrent_writers_take_turns(place: Place) {
    let db = Arc::new(place.open("writers", json!({ "connections": 4 })).await);
    db.done("CREATE TABLE t (a INTEGER)").await;
    let all = (0..40).map(|at| {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            if at % 2 == 0 {
                db.done("INSERT INTO t VALUES (1)").await;
            } else {
                let mut transaction = db.begin(Isolation::ReadCommitted, false);
                read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
                read(db.act(&mut transaction, Action::Commit)).await.unwrap();
            }
        })
    });
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    assert_eq!(db.count("t").await, 40);
}

#[tokio::test]
async fn grants_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder, url: None };
    for (grant, key) in [
        (json!({ "rows": 0 }), "rows"),
        (json!({ "row": 1 }), "row"),
        (json!({ "backend": "postgres" }), "url"),
        (json!({ "url": "postgres://user:secret@host/db" }), "url"),
        (json!({ "backend": "postgres", "url": { "env": "NO_SUCH_VARIABLE" } }), "NO_SUCH_VARIABLE"),
        (json!({ "backend": "postgres", "url": "nonsense:secret@" }), "url"),
        (json!({ "backend": "postgres", "url": "postgres://u@h/d", "schema": "pg_catalog" }), "schema"),
        (json!({ "migrations": "nowhere" }), "migrations"),
    ] {
        match place.try_open("grants", grant.clone()).await {
            Err(ConfigureError::Invalid(why)) => {
                assert!(why.contains(key) && !why.contains("secret"), "{grant}: {why}");
            }
            other => panic!("{grant}: {:?}", other.err()),
        }
    }
    let unreachable =
        json!({ "backend": "postgres", "url": "postgres://user:secret@127.0.0.1:1/db", "connect-timeout-ms": 500 });
    match place.try_open("grants", unreachable).await {
        Err(ConfigureError::Unavailable(why)) => {
            assert!(!why.contains("secret") && !why.contains("127.0.0.1"), "{why}");
        }
        other => panic!("{:?}", other.err()),
    }
}
