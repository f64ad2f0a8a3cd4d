//! Statements that people run on a component's database, beside its executions: with the component's own connections,
//! grant and rules, so that they reach what the component reaches and nothing else.

use super::backend::Backend;
use super::bindings::{Batch, Error, ErrorCode, Isolation, Value};
use super::database::{CONSOLE_STATEMENTS, Database};
use super::dialect::Dialect;
use super::output::{self, Caps};
use super::statement::{Kind, Statement};
use super::transaction::{Action, BeginOptions, Transaction};
use super::value::iso;
use serde_json::{Number, Value as Json};
use std::sync::Arc;
use std::time::Duration;

/// Rows that may be read beyond those that are wanted: a batch has fewer, so that what is there beyond the limit is cut
/// and is no error.
const ROWS_READ_AHEAD: u64 = 10_000;

/// Lists the tables and views of a SQLite database, with their definitions.
pub const SQLITE_TABLES: &str = "SELECT name AS \"table\", sql AS definition FROM sqlite_master \
    WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name";

/// The same of the component's schema in PostgreSQL, which does not keep definitions: their columns.
const POSTGRES_TABLES: &str = "SELECT c.relname::text AS \"table\", \
    string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, ', ' ORDER BY a.attnum) AS definition \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm') \
    GROUP BY c.relname ORDER BY c.relname";

/// A statement, and the bounds of its result.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleQuery<'a> {
    /// The statement; none: the tables and views.
    pub sql: Option<&'a str>,
    /// The values of `$1`, `$2`, ...; arrays and objects are passed as JSON.
    pub parameters: &'a [Json],
    /// Whether it may write. Without it a statement that writes fails with the SQLSTATE 25006.
    pub write: bool,
    /// Rows of the result, and not more than the grant's; the rest is left out.
    pub rows: u64,
    /// Bytes of the result, and not more than the grant's; a larger one is an error.
    pub bytes: u64,
    /// How long the statement may run and wait for a connection. The grant's own time-out holds beside it.
    pub deadline: Duration,
}

/// The result of a statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConsoleResult {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a value a column; bytes are text as `0x00ff`.
    pub rows: Vec<Vec<Json>>,
    /// Whether there were more rows than wanted.
    pub more: bool,
    /// Rows that the statement inserted, updated or deleted.
    pub affected: u64,
}

impl Database {
    /// Runs a statement in a transaction of its own, which is read-only unless the statement may write, and is
    /// committed only if the whole result was within its bounds.
    ///
    /// # Errors
    /// As a component's own statement. `unavailable` too if several of these run on the database already, and
    /// `database` with the SQLSTATE 25006 for a statement that writes and may not.
    pub async fn console(&self, query: &ConsoleQuery<'_>) -> Result<ConsoleResult, Error> {
        let _permit = self.console.try_acquire().map_err(|_| {
            Error::unavailable(format!(
                "{CONSOLE_STATEMENTS} statements run on the component's database already; try again"
            ))
        })?;
        let sql = query.sql.unwrap_or_else(|| tables(&self.backend));
        let statement = self.check_of_people(sql, query.parameters.iter().map(parameter).collect())?;
        // A Read can write too, in a WITH. The read-only transaction refuses that.
        if statement.kind != Kind::Read && !query.write {
            return Err(Error::database("25006", "the statement writes"));
        }
        let (mut transaction, commands) = Transaction::new();
        let begin = BeginOptions { isolation: Isolation::ReadCommitted, read_only: !query.write };
        tokio::spawn(self.backend.transaction(begin, commands));
        // Dropped when the time is over, the query's end cancels the statement, and the transaction's rolls back.
        let running = self.run(query, statement, &mut transaction);
        let result = tokio::time::timeout(query.deadline, running).await.map_err(|_| Error::timeout())??;
        if query.write {
            // Not within the deadline: whether it was committed must be known.
            let (output, mut parts) = output::channel(Caps { rows: 0, bytes: 0 }, None);
            transaction.send(Action::Commit, output);
            match parts.next().await {
                Some((part, _)) => drop(part?),
                None => return Err(abandoned()),
            }
        }
        Ok(result)
    }

    async fn run(
        &self,
        query: &ConsoleQuery<'_>,
        statement: Statement,
        transaction: &mut Transaction,
    ) -> Result<ConsoleResult, Error> {
        let wanted = query.rows.min(self.limits.rows);
        let caps =
            Caps { rows: wanted.saturating_add(ROWS_READ_AHEAD), bytes: query.bytes.min(self.limits.result_bytes) };
        let (output, mut parts) = output::channel(caps, None);
        transaction.send(Action::Run(statement), output);
        let mut result = ConsoleResult::default();
        loop {
            let (part, slot) = parts.next().await.ok_or_else(abandoned)?;
            let Batch { columns, rows, last, affected } = part?;
            drop(slot);
            result.columns = columns;
            for row in rows {
                if result.rows.len() as u64 >= wanted {
                    result.more = true;
                    break;
                }
                result.rows.push(row.into_iter().map(json).collect());
            }
            result.affected = affected;
            // One that writes is read to its end: only then is all of it done.
            if last || (result.more && !query.write) {
                return Ok(result);
            }
        }
    }
}

fn tables(backend: &Arc<dyn Backend>) -> &'static str {
    match backend.dialect() {
        Dialect::Sqlite => SQLITE_TABLES,
        Dialect::Postgres => POSTGRES_TABLES,
    }
}

fn abandoned() -> Error {
    Error::new(ErrorCode::Unavailable, "the statement was abandoned")
}

fn parameter(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => Value::Numeric(number.to_string()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Json(value.to_string()),
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(boolean) => Json::Bool(boolean),
        Value::Integer(integer) => Json::from(integer),
        Value::Float(float) => Number::from_f64(float).map_or_else(|| Json::String(float.to_string()), Json::Number),
        Value::Text(text) | Value::Uuid(text) | Value::Numeric(text) => Json::String(text),
        Value::Bytes(bytes) => {
            Json::String(bytes.iter().fold(String::from("0x"), |hex, byte| hex + &format!("{byte:02x}")))
        }
        Value::Json(text) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        Value::Timestamp(microseconds) => Json::String(iso(microseconds).unwrap_or_else(|| microseconds.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_json_and_json_becomes_parameters() {
        let values = [
            (Value::Bytes(vec![0, 255]), json!("0x00ff")),
            (Value::Json("{\"a\":1}".into()), json!({ "a": 1 })),
            (Value::Timestamp(0), json!("1970-01-01T00:00:00.000Z")),
            (Value::Float(f64::INFINITY), json!("inf")),
            (Value::Numeric("1.50".into()), json!("1.50")),
        ];
        for (value, wanted) in values {
            assert_eq!(super::json(value), wanted);
        }
        for (given, wanted) in [
            (json!(null), Value::Null),
            (json!(true), Value::Boolean(true)),
            (json!(-7), Value::Integer(-7)),
            (json!(1.5), Value::Float(1.5)),
            (json!(u64::MAX), Value::Numeric(u64::MAX.to_string())),
            (json!("a"), Value::Text("a".into())),
            (json!([1]), Value::Json("[1]".into())),
        ] {
            assert_eq!(parameter(&given), wanted);
        }
    }
}
