//! What the host that evaluates alert rules reads and writes, across tenants.

use super::{
    AlertRow, DueNotification, GroupRow, NewNotification, StoredPoint, StoredReceiver, alert, receiver, rule, silence,
};
use crate::error::Result;
use crate::{HostScope, get, json, number, signed, text, to_json};
use elias_api::{AlertRule, Silence};
use elias_names::{ReceiverName, ServiceId, TenantId};
use elias_telemetry::alert::{AlertState, HostPoint};
use elias_telemetry::notification::ReceiverCircuit;
use sqlx::any::AnyRow;

impl HostScope {
    /// The rules that tenants have set.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_alert_rules(&mut self) -> Result<Vec<(TenantId, AlertRule)>> {
        let select = "SELECT * FROM alert_rules ORDER BY tenant, name";
        let rows = sqlx::query(select).fetch_all(&mut *self.tx).await?;
        // A rule over a metric that only a later release knows is left to hosts of that.
        Ok(readable(&rows, "alert rules", |row| Ok((text(row, "tenant")?, rule(row)?))))
    }

    /// The silences of all tenants that have not ended at `now_ms`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_silences(&mut self, now_ms: i64) -> Result<Vec<(TenantId, Silence)>> {
        let select = "SELECT * FROM silences WHERE until > $1";
        let rows = sqlx::query(select).bind(now_ms).fetch_all(&mut *self.tx).await?;
        Ok(readable(&rows, "silences", |row| Ok((text(row, "tenant")?, silence(row)?))))
    }

    /// The receivers of all tenants.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_receivers(&mut self) -> Result<Vec<StoredReceiver>> {
        let rows = sqlx::query("SELECT * FROM receivers ORDER BY tenant, name").fetch_all(&mut *self.tx).await?;
        Ok(readable(&rows, "receivers", receiver))
    }

    /// The alerts of all tenants that are not inactive.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_alerts(&mut self) -> Result<Vec<AlertRow>> {
        let rows = sqlx::query("SELECT * FROM alerts").fetch_all(&mut *self.tx).await?;
        Ok(readable(&rows, "alerts", alert))
    }

    /// The groups of all tenants of which receivers know something.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_alert_groups(&mut self) -> Result<Vec<GroupRow>> {
        let rows = sqlx::query("SELECT * FROM alert_groups").fetch_all(&mut *self.tx).await?;
        Ok(readable(&rows, "groups of alerts", |row| {
            Ok(GroupRow {
                tenant: text(row, "tenant")?,
                rule: text(row, "rule")?,
                name: get(row, "name")?,
                known: json(row, "known")?,
            })
        }))
    }

    /// Stores the state of alerts; one that is inactive is deleted.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_alerts(&mut self, alerts: &[AlertRow]) -> Result<()> {
        for AlertRow { tenant, rule, target, tracker } in alerts {
            let is_inactive = tracker.state == AlertState::Inactive;
            let statement = if is_inactive {
                "DELETE FROM alerts WHERE tenant = $1 AND rule = $2 AND target = $3"
            } else {
                "INSERT INTO alerts (tenant, rule, target, tracker) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant, rule, target) DO UPDATE SET tracker = excluded.tracker"
            };
            let query = sqlx::query(statement).bind(tenant.as_str().to_owned()).bind(rule.as_str().to_owned());
            let query = query.bind(target.clone());
            let query = if is_inactive { query } else { query.bind(to_json(tracker)?) };
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Stores what receivers know of groups; a group for which `is_idle` is true is deleted.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_alert_groups(&mut self, groups: &[(GroupRow, bool)]) -> Result<()> {
        for (GroupRow { tenant, rule, name, known }, is_idle) in groups {
            let statement = if *is_idle {
                "DELETE FROM alert_groups WHERE tenant = $1 AND rule = $2 AND name = $3"
            } else {
                "INSERT INTO alert_groups (tenant, rule, name, known) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant, rule, name) DO UPDATE SET known = excluded.known"
            };
            let query = sqlx::query(statement).bind(tenant.as_str().to_owned()).bind(rule.as_str().to_owned());
            let query = query.bind(name.clone());
            let query = if *is_idle { query } else { query.bind(to_json(known)?) };
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Adds notifications that are due at `due_ms`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn add_notifications(&mut self, new: &[NewNotification], due_ms: i64) -> Result<()> {
        let insert = "INSERT INTO notifications (tenant, id, receiver, body, attempts, due) \
                      VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT DO NOTHING";
        for NewNotification { tenant, id, receiver, body } in new {
            let query = sqlx::query(insert).bind(tenant.as_str().to_owned()).bind(id.clone());
            let query = query.bind(receiver.as_str().to_owned()).bind(body.clone()).bind(due_ms);
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Deletes all but the newest `most` notifications that a receiver did not get yet; says how many were deleted.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn bound_notifications(&mut self, tenant: &TenantId, receiver: &ReceiverName, most: u32) -> Result<u64> {
        let delete = "DELETE FROM notifications WHERE tenant = $1 AND receiver = $2 AND id <= \
                      (SELECT id FROM notifications WHERE tenant = $1 AND receiver = $2 ORDER BY id DESC \
                      LIMIT 1 OFFSET $3)";
        let query = sqlx::query(delete).bind(tenant.as_str().to_owned()).bind(receiver.as_str().to_owned());
        Ok(query.bind(i64::from(most)).execute(&mut *self.tx).await?.rows_affected())
    }

    /// The notifications that are due at `now_ms`, `most` at most: of each receiver the oldest, then of each the next,
    /// `each` at most, so that many for one delay no other's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn due_notifications(&mut self, now_ms: i64, each: u32, most: u32) -> Result<Vec<DueNotification>> {
        let select = "SELECT tenant, id, receiver, body, attempts FROM (SELECT n.*, ROW_NUMBER() OVER \
                      (PARTITION BY n.tenant, n.receiver ORDER BY n.id) AS place FROM notifications n \
                      WHERE n.due <= $1) AS due_now WHERE place <= $2 ORDER BY place, tenant, receiver LIMIT $3";
        let query = sqlx::query(select).bind(now_ms).bind(i64::from(each)).bind(i64::from(most));
        let rows = query.fetch_all(&mut *self.tx).await?;
        let due = |row: &AnyRow| {
            let notification = NewNotification {
                tenant: text(row, "tenant")?,
                id: get(row, "id")?,
                receiver: text(row, "receiver")?,
                body: get(row, "body")?,
            };
            Ok(DueNotification { notification, attempts: number(row, "attempts")? })
        };
        rows.iter().map(due).collect()
    }

    /// Has a notification wait until `due_ms`, after so many attempts.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn postpone_notification(&mut self, of: &NewNotification, attempts: u32, due_ms: i64) -> Result<()> {
        let update = "UPDATE notifications SET attempts = $4, due = $5 WHERE tenant = $1 AND id = $2 AND receiver = $3";
        let query = sqlx::query(update).bind(of.tenant.as_str().to_owned()).bind(of.id.clone());
        let query = query.bind(of.receiver.as_str().to_owned()).bind(i64::from(attempts)).bind(due_ms);
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes a notification whose receiver is gone; one of a receiver that is there, though only another release can
    /// read it, stays.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn delete_orphan_notification(&mut self, of: &NewNotification) -> Result<()> {
        let delete = "DELETE FROM notifications WHERE tenant = $1 AND id = $2 AND receiver = $3 AND NOT EXISTS \
                      (SELECT 1 FROM receivers WHERE receivers.tenant = $1 AND receivers.name = $3)";
        let query = sqlx::query(delete).bind(of.tenant.as_str().to_owned()).bind(of.id.clone());
        query.bind(of.receiver.as_str().to_owned()).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes a notification that was delivered, or is given up.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn delete_notification(&mut self, of: &NewNotification) -> Result<()> {
        let delete = "DELETE FROM notifications WHERE tenant = $1 AND id = $2 AND receiver = $3";
        let query = sqlx::query(delete).bind(of.tenant.as_str().to_owned()).bind(of.id.clone());
        query.bind(of.receiver.as_str().to_owned()).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Stores the circuit of a receiver, and how the last attempt ended: `error` says why it failed. False, and nothing
    /// is stored, if the receiver was changed or deleted since it was read.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn receiver_attempted(
        &mut self,
        sent_to: &StoredReceiver,
        circuit: &ReceiverCircuit,
        error: Option<&str>,
        now_ms: i64,
    ) -> Result<bool> {
        // Keys that were exchanged encrypt the settings anew, which are still the same: the revision says that.
        let update = "UPDATE receivers SET circuit = $3, error = $4, \
                      delivered_at = CASE WHEN $5 = 0 THEN delivered_at ELSE $5 END \
                      WHERE tenant = $1 AND name = $2 AND revision = $6";
        let StoredReceiver { tenant, receiver, .. } = sent_to;
        let query = sqlx::query(update).bind(tenant.as_str().to_owned()).bind(receiver.name.as_str().to_owned());
        let query = query.bind(to_json(circuit)?).bind(error.map(|error| to_json(&error)).transpose()?);
        let query = query.bind(if error.is_some() { 0 } else { now_ms }).bind(signed(receiver.revision));
        Ok(query.execute(&mut *self.tx).await?.rows_affected() > 0)
    }

    /// Adds what a host counted in the ten seconds before `at_ms`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn add_alert_point(&mut self, host: &str, at_ms: i64, point: &HostPoint) -> Result<()> {
        let upsert = "INSERT INTO alert_points (host, at, point) VALUES ($1, $2, $3) \
                      ON CONFLICT (host, at) DO UPDATE SET point = excluded.point";
        let query = sqlx::query(upsert).bind(host.to_owned()).bind(at_ms).bind(to_json(point)?);
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The points of all hosts after `after_ms`, until `to_ms` inclusive, in their order.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alert_points(&mut self, after_ms: i64, to_ms: i64) -> Result<Vec<StoredPoint>> {
        let select = "SELECT host, at, point FROM alert_points WHERE at > $1 AND at <= $2 ORDER BY at, host";
        let rows = sqlx::query(select).bind(after_ms).bind(to_ms).fetch_all(&mut *self.tx).await?;
        let point = |row: &AnyRow| {
            // A later release may count something that this one cannot read.
            let point = json(row, "point").unwrap_or_default();
            Ok(StoredPoint { host: get(row, "host")?, at: get(row, "at")?, point })
        };
        rows.iter().map(point).collect()
    }

    /// Deletes points and evaluations from before `before_ms`, and silences that ended before it.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_alert_points(&mut self, before_ms: i64) -> Result<()> {
        for delete in [
            "DELETE FROM alert_points WHERE at < $1",
            "DELETE FROM alert_evaluations WHERE at < $1",
            "DELETE FROM silences WHERE until < $1",
        ] {
            sqlx::query(delete).bind(before_ms).execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Says that a host has evaluated the rules at `now_ms`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alerts_evaluated(&mut self, host: &str, now_ms: i64) -> Result<()> {
        let upsert = "INSERT INTO alert_evaluations (host, at) VALUES ($1, $2) \
                      ON CONFLICT (host) DO UPDATE SET at = excluded.at";
        sqlx::query(upsert).bind(host.to_owned()).bind(now_ms).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// When a host evaluated the rules last, in milliseconds since 1970 by the database's clock; `None` if none has
    /// within two hours.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alerts_evaluated_at(&mut self) -> Result<Option<i64>> {
        let row = sqlx::query("SELECT MAX(at) AS at FROM alert_evaluations").fetch_one(&mut *self.tx).await?;
        get(&row, "at")
    }

    /// The time since a host evaluated the rules last, in milliseconds; `None` if none has within two hours.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alert_evaluation_age_ms(&mut self) -> Result<Option<i64>> {
        let now = self.now().await?;
        Ok(self.alerts_evaluated_at().await?.map(|at| now.saturating_sub(at).max(0)))
    }

    /// The rollouts of each service that were rolled back since `since_ms`: tenant, component and environment, and how
    /// many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn rollbacks_since(&mut self, since_ms: i64) -> Result<Vec<(ServiceId, i64)>> {
        let select = "SELECT tenant, component, environment, ended_at FROM deployments \
                      WHERE state = 'rolled-back' AND ended_at > $1";
        let rows = sqlx::query(select).bind(since_ms).fetch_all(&mut *self.tx).await?;
        let rollback = |row: &AnyRow| {
            let service = ServiceId {
                tenant: text(row, "tenant")?,
                component: text(row, "component")?,
                environment: text(row, "environment")?,
            };
            Ok((service, get(row, "ended_at")?))
        };
        rows.iter().map(rollback).collect()
    }

    /// How many recorded executions of a service that began after `since_ms` have a text in their log, among the newest
    /// 10,000 of them.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn log_matches(&mut self, service: &ServiceId, pattern: &str, since_ms: i64) -> Result<u64> {
        // Lines are JSON: the text is looked for as it stands there. Both databases replace with regard to case.
        let text = to_json(&pattern)?;
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        let select = "SELECT COUNT(*) AS matches FROM (SELECT lines FROM executions WHERE tenant = $1 \
                      AND component = $2 AND environment = $3 AND id > $4 AND started_at > $5 \
                      AND lines IS NOT NULL ORDER BY id DESC LIMIT $7) AS newest WHERE replace(lines, $6, '') <> lines";
        let query = sqlx::query(select).bind(service.tenant.as_str().to_owned());
        let query = query.bind(service.component.as_str().to_owned()).bind(service.environment.as_str());
        let query = query.bind(id_before(since_ms)).bind(since_ms).bind(text.to_owned()).bind(LOGS_SEARCHED_MAX);
        number(&query.fetch_one(&mut *self.tx).await?, "matches")
    }
}

/// The rows that can be read. One that a later release has written, or that is damaged, must not keep the rules of all
/// tenants from being evaluated; it stays as it is.
fn readable<T>(rows: &[AnyRow], what: &'static str, read: impl Fn(&AnyRow) -> Result<T>) -> Vec<T> {
    let found: Vec<T> = rows.iter().filter_map(|row| read(row).ok()).collect();
    if found.len() < rows.len() {
        tracing::warn!(
            what,
            rows = rows.len() - found.len(),
            "rows of another release cannot be read, and are left out"
        );
    }
    found
}

/// Executions of a service whose logs are searched at most: what a search costs has a bound, however rare the text is.
const LOGS_SEARCHED_MAX: i64 = 10_000;

/// A ULID that is less than those of executions that began since this time.
fn id_before(ms: i64) -> String {
    ulid::Ulid::from_parts(u64::try_from(ms).unwrap_or(0), 0).to_string()
}
