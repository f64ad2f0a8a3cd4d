//! Rollouts under way: transitions by hand, and the storage of transitions.

use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events;
use crate::serving::RolloutTransition;
use crate::session::Session;
use crate::triggers::registration;
use elias_api::{Actor, Code, DeploymentState, Error, Result, RolloutAction, Service};
use elias_delivery::rollout::{RolloutEvent, RolloutState};
use elias_names::ServiceId;
use serde_json::json;
use std::sync::Arc;

impl Platform {
    /// Changes the rollout of a service by hand.
    ///
    /// # Errors
    /// `wrong-state` without a rollout, or one that is not in a state for this.
    pub async fn change_rollout(
        &self,
        session: &Session,
        id: &ServiceId,
        action: RolloutAction,
        reason: &str,
    ) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let no_rollout = || Error::new(Code::WrongState, format!("no rollout of {id} is under way"));
        let service = self.serving().service(id).ok_or_else(no_rollout)?;
        let state = Arc::clone(&service.state());
        let canary = state.canary.as_ref().ok_or_else(no_rollout)?;
        let now = self.serving().clock.now();
        let reason = if reason.is_empty() { format!("by {}", session.principal.name) } else { reason.to_owned() };
        let event = canary.with_rollout(|rollout| match action {
            RolloutAction::Promote => rollout.promote(&reason, now),
            RolloutAction::Pause => rollout.pause(&reason, now),
            RolloutAction::Resume => rollout.resume(&reason, now),
            RolloutAction::Abort => rollout.abort(&reason, now),
        });
        let event = event.map_err(|error| Error::new(Code::WrongState, error.to_string()))?;
        let deployment = canary.release.target.deployment.clone();
        self.persist_transition(&RolloutTransition { service, deployment, event }, &session.actor()).await
    }

    /// Stores a transition of a rollout, and brings the service in line with it. Requests follow the new state already.
    ///
    /// # Errors
    /// `store-unavailable`; the rollout has changed on this host all the same.
    pub(crate) async fn persist_transition(&self, transition: &RolloutTransition, actor: &Actor) -> Result<()> {
        let RolloutTransition { service, deployment, event } = transition;
        let id = &service.id;
        let state = Arc::clone(&service.state());
        let Some(canary) = state.canary.as_ref().filter(|canary| canary.release.target.deployment == *deployment)
        else {
            return Ok(()); // something else was deployed meanwhile
        };
        let rollout = canary.with_rollout(|rollout| serde_json::to_value(&*rollout));
        let rollout = rollout.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let mut scope = self.store().write(&id.tenant).await?;
        let stored = scope.service(id).await?.filter(|stored| stored.canary.as_ref() == Some(deployment));
        let Some(stored) = stored else {
            // Others write while components are loaded.
            drop(scope);
            return self.follow_store(id, &[]).await;
        };
        scope.set_rollout(deployment, &rollout).await?;
        let next = match event.to {
            RolloutState::Running { .. } | RolloutState::Paused { .. } => stored.clone(),
            RolloutState::Promoted => {
                scope.set_deployment(&stored.deployment, DeploymentState::Superseded, &event.reason).await?;
                scope.set_deployment(deployment, DeploymentState::Active, &event.reason).await?;
                let version = canary.release.target.version;
                registration::register(&mut scope, id, &canary.release.target.settings).await?;
                platform_events::deployed(&mut scope, id, version, deployment).await?;
                Service { version, deployment: deployment.clone(), canary: None, ..stored.clone() }
            }
            RolloutState::Aborted | RolloutState::RolledBack => {
                scope.set_deployment(deployment, DeploymentState::RolledBack, &event.reason).await?;
                scope.set_restores_workers(deployment).await?;
                let data = json!({
                    "component": id.component,
                    "environment": id.environment,
                    "version": canary.release.target.version,
                    "deployment": deployment,
                    "reason": event.reason,
                });
                platform_events::publish(&mut scope, "rollout.rolled-back", id.subject(), &data).await?;
                Service { canary: None, ..stored.clone() }
            }
        };
        scope.set_service(&next).await?;
        let before = event.from;
        scope.audit(actor, "rollout.change", id.subject(), before.as_ref(), Some(event)).await?;
        scope.commit().await?;
        let RolloutEvent { to, reason, .. } = event;
        tracing::info!(service = %id, version = canary.release.target.version, ?to, %reason, "rollout");
        self.follow_store(id, &[]).await
    }
}
