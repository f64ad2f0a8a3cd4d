//! Security events.

use super::{HostScope, TenantScope, before_id, damaged, get, number, signed, storable, text};
use crate::error::Result;
use elias_names::{ComponentName, Environment, TenantId};
use elias_telemetry::security::{Repeats, SecurityEventKey, SecurityEventKind};

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEventRow {
    /// The id; ids sort by the hour.
    pub id: String,
    /// What happened.
    pub key: SecurityEventKey,
    /// How often, and when.
    pub repeats: Repeats,
}

/// Which events a list has.
#[derive(Debug, Clone, Default)]
pub struct SecurityEventQuery {
    /// The kind; `None` for all.
    pub kind: Option<SecurityEventKind>,
    /// Only those that happened since then, in milliseconds since 1970.
    pub since_ms: i64,
    /// Only those before the one with this id.
    pub before: Option<String>,
}

fn read(row: &sqlx::any::AnyRow) -> Result<SecurityEventRow> {
    let kind: String = get(row, "kind")?;
    let kind = SecurityEventKind::ALL.into_iter().find(|one| one.as_str() == kind).ok_or_else(|| damaged("kind"))?;
    let service = match get::<Option<String>>(row, "component")? {
        Some(_) => Some((text::<ComponentName>(row, "component")?, text::<Environment>(row, "environment")?)),
        None => None,
    };
    let (actor, address) = (get(row, "actor")?, get(row, "address")?);
    let key =
        SecurityEventKey { kind, actor, address, service, subject: get(row, "subject")?, code: get(row, "code")? };
    let count = number(row, "repeats")?;
    let repeats = Repeats { count, first_ms: get(row, "first_at")?, last_ms: get(row, "last_at")? };
    Ok(SecurityEventRow { id: get(row, "id")?, key, repeats })
}

impl HostScope {
    /// Stores an event of a tenant. Repeats of one that is there already are added to it; says whether none was there.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn add_security_event(
        &mut self,
        tenant: &TenantId,
        key: &SecurityEventKey,
        repeats: &Repeats,
    ) -> Result<bool> {
        let upsert = "INSERT INTO security_events (tenant, id, kind, actor, address, component, environment, subject, \
            code, repeats, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
            ON CONFLICT (tenant, id) DO UPDATE SET repeats = security_events.repeats + excluded.repeats, \
            last_at = CASE WHEN excluded.last_at > security_events.last_at THEN excluded.last_at \
            ELSE security_events.last_at END RETURNING repeats";
        let (component, environment) = match &key.service {
            Some((component, environment)) => (Some(component.to_string()), Some(environment.to_string())),
            None => (None, None),
        };
        let query = sqlx::query(upsert).bind(tenant.as_str().to_owned()).bind(key.id(repeats.first_ms));
        let query = query.bind(key.kind.as_str()).bind(storable(&key.actor)).bind(storable(&key.address));
        let query = query.bind(component).bind(environment).bind(storable(&key.subject)).bind(storable(&key.code));
        let query = query.bind(signed(repeats.count));
        let row = query.bind(repeats.first_ms).bind(repeats.last_ms).fetch_one(&mut *self.tx).await?;
        Ok(number::<u64>(&row, "repeats")? == repeats.count)
    }

    /// Deletes events that did not happen since a time, in milliseconds since 1970, and of each tenant all but the
    /// newest `keep`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_security_events(&mut self, before_ms: i64, keep: u32) -> Result<()> {
        let old = sqlx::query("DELETE FROM security_events WHERE last_at < $1").bind(before_ms);
        old.execute(&mut *self.tx).await?;
        let many = "DELETE FROM security_events WHERE (tenant, id) IN (SELECT tenant, id FROM \
            (SELECT tenant, id, row_number() OVER (PARTITION BY tenant ORDER BY id DESC) AS place FROM \
            security_events) AS ranked WHERE place > $1)";
        sqlx::query(many).bind(i64::from(keep)).execute(&mut *self.tx).await?;
        Ok(())
    }
}

impl TenantScope {
    /// The tenant's events, those of the newest hour first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn security_events(&mut self, wanted: &SecurityEventQuery, limit: u32) -> Result<Vec<SecurityEventRow>> {
        let select = "SELECT * FROM security_events WHERE tenant = $1 AND id < $2 AND ($3 = '' OR kind = $3) \
            AND last_at >= $4 ORDER BY id DESC LIMIT $5";
        let query = self.query(select).bind(before_id(wanted.before.as_deref()));
        let query = query.bind(wanted.kind.map_or("", SecurityEventKind::as_str)).bind(wanted.since_ms);
        self.rows(query.bind(i64::from(limit))).await?.iter().map(read).collect()
    }
}
