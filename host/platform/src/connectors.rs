//! Access of connectors to the tenants' logs of events. The operator configured them when the platform was opened, so
//! they need no session.

use crate::connector_state::LEASE_MS;
use crate::platform::Platform;
use crate::trigger_admin::new_event;
use crate::triggers::cloud_event;
use elias_api::Result;
use elias_names::TenantId;
use elias_triggers::event::Event;

/// Events of a tenant's log, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorBatch {
    /// The position of the reader before them.
    pub from: u64,
    /// The position of the reader behind them.
    pub to: u64,
    /// The events.
    pub events: Vec<Event>,
}

impl Platform {
    /// Publishes events that a connector brings, all or none. An event with a source and an id that are in the log is
    /// not published again.
    ///
    /// # Errors
    /// `bad-input` for an event that is not one or whose data are not JSON, `not-found` for a tenant that does not
    /// exist, `quota-exceeded`, `store-unavailable`.
    pub async fn publish_for_connector(&self, tenant: &TenantId, events: Vec<Event>) -> Result<()> {
        let new = events.into_iter().map(|event| new_event(event, None)).collect::<Result<Vec<_>>>()?;
        self.runner().publish_all(tenant, new).await.map(drop)
    }

    /// The next events for a reader, at most `limit`; none if there are none, or if another host reads for it. A new
    /// reader begins with the next event.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn read_for_connector(
        &self,
        tenant: &TenantId,
        reader: &str,
        limit: u32,
    ) -> Result<Option<ConnectorBatch>> {
        if !self.lead_connector(&format!("connector/{tenant}/{reader}")).await? {
            return Ok(None);
        }
        let mut scope = self.store().read(tenant).await?;
        let Some(from) = scope.event_cursor(reader).await? else {
            drop(scope);
            let mut scope = self.store().write(tenant).await?;
            scope.start_event_cursor(reader).await?;
            scope.commit().await?;
            return Ok(None);
        };
        let records = scope.events(from, limit).await?;
        let to = records.last().map(|record| record.position);
        let events = records.iter().map(cloud_event).collect();
        Ok(to.map(|to| ConnectorBatch { from, to, events }))
    }

    /// Moves a reader on behind a batch that it was given.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn advance_connector(&self, tenant: &TenantId, reader: &str, from: u64, to: u64) -> Result<()> {
        let mut scope = self.store().write(tenant).await?;
        scope.advance_event_cursor(reader, from, to).await?;
        scope.commit().await?;
        Ok(())
    }

    /// Counts what became of events of a connection, for the metrics.
    pub fn count_for_connector(&self, connection: &str, outcome: &'static str, events: u64) {
        self.connectors().count(connection, outcome, events);
    }

    /// Whether this host has the lease of a reader: it acquires or renews it.
    async fn lead_connector(&self, name: &str) -> Result<bool> {
        let lease = match self.connectors().lease(name) {
            Some((_, false)) => return Ok(true),
            Some((lease, true)) => {
                let mut scope = self.store().host_write().await?;
                let is_renewed = scope.renew_lease(&lease, LEASE_MS).await?;
                scope.commit().await?;
                Some(lease).filter(|_| is_renewed)
            }
            None => {
                let mut scope = self.store().host_write().await?;
                let lease = scope.acquire_lease(name, self.run_id(), LEASE_MS).await?;
                scope.commit().await?;
                lease
            }
        };
        let is_leader = lease.is_some();
        self.connectors().set_lease(name, lease);
        Ok(is_leader)
    }
}
