//! The statements about feature flags.

use super::audit::NOTHING;
use super::{HostScope, TenantScope, get, json, now_ms, number, optional_json, signed, text};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, FeatureFlag, FlagRevision};
use elias_delivery::flag::{FLAGS_MAX, FlagDefinition};
use elias_names::{Environment, TenantId};
use serde_json::Value;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// Bytes of the definitions of all flags of a tenant in an environment: each host has them in memory.
const SET_BYTES_MAX: u64 = 1 << 20;
/// Revisions of a flag that are kept.
const REVISIONS_MAX: i64 = 100;
/// Flags of a tenant in an environment that were deleted and whose revisions are kept.
const DELETED_MAX: i64 = 500;

/// A flag's row, of which the definition is missing once it was deleted.
struct FlagRow {
    definition: Option<FlagDefinition>,
    revision: u64,
}

fn flag(row: &AnyRow) -> Result<Option<FeatureFlag>> {
    let Some(definition) = optional_json(row, "definition")? else { return Ok(None) };
    Ok(Some(FeatureFlag {
        environment: text(row, "environment")?,
        name: get(row, "name")?,
        definition,
        revision: number(row, "revision")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
    }))
}

fn not_there(name: &str) -> Error {
    Error::not_listed(format_args!("flag `{}`", name.escape_debug()), "elias flags list")
}

impl HostScope {
    /// The tenants and environments whose flags have changed after the change of this number.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn changed_flags(&mut self, after: i64) -> Result<Vec<(TenantId, Environment)>> {
        let select = "SELECT DISTINCT tenant, environment FROM flags WHERE change > $1";
        let rows = sqlx::query(select).bind(after).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| Ok((text(row, "tenant")?, text(row, "environment")?))).collect()
    }
}

impl TenantScope {
    /// The flags of an environment after the name `after`, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn flags(&mut self, environment: Environment, after: &str, limit: u32) -> Result<Vec<FeatureFlag>> {
        let select = "SELECT * FROM flags WHERE tenant = $1 AND environment = $2 AND name > $3 \
                      AND definition IS NOT NULL ORDER BY name LIMIT $4";
        let query = self.query(select).bind(environment.as_str()).bind(after.to_owned()).bind(i64::from(limit));
        Ok(self.rows(query).await?.iter().map(flag).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The definitions of all flags of an environment by name, as they were written, which may have been by a later
    /// release.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn flag_definitions(&mut self, environment: Environment) -> Result<BTreeMap<String, Value>> {
        let select = "SELECT name, definition FROM flags WHERE tenant = $1 AND environment = $2 \
                      AND definition IS NOT NULL";
        let query = self.query(select).bind(environment.as_str());
        self.rows(query).await?.iter().map(|row| Ok((get(row, "name")?, json(row, "definition")?))).collect()
    }

    /// A flag.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn flag(&mut self, environment: Environment, name: &str) -> Result<FeatureFlag> {
        let select = "SELECT * FROM flags WHERE tenant = $1 AND environment = $2 AND name = $3";
        let query = self.query(select).bind(environment.as_str()).bind(name.to_owned());
        let found = self.row(query).await?.as_ref().map(flag).transpose()?.flatten();
        found.ok_or_else(|| not_there(name))
    }

    async fn flag_row(&mut self, environment: Environment, name: &str) -> Result<Option<FlagRow>> {
        let select = "SELECT definition, revision FROM flags WHERE tenant = $1 AND environment = $2 AND name = $3";
        let query = self.query(select).bind(environment.as_str()).bind(name.to_owned());
        let row = |row: &AnyRow| -> Result<FlagRow> {
            Ok(FlagRow { definition: optional_json(row, "definition")?, revision: number(row, "revision")? })
        };
        self.row(query).await?.as_ref().map(row).transpose()
    }

    /// Makes a flag, or changes it, if it is still at `revision`. The definition was checked.
    ///
    /// # Errors
    /// `stale`; `quota-exceeded` for too many flags, or too large ones together.
    pub async fn set_flag(
        &mut self,
        environment: Environment,
        name: &str,
        definition: &FlagDefinition,
        revision: Option<u64>,
        actor: &Actor,
    ) -> Result<FeatureFlag> {
        let before = self.flag_row(environment, name).await?;
        let is = before.as_ref().filter(|row| row.definition.is_some()).map(|row| row.revision);
        if revision.is_some() && revision != is {
            return Err(Error::stale("flag", name));
        }
        self.write_flag(environment, name, Some(definition), before.as_ref(), actor).await?;
        self.check_flags(environment).await?;
        let subject = format!("{environment}/{name}");
        let former = before.as_ref().and_then(|row| row.definition.as_ref());
        self.audit(actor, "flag.set", subject, former, Some(definition)).await?;
        self.flag(environment, name).await
    }

    /// Deletes a flag, if it is still at `revision`. Its revisions stay for a time.
    ///
    /// # Errors
    /// `not-found`, `stale`.
    pub async fn delete_flag(
        &mut self,
        environment: Environment,
        name: &str,
        revision: Option<u64>,
        actor: &Actor,
    ) -> Result<()> {
        let before = self.flag_row(environment, name).await?.filter(|row| row.definition.is_some());
        let before = before.ok_or_else(|| not_there(name))?;
        if revision.is_some_and(|revision| revision != before.revision) {
            return Err(Error::stale("flag", name));
        }
        self.write_flag(environment, name, None, Some(&before), actor).await?;
        self.forget_deleted_flags(environment).await?;
        let subject = format!("{environment}/{name}");
        self.audit(actor, "flag.delete", subject, before.definition.as_ref(), NOTHING).await
    }

    /// Writes the next revision of a flag, and tells the other hosts.
    async fn write_flag(
        &mut self,
        environment: Environment,
        name: &str,
        definition: Option<&FlagDefinition>,
        before: Option<&FlagRow>,
        actor: &Actor,
    ) -> Result<()> {
        self.count_change().await?;
        let (was, at) = (before.map_or(0, |row| row.revision), now_ms());
        let json = definition.map(FlagDefinition::json);
        let bytes = json.as_ref().map_or(0, |json| signed(json.len() as u64));
        let upsert = "INSERT INTO flags \
                      (tenant, environment, name, definition, bytes, revision, changed_at, changed_by, change) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT value FROM counters WHERE name = 'changes')) \
                      ON CONFLICT (tenant, environment, name) DO UPDATE SET definition = excluded.definition, \
                      bytes = excluded.bytes, revision = excluded.revision, changed_at = excluded.changed_at, \
                      changed_by = excluded.changed_by, change = excluded.change WHERE flags.revision = $9";
        let query = self.query(upsert).bind(environment.as_str()).bind(name.to_owned()).bind(json.clone()).bind(bytes);
        let query = query.bind(signed(was + 1)).bind(at).bind(actor.name.clone()).bind(signed(was));
        if self.run(query).await? == 0 {
            return Err(Error::stale("flag", name));
        }
        let insert = "INSERT INTO flag_revisions (tenant, environment, name, revision, definition, changed_at, \
                      changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let query = self.query(insert).bind(environment.as_str()).bind(name.to_owned()).bind(signed(was + 1));
        self.run(query.bind(json).bind(at).bind(actor.name.clone())).await?;
        let delete = "DELETE FROM flag_revisions WHERE tenant = $1 AND environment = $2 AND name = $3 \
                      AND revision <= $4";
        let query = self.query(delete).bind(environment.as_str()).bind(name.to_owned());
        self.run(query.bind(signed(was + 1) - REVISIONS_MAX)).await?;
        Ok(())
    }

    /// Refuses what was written if the environment has too many flags now, or too large ones.
    async fn check_flags(&mut self, environment: Environment) -> Result<()> {
        let select = "SELECT count(*) AS flags_there, CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes_there \
                      FROM flags WHERE tenant = $1 AND environment = $2 AND definition IS NOT NULL";
        let query = self.query(select).bind(environment.as_str());
        let Some(row) = self.row(query).await? else { return Ok(()) };
        let (flags, bytes): (u64, u64) = (number(&row, "flags_there")?, number(&row, "bytes_there")?);
        let refuse = |what: String| Err(Error::new(Code::QuotaExceeded, format!("{what}; delete some first")));
        if flags > FLAGS_MAX as u64 {
            return refuse(format!("a tenant has at most {FLAGS_MAX} flags in an environment"));
        }
        if bytes > SET_BYTES_MAX {
            return refuse(format!("the flags of a tenant in an environment have at most {SET_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// Forgets those of the deleted flags that were deleted first, with their revisions.
    async fn forget_deleted_flags(&mut self, environment: Environment) -> Result<()> {
        let delete = "DELETE FROM flags WHERE tenant = $1 AND environment = $2 AND definition IS NULL \
                      AND name NOT IN (SELECT name FROM flags WHERE tenant = $1 AND environment = $2 \
                      AND definition IS NULL ORDER BY change DESC LIMIT $3)";
        let query = self.query(delete).bind(environment.as_str()).bind(DELETED_MAX);
        if self.run(query).await? == 0 {
            return Ok(());
        }
        let delete = "DELETE FROM flag_revisions WHERE tenant = $1 AND environment = $2 \
                      AND name NOT IN (SELECT name FROM flags WHERE tenant = $1 AND environment = $2)";
        let query = self.query(delete).bind(environment.as_str());
        self.run(query).await?;
        Ok(())
    }

    /// The kept revisions of a flag before the revision `before`, the newest first; also of one that was deleted.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn flag_history(
        &mut self,
        environment: Environment,
        name: &str,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<FlagRevision>> {
        if self.flag_row(environment, name).await?.is_none() {
            return Err(not_there(name));
        }
        let select = "SELECT * FROM flag_revisions WHERE tenant = $1 AND environment = $2 AND name = $3 \
                      AND revision < $4 ORDER BY revision DESC LIMIT $5";
        let query = self.query(select).bind(environment.as_str()).bind(name.to_owned());
        let query = query.bind(before.map_or(i64::MAX, i64::from)).bind(i64::from(limit));
        let revision = |row: &AnyRow| {
            Ok(FlagRevision {
                revision: number(row, "revision")?,
                definition: optional_json(row, "definition")?,
                changed_at: get(row, "changed_at")?,
                changed_by: get(row, "changed_by")?,
            })
        };
        self.rows(query).await?.iter().map(revision).collect()
    }
}
