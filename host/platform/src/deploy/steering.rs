//! Rollouts under way: what they decide, and what is decided by hand; and how services stand.

use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events;
use crate::serving::{Release, Service as Serves, Steer};
use crate::session::Session;
use crate::triggers::registration;
use elias_api::ReleaseStatus;
use elias_api::RolloutAction;
use elias_api::ServiceStatus;
use elias_api::{Actor, DeploymentState, Service};
use elias_api::{Code, Error, Result};
use elias_delivery::rollout::{FlagRule, FlagTable, RolloutEvent, RolloutState};
use elias_names::{ComponentName, ServiceId, TenantId};
use elias_store::ReleaseTarget;
use serde_json::json;
use std::sync::Arc;

impl Platform {
    /// Steers the rollout of a service by hand.
    ///
    /// # Errors
    /// `wrong-state` without a rollout, or one that is not in a state for this.
    pub async fn steer(&self, session: &Session, id: &ServiceId, action: RolloutAction, reason: &str) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let none = || Error::new(Code::WrongState, format!("no rollout of {id} is under way"));
        let service = self.serving().service(id).ok_or_else(none)?;
        let state = Arc::clone(&service.state());
        let canary = state.canary.as_ref().ok_or_else(none)?;
        let now = self.serving().clock.now();
        let reason = if reason.is_empty() { format!("by {}", session.principal.name) } else { reason.to_owned() };
        let event = canary.steer(|rollout| match action {
            RolloutAction::Promote => rollout.promote(&reason, now),
            RolloutAction::Pause => rollout.pause(&reason, now),
            RolloutAction::Resume => rollout.resume(&reason, now),
            RolloutAction::Abort => rollout.abort(&reason, now),
        });
        let event = event.map_err(|error| Error::new(Code::WrongState, error.to_string()))?;
        let deployment = canary.release.target.deployment.clone();
        self.settle(&Steer { service, deployment, event }, &session.actor()).await
    }

    /// Stores what a rollout has decided, and brings what serves in line. Requests go by the decision already.
    pub(crate) async fn settle(&self, steer: &Steer, actor: &Actor) -> Result<()> {
        let Steer { service, deployment, event } = steer;
        let id = &service.id;
        let state = Arc::clone(&service.state());
        let Some(canary) = state.canary.as_ref().filter(|canary| canary.release.target.deployment == *deployment)
        else {
            return Ok(()); // something else was deployed meanwhile
        };
        let rollout = canary.steer(|rollout| serde_json::to_value(&*rollout));
        let rollout = rollout.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let mut scope = self.store().write(&id.tenant).await?;
        let stored = scope.service(id).await?.filter(|stored| stored.canary.as_ref() == Some(deployment));
        let Some(stored) = stored else { return self.follow_store(id, &[]).await };
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

    /// Gives callers versions of their own, before any rollout: these rules, and no others. Each version is loaded first.
    ///
    /// # Errors
    /// `bad-input`, `not-found` for a version or a service that is not there, `stale`.
    pub async fn set_flags(
        &self,
        session: &Session,
        id: &ServiceId,
        flags: Vec<FlagRule>,
        revision: Option<u64>,
    ) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        FlagTable::new(&id.to_string(), flags.clone())
            .map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let mut scope = self.store().read(&id.tenant).await?;
        let none = || Error::not_deployed(id);
        let service = scope.service(id).await?.ok_or_else(none)?;
        let target = self.serving_target(id, Some(&service)).await?.ok_or_else(none)?;
        let mut warm = Vec::new();
        for rule in &flags {
            let number = u32::try_from(rule.version).unwrap_or(u32::MAX);
            let version = scope.version(&id.component, number).await?;
            let release = ReleaseTarget {
                version: version.number,
                digest: version.digest,
                settings: version.settings,
                deployment: target.release.deployment.clone(),
                rollout: None,
            };
            warm.push(self.serving().warm(&target, &release).await?);
        }
        drop(scope);
        service.require_revision(revision)?;
        let mut scope = self.store().write(&id.tenant).await?;
        let next = Service { flags, ..service.clone() };
        scope.set_service(&next).await?;
        scope.audit(&session.actor(), "flags.set", id.subject(), Some(&service.flags), Some(&next.flags)).await?;
        scope.commit().await?;
        self.follow_store(id, &warm).await
    }

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
            state.release.breaker.resume(&reason, now);
            if let Some(canary) = &state.canary {
                canary.release.breaker.resume(&reason, now);
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

    /// How a tenant's services stand on this host. The store is not asked.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn status(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: Option<&ComponentName>,
    ) -> Result<Vec<ServiceStatus>> {
        session.require(Permission::Read, tenant, component)?;
        let table = self.serving().table();
        let mine = table.services.values().filter(|service| {
            let id = &service.id;
            id.tenant == *tenant && session.require(Permission::Read, tenant, id).is_ok()
        });
        let mut all: Vec<_> =
            mine.filter(|service| component.is_none_or(|component| service.id.component == *component)).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all.into_iter().map(|service| self.service_status(service)).collect())
    }

    fn service_status(&self, service: &Serves) -> ServiceStatus {
        let state = service.state();
        let now = self.serving().clock.now();
        let release = |release: &Release| ReleaseStatus {
            version: release.target.version,
            digest: release.target.digest.to_string(),
            deployment: release.target.deployment.clone(),
            loaded: release.idle_since_ms().is_some(),
            problem: release.problem(),
            health: release.breaker.health(now),
            figures: release.stats.snapshot().figures(),
        };
        let target = &state.snapshot.target;
        let host = format!("{}.{}.{}", service.id.label(), service.id.tenant, self.serving().domain());
        ServiceStatus {
            component: service.id.component.clone(),
            environment: service.id.environment,
            revision: target.revision,
            stopped: target.stopped,
            url: self.url_of(&host),
            host,
            release: release(&state.release),
            canary: state.canary.as_ref().map(|canary| release(&canary.release)),
            flags: target.flags.clone(),
            stages: target.stages.clone(),
            beside: state.beside.iter().map(|beside| release(beside)).collect(),
            rollout: state.canary.as_ref().map(|canary| canary.steer(|rollout| rollout.status())),
            executions: service.executions(),
            pending: state.snapshot.pending,
        }
    }

    /// Ends an execution that is under way on this host.
    ///
    /// # Errors
    /// `not-found` if there is none, or not any more.
    pub fn cancel(&self, session: &Session, tenant: &TenantId, execution: &str) -> Result<()> {
        let table = self.serving().table();
        let mut mine = table.services.values().filter(|service| {
            service.id.tenant == *tenant && session.require(Permission::Cancel, tenant, &service.id).is_ok()
        });
        if mine.any(|service| service.cancel(execution)) {
            return Ok(());
        }
        session.require(Permission::Cancel, tenant, None)?;
        Err(Error::new(
            Code::NotFound,
            format!(
                "execution `{execution}` is not running on this host; `elias executions --running` lists those that are"
            ),
        ))
    }
}
