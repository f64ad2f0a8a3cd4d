//! The plans of the statements that run all the time: each finds its rows by an index.

use super::*;

/// Rows of each table, where `ELIAS_PLAN_ROWS` does not say more.
const ROWS: usize = 20_000;

/// A value of a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    /// A JSON array of objects, which the test gives.
    Items,
    Text(&'static str),
    Bytes(&'static str),
    Number(i64),
}

/// How many rows a test puts into each table.
pub(super) fn rows_max() -> usize {
    std::env::var("ELIAS_PLAN_ROWS").map_or(ROWS, |rows| rows.parse().expect("a number of rows"))
}

/// Fills a table by `fill`, in which `ROWS` stands before a SELECT from the numbers of the rows, `n.i`.
pub(super) async fn fill(store: &Store, fill: &str) {
    let first = "SELECT CAST(1 AS BIGINT)";
    let most = rows_max();
    let rows = format!("WITH RECURSIVE n(i) AS ({first} UNION ALL SELECT i + 1 FROM n WHERE i < {most})");
    sqlx::query(AssertSqlSafe(fill.replace("ROWS", &rows))).execute(&store.pool).await.expect("filled");
}

/// The lines of the plan of a statement with these values.
pub(super) async fn plan(scope: &mut HostScope, sql: &str, values: Vec<Value>, items: &str) -> Vec<String> {
    let (explain, column) = match scope.dialect {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        Dialect::Postgres => ("EXPLAIN", "QUERY PLAN"),
    };
    let mut query = sqlx::query(AssertSqlSafe(format!("{explain} {sql}")));
    for value in values {
        query = match value {
            Value::Items => query.bind(items.to_owned()),
            Value::Text(text) => query.bind(text),
            Value::Bytes(text) => query.bind(text.as_bytes().to_vec()),
            Value::Number(number) => query.bind(number),
        };
    }
    let rows = query.fetch_all(&mut *scope.tx).await.expect("explained");
    rows.iter().map(|row| get(row, column).expect("a line")).collect()
}

/// Whether a line of a plan reads all of a table. On SQLite `is_allowed` gets the source that is read and what is said
/// of it, and names those that are no table or are small.
pub(super) fn reads_all(dialect: Dialect, line: &str, is_allowed: impl Fn(&str, &str) -> bool) -> bool {
    match dialect {
        Dialect::Sqlite => line.strip_prefix("SCAN ").is_some_and(|rest| {
            let source = rest.split(' ').next().unwrap_or_default();
            !source.starts_with("(subquery") && !is_allowed(source, rest)
        }),
        Dialect::Postgres => line.contains("Seq Scan on"),
    }
}
