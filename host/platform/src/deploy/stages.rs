//! Implementations side by side: put there, compared, and the better one given all traffic.

use super::version::check_settings;
use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::Staged;
use crate::session::Session;
use elias_api::{Code, DeployRequest, Error, Result, Service, StageCopies, StageReport};
use elias_delivery::stages::{Comparison, StagePlan, Stages, VariantMetrics};
use elias_names::ServiceId;
use elias_store::{NOTHING, ReleaseTarget};

fn no_stages(id: &ServiceId) -> Error {
    Error::new(Code::WrongState, format!("{id} has no running experiment; start one with: elias deploy --stage NAME"))
}

impl Platform {
    /// Begins an experiment (the API calls it stages), after each variant was loaded and has passed the smoke test. An
    /// earlier experiment ends, with its metrics.
    ///
    /// # Errors
    /// `bad-input` for a plan that makes no sense, or whose first is not the version that serves; `not-found` for a
    /// version or a service; `wrong-state` while a canary is under way; `stale`; and whatever loading may say. Nothing
    /// has changed then.
    pub async fn set_stages(
        &self,
        session: &Session,
        id: &ServiceId,
        plan: StagePlan,
        revision: Option<u64>,
    ) -> Result<Stages> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        plan.check().map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let mut scope = self.store().read(&id.tenant).await?;
        let not_deployed = || Error::not_deployed(id);
        let service = scope.service(id).await?.ok_or_else(not_deployed)?;
        if service.canary.is_some() {
            let message = format!("a canary of {id} is under way: promote or abort it first (elias canary)");
            return Err(Error::new(Code::WrongState, message));
        }
        service.require_revision(revision)?;
        let baseline = plan.implementations.first().map(|baseline| baseline.version);
        if baseline != Some(service.version) {
            let message =
                format!("the first implementation must be the version that serves, which is {}", service.version);
            return Err(Error::new(Code::BadInput, message));
        }
        let mut target = self.serving_target(id, Some(&service)).await?.ok_or_else(not_deployed)?;
        let mut releases = Vec::new();
        for implementation in plan.implementations.iter().skip(1) {
            let version = scope.version(&id.component, implementation.version).await?;
            check_settings(&version.settings, &target.tenant)?;
            self.serving().loader.ceilings.check(&target.tenant, &version.settings)?;
            releases.push(ReleaseTarget {
                version: version.number,
                digest: version.digest,
                settings: version.settings,
                deployment: target.release.deployment.clone(),
                rollout: None,
            });
        }
        drop(scope);
        target.stages = None;
        let mut warm = Vec::new();
        for release in &releases {
            warm.push(self.warm(&target, release).await?);
        }
        let stages = Stages::begin(plan);
        let next = Service { stages: Some(stages.clone()), ..service.clone() };
        let mut scope = self.store().write(&id.tenant).await?;
        scope.set_service(&next).await?;
        scope.forget_stage_figures(id).await?;
        scope
            .audit(&session.actor(), "stages.set", id.subject(), service.stages.as_ref(), next.stages.as_ref())
            .await?;
        scope.commit().await?;
        self.follow_store(id, &warm).await?;
        Ok(stages)
    }

    /// Leaves the version that serves alone again. What the comparison was goes into the audit trail.
    ///
    /// # Errors
    /// `wrong-state` if there are no stages; `stale`.
    pub async fn end_stages(&self, session: &Session, id: &ServiceId, revision: Option<u64>) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let report = self.compare(session, id).await?;
        let mut scope = self.store().write(&id.tenant).await?;
        let service = scope.service(id).await?.ok_or_else(|| no_stages(id))?;
        service.require_revision(revision)?;
        scope.set_service(&Service { stages: None, ..service }).await?;
        scope.forget_stage_figures(id).await?;
        scope.audit(&session.actor(), "stages.end", id.subject(), Some(&report), NOTHING).await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// How implementations that are side by side do: what this host has seen, and what the others have stored.
    ///
    /// # Errors
    /// `wrong-state` if there are none; `forbidden`.
    pub async fn compare(&self, session: &Session, id: &ServiceId) -> Result<StageReport> {
        session.require(Permission::Read, &id.tenant, id)?;
        let service = self.serving().service(id).ok_or_else(|| no_stages(id))?;
        let staged = service.state().staged.clone().ok_or_else(|| no_stages(id))?;
        let decision = service.state().snapshot.target.stages.as_ref().and_then(|stages| stages.decision.clone());
        let metrics = self.variant_metrics(id, &staged).await?;
        let plan = &staged.stages.plan;
        let named: Vec<_> = plan.implementations.iter().map(|one| one.name.as_str()).zip(&metrics).collect();
        let copies = named.iter().map(|(name, metrics)| StageCopies {
            name: (*name).to_owned(),
            skipped: metrics.skipped,
            differences: metrics.differences.clone(),
        });
        Ok(StageReport {
            component: id.component.clone(),
            environment: id.environment,
            stages: Stages { decision, ..staged.stages.clone() },
            comparison: comparison(plan, &metrics),
            copies: copies.collect(),
        })
    }

    /// The metrics of all hosts together, in the plan's order.
    async fn variant_metrics(&self, id: &ServiceId, staged: &Staged) -> Result<Vec<VariantMetrics>> {
        let mut scope = self.store().read(&id.tenant).await?;
        let others = scope.stage_figures(id, &staged.stages.id, self.run_id()).await?;
        let own = |(position, implementation): (usize, &elias_delivery::stages::Implementation)| {
            let mut metrics = staged.metrics(position).unwrap_or_default();
            let of_others = others.iter().filter(|(name, _)| *name == implementation.name);
            of_others.for_each(|(_, theirs)| metrics.merge(theirs));
            metrics
        };
        Ok(staged.stages.plan.implementations.iter().enumerate().map(own).collect())
    }

    /// Stores this host's metrics of a service's variants. Returns the experiment as the store has it; none if another
    /// one has begun meanwhile.
    pub(crate) async fn keep_variant_metrics(&self, id: &ServiceId, staged: &Staged) -> Result<Option<Stages>> {
        let mut scope = self.store().write(&id.tenant).await?;
        let stored = scope.service(id).await?.and_then(|service| service.stages);
        let Some(stored) = stored.filter(|stored| stored.id == staged.stages.id) else { return Ok(None) };
        for (position, implementation) in staged.stages.plan.implementations.iter().enumerate() {
            if let Some(metrics) = staged.metrics(position) {
                let (stages, host) = (&staged.stages.id, self.run_id());
                scope.set_stage_figures(id, stages, host, &implementation.name, &metrics).await?;
            }
        }
        scope.commit().await?;
        Ok(Some(stored))
    }

    /// Where the plan is to promote the better one, compares the metrics of all hosts once there are enough.
    pub(crate) async fn decide_stages(&self, id: &ServiceId, staged: &Staged, stored: Stages) -> Result<()> {
        if !stored.plan.promote || stored.decision.is_some() {
            return Ok(());
        }
        let metrics = self.variant_metrics(id, staged).await?;
        let enough = |metrics: &VariantMetrics| metrics.observed.requests() >= stored.plan.better.requests;
        if !metrics.iter().all(enough) {
            return Ok(());
        }
        let comparison = comparison(&stored.plan, &metrics);
        match &comparison.better {
            Some(name) => {
                let found = comparison.differences.iter().find(|difference| difference.name == *name);
                let why = found.map(|difference| difference.reason.clone()).unwrap_or_default();
                let request = DeployRequest {
                    version: None,
                    stage: Some(name.clone()),
                    promote_from: None,
                    rollout: None,
                    reason: format!("stage {name}: {why}"),
                    revision: None,
                };
                tracing::info!(
                    service = %id, stage = %name, %why,
                    "a variant of the experiment is better and gets all requests"
                );
                self.deploy(&Session::of_host(), id, &request).await.map(drop)
            }
            None => {
                let reasons = comparison.differences.iter().map(|one| format!("{}: {}", one.name, one.reason));
                let decision = format!("none is promoted; {}", reasons.collect::<Vec<_>>().join("; "));
                let mut scope = self.store().write(&id.tenant).await?;
                let Some(service) = scope.service(id).await? else { return Ok(()) };
                let stages = Stages { decision: Some(decision), ..stored };
                let next = Service { stages: Some(stages), ..service.clone() };
                scope.set_service(&next).await?;
                let actor = Session::of_host().actor();
                scope
                    .audit(&actor, "stages.decide", id.subject(), service.stages.as_ref(), next.stages.as_ref())
                    .await?;
                scope.commit().await?;
                self.follow_store(id, &[]).await
            }
        }
    }
}

fn comparison(plan: &StagePlan, metrics: &[VariantMetrics]) -> Comparison {
    let mut named =
        plan.implementations.iter().map(|one| one.name.as_str()).zip(metrics.iter().map(|one| &one.observed));
    let nothing = Default::default();
    let baseline = named.next().unwrap_or(("", &nothing));
    Comparison::new(baseline, &named.collect::<Vec<_>>(), &plan.better)
}
