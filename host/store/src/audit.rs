//! The audit trail: each act with its actor, time and origin.

use super::{HostScope, TenantScope, get, now_ms, number, optional_json, to_json};
use crate::error::Result;
use elias_api::{Actor, AuditEntry};
use serde::Serialize;
use serde_json::Value;

impl HostScope {
    /// Deletes of each tenant's audit trail all but the newest `keep` lines.
    pub async fn prune_audit(&mut self, keep: u32) -> Result<u64> {
        let delete = "DELETE FROM audit WHERE (tenant, id) IN (SELECT tenant, id FROM \
                      (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY id DESC) AS place FROM \
                      audit) AS ranked WHERE place > $1)";
        Ok(sqlx::query(delete).bind(i64::from(keep)).execute(&mut *self.tx).await?.rows_affected())
    }
}

impl TenantScope {
    /// Writes a line into the audit trail, in this transaction: what was done and the line are both there, or neither.
    pub async fn audit(
        &mut self,
        actor: &Actor,
        action: &str,
        subject: impl Into<String>,
        before: Option<&(impl Serialize + Sync)>,
        after: Option<&(impl Serialize + Sync)>,
    ) -> Result<()> {
        let before = before.map(to_json).transpose()?;
        let after = after.map(to_json).transpose()?;
        let insert = "INSERT INTO audit (tenant, id, at, actor, address, action, subject, before, after) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let query = self.query(insert).bind(ulid::Ulid::new().to_string()).bind(now_ms());
        let query = query.bind(actor.name.clone()).bind(actor.address.clone()).bind(action.to_owned());
        self.run(query.bind(subject.into()).bind(before).bind(after)).await?;
        Ok(())
    }

    /// The audit trail, newest first, from before the entry `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn audit_entries(&mut self, before: Option<&str>, limit: u32) -> Result<Vec<AuditEntry>> {
        let select = "SELECT * FROM audit WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let query = self.query(select).bind(before.unwrap_or("~").to_owned()).bind(i64::from(limit));
        let entry = |row: &sqlx::any::AnyRow| {
            Ok(AuditEntry {
                id: get(row, "id")?,
                at: number(row, "at")?,
                actor: Actor { name: get(row, "actor")?, address: get(row, "address")? },
                action: get(row, "action")?,
                subject: get(row, "subject")?,
                before: optional_json(row, "before")?,
                after: optional_json(row, "after")?,
            })
        };
        self.rows(query).await?.iter().map(entry).collect()
    }
}

/// The absence of a value before or after.
pub const NOTHING: Option<&Value> = None;
