//! The differences between two JSON values, as lines for people.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Lines that are listed of two values.
const CHANGES_MAX: usize = 1_000;

/// Appends where two JSON values differ to `changes`, each as `path: before -> after`. At most 1,000 are listed.
pub fn collect_changes(path: &str, a: Option<&Value>, b: Option<&Value>, changes: &mut Vec<String>) {
    if a == b || changes.len() >= CHANGES_MAX {
        return;
    }
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (a, b) {
        let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect_changes(&inner, a.get(key), b.get(key), changes);
        }
        return;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    changes.push(format!("{path}: {} -> {}", shown(a), shown(b)));
}

/// Settings, or a part of them, in which schedules, subscriptions and webhooks of the table `triggers` are by their
/// names, so that it is said of each what changes.
#[must_use]
pub fn triggers_by_name(mut settings: Value) -> Value {
    for (list, key) in [("schedule", "name"), ("event", "type"), ("webhook", "type")] {
        let Some(Value::Array(all)) = settings.pointer(&format!("/triggers/{list}")) else { continue };
        let name = |one: &Value| one.get("name").or_else(|| one.get(key)).and_then(Value::as_str).map(str::to_owned);
        let named: Option<serde_json::Map<_, _>> = all.iter().map(|one| Some((name(one)?, one.clone()))).collect();
        // Two of one name, which are refused where versions are made, would be one.
        if let Some(named) = named.filter(|named| named.len() == all.len()) {
            settings["triggers"][list] = Value::Object(named);
        }
    }
    settings
}

/// JSON in which lists of different texts are objects with a member for each, so that it is said which ones come and
/// go.
pub(crate) fn texts_as_members(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, texts_as_members(member))).collect::<Value>()
        }
        Value::Array(items) => {
            let different = items.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>().len();
            if different == items.len() {
                let names = items.iter().filter_map(Value::as_str);
                return names.map(|name| (name.to_owned(), json!("listed"))).collect::<Value>();
            }
            Value::Array(items.into_iter().map(texts_as_members).collect())
        }
        other => other,
    }
}

/// JSON with the members of all objects in the order of their names.
pub(crate) fn in_order(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_listed_by_their_place() {
        let mut changes = Vec::new();
        collect_changes(
            "settings",
            Some(&json!({ "a": { "b": 1, "c": 2 } })),
            Some(&json!({ "a": { "b": 1, "d": 3 } })),
            &mut changes,
        );
        assert_eq!(changes, ["settings.a.c: 2 -> nothing", "settings.a.d: nothing -> 3"]);
    }

    #[test]
    fn of_many_differences_the_first_are_listed() {
        let object = |value: u32| (0..=CHANGES_MAX).map(|at| (format!("m{at}"), json!(value))).collect::<Value>();
        let mut changes = Vec::new();
        collect_changes("", Some(&object(1)), Some(&object(2)), &mut changes);
        assert_eq!(changes.len(), CHANGES_MAX);
    }

    #[test]
    fn a_changed_cron_line_is_named_by_its_schedule() {
        let settings = |cron: &str| {
            let schedules = json!([{ "name": "hourly", "every": "1h" }, { "name": "nightly", "cron": cron }]);
            triggers_by_name(json!({ "triggers": { "schedule": schedules, "event": [{ "type": "a.*" }] } }))
        };
        let (before, after, mut changes) = (settings("0 3 * * *"), settings("0 4 * * *"), Vec::new());
        collect_changes("settings", Some(&before), Some(&after), &mut changes);
        assert_eq!(changes, ["settings.triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\""]);
    }

    #[test]
    fn texts_that_come_and_go_are_named() {
        let (before, after) = (json!({ "imports": ["a", "b"], "n": [1] }), json!({ "imports": ["b", "c"], "n": [2] }));
        let mut changes = Vec::new();
        let (before, after) = (texts_as_members(before), texts_as_members(after));
        collect_changes("", Some(&before), Some(&after), &mut changes);
        let wanted = ["imports.a: \"listed\" -> nothing", "imports.c: nothing -> \"listed\"", "n: [1] -> [2]"];
        assert_eq!(changes, wanted);
    }
}
