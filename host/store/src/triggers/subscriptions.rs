//! Subscriptions: which events a service wants, and how far it has seen them.

use crate::error::{Error, Result};
use crate::{AllowedServices, HostScope, Query, TenantScope, get, number, signed, text, to_json};
use elias_api::SubscriptionRecord;
use elias_names::{ServiceId, TenantId};
use serde_json::{Value, json};
use sqlx::any::AnyRow;

/// The identity of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionId {
    /// The service that gets the events.
    pub service: ServiceId,
    /// Its name.
    pub name: String,
}

/// A subscription as a service has it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubscription {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Value,
}

/// A subscription with events that were not matched against it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingSubscription {
    /// Its tenant.
    pub tenant: TenantId,
    /// The subscription.
    pub subscription: SubscriptionRecord,
    /// The position of the tenant's last event.
    pub last: u64,
}

/// The condition of a statement that is about one subscription.
const IS_SUBSCRIPTION: &str = "tenant = $1 AND component = $2 AND environment = $3 AND name = $4";

fn subscription(row: &AnyRow) -> Result<SubscriptionRecord> {
    Ok(SubscriptionRecord {
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        name: get(row, "name")?,
        config: crate::json(row, "config")?,
        cursor: number(row, "cursor")?,
        paused: get::<i64>(row, "paused")? != 0,
        revision: number(row, "revision")?,
    })
}

impl TenantScope {
    /// Gives a service these subscriptions and no others. A new one begins with the next event; one that is there
    /// stays where it is.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_subscriptions(&mut self, service: &ServiceId, subscriptions: &[NewSubscription]) -> Result<()> {
        let names: Vec<_> = subscriptions.iter().map(|subscription| json!({ "name": subscription.name })).collect();
        let delete = format!(
            "DELETE FROM subscriptions WHERE tenant = $1 AND component = $2 AND environment = $3 \
             AND name NOT IN (SELECT item.value->>'name' FROM {})",
            self.dialect.each(4)
        );
        let query = self.query_of_text(delete, service).bind(to_json(&names)?);
        self.run(query).await?;
        for subscription in subscriptions {
            let upsert = "INSERT INTO subscriptions (tenant, component, environment, name, config, cursor, revision) \
                          VALUES ($1, $2, $3, $4, $5, \
                          COALESCE((SELECT next - 1 FROM event_positions WHERE tenant = $1), 0), 1) \
                          ON CONFLICT (tenant, component, environment, name) DO UPDATE SET config = excluded.config, \
                          revision = subscriptions.revision + 1 WHERE subscriptions.config <> excluded.config";
            let query = self.query_of(upsert, service).bind(subscription.name.clone());
            let query = query.bind(to_json(&subscription.config)?);
            self.run(query).await?;
        }
        Ok(())
    }

    /// The subscriptions of the tenant, by component, environment and name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn subscriptions(&mut self, allowed: &AllowedServices) -> Result<Vec<SubscriptionRecord>> {
        let select = format!(
            "SELECT * FROM subscriptions WHERE tenant = $1 {} ORDER BY component, environment, name",
            allowed.condition(self.dialect, 2)
        );
        let query = allowed.bind(self.query_text(select))?;
        self.rows(query).await?.iter().map(subscription).collect()
    }

    /// A subscription.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn subscription(&mut self, id: &SubscriptionId) -> Result<SubscriptionRecord> {
        let select = format!("SELECT * FROM subscriptions WHERE {IS_SUBSCRIPTION}");
        let query = self.query_of_text(select, &id.service).bind(id.name.clone());
        subscription(&self.row(query).await?.ok_or_else(|| not_found(id))?)
    }

    /// Pauses a subscription, or lets it go on from where it was.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn set_subscription_paused(&mut self, id: &SubscriptionId, paused: bool) -> Result<()> {
        let update = format!("UPDATE subscriptions SET paused = $5, revision = revision + 1 WHERE {IS_SUBSCRIPTION}");
        let query = self.query_of_text(update, &id.service).bind(id.name.clone()).bind(i64::from(paused));
        self.found(query, id).await
    }

    /// Sets back or forth how far a subscription has seen the events, for a replay.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn set_cursor(&mut self, id: &SubscriptionId, cursor: u64) -> Result<()> {
        let update = format!("UPDATE subscriptions SET cursor = $5, revision = revision + 1 WHERE {IS_SUBSCRIPTION}");
        let query = self.query_of_text(update, &id.service).bind(id.name.clone()).bind(signed(cursor));
        self.found(query, id).await
    }

    async fn found(&mut self, update: Query, id: &SubscriptionId) -> Result<()> {
        match self.run(update).await? {
            0 => Err(not_found(id)),
            _ => Ok(()),
        }
    }
}

impl HostScope {
    /// The configurations of the subscriptions of all tenants that are not paused.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn active_subscriptions(&mut self) -> Result<Vec<(TenantId, Value)>> {
        let select = "SELECT tenant, config FROM subscriptions WHERE paused = 0 ORDER BY tenant";
        let active = |row: &AnyRow| Ok((text(row, "tenant")?, crate::json(row, "config")?));
        self.database().rows(sqlx::query(select)).await?.iter().map(active).collect()
    }

    /// The subscriptions of all tenants that are not paused and have events to see, those of a tenant together.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn pending_subscriptions(&mut self) -> Result<Vec<PendingSubscription>> {
        let select = "SELECT s.*, p.next - 1 AS last FROM subscriptions s \
                      JOIN event_positions p ON p.tenant = s.tenant WHERE s.paused = 0 AND s.cursor < p.next - 1 \
                      ORDER BY s.tenant, s.component, s.environment, s.name";
        let pending = |row: &AnyRow| {
            let (tenant, last) = (text(row, "tenant")?, number(row, "last")?);
            Ok(PendingSubscription { tenant, subscription: subscription(row)?, last })
        };
        self.database().rows(sqlx::query(select)).await?.iter().map(pending).collect()
    }

    /// Moves on how far a subscription has seen the events, in the transaction that enqueues the deliveries. `false` if
    /// it is not at `from` any more, was paused, changed or deleted: the transaction must be dropped then.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn advance_cursor(&mut self, id: &SubscriptionId, revision: u64, from: u64, to: u64) -> Result<bool> {
        let update = format!(
            "UPDATE subscriptions SET cursor = $5 WHERE {IS_SUBSCRIPTION} AND cursor = $6 AND revision = $7 \
             AND paused = 0"
        );
        let service = &id.service;
        let query = super::statement(update).bind(service.tenant.as_str().to_owned());
        let query = query.bind(service.component.as_str().to_owned()).bind(service.environment.as_str());
        let query = query.bind(id.name.clone()).bind(signed(to)).bind(signed(from)).bind(signed(revision));
        Ok(self.database().run(query).await? > 0)
    }
}

fn not_found(id: &SubscriptionId) -> Error {
    Error::not_found(format_args!("subscription `{}` of {}", id.name, id.service.subject()))
}
