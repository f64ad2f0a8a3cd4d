//! Alert rules, silences and receivers of tenants, and their alerts.

mod evaluation;

use super::audit::NOTHING;
use super::{TenantScope, get, json, now_ms, number, optional_json, signed, storable, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Actor, AlertRule, Code, Receiver, Silence};
use elias_names::{AlertRuleName, ReceiverName, TenantId};
use elias_telemetry::alert::{AlertGroup, AlertTracker, HostPoint};
use elias_telemetry::notification::ReceiverCircuit;
use sqlx::any::AnyRow;

/// Rules, silences and receivers of a tenant.
const RULES_MAX: u32 = 100;
const SILENCES_MAX: u32 = 200;
const RECEIVERS_MAX: u32 = 50;

/// An alert that is not inactive.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The rule.
    pub rule: AlertRuleName,
    /// The service, `component/environment`; empty for an alert about the tenant or the hosts.
    pub target: String,
    /// The state.
    pub tracker: AlertTracker,
}

/// A group of alerts of a rule of which receivers know something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The rule.
    pub rule: AlertRuleName,
    /// The group among those of the rule.
    pub name: String,
    /// What receivers know.
    pub known: AlertGroup,
}

/// A notification for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// The tenant.
    pub tenant: TenantId,
    /// The id, which is the same for all receivers of it.
    pub id: String,
    /// The receiver.
    pub receiver: ReceiverName,
    /// The notification as JSON.
    pub body: String,
}

/// A notification that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueNotification {
    /// The notification.
    pub notification: NewNotification,
    /// Attempts that were made.
    pub attempts: u32,
}

/// A receiver as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReceiver {
    /// The tenant.
    pub tenant: TenantId,
    /// What is shown of it.
    pub receiver: Receiver,
    /// Its settings, encrypted.
    pub ciphertext: String,
    /// Its circuit.
    pub circuit: ReceiverCircuit,
}

/// What a host counted in ten seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPoint {
    /// The host.
    pub host: String,
    /// The end of the ten seconds, in milliseconds since 1970 by the database's clock.
    pub at: i64,
    /// The counts.
    pub point: HostPoint,
}

fn rule(row: &AnyRow) -> Result<AlertRule> {
    Ok(AlertRule {
        name: text(row, "name")?,
        settings: json(row, "settings")?,
        built_in: false,
        revision: number(row, "revision")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
    })
}

fn silence(row: &AnyRow) -> Result<Silence> {
    Ok(Silence {
        id: get(row, "id")?,
        matcher: json(row, "matcher")?,
        reason: json(row, "reason")?,
        until: get(row, "until")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
    })
}

fn receiver(row: &AnyRow) -> Result<StoredReceiver> {
    let receiver = Receiver {
        name: text(row, "name")?,
        kind: json(row, "kind")?,
        target: json(row, "target")?,
        revision: number(row, "revision")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
        delivered_at: get(row, "delivered_at")?,
        error: optional_json(row, "error")?,
    };
    Ok(StoredReceiver {
        tenant: text(row, "tenant")?,
        receiver,
        ciphertext: get(row, "ciphertext")?,
        circuit: optional_json(row, "circuit")?.unwrap_or_default(),
    })
}

fn alert(row: &AnyRow) -> Result<AlertRow> {
    Ok(AlertRow {
        tenant: text(row, "tenant")?,
        rule: text(row, "rule")?,
        target: get(row, "target")?,
        tracker: json(row, "tracker")?,
    })
}

impl TenantScope {
    /// The rules that the tenant has set, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alert_rules(&mut self) -> Result<Vec<AlertRule>> {
        let query = self.query("SELECT * FROM alert_rules WHERE tenant = $1 ORDER BY name");
        self.rows(query).await?.iter().map(rule).collect()
    }

    /// A rule that the tenant has set.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alert_rule(&mut self, name: &AlertRuleName) -> Result<Option<AlertRule>> {
        let query = self.query("SELECT * FROM alert_rules WHERE tenant = $1 AND name = $2");
        self.row(query.bind(name.as_str().to_owned())).await?.as_ref().map(rule).transpose()
    }

    /// Sets a rule, in the place of the one with its name, if that is still at `before`.
    ///
    /// # Errors
    /// `stale`; `quota-exceeded` for too many.
    pub async fn set_alert_rule(&mut self, next: &AlertRule, before: Option<&AlertRule>, actor: &Actor) -> Result<()> {
        let upsert = "INSERT INTO alert_rules (tenant, name, settings, revision, changed_at, changed_by) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, name) DO UPDATE SET settings = $3, \
                      revision = $4, changed_at = $5, changed_by = $6 WHERE alert_rules.revision = $7";
        let query = self.query(upsert).bind(next.name.as_str().to_owned()).bind(to_json(&next.settings)?);
        let query = query.bind(signed(next.revision)).bind(next.changed_at).bind(next.changed_by.clone());
        if self.run(query.bind(before.map_or(0, |before| signed(before.revision)))).await? == 0 {
            return Err(Error::stale("alert rule", &next.name));
        }
        let count = "SELECT count(*) AS rows_there FROM alert_rules WHERE tenant = $1";
        self.at_most(RULES_MAX, "alert rules", count).await?;
        let before = before.map(|before| &before.settings);
        self.audit(actor, "alert-rule.set", next.name.as_str(), before, Some(&next.settings)).await
    }

    /// Deletes a rule that the tenant has set. A built-in one of its name holds again.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_alert_rule(&mut self, name: &AlertRuleName, actor: &Actor) -> Result<()> {
        let Some(before) = self.alert_rule(name).await? else {
            return Err(Error::not_listed(format_args!("alert rule `{name}` of the tenant"), "elias alerts rules"));
        };
        let query = self.query("DELETE FROM alert_rules WHERE tenant = $1 AND name = $2");
        self.run(query.bind(name.as_str().to_owned())).await?;
        self.audit(actor, "alert-rule.delete", name.as_str(), Some(&before.settings), NOTHING).await
    }

    /// The silences that have not ended, the newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn silences(&mut self) -> Result<Vec<Silence>> {
        let select = "SELECT * FROM silences WHERE tenant = $1 AND until > $2 ORDER BY id DESC";
        let query = self.query(select).bind(now_ms());
        self.rows(query).await?.iter().map(silence).collect()
    }

    /// Adds a silence.
    ///
    /// # Errors
    /// `quota-exceeded` for too many.
    pub async fn add_silence(&mut self, new: &Silence, actor: &Actor) -> Result<()> {
        let over = self.query("DELETE FROM silences WHERE tenant = $1 AND until <= $2").bind(new.created_at);
        self.run(over).await?;
        let insert = "INSERT INTO silences (tenant, id, matcher, reason, until, created_at, created_by) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let query = self.query(insert).bind(new.id.clone()).bind(to_json(&new.matcher)?).bind(to_json(&new.reason)?);
        self.run(query.bind(new.until).bind(new.created_at).bind(new.created_by.clone())).await?;
        let count = "SELECT count(*) AS rows_there FROM silences WHERE tenant = $1";
        self.at_most(SILENCES_MAX, "silences", count).await?;
        self.audit(actor, "silence.create", new.id.clone(), NOTHING, Some(new)).await
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_silence(&mut self, id: &str, actor: &Actor) -> Result<()> {
        let select = self.query("SELECT * FROM silences WHERE tenant = $1 AND id = $2").bind(storable(id));
        let Some(before) = self.row(select).await?.as_ref().map(silence).transpose()? else {
            return Err(Error::not_listed(format_args!("silence `{id}`"), "elias alerts silences"));
        };
        let query = self.query("DELETE FROM silences WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        self.run(query).await?;
        self.audit(actor, "silence.delete", id, Some(&before), NOTHING).await
    }

    /// The receivers, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn receivers(&mut self) -> Result<Vec<StoredReceiver>> {
        let query = self.query("SELECT * FROM receivers WHERE tenant = $1 ORDER BY name");
        self.rows(query).await?.iter().map(receiver).collect()
    }

    /// A receiver.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn receiver(&mut self, name: &ReceiverName) -> Result<Option<StoredReceiver>> {
        let query = self.query("SELECT * FROM receivers WHERE tenant = $1 AND name = $2");
        self.row(query.bind(name.as_str().to_owned())).await?.as_ref().map(receiver).transpose()
    }

    /// Sets a receiver, in the place of the one with its name, if that is still at `before`. Its circuit closes.
    ///
    /// # Errors
    /// `stale`; `quota-exceeded` for too many.
    pub async fn set_receiver(
        &mut self,
        next: &Receiver,
        ciphertext: &str,
        before: Option<&Receiver>,
        actor: &Actor,
    ) -> Result<()> {
        let upsert = "INSERT INTO receivers (tenant, name, kind, target, ciphertext, revision, changed_at, changed_by) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, name) DO UPDATE SET kind = $3, \
                      target = $4, ciphertext = $5, revision = $6, changed_at = $7, changed_by = $8, circuit = NULL, \
                      error = NULL WHERE receivers.revision = $9";
        let query = self.query(upsert).bind(next.name.as_str().to_owned()).bind(to_json(&next.kind)?);
        let query = query.bind(to_json(&next.target)?).bind(ciphertext.to_owned()).bind(signed(next.revision));
        let query = query.bind(next.changed_at).bind(next.changed_by.clone());
        if self.run(query.bind(before.map_or(0, |before| signed(before.revision)))).await? == 0 {
            return Err(Error::stale("receiver", &next.name));
        }
        let count = "SELECT count(*) AS rows_there FROM receivers WHERE tenant = $1";
        self.at_most(RECEIVERS_MAX, "receivers", count).await?;
        self.audit(actor, "receiver.set", next.name.as_str(), before, Some(next)).await
    }

    /// Deletes a receiver, and the notifications that it did not get yet.
    ///
    /// # Errors
    /// `not-found`; `in-use` if a rule names it: nobody would be told of that rule's alerts any more.
    pub async fn delete_receiver(&mut self, name: &ReceiverName, actor: &Actor) -> Result<()> {
        let Some(before) = self.receiver(name).await? else {
            return Err(Error::not_listed(format_args!("receiver `{name}`"), "elias alerts receivers"));
        };
        let rules = self.alert_rules().await?;
        if let Some(rule) = rules.iter().find(|rule| rule.settings.receivers.contains(name)) {
            let message = format!("the alert rule {} names the receiver {name}: change the rule first", rule.name);
            return Err(Error::new(Code::InUse, message));
        }
        for delete in [
            "DELETE FROM receivers WHERE tenant = $1 AND name = $2",
            "DELETE FROM notifications WHERE tenant = $1 AND receiver = $2",
        ] {
            let query = self.query(delete).bind(name.as_str().to_owned());
            self.run(query).await?;
        }
        self.audit(actor, "receiver.delete", name.as_str(), Some(&before.receiver), NOTHING).await
    }

    /// Puts the settings of a receiver that were encrypted anew in place of what they were, unless that is not there
    /// any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn exchange_receiver(&mut self, name: &ReceiverName, before: &str, after: &str) -> Result<()> {
        let update = "UPDATE receivers SET ciphertext = $4 WHERE tenant = $1 AND name = $2 AND ciphertext = $3";
        let query = self.query(update).bind(name.as_str().to_owned()).bind(before.to_owned());
        self.run(query.bind(after.to_owned())).await.map(drop)
    }

    /// The tenant's alerts that are not inactive.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn alerts(&mut self) -> Result<Vec<AlertRow>> {
        let query = self.query("SELECT * FROM alerts WHERE tenant = $1 ORDER BY rule, target");
        self.rows(query).await?.iter().map(alert).collect()
    }
}
