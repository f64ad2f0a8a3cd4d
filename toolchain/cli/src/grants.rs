//! What a project is granted while it is checked and tested.

use elias_host::Grants;
use serde_json::Value;

/// The grants of elias.toml, for this machine alone: databases and caches are the embedded ones, and what would be read from
/// the environment or from files of secrets has its default, or a text, number or boolean that stands for it.
pub(crate) fn local(grants: &Grants) -> Grants {
    let mut all = Grants::default();
    for (name, table) in grants.iter() {
        let mut table = table.clone();
        match (name, table.as_object_mut()) {
            ("db" | "cache", Some(table)) => {
                for key in ["backend", "url", "schema", "connect-timeout-ms", "timeout-ms"] {
                    table.remove(key);
                }
            }
            ("config", Some(table)) => table.iter_mut().for_each(|(key, value)| stand_in(key, value)),
            _ => {}
        }
        all = all.with(name, table);
    }
    all
}

fn stand_in(key: &str, value: &mut Value) {
    let Some(source) = value.as_object() else { return };
    *value = match (source.get("default"), source.get("type").and_then(Value::as_str)) {
        (Some(default), _) => default.clone(),
        (None, Some("number")) => Value::from(0),
        (None, Some("boolean")) => Value::from(false),
        (None, _) => Value::from(format!("test-{key}")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_reach_nothing_outside() {
        let grants =
            Grants::default().with("db", json!({ "backend": "postgres", "url": "postgres://x", "rows": 5 })).with(
                "config",
                json!({ "a": "b", "token": { "env": "TOKEN", "secret": true }, "n": { "env": "N", "default": 7 } }),
            );
        let local = local(&grants);
        assert_eq!(local.get("db"), Some(&json!({ "rows": 5 })));
        assert_eq!(local.get("config"), Some(&json!({ "a": "b", "token": "test-token", "n": 7 })));
    }
}
