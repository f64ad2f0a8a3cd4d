//! `json_patch` (RFC 7396) in a time that grows with its arguments' sizes. SQLite's own looks for every member of the
//! patch among all members of the target.

use super::functions::{go_on, text};
use super::watch::ConnectionControl;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, Result};
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::ffi::c_uint;
use std::sync::Arc;

/// The subtype by which SQLite marks the results of its JSON functions, so that they are not taken for texts.
const JSON_SUBTYPE: c_uint = b'J' as c_uint;

/// How deep a patch may be nested, as SQLite has it.
const DEPTH: u32 = 1_000;

/// Defines the function on a connection.
pub(super) fn define(connection: &Connection, control: &Arc<ConnectionControl>) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS
        | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    let own = Arc::clone(control);
    connection.create_scalar_function("json_patch", 2, flags, move |context| {
        Ok((json_patch(context, &own)?, Some(JSON_SUBTYPE)))
    })
}

fn json_patch(context: &Context<'_>, control: &ConnectionControl) -> Result<Value> {
    let (Some(target), Some(patch)) = (text(context, 0), text(context, 1)) else { return Ok(Value::Null) };
    let (target, patch) = (read(&target)?, read(&patch)?);
    go_on(control)?;
    let mut merged = String::new();
    merge(Some(target), patch, &mut merged, control, 0)?;
    Ok(Value::Text(merged))
}

fn malformed() -> Error {
    Error::UserFunctionError("malformed JSON".into())
}

/// JSON, as of RFC 8259.
fn read(json: &[u8]) -> Result<&str> {
    serde_json::from_slice::<IgnoredAny>(json).map_err(|_| malformed())?;
    std::str::from_utf8(json).map(str::trim).map_err(|_| malformed())
}

/// Writes what a patch makes of a target.
fn merge(
    target: Option<&str>,
    patch: &str,
    merged: &mut String,
    control: &ConnectionControl,
    depth: u32,
) -> Result<()> {
    go_on(control)?;
    if depth > DEPTH {
        return Err(malformed());
    }
    if !patch.starts_with('{') {
        write_compact(patch, merged);
        return Ok(());
    }
    let patches = members(patch);
    // Of several members of one name the last one counts.
    let by_name: HashMap<String, usize> =
        patches.iter().enumerate().map(|(at, (name, _))| (decoded(name), at)).collect();
    let mut used = vec![false; patches.len()];
    merged.push('{');
    let start = merged.len();
    let name_of = |name: &str, merged: &mut String| {
        if merged.len() > start {
            merged.push(',');
        }
        merged.push_str(name);
        merged.push(':');
    };
    for (name, value) in target.filter(|target| target.starts_with('{')).map(members).unwrap_or_default() {
        match by_name.get(&decoded(name)) {
            None => {
                name_of(name, merged);
                write_compact(value, merged);
            }
            Some(&at) => {
                used[at] = true;
                if patches[at].1 != "null" {
                    name_of(name, merged);
                    merge(Some(value), patches[at].1, merged, control, depth + 1)?;
                }
            }
        }
    }
    for (at, (name, value)) in patches.iter().enumerate() {
        if !used[at] && *value != "null" && by_name.get(&decoded(name)) == Some(&at) {
            name_of(name, merged);
            merge(None, value, merged, control, depth + 1)?;
        }
    }
    merged.push('}');
    Ok(())
}

fn decoded(name: &str) -> String {
    if name.contains('\\') {
        serde_json::from_str(name).unwrap_or_default()
    } else {
        name[1..name.len() - 1].to_owned()
    }
}

/// An object's members: their names, in quotes, and their values. It is JSON.
fn members(object: &str) -> Vec<(&str, &str)> {
    let (mut members, mut name, mut start, mut depth) = (Vec::new(), None, 1, 0_u32);
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in object.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b':' if depth == 1 => {
                name = Some(object[start..at].trim());
                start = at + 1;
            }
            b',' | b'}' if depth == 1 => {
                if let Some(name) = name.take() {
                    members.push((name, object[start..at].trim()));
                }
                start = at + 1;
                if byte == b'}' {
                    depth = 0;
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    members
}

/// Writes JSON without blanks between its parts.
fn write_compact(json: &str, written: &mut String) {
    let (mut quoted, mut escaped) = (false, false);
    let mut start = 0;
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\t' | b'\n' | b'\r' if !quoted => {
                written.push_str(&json[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    written.push_str(&json[start..]);
}

#[cfg(test)]
mod tests {
    use super::super::memory::Account;
    use super::*;

    #[test]
    fn it_does_what_sqlites_own_does() {
        let (ours, own) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        define(&ours, &Arc::new(ConnectionControl::new(&Account::new(64 << 20), 0))).unwrap();
        let values = [
            "{}",
            "[]",
            "1",
            "null",
            "\"a\"",
            "{\"a\":1}",
            "{ \"a\" : { \"b\" : [1, 2] , \"c\": null } }",
            "{\"a\":null}",
            "{\"\\u0061\":2}",
            "{\"a\":{\"b\":null,\"d\":1.50}}",
            "{\"x,y:{}\":\"a \\\" b\", \"a\":[{\"a\":1}]}",
            "{\"b\":{\"c\":{\"d\":null}}}",
            " {\"a\":1} ",
        ];
        let ask = |connection: &Connection, target: &str, patch: &str| {
            let sql = "SELECT json_array(json_patch(?1, ?2))";
            connection.query_row(sql, [target, patch], |row| row.get::<_, String>(0)).unwrap()
        };
        for target in values {
            for patch in values {
                assert_eq!(ask(&ours, target, patch), ask(&own, target, patch), "{target} {patch}");
            }
        }
        let malformed = ours.query_row("SELECT json_patch('{', '{}')", [], |row| row.get::<_, String>(0));
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(ours.query_row("SELECT json_patch('{}', ?1)", [&deep], |row| row.get::<_, String>(0)).is_err());
        assert!(malformed.unwrap_err().to_string().contains("malformed JSON"));
    }

    #[test]
    fn it_is_linear() {
        let connection = Connection::open_in_memory().unwrap();
        define(&connection, &Arc::new(ConnectionControl::new(&Account::new(256 << 20), 0))).unwrap();
        // SQLite's own would compare forty thousand million names.
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000), \
                   o(a, b) AS MATERIALIZED (SELECT json_group_object('a' || i, i), \
                   json_group_object('b' || i, i) FROM n) \
                   SELECT length(json_patch(a, b)) FROM o";
        let length: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(length > 4_000_000, "{length}");
    }
}
