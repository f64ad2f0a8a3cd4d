//! The audit trail: each act with its actor, time and origin.

use super::{HostScope, TenantScope, before_id, get, now_ms, number, optional_json, storable, to_json};
use crate::error::Result;
use elias_api::{Actor, AuditEntry};
use serde::Serialize;
use serde_json::Value;

/// An act that does not change the store, and is written into the audit trail later.
#[derive(Debug, Clone)]
pub struct AuditNote {
    /// The id, a ULID of the time: it stands where it belongs, though it is written later.
    pub id: String,
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// Who did it.
    pub actor: Actor,
    /// The act.
    pub action: &'static str,
    /// The object.
    pub subject: String,
    /// More about it.
    pub after: Option<Value>,
}

impl HostScope {
    /// Deletes the lines of all audit trails from before a time, in milliseconds since 1970; says how many.
    pub async fn prune_audit_before(&mut self, before_ms: i64) -> Result<u64> {
        let query = sqlx::query("DELETE FROM audit WHERE at < $1").bind(before_ms);
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }

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

    /// Writes acts into the audit trail that did not change the store. Those that are there already stay as they are.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn audit_notes(&mut self, notes: &[AuditNote]) -> Result<()> {
        for note in notes {
            let insert = "INSERT INTO audit (tenant, id, at, actor, address, action, subject, before, after) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8) ON CONFLICT DO NOTHING";
            let query = self.query(insert).bind(note.id.clone()).bind(note.at);
            // One that cannot be stored would keep the others of its tenant waiting for ever.
            let query = query.bind(storable(&note.actor.name)).bind(storable(&note.actor.address)).bind(note.action);
            let query = query.bind(storable(&note.subject)).bind(note.after.as_ref().map(to_json).transpose()?);
            self.run(query).await?;
        }
        Ok(())
    }

    /// The audit trail since a time, in milliseconds since 1970, oldest first, from after the entry `after`: for who
    /// takes all of it.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn audit_since(&mut self, since_ms: i64, after: &str, limit: u32) -> Result<Vec<AuditEntry>> {
        let select = "SELECT * FROM audit WHERE tenant = $1 AND id > $2 AND at >= $3 ORDER BY id LIMIT $4";
        let query = self.query(select).bind(storable(after)).bind(since_ms).bind(i64::from(limit));
        self.rows(query).await?.iter().map(entry).collect()
    }

    /// The audit trail since a time, in milliseconds since 1970, newest first, from before the entry `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn audit_entries(&mut self, before: Option<&str>, since_ms: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        let select = "SELECT * FROM audit WHERE tenant = $1 AND id < $2 AND at >= $3 ORDER BY id DESC LIMIT $4";
        let query = self.query(select).bind(before_id(before));
        self.rows(query.bind(since_ms).bind(i64::from(limit))).await?.iter().map(entry).collect()
    }
}

fn entry(row: &sqlx::any::AnyRow) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: get(row, "id")?,
        at: number(row, "at")?,
        actor: Actor { name: get(row, "actor")?, address: get(row, "address")? },
        action: get(row, "action")?,
        subject: get(row, "subject")?,
        before: optional_json(row, "before")?,
        after: optional_json(row, "after")?,
    })
}

/// The absence of a value before or after.
pub const NOTHING: Option<&Value> = None;
