//! Gives a version traffic: all of it at once (blue-green), or step by step (canary).

use super::diff::trigger_changes;
use super::smoke::smoke;
use super::smoke_workers::SmokeSite;
use super::version::check_settings;
use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events;
use crate::serving::{Release, Tables, own_host};
use crate::session::Session;
use crate::triggers::registration;
use elias_api::{Code, DeployRequest, Deployment, DeploymentState, Error, Result, Service, Version, VersionSettings};
use elias_delivery::rollout::{Rollout, RolloutPlan};
use elias_names::ServiceId;
use elias_store::{ReleaseTarget, ServiceTarget, TenantScope, now_ms};
use std::sync::Arc;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

impl Platform {
    /// Gives a version traffic, after it was loaded with its environment's configuration and has passed the smoke
    /// test. What serves goes on until then, and requests in flight end on the version that they began on.
    ///
    /// # Errors
    /// `not-found`, `stale`, `wrong-state`, `missing-configuration`, `smoke-failed`, `above-ceiling`, `not-allowed`
    /// for a route that is taken, and the host's codes. Nothing has changed then.
    pub async fn deploy(&self, session: &Session, id: &ServiceId, request: &DeployRequest) -> Result<Deployment> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let plan = request.rollout.as_ref().map(RolloutPlan::check).transpose();
        plan.map_err(|error| Error::new(Code::BadInput, error.to_string()))?;

        let mut scope = self.store().read(&id.tenant).await?;
        let tenant = scope.this_tenant().await?;
        let service = scope.service(id).await?;
        let number = match (request.version, request.promote_from, &request.stage) {
            (Some(number), None, None) => number,
            (None, None, Some(name)) => {
                let experiment = service.as_ref().and_then(|service| service.experiment.as_ref());
                let variant = experiment.and_then(|experiment| experiment.variant(name));
                variant
                    .ok_or_else(|| Error::not_listed(format_args!("variant `{name}` of {id}"), "elias compare"))?
                    .version
            }
            (None, Some(environment), None) => {
                let from = ServiceId { environment, ..id.clone() };
                let serves = scope.service(&from).await?;
                serves.ok_or_else(|| Error::not_deployed(&from))?.version
            }
            _ => {
                return Err(Error::new(
                    Code::BadInput,
                    "exactly one of `version`, `promote_from` and `stage` is required",
                ));
            }
        };
        let version = scope.version(&id.component, number).await?;
        check_middleware(&mut scope, id, &version.settings).await?;
        drop(scope);

        let revision = service.as_ref().map_or(0, |service| service.revision);
        if request.revision.is_some_and(|asked| asked != revision) {
            let message = format!("{id} is at revision {revision} by now; look at what was deployed meanwhile");
            return Err(Error::new(Code::Stale, message));
        }
        let rollout = self.rollout_of(id, service.as_ref(), request)?;
        let mut deployment = self.describe(id, &version, service.as_ref(), rollout.as_ref(), request, session)?;
        let release = release(&version, &deployment);
        let mut target = self.serving_target(id, service.as_ref()).await?.unwrap_or_else(|| ServiceTarget {
            id: id.clone(),
            revision: 0,
            tenant: tenant.settings.clone(),
            stopped: false,
            secrets: Default::default(),
            release: release.clone(),
            canary: None,
            flags: Vec::new(),
            experiment: None,
            beside: Vec::new(),
        });
        deployment.trigger_changes = trigger_changes(&target.release.settings, &version.settings);
        target.tenant = tenant.settings;
        if target.revision == 0 {
            target.secrets = self.sealed_secrets(id).await?;
        }
        if rollout.is_none() {
            target.release = release.clone();
            (target.canary, target.experiment) = (None, None);
        }
        // Those of a canary too: it may be promoted by itself.
        check_settings(&version.settings, &target.tenant)?;
        self.serving().loader.ceilings.check(&target.tenant, &version.settings)?;
        let promoted = ServiceTarget { release: release.clone(), canary: None, experiment: None, ..target.clone() };
        self.serving().check_routes(&promoted)?;
        let warm = self.warm(&target, &release).await?;

        let mut scope = self.store().write(&id.tenant).await?;
        scope.insert_deployment(&deployment).await?;
        let next = match &service {
            // All traffic: what served, and a canary or an experiment beside it, end.
            _ if rollout.is_none() => {
                if let Some(service) = &service {
                    let reason = format!("version {number} was deployed");
                    scope.set_deployment(&service.deployment, DeploymentState::Superseded, &reason).await?;
                    if let Some(canary) = &service.canary {
                        // Workers that it moved go back first, unless it is the same version that gets them all.
                        if scope.deployment(canary).await?.version != number {
                            scope.set_restores_workers(canary).await?;
                        }
                        scope.set_deployment(canary, DeploymentState::RolledBack, &reason).await?;
                    }
                    scope.forget_variant_metrics(id).await?;
                }
                Service {
                    component: id.component.clone(),
                    environment: id.environment,
                    revision,
                    version: number,
                    deployment: deployment.id.clone(),
                    canary: None,
                    stopped: false,
                    flags: service.as_ref().map(|service| service.flags.clone()).unwrap_or_default(),
                    experiment: None,
                }
            }
            Some(service) => Service { canary: Some(deployment.id.clone()), ..service.clone() },
            None => return Err(Error::new(Code::Internal, "a canary without anything beside it")),
        };
        scope.set_service(&next).await?;
        if rollout.is_none() {
            registration::register(&mut scope, id, &version.settings).await?;
            platform_events::deployed(&mut scope, id, number, &deployment.id).await?;
        }
        scope.audit(&session.actor(), "deployment.create", id.subject(), service.as_ref(), Some(&deployment)).await?;
        scope.commit().await?;
        self.follow_store(id, &[warm]).await?;
        self.runner().look();
        Ok(deployment)
    }

    /// The rollout that was asked for; none where there is nothing to compare a canary with.
    fn rollout_of(
        &self,
        id: &ServiceId,
        service: Option<&Service>,
        request: &DeployRequest,
    ) -> Result<Option<RolloutPlan>> {
        let (Some(plan), Some(service)) = (&request.rollout, service) else { return Ok(None) };
        if service.canary.is_some() {
            let message = format!("a canary of {id} is under way: promote or abort it first (elias canary)");
            return Err(Error::new(Code::WrongState, message));
        }
        if service.experiment.is_some() {
            let message = format!(
                "{id} has a running experiment, beside which there can be no canary; end it first: elias stages --end"
            );
            return Err(Error::new(Code::WrongState, message));
        }
        Ok(Some(plan.clone()))
    }

    fn describe(
        &self,
        id: &ServiceId,
        version: &Version,
        service: Option<&Service>,
        plan: Option<&RolloutPlan>,
        request: &DeployRequest,
        session: &Session,
    ) -> Result<Deployment> {
        let deployment = ulid::Ulid::new().to_string();
        let rollout = match plan {
            None => None,
            Some(plan) => {
                let started = Rollout::start(deployment.clone(), plan.clone(), self.serving().clock.now());
                let (rollout, _) = started.map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
                Some(serde_json::to_value(rollout).map_err(|error| Error::new(Code::Internal, error.to_string()))?)
            }
        };
        Ok(Deployment {
            id: deployment,
            component: id.component.clone(),
            environment: id.environment,
            version: version.number,
            replaces: service.map(|service| service.version),
            state: if plan.is_some() { DeploymentState::Canary } else { DeploymentState::Active },
            reason: request.reason.chars().filter(|character| !character.is_control()).take(REASON_CHARS_MAX).collect(),
            rollout,
            created_at: now_ms(),
            created_by: session.principal.name.clone(),
            ended_at: None,
            trigger_changes: Vec::new(),
        })
    }

    /// Loads a release beside what serves, and sends it the request of the smoke test.
    pub(super) async fn warm(&self, target: &ServiceTarget, release: &ReleaseTarget) -> Result<Arc<Release>> {
        let warm = self.serving().warm(target, release).await?;
        if let Some(app) = warm.loaded(self.serving().clock.now()) {
            let host = own_host(&target.id, self.serving().domain())?.to_string();
            let site = SmokeSite {
                service: target.id.clone(),
                config: Tables::read(&release.settings)?.workers,
                slots: Arc::clone(self.workers().slots()),
                awake: target.tenant.quotas.awake_workers,
                lines: Arc::clone(&warm.lines),
            };
            smoke(&app, &host, &release.settings.smoke.clone().unwrap_or_default(), site).await?;
        }
        Ok(warm)
    }
}

/// Checks that the middleware of a version's routes are deployed in the environment.
async fn check_middleware(scope: &mut TenantScope, id: &ServiceId, settings: &VersionSettings) -> Result<()> {
    for component in Tables::read(settings)?.gateway.middleware() {
        if scope.service(&ServiceId { component: component.clone(), ..id.clone() }).await?.is_none() {
            let message = format!(
                "[gateway] middleware: {component} is not deployed in {}; deploy it before {}",
                id.environment, id.component
            );
            return Err(Error::new(Code::WrongState, message));
        }
    }
    Ok(())
}

/// A version as it is to serve by a deployment.
pub(super) fn release(version: &Version, deployment: &Deployment) -> ReleaseTarget {
    ReleaseTarget {
        version: version.number,
        digest: version.digest.clone(),
        settings: version.settings.clone(),
        deployment: deployment.id.clone(),
        rollout: deployment.rollout.clone(),
    }
}
