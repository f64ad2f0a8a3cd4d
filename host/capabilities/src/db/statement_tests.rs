//! Tests of statements' checks.

use super::*;
use crate::db::ErrorCode;

fn postgres(sql: &str) -> Result<Statement, Error> {
    Statement::guest(sql, Vec::new(), Dialect::Postgres)
}

fn sqlite(sql: &str) -> Result<Statement, Error> {
    Statement::guest(sql, Vec::new(), Dialect::Sqlite)
}

#[test]
fn what_components_send_passes() {
    for sql in [
        "SELECT 1",
        " -- hello\n /* a /* nested */ comment */ select 'set_config', $$ set_config(';') $$, E'\\'; SET ROLE x'",
        "(SELECT 1) UNION (SELECT 2);",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "INSERT INTO t VALUES ($1) RETURNING id",
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1",
        "EXPLAIN ANALYZE VERBOSE UPDATE t SET a = 1",
        "CREATE UNIQUE INDEX i ON t (a)",
        "CREATE TYPE mood AS ENUM ('a')",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "DROP TABLE IF EXISTS t",
        "TRUNCATE t",
        "SELECT current_setting('x'), pg_sleep(1)",
        "SELECT '{}'::jsonb ? 'a'",
    ] {
        assert!(postgres(sql).is_ok(), "{sql}: {:?}", postgres(sql));
    }
    for sql in
        ["REPLACE INTO t VALUES (1)", "PRAGMA table_info(t)", "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END"]
    {
        assert!(sqlite(sql).is_ok(), "{sql}: {:?}", sqlite(sql));
    }
}

#[test]
fn what_components_may_not_send_is_denied() {
    for sql in [
        "SET ROLE postgres",
        "/* x */ reset role",
        "/* /* SELECT */ */ SET ROLE a",
        "DO $$ begin end $$",
        "COPY t FROM '/etc/passwd'",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "LISTEN a",
        "LOAD 'x'",
        "CALL p()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
        "CREATE EXTENSION dblink",
        "CREATE ROLE a",
        "CREATE TYPE t AS RANGE (subtype = text)",
        "ALTER ROLE a SUPERUSER",
        "ALTER SYSTEM SET x = 1",
        "EXPLAIN EXECUTE s1",
        "EXPLAIN (ANALYZE) EXECUTE s1",
        "SELECT set_config('role', 'postgres', false)",
        "SELECT pg_catalog.\"SET_CONFIG\"('role', 'postgres', false)",
        "SELECT pg_catalog . set_config /* */ ('role', 'a', false)",
        "SELECT U&\"set\\005fconfig\"('role', 'a', false)",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT pg_read_file('x')",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT * FROM elias_migrations",
        "SELECT 1; SELECT 2",
        "SELECT '\\'; SET ROLE a; --'",
        "SELECT E'a'\n'\\' , ' set_config(1) --'",
        "SELECT E'a' -- b\n'\\' , ' set_config(1) --'",
        "SELECT 1set_config(1)",
        "SELECT 1 --\rSET ROLE a; SET ROLE b",
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
        "UPDATE ONLY pg_catalog . \"pg_settings\" SET setting = 'off'",
        "UPDATE \"PG_SETTINGS\" AS s SET setting = 'off'",
        "EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'off'",
        "CREATE VIEW v AS SELECT * FROM pg_settings",
        "WITH a AS (UPDATE pg_settings SET setting = 'off' RETURNING 1) SELECT * FROM a",
    ] {
        let error = postgres(sql).expect_err(sql);
        assert_eq!(error.code, ErrorCode::Denied, "{sql}: {error:?}");
    }
    for sql in ["ATTACH 'x' AS y", "VACUUM INTO 'x'", "BEGIN", "SELECT 1; DELETE FROM t", "DETACH y"] {
        let error = sqlite(sql).expect_err(sql);
        assert_eq!(error.code, ErrorCode::Denied, "{sql}: {error:?}");
    }
}

#[test]
fn what_is_no_statement_is_a_syntax_error() {
    for sql in [
        "",
        " -- nothing",
        ";",
        "'text'",
        "SELECT 'open",
        "SELECT \"open",
        "SELECT $a$ open $b$",
        "/* open",
        "EXPLAIN (",
        "EXPLAIN",
        "CREATE",
        "selct 1",
        "INSRT INTO t VALUES (1)",
        "creat table t (a int)",
        "CREATE TABEL t (a int)",
        "DROP TABEL t",
        "EXPLAIN selct 1",
    ] {
        let error = postgres(sql).expect_err(sql);
        assert!(error.sqlstate.is_some() && error.code == ErrorCode::Database, "{sql}: {error:?}");
    }
    for sql in ["selct 1", "CREATE TABEL t (a)", "DROP INDX i"] {
        assert_eq!(sqlite(sql).expect_err(sql).sqlstate.as_deref(), Some("42601"), "{sql}");
    }
}

#[test]
fn a_virtual_table_is_described_in_few_words() {
    let table = |characters: usize| {
        let separators = "é".repeat(characters);
        format!(
            "create /* ; */ virtual -- ;\n table t using fts5(a, tokenize = \"unicode61 separators '{separators}'\")"
        )
    };
    let text = "x".repeat(50_000);
    for good in [
        table(1_000),
        format!("CREATE TABLE t (a TEXT DEFAULT '{text}')"),
        format!("{}; SELECT '{text}'; {}", table(1_000), table(1_000)),
        format!("SELECT 'create virtual {text}'"),
    ] {
        assert!(check_virtual_tables(&good).is_ok(), "{good:.80}");
    }
    for long in [table(30_000), format!("SELECT 1; {}", table(30_000)), format!("{}; {}", table(10), table(30_000))] {
        assert_eq!(check_virtual_tables(&long).expect_err("it is long").code, ErrorCode::TooLarge, "{long:.80}");
    }
    assert_eq!(sqlite(&table(30_000)).expect_err("it is long").code, ErrorCode::TooLarge);
}

#[test]
fn window_functions_are_few() {
    let windows = |count: usize| {
        let functions: Vec<_> = (0..count).map(|at| format!("sum(a) OVER (ORDER BY b + {at})")).collect();
        format!("SELECT {} FROM t", functions.join(", "))
    };
    assert!(sqlite(&windows(100)).is_ok());
    // Of the strings and quoted names of a statement none is a window function, and each statement has its own.
    assert!(sqlite(&windows(100).replace(" FROM", ", 'over', \"over\" FROM")).is_ok());
    assert!(check_window_functions(&format!("{}; {}", windows(100), windows(100))).is_ok());
    let long = windows(101);
    for sql in [&long, &format!("CREATE VIEW v AS {long}"), &format!("EXPLAIN {}", long.to_lowercase())] {
        assert_eq!(sqlite(sql).expect_err("too many").code, ErrorCode::TooLarge, "{sql:.80}");
        let behind = format!("SELECT 1; {sql}");
        assert_eq!(check_window_functions(&behind).expect_err("too many").code, ErrorCode::TooLarge, "{behind:.80}");
    }
}

#[test]
fn parameters_are_written_as_the_backend_wants_them() {
    let sql = "SELECT ?1, '?2', $3 -- ?4\n, a?5";
    assert_eq!(postgres(sql).unwrap().sql, "SELECT $1, '?2', $3 -- ?4\n, a$5");
    assert_eq!(sqlite(sql).unwrap().sql, sql);
}

#[test]
fn statements_are_told_apart() {
    assert_eq!(postgres("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a").unwrap().kind, Kind::Read);
    assert!(postgres("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a").unwrap().writes);
    assert_eq!(postgres("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a").unwrap().kind, Kind::Write);
    assert_eq!(postgres("CREATE TABLE t (a int)").unwrap().kind, Kind::Schema);
    assert!(!sqlite("SELECT 1").unwrap().writes);
    assert!(postgres("SELECT 1 INTO TEMP x").unwrap().leaves);
}

#[test]
fn migrations_are_split() {
    let parts =
        Statement::split("-- one\nCREATE TABLE a (b text DEFAULT ';'); \n;INSERT INTO a VALUES ('x');").unwrap();
    assert_eq!(parts.len(), 2);
    assert!(Statement::split("CREATE TABLE a (b int); COMMIT").is_err());
}

#[test]
fn only_triggers_have_statements_inside_of_them() {
    let trigger = "CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM t; END";
    for sql in [trigger, &format!("{trigger};"), &format!("EXPLAIN QUERY PLAN {trigger}")] {
        assert!(sqlite(sql).is_ok(), "{sql}: {:?}", sqlite(sql));
    }
    for sql in [
        format!("{trigger}; DROP TABLE t"),
        format!("{trigger}; {trigger}"),
        "ANALYZE; COMMIT; CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END".to_owned(),
        "DROP TRIGGER a; DROP TABLE t".to_owned(),
        "SELECT 1 AS trigger; SELECT 2".to_owned(),
    ] {
        assert!(sqlite(&sql).is_err_and(|error| error.message == "one statement at a time"), "{sql}");
    }
}
