//! `elias db`: queries on a component's database, by a platform or on a SQLite file of a data directory.

use crate::failure::Failure;
use crate::remote::{Target, plain, print, query_database};
use clap::Args;
use elias_api::{DatabaseQuery, DatabaseResult};
use elias_capabilities::db::SQLITE_TABLES;
use elias_names::{ComponentName, Environment, ServiceId};
use rusqlite::types::{self, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Characters of a value in a table; `--json` has all of it.
const SHOWN_CHARS: usize = 200;
/// The data directory if neither a platform nor a directory is named.
const DATA_DIR: &str = ".elias";

/// The arguments of `db`.
#[derive(Debug, Args)]
pub(crate) struct DbArguments {
    /// Component name
    component: ComponentName,
    /// SQL statement [default: list the tables]
    sql: Option<String>,
    /// Values of the parameters $1, $2, ... as a JSON array
    #[arg(long, value_name = "JSON", default_value = "[]")]
    params: Parameters,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Maximum number of rows to print
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Allow the statement to write; requires the permission `write-data` on the platform
    #[arg(long)]
    write: bool,
    /// Read the SQLite file in this data directory, without a server [default: .elias, if no platform is configured]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "token_file"])]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// The values of a statement's parameters.
#[derive(Debug, Clone)]
struct Parameters(Vec<Value>);

impl FromStr for Parameters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("must be a JSON array such as [1, \"a\"]: {error}"))
    }
}

/// Prints the result of a statement.
///
/// # Errors
/// `not-found` if the component has no database, `sql` if the statement is refused, `read-only` if it writes without
/// `--write`; whatever the platform says.
pub(crate) fn db(arguments: &DbArguments) -> Result<(), Failure> {
    let DbArguments { component, sql, params, environment, limit, write, data_dir, target } = arguments;
    let query = DatabaseQuery { sql: sql.clone(), parameters: params.0.clone(), limit: Some(*limit), write: *write };
    let by_platform = match data_dir {
        Some(_) => None,
        None => query_database(target, component, *environment, &query)?,
    };
    let result = match by_platform {
        Some(result) => result,
        None => query_file(arguments, data_dir.as_deref().unwrap_or(Path::new(DATA_DIR)), &query)?,
    };
    print(&match (target.json, result.columns.is_empty()) {
        (true, _) => as_json(&result.columns, result.rows),
        (false, true) => format!("{} rows changed\n", result.affected),
        (false, false) => as_table(&result.columns, &result.rows),
    });
    if result.more {
        eprintln!("there are more rows: --limit {limit} was reached");
    }
    Ok(())
}

/// Runs a statement on a file that is opened for reading alone: no statement can change it.
fn query_file(arguments: &DbArguments, data_dir: &Path, query: &DatabaseQuery) -> Result<DatabaseResult, Failure> {
    if query.write {
        let help = "name the platform by --url, ELIAS_URL or `elias login`, and leave out --data-dir";
        return Err(Failure::new("read-only", "a file in a data directory is only read").help(help));
    }
    let connection = open(arguments, data_dir)?;
    let sql = |error: rusqlite::Error| Failure::new("sql", plain(&error.to_string()));
    let mut statement = connection.prepare(query.sql.as_deref().unwrap_or(SQLITE_TABLES)).map_err(sql)?;
    if !statement.readonly() {
        let help = "`elias db --write` lets a statement write, on a platform that runs";
        return Err(Failure::new("read-only", "the statement writes").help(help));
    }
    bind(&mut statement, &query.parameters)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let booleans: Vec<bool> =
        statement.columns().iter().map(|column| column.decl_type().is_some_and(is_boolean)).collect();
    let limit = query.limit.unwrap_or(u32::MAX) as usize;
    let mut found = statement.raw_query();
    let (mut rows, mut more) = (Vec::new(), false);
    while let Some(row) = found.next().map_err(sql)? {
        if rows.len() >= limit {
            more = true;
            break;
        }
        let cell = |(column, boolean): (usize, &bool)| row.get_ref(column).map(|cell| value(cell, *boolean));
        rows.push(booleans.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>().map_err(sql)?);
    }
    Ok(DatabaseResult { columns, rows, more, affected: 0 })
}

/// Binds parameters by their numbers, as the platform does: SQLite numbers `$2` by where it stands.
fn bind(statement: &mut Statement<'_>, parameters: &[Value]) -> Result<(), Failure> {
    let sql = |message: String| Failure::new("sql", plain(&message));
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = match statement.parameter_name(index) {
            None => Some(index),
            Some(name) => name.get(1..).and_then(|number| number.parse::<usize>().ok()),
        };
        let number = number.filter(|number| *number > 0);
        let number = number.ok_or_else(|| sql("parameters are ?1, ?2, ... or $1, $2, ...".to_owned()))?;
        highest = highest.max(number);
        if let Some(value) = parameters.get(number - 1) {
            statement.raw_bind_parameter(index, parameter(value)).map_err(|error| sql(error.to_string()))?;
        }
    }
    if highest != parameters.len() {
        let message = format!("the statement has {highest} parameters, and {} were given", parameters.len());
        return Err(sql(message));
    }
    Ok(())
}

fn parameter(value: &Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Bool(boolean) => types::Value::Integer((*boolean).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => types::Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => types::Value::Real(float),
            _ => types::Value::Text(number.to_string()),
        },
        Value::String(text) => types::Value::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => types::Value::Text(value.to_string()),
    }
}

/// Opens the file of the component's database.
fn open(arguments: &DbArguments, data_dir: &Path) -> Result<Connection, Failure> {
    let DbArguments { component, environment, target, .. } = arguments;
    let tenant = target.tenant_without_login()?;
    let id = ServiceId { tenant, component: component.clone(), environment: *environment };
    let folder = data_dir.join(crate::platform::DATABASES);
    let file = elias_capabilities::Db::file_of(folder, &id.to_string());
    if !file.is_file() {
        let message =
            format_args!("{component} has no SQLite database in {environment} here: {} is not there", file.display());
        let help = "`elias login URL`, or --url, asks a platform; --data-dir and --tenant name another file";
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

fn is_boolean(declared: &str) -> bool {
    declared.eq_ignore_ascii_case("boolean") || declared.eq_ignore_ascii_case("bool")
}

/// A value as the platform gives it; `boolean`: of a column that was declared so.
fn value(value: ValueRef<'_>, boolean: bool) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number @ (0 | 1)) if boolean => json!(number == 1),
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
        assert_eq!(value(ValueRef::Blob(&[0, 255]), false), json!("0x00ff"));
        assert_eq!(value(ValueRef::Integer(1), true), json!(true));
    }

    #[test]
    fn parameters_are_bound_by_their_numbers() {
        let connection = Connection::open_in_memory().expect("a database");
        let mut statement = connection.prepare("select $2, $1").expect("it is good");
        assert!(bind(&mut statement, &[json!(1)]).is_err());
        bind(&mut statement, &[json!("a"), json!([2])]).expect("two parameters");
        let mut rows = statement.raw_query();
        let row = rows.next().expect("it runs").expect("a row");
        let cells: Vec<String> = (0..2_usize).map(|column| row.get(column).expect("text")).collect();
        assert_eq!(cells, ["[2]", "a"]);
    }
}
