//! Compares two versions of a component, and specifies one.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_advisories::Package;
use elias_api::{
    Code, Diff, Error, Result, Specification, Version, VersionSettings, collect_changes, triggers_by_name,
};
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
        let settings = |version: &Version| serde_json::to_value(&version.settings).ok().map(triggers_by_name);
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

impl Platform {
    /// The specification of a version of a component.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `artifact-missing`; `sbom-missing` for a bill of materials that cannot be read.
    pub async fn specification(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: &ComponentName,
        number: u32,
    ) -> Result<Specification> {
        let mut scope = self.read(session, Permission::Read, tenant, Some(component)).await?;
        let version = scope.version(component, number).await?;
        drop(scope);
        let bytes = self.artifacts().get(&version.digest).await?;
        // A large component is hashed and its sections are read.
        let read = tokio::task::spawn_blocking(move || {
            Specification::of(version.component.as_str(), &bytes, &version.settings)
        });
        read.await.map_err(|panic| Error::new(Code::Internal, format!("reading a component: {panic}")))?
    }
}

/// The difference between the table `[triggers]` of the former and of the next version, such as in the cron line of a
/// schedule.
pub(super) fn trigger_changes(before: &VersionSettings, after: &VersionSettings) -> Vec<String> {
    let of = |settings: &VersionSettings| triggers_by_name(json!({ "triggers": settings.triggers }));
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
}
