//! `elias db` without a platform: queries on the SQLite file of a component in a data directory.

use super::{DATA_DIR, DATABASES};
use elias_api::DatabaseResult;
use elias_capabilities::db::SQLITE_TABLES;
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, DbArguments, Failure, print_rows};
use elias_names::ServiceId;
use rusqlite::types::{self, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Prints the result of a statement on a file that is opened for reading alone: no statement can change it.
///
/// # Errors
/// `not-found` if the component has no database, `sql` if the statement is refused, `read-only` if it writes.
pub(crate) fn db(arguments: &DbArguments) -> Result<(), Failure> {
    if arguments.write {
        let help = "name the platform by --url, ELIAS_URL or `elias login`, and leave out --data-dir";
        return Err(Failure::new(CliErrorCode::ReadOnly, "a file in a data directory is only read").help(help));
    }
    print_rows(arguments, query(arguments, &open(arguments)?)?);
    Ok(())
}

fn query(arguments: &DbArguments, connection: &Connection) -> Result<DatabaseResult, Failure> {
    let sql = |error: rusqlite::Error| Failure::new(CliErrorCode::Sql, plain(&error.to_string()));
    let mut statement = connection.prepare(arguments.sql.as_deref().unwrap_or(SQLITE_TABLES)).map_err(sql)?;
    if !statement.readonly() {
        let help = "`elias db --write` lets a statement write, on a platform that runs";
        return Err(Failure::new(CliErrorCode::ReadOnly, "the statement writes").help(help));
    }
    bind(&mut statement, &arguments.params.0)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let booleans: Vec<bool> =
        statement.columns().iter().map(|column| column.decl_type().is_some_and(is_boolean)).collect();
    let limit = arguments.limit as usize;
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
    let sql = |message: String| Failure::new(CliErrorCode::Sql, plain(&message));
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
fn open(arguments: &DbArguments) -> Result<Connection, Failure> {
    let DbArguments { component, environment, target, data_dir, .. } = arguments;
    let tenant = target.tenant_without_login()?;
    let id = ServiceId { tenant, component: component.clone(), environment: *environment };
    let data_dir = data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
    let of_platform = elias_capabilities::Db::file_of(data_dir.join(DATABASES), &id.to_string());
    // `elias dev` and `elias serve FILE` know no tenant and no environment.
    let of_project = elias_capabilities::Db::file_of(data_dir.to_owned(), component.as_str());
    let file = if of_project.is_file() && !of_platform.is_file() { of_project } else { of_platform };
    if !file.is_file() {
        let message =
            format_args!("{component} has no SQLite database in {environment} here: {} is not there", file.display());
        let help = "`elias login URL`, or --url, asks a platform; --data-dir and --tenant name another file";
        return Err(Failure::new(CliErrorCode::NotFound, message).help(help));
    }
    let failed = |error: rusqlite::Error| Failure::new(CliErrorCode::Io, format_args!("{}: {error}", file.display()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_a_platform_gives() {
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
