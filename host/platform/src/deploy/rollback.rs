//! Rolls a service back to a version that served before, at once and even while the store is unavailable.

use super::deployment::release;
use super::diff::trigger_changes;
use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events;
use crate::serving::PendingAct;
use crate::session::Session;
use crate::triggers::registration;
use elias_api::{Actor, Code, Deployment, DeploymentState, Error, Result, Service};
use elias_names::ServiceId;
use elias_store::{ReleaseTarget, ServiceTarget, now_ms};

impl Platform {
    /// Serves a version that was deployed before: `to`, or the one before the present one. A canary or an experiment
    /// under way ends. There is no smoke test: what is left is known to be bad. While the store is away, what this host
    /// remembers of the last versions is enough, and the store is told when it is back.
    ///
    /// Service workers that a canary under way has moved go back to what they were before. Those that the present
    /// deployment has moved take their state along, unless `restore_workers` asks that they go back, too.
    ///
    /// # Errors
    /// `not-found`, `wrong-state` if there is nothing to go back to, or if workers are to go back and the present
    /// deployment did not replace that version; `artifact-missing`. With `restore_workers` also `store-unavailable`.
    pub async fn rollback(
        &self,
        session: &Session,
        id: &ServiceId,
        to: Option<u32>,
        restore_workers: bool,
    ) -> Result<Deployment> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        match self.rollback_in_store(session, id, to, restore_workers).await {
            Err(error) if error.code() == Code::StoreUnavailable && !restore_workers => {
                self.rollback_alone(session, id, to).await
            }
            done => done,
        }
    }

    async fn rollback_in_store(
        &self,
        session: &Session,
        id: &ServiceId,
        to: Option<u32>,
        restore_workers: bool,
    ) -> Result<Deployment> {
        let mut scope = self.store().read(&id.tenant).await?;
        let service = scope.service(id).await?.ok_or_else(|| nothing_serves(id))?;
        let number = match to {
            Some(number) => number,
            None => {
                let past = scope.deployments(id, None, 100).await?;
                let served = |deployment: &&Deployment| {
                    deployment.version != service.version && deployment.state == DeploymentState::Superseded
                };
                past.iter().find(served).map(|deployment| deployment.version).ok_or_else(|| nothing_before(id))?
            }
        };
        if restore_workers {
            require_replaced(id, &scope.deployment(&service.deployment).await?, number)?;
        }
        let version = scope.version(&id.component, number).await?;
        let mut deployment = describe(id, number, service.version, session);
        let release = release(&version, &deployment);
        drop(scope);
        // Loaded before anything changes. If somebody else deploys meanwhile, the service's revision tells.
        let mut target = self.serving_target(id, Some(&service)).await?.ok_or_else(|| nothing_serves(id))?;
        deployment.trigger_changes = trigger_changes(&target.release.settings, &release.settings);
        (target.release, target.canary, target.experiment, target.stopped) = (release.clone(), None, None, false);
        let warm = self.serving().warm(&target, &release).await?;
        let mut scope = self.store().write(&id.tenant).await?;
        scope.insert_deployment(&deployment).await?;
        let restored = if restore_workers { ", with its workers restored" } else { "" };
        let reason = format!("rolled back to version {number}{restored}");
        scope.set_deployment(&service.deployment, DeploymentState::RolledBack, &reason).await?;
        if restore_workers {
            scope.set_restores_workers(&service.deployment).await?;
        }
        if let Some(canary) = &service.canary {
            scope.set_deployment(canary, DeploymentState::RolledBack, &reason).await?;
            scope.set_restores_workers(canary).await?;
        }
        let next = Service {
            version: number,
            deployment: deployment.id.clone(),
            canary: None,
            experiment: None,
            stopped: false,
            ..service.clone()
        };
        scope.set_service(&next).await?;
        scope.forget_variant_metrics(id).await?;
        // Its schedules and subscriptions come back; what they have done since stays done.
        registration::register(&mut scope, id, &version.settings).await?;
        platform_events::deployed(&mut scope, id, number, &deployment.id).await?;
        scope.audit(&session.actor(), "deployment.rollback", id.subject(), Some(&service), Some(&deployment)).await?;
        scope.commit().await?;
        self.follow_store(id, &[warm]).await?;
        self.runner().look();
        Ok(deployment)
    }

    /// By what this host remembers.
    async fn rollback_alone(&self, session: &Session, id: &ServiceId, to: Option<u32>) -> Result<Deployment> {
        let service = self.serving().service(id).ok_or_else(|| nothing_serves(id))?;
        let snapshot = service.state().snapshot.clone();
        let remembered = snapshot.history.iter().find(|release| to.is_none_or(|to| release.version == to));
        let remembered = remembered.ok_or_else(|| nothing_before(id))?;
        let before = &snapshot.target.release;
        let mut deployment = describe(id, remembered.version, before.version, session);
        deployment.trigger_changes = trigger_changes(&before.settings, &remembered.settings);
        let release = ReleaseTarget { deployment: deployment.id.clone(), rollout: None, ..remembered.clone() };
        let target = ServiceTarget {
            release: release.clone(),
            canary: None,
            experiment: None,
            stopped: false,
            ..snapshot.target
        };
        let warm = self.serving().warm(&target, &release).await?;
        let act = PendingAct { deployment: deployment.clone(), actor: session.actor() };
        self.serving().serve_pending(&service, target, act, &[warm]).await?;
        tracing::warn!(service = %id, version = release.version, by = %session.principal.name,
            "rolled back while the store is unavailable; the rollback will be stored when it is available again");
        Ok(deployment)
    }

    /// Tells the store of the rollbacks that were made while it was away. If somebody has deployed since, that stands.
    /// Each of them was acknowledged: each has its line in the audit trail, by the one who made it, and what does not
    /// stand one in the log.
    pub(crate) async fn report_pending(&self, id: &ServiceId) -> Result<()> {
        let Some(service) = self.serving().service(id) else { return Ok(()) };
        let snapshot = service.state().snapshot.clone();
        let mut scope = self.store().write(&id.tenant).await?;
        let stored = scope.service(id).await?.ok_or_else(|| nothing_serves(id))?;
        let stands = stored.revision == snapshot.target.revision;
        let mut acts = snapshot.acts.clone();
        if acts.is_empty() {
            // Made by a release that did not remember who.
            let deployment = Deployment {
                id: snapshot.target.release.deployment.clone(),
                ..describe_as(id, snapshot.target.release.version, "host")
            };
            acts.push(PendingAct { deployment, actor: Actor::host() });
        }
        let last = if stands { acts.pop() } else { None };
        for PendingAct { deployment, actor } in &acts {
            let (by, at, instead) = (&actor.name, deployment.created_at, stored.deployment.as_str());
            if stands {
                tracing::info!(
                    service = %id, version = deployment.version, by, at,
                    "a rollback made while the store was unavailable was replaced by a later one"
                );
            } else {
                tracing::warn!(service = %id, version = deployment.version, by, at, serves = stored.version,
                    deployment = instead,
                    "a rollback made while the store was unavailable was discarded: another change was stored first");
            }
            scope.audit(actor, "deployment.rollback-discarded", id.subject(), Some(deployment), Some(&stored)).await?;
        }
        if let Some(PendingAct { deployment, actor }) = last {
            let deployment = Deployment {
                replaces: Some(stored.version),
                reason: "rolled back while the store was unavailable".to_owned(),
                ..deployment
            };
            scope.insert_deployment(&deployment).await?;
            for left in std::iter::once(&stored.deployment).chain(&stored.canary) {
                scope.set_deployment(left, DeploymentState::RolledBack, &deployment.reason).await?;
            }
            if let Some(canary) = &stored.canary {
                scope.set_restores_workers(canary).await?;
            }
            let next = Service {
                version: deployment.version,
                deployment: deployment.id.clone(),
                canary: None,
                experiment: None,
                stopped: false,
                ..stored.clone()
            };
            scope.set_service(&next).await?;
            scope.forget_variant_metrics(id).await?;
            registration::register(&mut scope, id, &snapshot.target.release.settings).await?;
            platform_events::deployed(&mut scope, id, deployment.version, &deployment.id).await?;
            scope.audit(&actor, "deployment.rollback", id.subject(), Some(&stored), Some(&deployment)).await?;
        }
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }
}

fn describe(id: &ServiceId, version: u32, replaces: u32, session: &Session) -> Deployment {
    Deployment { replaces: Some(replaces), ..describe_as(id, version, &session.principal.name) }
}

fn describe_as(id: &ServiceId, version: u32, by: &str) -> Deployment {
    Deployment {
        id: ulid::Ulid::new().to_string(),
        component: id.component.clone(),
        environment: id.environment,
        version,
        replaces: None,
        state: DeploymentState::Active,
        reason: "rolled back".to_owned(),
        rollout: None,
        created_at: now_ms(),
        created_by: by.to_owned(),
        ended_at: None,
        trigger_changes: Vec::new(),
    }
}

/// Refuses that workers go back to what they were before `present` moved them, if that did not replace the version that
/// is to serve: what they were before that one is not known.
fn require_replaced(id: &ServiceId, present: &Deployment, number: u32) -> Result<()> {
    if present.replaces == Some(number) {
        return Ok(());
    }
    let version = present.version;
    let replaced = present.replaces.map_or_else(
        || "replaced none".to_owned(),
        |replaced| format!("replaced version {replaced}, to which they can be restored"),
    );
    let message = format!("the workers of {id} cannot be restored to version {number}: version {version} {replaced}");
    Err(Error::new(Code::WrongState, message))
}

fn nothing_serves(id: &ServiceId) -> Error {
    Error::not_deployed(id)
}

fn nothing_before(id: &ServiceId) -> Error {
    Error::new(
        Code::WrongState,
        format!("{id} has served no other version that can be gone back to; name one with --to"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    #[test]
    fn workers_are_restored_to_the_version_that_was_replaced_and_to_no_other() {
        let id = ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let present = |replaces| Deployment { replaces, ..describe_as(&id, 3, "ada") };
        assert!(require_replaced(&id, &present(Some(2)), 2).is_ok());
        let refused = require_replaced(&id, &present(Some(2)), 1).expect_err("there is another between them");
        assert_eq!(refused.code(), Code::WrongState);
        assert!(refused.to_string().contains("version 3 replaced version 2"), "{refused}");
        assert!(require_replaced(&id, &present(None), 2).is_err());
    }
}
