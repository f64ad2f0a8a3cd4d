//! Versions: what was accepted, never changed afterwards.

use super::audit::NOTHING;
use super::{HostScope, TenantScope, get, json, now_ms, number, optional_json, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, Version, VersionSettings};
use elias_names::{ComponentName, Digest, ServiceId};
use serde_json::Value;
use std::collections::HashSet;

/// A version about to be stored.
pub struct NewVersion<'a> {
    /// The component.
    pub component: &'a ComponentName,
    /// The number, from 1.
    pub number: u32,
    /// The SHA-256 of the component.
    pub digest: &'a Digest,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// The manifest in the component; none for components of other toolchains.
    pub manifest: Option<&'a Value>,
    /// The settings, from elias.toml.
    pub settings: &'a VersionSettings,
    /// The detached signature, a signed note.
    pub signature: Option<&'a str>,
    /// The name of the signing key.
    pub signed_by: Option<&'a str>,
    /// The index of its entry in the transparency log, from 0.
    pub log_index: u64,
}

fn version(row: &sqlx::any::AnyRow) -> Result<Version> {
    Ok(Version {
        component: text(row, "component")?,
        number: number(row, "number")?,
        digest: text(row, "digest")?,
        bytes: number(row, "bytes")?,
        manifest: optional_json(row, "manifest")?,
        settings: json(row, "settings")?,
        signature: get(row, "signature")?,
        signed_by: get(row, "signed_by")?,
        log_index: number(row, "log_index")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
    })
}

impl HostScope {
    /// The place of a version in the log.
    pub async fn log_index(&mut self, id: &ServiceId, version: u32) -> Result<Option<u64>> {
        let select = "SELECT log_index FROM versions WHERE tenant = $1 AND component = $2 AND number = $3";
        let query = sqlx::query(select).bind(id.tenant.as_str().to_owned()).bind(id.component.as_str().to_owned());
        let row = query.bind(i64::from(version)).fetch_optional(&mut *self.tx).await?;
        row.map(|row| number(&row, "log_index")).transpose()
    }

    /// The artifacts that any version refers to, also one that was deleted if the heap of a worker belongs to it, or
    /// may belong to it again by a rollback, and those with the pages of workers.
    pub async fn referenced_artifacts(&mut self) -> Result<HashSet<String>> {
        referenced_artifacts(&mut self.tx).await
    }
}

/// The artifacts that are referred to in the store at the other end of a connection.
pub(super) async fn referenced_artifacts(connection: &mut sqlx::AnyConnection) -> Result<HashSet<String>> {
    // The heap to which a rollback goes back can belong to any version: a swapped one is of another than it ran in.
    let select = "SELECT v.digest AS digest, v.settings AS settings FROM versions v \
                  JOIN tenants t ON t.tenant = v.tenant WHERE t.deleted_at IS NULL \
                  AND (v.deleted_at IS NULL OR EXISTS (SELECT 1 FROM workers w WHERE w.tenant = v.tenant \
                      AND w.component = v.component AND w.component_digest = v.digest) \
                  OR (v.tenant, v.component) IN (SELECT w.tenant, w.component FROM workers w \
                      WHERE w.upgraded_from_turn IS NOT NULL)) \
                  UNION ALL SELECT DISTINCT digest, '{}' FROM worker_turns WHERE digest IS NOT NULL";
    let rows = sqlx::query(select).fetch_all(connection).await?;
    let mut referenced = HashSet::new();
    for row in &rows {
        let settings: VersionSettings = json(row, "settings")?;
        referenced.insert(get(row, "digest")?);
        referenced.extend(settings.files.into_values().map(String::from));
    }
    Ok(referenced)
}

impl TenantScope {
    /// Stores a version that was accepted.
    pub async fn insert_version(&mut self, new: &NewVersion<'_>, actor: &Actor) -> Result<Version> {
        let insert = "INSERT INTO versions (tenant, component, number, digest, bytes, manifest, settings, signature, \
            signed_by, log_index, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let query = self.query(insert).bind(new.component.as_str().to_owned()).bind(i64::from(new.number));
        let query = query.bind(new.digest.as_str().to_owned()).bind(i64::try_from(new.bytes).unwrap_or(i64::MAX));
        let query = query.bind(new.manifest.map(to_json).transpose()?).bind(to_json(new.settings)?);
        let query = query.bind(new.signature.map(str::to_owned)).bind(new.signed_by.map(str::to_owned));
        let query = query.bind(i64::try_from(new.log_index).unwrap_or(i64::MAX));
        self.run(query.bind(now_ms()).bind(actor.name.clone())).await?;
        let stored = self.version(new.component, new.number).await?;
        let subject = format!("{}@{}", new.component, new.number);
        self.audit(actor, "version.create", subject, NOTHING, Some(&serde_json::json!({ "digest": new.digest })))
            .await?;
        Ok(stored)
    }

    /// A version.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn version(&mut self, component: &ComponentName, number: u32) -> Result<Version> {
        let select =
            "SELECT * FROM versions WHERE tenant = $1 AND component = $2 AND number = $3 AND deleted_at IS NULL";
        let query = self.query(select).bind(component.as_str().to_owned()).bind(i64::from(number));
        let row = self.row(query).await?;
        version(&row.ok_or_else(|| {
            Error::not_listed(format_args!("version {number} of component `{component}`"), "elias versions COMPONENT")
        })?)
    }

    /// A component's versions below `before`, newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn versions(
        &mut self,
        component: &ComponentName,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let select = "SELECT * FROM versions WHERE tenant = $1 AND component = $2 AND number < $3 AND deleted_at IS \
            NULL ORDER BY number DESC LIMIT $4";
        let query = self.query(select).bind(component.as_str().to_owned());
        let query = query.bind(before.map_or(i64::MAX, i64::from)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(version).collect()
    }

    /// How many versions of a component are kept.
    pub async fn count_versions(&mut self, component: &ComponentName) -> Result<u32> {
        let select =
            "SELECT count(*) AS versions FROM versions WHERE tenant = $1 AND component = $2 AND deleted_at IS NULL";
        let query = self.query(select).bind(component.as_str().to_owned());
        self.row(query).await?.map_or(Ok(0), |row| number(&row, "versions"))
    }

    /// Deletes a version that nothing refers to, and with the last version its component; says whether it was the last.
    ///
    /// # Errors
    /// `not-found`; `in-use` while it serves anywhere.
    pub async fn delete_version(&mut self, component: &ComponentName, number: u32, actor: &Actor) -> Result<bool> {
        self.version(component, number).await?;
        let select = "SELECT services.environment FROM services LEFT JOIN deployments ON deployments.tenant = \
            services.tenant \
                      AND deployments.id = services.canary WHERE services.tenant = $1 AND services.component = $2 \
                      AND (services.version = $3 OR deployments.version = $3) LIMIT 1";
        let query = self.query(select).bind(component.as_str().to_owned()).bind(i64::from(number));
        if let Some(row) = self.row(query).await? {
            let environment: String = get(&row, "environment")?;
            let message =
                format!("version {number} of {component} serves in {environment}; deploy another one there first");
            return Err(Error::new(Code::InUse, message));
        }
        for service in self.services().await?.into_iter().filter(|service| service.component == *component) {
            let variants = service.experiment.iter().flat_map(|experiment| &experiment.plan.variants);
            let by = if service.flags.iter().any(|rule| rule.version == u64::from(number)) {
                "a targeting rule (elias targeting)"
            } else if variants.into_iter().any(|variant| variant.version == number) {
                "an experiment (elias stages)"
            } else {
                continue;
            };
            let environment = service.environment;
            let message =
                format!("version {number} of {component} gets requests in {environment} by {by}; change that first");
            return Err(Error::new(Code::InUse, message));
        }
        let update = "UPDATE versions SET deleted_at = $4 WHERE tenant = $1 AND component = $2 AND number = $3";
        let query = self.query(update).bind(component.as_str().to_owned()).bind(i64::from(number)).bind(now_ms());
        self.run(query).await?;
        self.audit(actor, "version.delete", format!("{component}@{number}"), NOTHING, NOTHING).await?;
        // The row is locked first: an upload at the same time either was counted, or makes the component anew.
        let lock = "UPDATE components SET versions = versions WHERE tenant = $1 AND component = $2";
        let query = self.query(lock).bind(component.as_str().to_owned());
        self.run(query).await?;
        if self.count_versions(component).await? > 0 {
            return Ok(false);
        }
        let update = "UPDATE components SET deleted_at = $3 WHERE tenant = $1 AND component = $2";
        let query = self.query(update).bind(component.as_str().to_owned()).bind(now_ms());
        self.run(query).await?;
        self.delete_workers_of(component).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(settings: Value) -> String {
        serde_json::from_value::<VersionSettings>(settings).expect("settings").digest()
    }

    #[test]
    fn a_digest_is_of_what_is_set_in_whatever_order() {
        assert_eq!(digest(json!({})), elias_contract::digest(b"{}"), "what a later release adds changes nothing here");
        let text = r#"{"capabilities":{"a":{"x":1,"y":[{"p":null,"q":0.5}]},"b":{}},"limits":{"fuel":5}}"#;
        let settings: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(
            digest(settings.clone()),
            elias_contract::digest(text.as_bytes()),
            "so it is in logs that are out there"
        );
        let other =
            r#"{"limits":{"fuel":5},"smoke":null,"capabilities":{"b":{},"a":{"y":[{"q":0.5,"p":null}],"x":1}}}"#;
        assert_eq!(digest(serde_json::from_str(other).expect("JSON")), digest(settings.clone()));
        for (path, value) in
            [("/limits/fuel", json!(6)), ("/capabilities/a/x", json!("1")), ("/capabilities/b", json!({ "c": 1 }))]
        {
            let mut changed = settings.clone();
            *changed.pointer_mut(path).expect("it is there") = value;
            assert_ne!(digest(changed), digest(settings.clone()), "{path}");
        }
    }
}
