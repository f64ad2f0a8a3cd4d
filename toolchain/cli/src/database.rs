//! `elias db`: a look into a component's SQLite database, on the host that has it.

use crate::failure::Failure;
use crate::remote::{plain, print};
use clap::Args;
use elias_platform::name::{ComponentName, Environment, ServiceId, TenantId};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Characters of a value in a table; `--json` has all of it.
const SHOWN_CHARS: usize = 200;
/// What is asked if no statement is given.
const SCHEMA: &str = "SELECT name AS \"table\", sql AS definition FROM sqlite_master \
                      WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

/// What `db` is told.
#[derive(Debug, Args)]
pub(crate) struct DbArguments {
    /// The component
    component: ComponentName,
    /// A statement that reads; none: the tables
    sql: Option<String>,
    /// The environment
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// The tenant
    #[arg(long, value_name = "NAME", env = "ELIAS_TENANT", default_value = "default")]
    tenant: TenantId,
    /// The platform's data directory
    #[arg(long, value_name = "DIR", default_value = ".elias")]
    data_dir: PathBuf,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print rows as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what a statement finds. The database is opened for reading alone: no statement can change it.
///
/// # Errors
/// `not-found` if the component has no database here, `sql` if the statement is refused.
pub(crate) fn db(arguments: &DbArguments) -> Result<(), Failure> {
    let connection = open(arguments)?;
    let sql = |error: rusqlite::Error| Failure::new("sql", plain(&error.to_string()));
    let mut statement = connection.prepare(arguments.sql.as_deref().unwrap_or(SCHEMA)).map_err(sql)?;
    if !statement.readonly() {
        let help = "a component's data is changed by its component, or by a migration";
        return Err(Failure::new("sql", "the statement writes, and this command reads").help(help));
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([]).map_err(sql)?;
    let (mut found, mut more) = (Vec::new(), false);
    while let Some(row) = rows.next().map_err(sql)? {
        if found.len() >= arguments.limit {
            more = true;
            break;
        }
        let values = (0..columns.len()).map(|column| row.get_ref(column).map(value)).collect::<Result<Vec<_>, _>>();
        found.push(values.map_err(sql)?);
    }
    print(&if arguments.json { as_json(&columns, found) } else { as_table(&columns, &found) });
    if more {
        eprintln!("there are more rows: --limit {} was reached", arguments.limit);
    }
    Ok(())
}

/// Opens the file of the component's database.
fn open(arguments: &DbArguments) -> Result<Connection, Failure> {
    let DbArguments { component, environment, tenant, data_dir, .. } = arguments;
    let id = ServiceId { tenant: tenant.clone(), component: component.clone(), environment: *environment };
    let folder = data_dir.join(crate::platform::DATABASES);
    let file = elias_capabilities::Db::file_of(folder, &id.to_string());
    if !file.is_file() {
        let message =
            format_args!("{component} has no SQLite database in {environment} here: {} is not there", file.display());
        let help =
            "run it on the host, with its --data-dir and --tenant; a database on PostgreSQL is looked into with psql";
        return Err(Failure::new("not-found", message).help(help));
    }
    let failed = |error: rusqlite::Error| Failure::new("io", format_args!("{}: {error}", file.display()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&file, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    // Its schema is the component's: none of it may do more than read.
    for (pragma, value) in [("query_only", "ON"), ("trusted_schema", "OFF")] {
        connection.pragma_update(None, pragma, value).map_err(failed)?;
    }
    Ok(connection)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => json!(bytes.iter().fold(String::from("0x"), |hex, byte| hex + &format!("{byte:02x}"))),
    }
}

fn as_json(columns: &[String], rows: Vec<Vec<Value>>) -> String {
    let object = |row: Vec<Value>| Value::Object(columns.iter().cloned().zip(row).collect::<Map<_, _>>());
    format!("{:#}\n", Value::Array(rows.into_iter().map(object).collect()))
}

fn as_table(columns: &[String], rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| {
        let text = match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => plain(text),
            other => other.to_string(),
        };
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        if shown.len() < text.len() { shown + "..." } else { shown }
    };
    let header = columns.iter().map(|name| plain(name)).collect::<Vec<_>>();
    let lines: Vec<_> = std::iter::once(header).chain(rows.iter().map(|row| row.iter().map(cell).collect())).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    if rows.is_empty() { text + "(no rows)\n" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shown_in_columns_that_steer_no_terminal() {
        let columns = ["id".to_owned(), "what".to_owned()];
        let rows = [vec![json!(1), json!("a\u{1b}[2J")], vec![json!(20), Value::Null]];
        assert_eq!(as_table(&columns, &rows), "id  what\n1   a\\u{1b}[2J\n20  NULL\n");
        assert_eq!(as_table(&columns, &[]), "id  what\n(no rows)\n");
        let long = as_table(&columns[..1], &[vec![json!("x".repeat(1_000))]]);
        assert!(long.len() < 250 && long.ends_with("...\n"), "{long}");
        assert_eq!(value(ValueRef::Blob(&[0, 255])), json!("0x00ff"));
    }
}
