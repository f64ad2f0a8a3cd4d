//! The result of a statement on a component's database.

use crate::database::DbArguments;
use crate::text::{plain, print};
use elias_api::DatabaseResult;
use serde_json::{Map, Value};

/// Characters of a value in a table; `--json` has all of it.
const SHOWN_CHARS: usize = 200;

/// Prints the rows, or how many were changed, as `db` is told to.
pub fn print_rows(arguments: &DbArguments, result: DatabaseResult) {
    print(&match (arguments.target.json, result.columns.is_empty()) {
        (true, _) => as_json(&result.columns, result.rows),
        (false, true) => format!("{} rows changed\n", result.affected),
        (false, false) => as_table(&result.columns, &result.rows),
    });
    if result.more {
        eprintln!("there are more rows: --limit {} was reached", arguments.limit);
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
    use serde_json::json;

    #[test]
    fn rows_are_shown_in_columns_that_steer_no_terminal() {
        let columns = ["id".to_owned(), "what".to_owned()];
        let rows = [vec![json!(1), json!("a\u{1b}[2J")], vec![json!(20), Value::Null]];
        assert_eq!(as_table(&columns, &rows), "id  what\n1   a\\u{1b}[2J\n20  NULL\n");
        assert_eq!(as_table(&columns, &[]), "id  what\n(no rows)\n");
        let long = as_table(&columns[..1], &[vec![json!("x".repeat(1_000))]]);
        assert!(long.len() < 250 && long.ends_with("...\n"), "{long}");
    }
}
