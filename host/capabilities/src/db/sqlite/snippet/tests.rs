//! The function beside that of SQLite.

use super::super::memory::Account;
use super::super::search::{self, SearchFunctions};
use super::*;
use rusqlite::Connection;
use std::sync::Arc;

/// A connection with our function. The fields are dropped in their order.
struct Ours {
    connection: Connection,
    _search: SearchFunctions,
}

fn ours() -> Ours {
    let connection = Connection::open_in_memory().unwrap();
    let control = Arc::new(ConnectionControl::new(&Account::new(64 << 20), 0));
    let search = search::define(&connection, &control).unwrap();
    Ours { connection, _search: search }
}

fn rows(connection: &Connection, sql: &str) -> Vec<Option<String>> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// Texts of few words, so that they match often, from a sequence that is always the same.
fn texts(count: usize) -> Vec<[String; 2]> {
    const WORDS: [&str; 7] = ["a", "b", "c", "dd", "ž", "aab", "abc"];
    const BETWEEN: [&str; 8] = [" ", "  ", ". ", ": ", "\n", "-", ".", ".\t "];
    let mut state = 42_u64;
    let mut below = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % most
    };
    let mut text = || (0..below(60)).map(|_| [WORDS[below(7)], BETWEEN[below(8)]].concat()).collect();
    (0..count).map(|_| [text(), text()]).collect()
}

#[test]
fn it_is_that_of_sqlite() {
    let (ours, own) = (ours(), Connection::open_in_memory().unwrap());
    for options in ["", ", tokenize='porter'", ", tokenize='trigram'", ", detail=column", ", detail=none"] {
        for connection in [&ours.connection, &own] {
            connection.execute_batch(&format!("CREATE VIRTUAL TABLE t USING fts5(x, y{options})")).unwrap();
            for [x, y] in texts(40) {
                let y = Some(y).filter(|y| y.len() < 150);
                connection.execute("INSERT INTO t VALUES (?1, ?2)", (x, y)).unwrap();
            }
        }
        let searches = ["a", "a b", "a OR c", "a*", "aab", "abc OR aab", "zz"];
        let phrases = ["\"a b\"", "NEAR(a b, 3)", "\"a a\" OR a", "\"a b c\" OR b"];
        let is_whole = options.is_empty() || options.contains("tokenize");
        for search in searches.iter().chain(phrases.iter().filter(|_| is_whole)) {
            for (column, tokens) in [-1, 0, 1].into_iter().flat_map(|at| [1, 2, 3, 7, 10, 64].map(|of| (at, of))) {
                let sql = format!("SELECT snippet(t, {column}, '<', '>', '...', {tokens}) FROM t('{search}')");
                assert_eq!(rows(&ours.connection, &sql), rows(&own, &sql), "{options} {sql}");
            }
            for column in -1..3 {
                let sql = format!("SELECT highlight(t, {column}, '<', '>') FROM t('{search}')");
                assert_eq!(rows(&ours.connection, &sql), rows(&own, &sql), "{options} {sql}");
            }
        }
        ours.connection.execute_batch("DROP TABLE t").unwrap();
        own.execute_batch("DROP TABLE t").unwrap();
    }
}

#[test]
fn it_is_linear_and_bounded() {
    let Ours { connection, _search } = &ours();
    connection
        .execute_batch(
            "CREATE VIRTUAL TABLE t USING fts5(a);
             INSERT INTO t VALUES (replace(hex(zeroblob(1000000)), '00', 'a '))",
        )
        .unwrap();
    // SQLite's own would take hours: this test would not end.
    let found = rows(connection, "SELECT snippet(t, 0, '<', '>', '...', 2) FROM t('a')");
    assert_eq!(found, [Some("<a> <a>...".to_owned())]);
    connection.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, 4_000_000).unwrap();
    let long =
        connection.query_row("SELECT snippet(t, 0, printf('%.1000c', 'x'), '', '', 1000000) FROM t('a')", [], |row| {
            row.get::<_, String>(0)
        });
    assert_eq!(long.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::TooBig));
    let whole = connection
        .query_row("SELECT highlight(t, 0, printf('%.1000c', 'x'), '') FROM t('a')", [], |row| row.get::<_, String>(0));
    assert_eq!(whole.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::TooBig));
    let few = connection
        .prepare("SELECT snippet(t, 0, '') FROM t('a')")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<String>>(0)));
    assert!(few.unwrap_err().to_string().contains("wrong number of arguments"));
}
