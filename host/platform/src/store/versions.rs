//! Versions: what was accepted, never changed afterwards.

use super::audit::NOTHING;
use super::{Actor, HostScope, TenantScope, get, json, now_ms, number, optional_json, text, to_json};
use crate::error::{Code, Error, Result};
use crate::name::{ComponentName, Digest, ServiceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// A version of a component: an immutable component with its settings.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Version {
    /// The name of the component.
    pub component: ComponentName,
    /// The number, from 1.
    pub number: u32,
    /// The SHA-256 of the component, as 64 lower-case hexadecimal digits.
    pub digest: Digest,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// The manifest in the component, written by elias-build; null for components of other toolchains.
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<Value>,
    /// The settings, from elias.toml.
    pub settings: VersionSettings,
    /// The detached signature, a signed note; null for an unsigned version.
    pub signature: Option<String>,
    /// The name of the signing key; null for an unsigned version.
    pub signed_by: Option<String>,
    /// The index of the version's entry in the transparency log, from 0.
    pub log_index: u64,
    /// The time of the upload, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that uploaded it: the token's id, a user of the identity provider, or `host` for the host itself.
    pub created_by: String,
}

/// The settings of a version, from its elias.toml.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct VersionSettings {
    /// The grants: a map from the name of a capability to its table `[capabilities.NAME]`.
    #[schema(value_type = Object)]
    pub capabilities: Map<String, Value>,
    /// The table `[limits]`: a map from a limit, such as `fuel`, to its value. The host's limits apply to those that
    /// are absent.
    pub limits: BTreeMap<String, u64>,
    /// The table `[gateway]`; null or absent for the defaults.
    #[schema(value_type = Option<Object>)]
    pub gateway: Option<Value>,
    /// The table `[supervision]`; null or absent for the defaults.
    #[schema(value_type = Option<Object>)]
    pub supervision: Option<Value>,
    /// The smoke test, table `[smoke]`; null or absent for a GET of `/` that must not fail with 500 or more.
    pub smoke: Option<SmokeCall>,
    /// The files of the version, such as `migrations/0001_tables.sql`: a map from the path to the SHA-256 of the
    /// uploaded artifact.
    pub files: BTreeMap<String, Digest>,
}

/// The smoke test, table `[smoke]`: a request that a version must answer before it gets requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmokeCall {
    /// The path and query of the GET request; `/` by default.
    pub path: String,
    /// The status that the response must have; 0, the default, for any below 500.
    pub status: u16,
}

impl Default for SmokeCall {
    fn default() -> Self {
        Self { path: "/".to_owned(), status: 0 }
    }
}

/// A version about to be stored.
pub(crate) struct NewVersion<'a> {
    pub(crate) component: &'a ComponentName,
    pub(crate) number: u32,
    pub(crate) digest: &'a Digest,
    pub(crate) bytes: u64,
    pub(crate) manifest: Option<&'a Value>,
    pub(crate) settings: &'a VersionSettings,
    pub(crate) signature: Option<&'a str>,
    pub(crate) signed_by: Option<&'a str>,
    pub(crate) log_index: u64,
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

impl VersionSettings {
    /// SHA-256 of what is set, in hexadecimal: of the JSON with members in the order of their names, without those that are as the default has
    /// them. So a member that a later release adds changes the digest of no version that does not use it.
    #[must_use]
    pub fn digest(&self) -> String {
        let json = |settings: &Self| serde_json::to_value(settings).unwrap_or_default();
        let (Value::Object(mut set), default) = (json(self), json(&Self::default())) else { return String::new() };
        set.retain(|name, value| default.get(name) != Some(value));
        elias_contract::digest(in_order(set.into()).to_string().as_bytes())
    }
}

/// JSON with the members of all objects in the order of their names.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        other => other,
    }
}

impl HostScope {
    /// The place of a version in the log.
    pub(crate) async fn log_index(&mut self, id: &ServiceId, version: u32) -> Result<Option<u64>> {
        let select = "SELECT log_index FROM versions WHERE tenant = $1 AND component = $2 AND number = $3";
        let query = sqlx::query(select).bind(id.tenant.as_str().to_owned()).bind(id.component.as_str().to_owned());
        let row = query.bind(i64::from(version)).fetch_optional(&mut *self.tx).await?;
        row.map(|row| number(&row, "log_index")).transpose()
    }

    /// The artifacts that any version refers to.
    pub(crate) async fn referenced_artifacts(&mut self) -> Result<HashSet<String>> {
        referenced_artifacts(&mut self.tx).await
    }
}

/// The artifacts that any version refers to, in the store at the other end of a connection.
pub(super) async fn referenced_artifacts(connection: &mut sqlx::AnyConnection) -> Result<HashSet<String>> {
    let select = "SELECT digest, v.settings FROM versions v JOIN tenants t ON t.tenant = v.tenant \
                  WHERE v.deleted_at IS NULL AND t.deleted_at IS NULL";
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
    pub(crate) async fn insert_version(&mut self, new: &NewVersion<'_>, actor: &Actor) -> Result<Version> {
        let insert = "INSERT INTO versions (tenant, component, number, digest, bytes, manifest, settings, signature, signed_by, log_index, \
                      created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
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
        let select = "SELECT * FROM versions WHERE tenant = $1 AND component = $2 AND number < $3 AND deleted_at IS NULL \
                      ORDER BY number DESC LIMIT $4";
        let query = self.query(select).bind(component.as_str().to_owned());
        let query = query.bind(before.map_or(i64::MAX, i64::from)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(version).collect()
    }

    /// How many versions of a component are kept.
    pub(crate) async fn count_versions(&mut self, component: &ComponentName) -> Result<u32> {
        let select =
            "SELECT count(*) AS versions FROM versions WHERE tenant = $1 AND component = $2 AND deleted_at IS NULL";
        let query = self.query(select).bind(component.as_str().to_owned());
        self.row(query).await?.map_or(Ok(0), |row| number(&row, "versions"))
    }

    /// Deletes a version that nothing refers to.
    ///
    /// # Errors
    /// `not-found`; `in-use` while it serves anywhere.
    pub async fn delete_version(&mut self, component: &ComponentName, number: u32, actor: &Actor) -> Result<()> {
        self.version(component, number).await?;
        let select = "SELECT services.environment FROM services LEFT JOIN deployments ON deployments.tenant = services.tenant \
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
            let staged = service.stages.iter().flat_map(|stages| &stages.plan.implementations);
            let by = if service.flags.iter().any(|rule| rule.version == u64::from(number)) {
                "a flag (elias flags)"
            } else if staged.into_iter().any(|implementation| implementation.version == number) {
                "a stage (elias stages)"
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
        self.audit(actor, "version.delete", format!("{component}@{number}"), NOTHING, NOTHING).await
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
