//! Starts and stops services by hand.

use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::CircuitKind;
use crate::session::Session;
use elias_api::{Error, Result, Service};
use elias_names::ServiceId;

impl Platform {
    /// Stops a service: its requests get 503 until it is started again, or deployed to.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn stop(&self, session: &Session, id: &ServiceId) -> Result<()> {
        self.set_stopped(session, id, true).await
    }

    /// Starts a service that was stopped, by hand or by its supervisor.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn start(&self, session: &Session, id: &ServiceId) -> Result<()> {
        self.set_stopped(session, id, false).await?;
        if let Some(service) = self.serving().service(id) {
            let state = service.state();
            let reason = format!("started by {}", session.principal.name);
            let now = self.serving().clock.now();
            for circuit in CircuitKind::ALL {
                state.release.breaker(circuit).resume(&reason, now);
                if let Some(canary) = &state.canary {
                    canary.release.breaker(circuit).resume(&reason, now);
                }
            }
        }
        Ok(())
    }

    async fn set_stopped(&self, session: &Session, id: &ServiceId, stopped: bool) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let mut scope = self.store().write(&id.tenant).await?;
        let service = scope.service(id).await?;
        let service = service.ok_or_else(|| Error::not_deployed(id))?;
        if service.stopped != stopped {
            let next = Service { stopped, ..service.clone() };
            scope.set_service(&next).await?;
            let action = if stopped { "service.stop" } else { "service.start" };
            scope.audit(&session.actor(), action, id.subject(), Some(&service), Some(&next)).await?;
            scope.commit().await?;
            self.follow_store(id, &[]).await?;
        }
        Ok(())
    }
}
