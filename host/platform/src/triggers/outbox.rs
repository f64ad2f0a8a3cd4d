//! Drains outboxes of components' databases: after each commit of this host's executions, and in turns with all hosts,
//! for hosts that died between a commit and the hand-over.
//!
//! The store knows which outboxes were used lately: a host says so before it relies on one. Draining twice at a time
//! does no harm, for the store takes each id once.

use super::Runner;
use super::backends::TriggerBackends;
use elias_api::{Code, Result};
use elias_capabilities::outbox::DrainOutcome;
use elias_delivery::supervision::SharedAdmission;
use elias_names::ServiceId;
use elias_store::DueOutbox;
use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long an outbox is left alone that a host has looked into, in milliseconds.
const PAUSE_MS: u64 = 5_000;
/// Outboxes that a look takes.
const LOOK_MAX: u32 = 100;
/// Outboxes that are drained at a time, and how long each may take: a slow database must not keep the others waiting,
/// nor many of one tenant's the other tenants.
pub(super) const DRAINS_MAX: u32 = 16;
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How long an outbox waits for its turn. The next look then takes it again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The outboxes that are being drained by this host.
pub(super) struct OutboxDrains {
    /// By service; whether there was another commit meanwhile.
    running: Mutex<HashMap<ServiceId, bool>>,
    /// Of as many services as wait; each waits once.
    slots: SharedAdmission,
    /// The services whose outbox is not the table that the host made, of which their authors were told.
    refused: Mutex<HashSet<ServiceId>>,
    /// Commits are told of on any thread.
    runtime: Handle,
}

impl OutboxDrains {
    /// Nothing is drained. Needs to be called in a runtime.
    pub(super) fn new() -> Self {
        let slots = SharedAdmission::new(DRAINS_MAX, u32::MAX, WAIT_MAX);
        Self { running: Mutex::default(), slots, refused: Mutex::default(), runtime: Handle::current() }
    }

    /// Begins to drain an outbox; false if it is being drained, and is then drained once more.
    fn begin(&self, service: &ServiceId) -> bool {
        match self.running.lock().entry(service.clone()) {
            Entry::Occupied(mut again) => {
                again.insert(true);
                false
            }
            Entry::Vacant(free) => {
                free.insert(false);
                true
            }
        }
    }

    /// Ends a round; true if there is to be another.
    fn goes_on(&self, service: &ServiceId) -> bool {
        let mut running = self.running.lock();
        match running.get_mut(service) {
            Some(again) if *again => {
                *again = false;
                true
            }
            _ => {
                running.remove(service);
                false
            }
        }
    }
}

/// Drains the outboxes that were used lately and that no host has looked into for some seconds.
pub(super) async fn drain_due(runner: &Arc<Runner>) -> Result<()> {
    let mut scope = runner.store.host_write().await?;
    let due = scope.take_outboxes(PAUSE_MS, LOOK_MAX).await?;
    scope.commit().await?;
    for outbox in due {
        let service = &outbox.service;
        if runner.services.find(service).is_some() {
            runner.drain_outbox(service.clone(), Some(outbox));
        } else if runner.store.host_read().await?.target(service).await?.is_none() {
            // Of a tenant that was deleted, say.
            forget(runner, &outbox).await?;
        }
    }
    Ok(())
}

async fn forget(runner: &Runner, outbox: &DueOutbox) -> Result<()> {
    let mut scope = runner.store.host_write().await?;
    scope.forget_outbox(outbox).await?;
    scope.commit().await?;
    Ok(())
}

impl Runner {
    /// Drains the outbox of a service in the background. Where it comes from the store and turns out to be empty and
    /// unused, it is forgotten.
    pub(super) fn drain_outbox(self: &Arc<Self>, service: ServiceId, due: Option<DueOutbox>) {
        if self.is_stopping() || !self.outboxes.begin(&service) {
            return;
        }
        let runner = Arc::clone(self);
        self.outboxes.runtime.spawn(async move {
            loop {
                runner.drain_once(&service, due.as_ref()).await;
                if !runner.outboxes.goes_on(&service) {
                    break;
                }
            }
        });
    }

    async fn drain_once(self: &Arc<Self>, service: &ServiceId, due: Option<&DueOutbox>) {
        let Some(_slot) = self.outboxes.slots.enter(Some(&service.tenant)).await else { return };
        let draining = self.services.drain_outbox(service, TriggerBackends::of(Arc::clone(self)));
        match tokio::time::timeout(DRAIN_MAX, draining).await {
            Ok(Ok(drained)) => {
                self.outboxes.refused.lock().remove(service);
                if drained.refused > 0 {
                    self.services.record_outbox(service, refusals(&drained));
                }
                // What is left is for the next look.
                if let Some(due) = due.filter(|due| due.is_unused && drained.is_empty)
                    && let Err(error) = forget(self, due).await
                {
                    tracing::debug!(%service, %error, "an empty outbox could not be forgotten");
                }
            }
            Ok(Err(error)) if error.code() == Code::NotFound => {
                tracing::debug!(%service, %error, "an outbox was not drained");
            }
            // It stays so until its author does something: that is said once.
            Ok(Err(error)) if error.code() == Code::Sql => {
                if self.outboxes.refused.lock().insert(service.clone()) {
                    tracing::warn!(%service, %error, "an outbox is not drained");
                    self.services.record_outbox(service, format!("nothing is handed over: {error}"));
                }
            }
            Ok(Err(error)) => tracing::warn!(%service, %error, "an outbox was not drained; trying again"),
            Err(_) => tracing::warn!(%service, "an outbox was not drained in {DRAIN_MAX:?}; trying again"),
        }
    }
}

/// The rows that were refused, as their author sees them.
fn refusals(drained: &DrainOutcome) -> String {
    let DrainOutcome { refused, refusals, .. } = drained;
    format!("rows that were refused and deleted: {refused}\n{}", refusals.join("\n"))
}
