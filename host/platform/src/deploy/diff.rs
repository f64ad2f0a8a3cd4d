//! Compares two versions of a component.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_advisories::Package;
use elias_api::{Diff, Error, Result, Version, VersionSettings};
use elias_contract::layout;
use elias_names::{ComponentName, TenantId};
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Platform {
    /// The difference between two versions of a component.
    ///
    /// # Errors
    /// `not-found`, `artifact-missing`.
    pub async fn diff(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: &ComponentName,
        from: u32,
        to: u32,
    ) -> Result<Diff> {
        session.require(Permission::Read, tenant, Some(component))?;
        let mut scope = self.store().read(tenant).await?;
        let (a, b) = (scope.version(component, from).await?, scope.version(component, to).await?);
        drop(scope);
        let contents = async |version: &Version| {
            let bytes = self.artifacts().get(&version.digest).await?;
            Ok::<_, Error>((packages(&bytes), sources(&bytes)))
        };
        let ((packages_a, sources_a), (packages_b, sources_b)) = (contents(&a).await?, contents(&b).await?);
        let imports = |version: &Version| -> BTreeSet<String> {
            let imports = version.manifest.as_ref().and_then(|manifest| manifest.get("imports")?.as_array());
            imports.into_iter().flatten().filter_map(|import| import.as_str().map(str::to_owned)).collect()
        };
        let mut changes = Vec::new();
        collect_changes("manifest", a.manifest.as_ref(), b.manifest.as_ref(), &mut changes);
        let settings = |version: &Version| serde_json::to_value(&version.settings).ok().map(by_name);
        collect_changes("settings", settings(&a).as_ref(), settings(&b).as_ref(), &mut changes);
        let difference = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        Ok(Diff {
            from,
            to,
            bytes: (a.bytes, b.bytes),
            imports_added: difference(&imports(&b), &imports(&a)),
            imports_removed: difference(&imports(&a), &imports(&b)),
            changes,
            packages_added: difference(&packages_b, &packages_a),
            packages_removed: difference(&packages_a, &packages_b),
            sources_added: difference(&sources_b, &sources_a),
            sources_removed: difference(&sources_a, &sources_b),
        })
    }
}

/// The difference between the table `[triggers]` of the former and of the next version, such as in the cron line of a
/// schedule.
pub(super) fn trigger_changes(before: &VersionSettings, after: &VersionSettings) -> Vec<String> {
    let of = |settings: &VersionSettings| by_name(json!({ "triggers": settings.triggers }));
    let (before, after, mut changes) = (of(before), of(after), Vec::new());
    let triggers = |settings: &Value| settings.get("triggers").filter(|triggers| !triggers.is_null()).cloned();
    collect_changes("triggers", triggers(&before).as_ref(), triggers(&after).as_ref(), &mut changes);
    changes
}

/// The npm packages in a component's bill of materials. One that cannot be read counts as none, so that versions with
/// such a bill can be compared in all else; the route for the packages of one version reports the error.
fn packages(component: &[u8]) -> BTreeSet<String> {
    let packages = Package::all_of(component).ok().flatten();
    packages.into_iter().flatten().map(|package| package.to_string()).collect()
}

/// The source files in a component's source map.
fn sources(component: &[u8]) -> BTreeSet<String> {
    let section = layout::read(component).ok().and_then(|layout| layout.source_map);
    let map: Option<Value> = section.and_then(|json| serde_json::from_slice(json).ok());
    let sources = map.as_ref().and_then(|map| map.get("sources")?.as_array());
    sources.into_iter().flatten().filter_map(|source| source.as_str().map(str::to_owned)).collect()
}

/// Settings in which schedules, subscriptions and webhooks are by their names, so that it is said of each what changes.
fn by_name(mut settings: Value) -> Value {
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

/// Lists where two JSON values differ.
fn collect_changes(path: &str, a: Option<&Value>, b: Option<&Value>, changes: &mut Vec<String>) {
    const CHANGES_MAX: usize = 1_000;
    if a == b || changes.len() >= CHANGES_MAX {
        return;
    }
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (a, b) {
        let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
        keys.into_iter().for_each(|key| collect_changes(&format!("{path}.{key}"), a.get(key), b.get(key), changes));
        return;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    changes.push(format!("{path}: {} -> {}", shown(a), shown(b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_triggers_are_listed_both_ways() {
        let settings = |triggers: Option<Value>| VersionSettings { triggers, ..VersionSettings::default() };
        let new = settings(Some(json!({
            "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
            "event": [{ "type": "order.*", "name": "orders" }],
            "jobs": { "resize": { "concurrency": 4 } },
        })));
        let old = settings(Some(json!({
            "schedule": [{ "name": "nightly", "cron": "0 4 * * *" }],
            "jobs": { "resize": { "concurrency": 2 } },
        })));
        let orders = json!({ "orders": { "type": "order.*", "name": "orders" } });
        assert_eq!(
            trigger_changes(&new, &old),
            [
                &format!("triggers.event: {orders} -> nothing"),
                "triggers.jobs.resize.concurrency: 4 -> 2",
                "triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\"",
            ]
        );
        assert_eq!(trigger_changes(&old, &new).len(), 3);
        assert!(trigger_changes(&new, &new).is_empty() && trigger_changes(&settings(None), &settings(None)).is_empty());
        assert!(trigger_changes(&settings(None), &old)[0].starts_with("triggers: nothing -> {"));
    }

    #[test]
    fn a_changed_cron_line_is_named_by_its_schedule() {
        let settings = |cron: &str| {
            let schedules = json!([{ "name": "hourly", "every": "1h" }, { "name": "nightly", "cron": cron }]);
            by_name(json!({ "triggers": { "schedule": schedules, "event": [{ "type": "a.*" }] } }))
        };
        let (before, after, mut changes) = (settings("0 3 * * *"), settings("0 4 * * *"), Vec::new());
        collect_changes("settings", Some(&before), Some(&after), &mut changes);
        assert_eq!(changes, ["settings.triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\""]);
    }

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
}
