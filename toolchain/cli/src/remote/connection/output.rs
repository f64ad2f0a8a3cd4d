//! The output of the commands: JSON as it came, or columns for people.

use super::client::{items, read};
use elias_command_line::Failure;
use elias_command_line::text::{plain, print};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};

/// Prints the API's response as it is, or what `text` makes of it.
pub(crate) fn print_response(
    json: bool,
    response: &Value,
    text: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    print(&if json { format!("{response:#}\n") } else { text()? });
    Ok(())
}

/// Prints an item: the API's response as it is, or what `text` makes of the item.
pub(crate) fn print_item<T: DeserializeOwned>(
    json: bool,
    value: &Value,
    text: impl FnOnce(T) -> String,
) -> Result<(), Failure> {
    print_response(json, value, || Ok(text(read(value)?)))
}

/// Prints a list: the API's response as it is, or a table with a row for each item.
pub(crate) fn print_list<T: DeserializeOwned, const COLUMNS: usize>(
    json: bool,
    value: &Value,
    header: [&str; COLUMNS],
    row: impl FnMut(T) -> [String; COLUMNS],
) -> Result<(), Failure> {
    print_response(json, value, || Ok(table(header, items(value)?.into_iter().map(row))))
}

/// Prints what was done; with `--json` the API's response, which may be none.
pub(crate) fn print_done(json: bool, value: &Value, said: &str) -> Result<(), Failure> {
    print_response(json, value, || Ok(format!("{said}\n")))
}

/// A table: columns as wide as their widest cell, two spaces between them; `none` without rows.
pub(crate) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let rows = rows.into_iter().map(|row| row.map(|cell| plain(&cell)));
    let rows: Vec<_> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    if rows.len() == 1 {
        return String::from("none\n");
    }
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Names and values, a line each.
pub(crate) fn facts<const LINES: usize>(facts: [(&str, String); LINES]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {}\n", plain(value)))
        .collect()
}

/// A moment in milliseconds since 1970, in UTC.
pub(crate) fn time(ms: i64) -> String {
    /// The end of the year 9999.
    const END_MS: u64 = 253_402_300_799_000;
    let ms = u64::try_from(ms).unwrap_or(0).min(END_MS);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

/// A duration of so many microseconds.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// So many bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The beginning of a digest.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells_and_steer_no_terminal() {
        let rows = [["a".to_owned(), "b\u{1b}[0m".to_owned()], ["längeres".to_owned(), "x\ny".to_owned()]];
        assert_eq!(table(["name", "what"], rows), "name      what\na         b\\u{1b}[0m\nlängeres  x\\ny\n");
        assert_eq!(table(["name", "what"], []), "none\n");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!((time(-1), time(i64::MAX)), ("1970-01-01T00:00:00Z".into(), "9999-12-31T23:59:59Z".into()));
        assert_eq!((number(0), number(999), number(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!(
            (duration(999), duration(1_500), duration(12_000_000)),
            ("999 us".into(), "1.5 ms".into(), "12.0 s".into())
        );
        assert_eq!((bytes(999), bytes(1_500_000)), ("999 B".into(), "1.5 MB".into()));
    }
}
