//! The backends of the capabilities `jobs`, `events` and `workflow` on a platform: its store, through its runner.

mod events;
mod jobs;
mod journal;
mod outbox;

pub(super) use journal::{StoredJournal, StoredOutcome, StoredWait, StoredWaits, row_of_outcome};

use super::Runner;
use elias_api::{Code, Error, Result};
use elias_capabilities::outbox::OutboxRelay;
use elias_capabilities::trigger::Origin;
use elias_capabilities::{Events, Jobs};
use elias_names::ServiceId;
use std::sync::{Arc, OnceLock};

/// The queue and the log of events of a platform, for the host that it is opened with: made first, since the host is
/// built before.
#[derive(Clone, Default)]
pub struct TriggerBackends {
    runner: Arc<OnceLock<Arc<Runner>>>,
}

impl TriggerBackends {
    /// The backends of a platform that is about to be opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The capability `jobs` over the platform's queue.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(Arc::new(self.clone()))
    }

    /// The capability `events` over the platform's log of events.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(Arc::new(self.clone()))
    }

    /// The relay that hands over the outboxes of components' databases, for the capability `db`.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn OutboxRelay> {
        Arc::new(self.clone())
    }

    /// The backends of a runner.
    pub(super) fn of(runner: Arc<Runner>) -> Self {
        let backends = Self::new();
        backends.bind(runner);
        backends
    }

    /// Sets the runner of the platform's triggers, once.
    pub(crate) fn bind(&self, runner: Arc<Runner>) {
        let _ = self.runner.set(runner);
    }

    fn runner(&self) -> Result<Arc<Runner>> {
        let runner = self.runner.get().cloned();
        runner.ok_or_else(|| Error::new(Code::StoreUnavailable, "the platform is about to start; try again"))
    }
}

/// The service whose execution asks: components are loaded under its name.
fn service_of(origin: &Origin) -> Result<ServiceId> {
    service_named(&origin.component)
}

/// The service that a component was loaded as.
fn service_named(component: &str) -> Result<ServiceId> {
    Ok(component.parse()?)
}

/// The error as a component gets it: without the text of the store's own.
fn shown(error: &Error) -> String {
    match error.code() {
        Code::BadInput | Code::BadName | Code::QuotaExceeded | Code::NotFound | Code::IdempotencyMismatch => {
            error.to_string()
        }
        _ => "the platform's store cannot be reached; try again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_the_name_that_a_component_was_loaded_under() {
        let origin = |component: &str| Origin { component: component.to_owned(), ..Origin::default() };
        let service = service_of(&origin("acme/shop/staging")).expect("a service");
        assert_eq!(service.to_string(), "acme/shop/staging");
        assert!(service_of(&origin("shop")).is_err());
    }
}
