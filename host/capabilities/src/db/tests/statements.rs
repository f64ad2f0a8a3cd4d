//! Tests of single statements: values, limits, refusals.

use super::*;

pub(in crate::db::tests) async fn rows_come_back_as_they_went(backend: TestBackend) {
    let db = backend.open("types", json!({})).await;
    let postgres = backend.url.is_some();
    let uuid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
    let table = if postgres {
        "CREATE TABLE t (a boolean, b bigint, c double precision, d text, e bytea, f jsonb, \
         g timestamptz, h uuid, i numeric)"
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

pub(in crate::db::tests) async fn large_results_come_in_batches(backend: TestBackend) {
    let db = backend.open("batches", json!({})).await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
               SELECT i, 'some text' AS b FROM n";
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

pub(in crate::db::tests) async fn results_are_capped(backend: TestBackend) {
    let db = backend.open("caps", json!({ "rows": 10, "result-bytes": 1000 })).await;
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

pub(in crate::db::tests) async fn statements_are_capped(backend: TestBackend) {
    let db = backend.open("texts", json!({ "statement-bytes": 100, "parameters": 2, "parameter-bytes": 100 })).await;
    assert_eq!(db.fails(&format!("SELECT '{}'", "a".repeat(100))).await.code, ErrorCode::TooLarge);
    let error = db.all("SELECT $1", vec![text(&"a".repeat(100))]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    let error = db.all("SELECT $1, $2, $3", vec![Value::Null; 3]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
}

fn endless(db: &DbContext) -> &'static str {
    match db.database.limits.backend {
        BackendKind::Sqlite => "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        BackendKind::Postgres => "SELECT pg_sleep(3600)",
    }
}

pub(in crate::db::tests) async fn slow_statements_time_out(backend: TestBackend) {
    let db = backend.open("slow", json!({ "statement-timeout-ms": 2_000 })).await;
    let error = db.fails(endless(&db)).await;
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "57014"));
    assert_eq!(db.done("SELECT 1").await.rows, [[Value::Integer(1)]]);
}

pub(in crate::db::tests) async fn dropping_a_query_frees_its_connection(backend: TestBackend) {
    let timeout = Duration::from_secs(600);
    let grant = json!({ "connections": 1, "statement-timeout-ms": timeout.as_millis() as u64 });
    let db = backend.open("dropped", grant).await;
    let started = Instant::now();
    let query = db.send(endless(&db), Vec::new());
    let_it_begin().await;
    drop(query);
    db.done("SELECT 1").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let query = db.within(&mut transaction, endless(&db));
    let_it_begin().await;
    drop((query, transaction));
    db.done("SELECT 1").await;
    assert!(started.elapsed() < timeout / 2, "a connection came back only when a statement had timed out");
}

pub(in crate::db::tests) async fn forbidden_statements_are_denied(backend: TestBackend) {
    let db = backend.open("forbidden", json!({})).await;
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
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
        "UPDATE ONLY pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
        "EXPLAIN ANALYZE UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
        "CREATE VIEW v AS SELECT * FROM pg_catalog.pg_settings",
    ];
    for sql in common.iter().chain(if backend.url.is_some() { &postgres[..] } else { &sqlite[..] }) {
        let error = db.fails(sql).await;
        assert_eq!(error.code, ErrorCode::Denied, "{sql}: {error:?}");
    }
    if backend.url.is_some() {
        let rows = db.done("SELECT current_user = session_user, current_schema() LIKE 'c_forbidden%'").await.rows;
        assert_eq!(rows, [[Value::Boolean(true), Value::Boolean(true)]]);
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

pub(in crate::db::tests) async fn errors_have_their_sqlstate(backend: TestBackend) {
    let db = backend.open("errors", json!({})).await;
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
        ("SELCT 1", "42601"),
        ("INSERT ITNO t VALUES (1)", "42601"),
        ("CREATE TABEL u (a INTEGER)", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT missing FROM t", "42703"),
        ("SELECT missing(1)", "42883"),
        ("CREATE TABLE t (a INTEGER)", "42P07"),
    ] {
        let error = db.fails(sql).await;
        assert_eq!((error.code, state(&error)), (ErrorCode::Database, expected), "{sql}: {error:?}");
    }
}

pub(in crate::db::tests) async fn parameters_are_counted_by_number(backend: TestBackend) {
    let db = backend.open("numbers", json!({})).await;
    for sql in ["SELECT CAST($2 AS TEXT), CAST($1 AS TEXT)", "SELECT CAST(?2 AS TEXT), CAST(?1 AS TEXT)"] {
        let rows = db.all(sql, vec![text("a"), text("b")]).await.unwrap().rows;
        assert_eq!(rows, [[text("b"), text("a")]], "{sql}");
        assert!(db.all(sql, vec![text("a")]).await.is_err());
        assert!(db.all(sql, vec![Value::Null; 3]).await.is_err());
    }
}

pub(in crate::db::tests) async fn queries_are_budgeted(backend: TestBackend) {
    let db = backend.open("budget", json!({ "queries": 2 })).await;
    let held = [db.send(endless(&db), Vec::new()), db.send(endless(&db), Vec::new())];
    assert_eq!(state(&db.fails(endless(&db)).await), "53400");
    drop(held);
    // Their part of the budget comes back when they have ended.
    while let Err(error) = db.all("SELECT 3", Vec::new()).await {
        assert_eq!(state(&error), "53400");
        pause().await;
    }
}

pub(in crate::db::tests) async fn rows_too_long_for_memory_are_refused(backend: TestBackend) {
    let db = backend.open("huge", json!({ "result-bytes": 1_000_000, "parameter-bytes": 1_000 })).await;
    let sql = if backend.url.is_some() { "SELECT repeat('x', 200000000)" } else { "SELECT zeroblob(200000000)" };
    assert_eq!(db.fails(sql).await.code, ErrorCode::TooLarge);
    db.done("SELECT 1").await;
}

pub(in crate::db::tests) async fn plans_follow_the_schema(backend: TestBackend) {
    let db = backend.open("plans", json!({ "connections": 2 })).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    db.done("INSERT INTO t VALUES (1)").await;
    assert_eq!(db.done("SELECT * FROM t").await.columns.len(), 1);
    db.done("ALTER TABLE t ADD COLUMN b TEXT").await;
    for _ in 0..4 {
        assert_eq!(db.done("SELECT * FROM t").await.columns.len(), 2);
    }
}

pub(in crate::db::tests) async fn types_of_one_backend_come_back(backend: TestBackend) {
    let db = backend.open("more", json!({})).await;
    if backend.url.is_none() {
        let rows = db.done("SELECT 1 = 1, x'00', 1.0, NULL").await.rows;
        assert_eq!(rows, [[Value::Integer(1), Value::Bytes(vec![0]), Value::Float(1.0), Value::Null]]);
        return;
    }
    db.done("CREATE TYPE mood AS ENUM ('good', 'bad')").await;
    let sql = "SELECT 'bad'::mood, ARRAY[[1, NULL]], ARRAY['a'], '2024-02-29'::date, '12:30'::time, \
               0.1::numeric(40, 20), 7::oid, '\\x00'::bytea";
    let expected = vec![
        text("bad"),
        Value::Json("[[1,null]]".into()),
        Value::Json("[\"a\"]".into()),
        text("2024-02-29"),
        text("12:30:00"),
        Value::Numeric("0.10000000000000000000".into()),
        Value::Integer(7),
        Value::Bytes(vec![0]),
    ];
    assert_eq!(db.done(sql).await.rows[0], expected);
    let rows =
        db.all("SELECT $1::mood::text, $2::int4, $3::float8", vec![text("good"), Value::Float(3.0), Value::Integer(2)]);
    assert_eq!(rows.await.unwrap().rows[0], [text("good"), Value::Integer(3), Value::Float(2.0)]);
    let error = db.fails("SELECT '1 day'::interval AS d").await;
    assert_eq!(error.code, ErrorCode::UnsupportedType);
    assert!(error.message.contains("column d") && error.message.contains("interval"), "{error:?}");
    let error = db.all("SELECT $1::int4", vec![Value::Boolean(true)]).await.unwrap_err();
    assert!(error.code == ErrorCode::UnsupportedType && error.message.contains("parameter 1"), "{error:?}");
}
