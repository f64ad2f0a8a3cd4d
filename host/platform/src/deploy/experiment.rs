//! Starts and compares experiments, and gives the better variant all traffic.

use super::version::check_settings;
use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::ActiveExperiment;
use crate::session::Session;
use elias_api::{Code, DeployRequest, Error, ExperimentReport, MirroringReport, Result, Service};
use elias_delivery::experiment::{Comparison, Experiment, ExperimentPlan, Variant, VariantMetrics};
use elias_names::ServiceId;
use elias_store::{NOTHING, ReleaseTarget};

fn no_experiment(id: &ServiceId) -> Error {
    Error::new(Code::WrongState, format!("{id} has no running experiment; start one with: elias deploy --stage NAME"))
}

impl Platform {
    /// Begins an experiment, after each variant was loaded and has passed the smoke test. An earlier experiment ends,
    /// with its metrics. The API calls experiments `stages`.
    ///
    /// # Errors
    /// `bad-input` for a plan that is invalid, or whose first variant is not the version that serves; `not-found` for a
    /// version or a service; `wrong-state` while a canary is under way; `stale`; and whatever loading may say. Nothing
    /// has changed then.
    pub async fn set_experiment(
        &self,
        session: &Session,
        id: &ServiceId,
        plan: ExperimentPlan,
        revision: Option<u64>,
    ) -> Result<Experiment> {
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
        let baseline = plan.variants.first().map(|baseline| baseline.version);
        if baseline != Some(service.version) {
            let message =
                format!("the first implementation must be the version that serves, which is {}", service.version);
            return Err(Error::new(Code::BadInput, message));
        }
        let mut target = self.serving_target(id, Some(&service)).await?.ok_or_else(not_deployed)?;
        let mut releases = Vec::new();
        for variant in plan.variants.iter().skip(1) {
            let version = scope.version(&id.component, variant.version).await?;
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
        target.experiment = None;
        let mut warm = Vec::new();
        for release in &releases {
            warm.push(self.warm(&target, release).await?);
        }
        let experiment = Experiment::begin(plan);
        let next = Service { experiment: Some(experiment.clone()), ..service.clone() };
        let mut scope = self.store().write(&id.tenant).await?;
        scope.set_service(&next).await?;
        scope.forget_variant_metrics(id).await?;
        scope
            .audit(&session.actor(), "stages.set", id.subject(), service.experiment.as_ref(), next.experiment.as_ref())
            .await?;
        scope.commit().await?;
        self.follow_store(id, &warm).await?;
        Ok(experiment)
    }

    /// Ends an experiment: the version that serves gets all requests again. The audit trail has the last comparison.
    ///
    /// # Errors
    /// `wrong-state` without an experiment; `stale`.
    pub async fn end_experiment(&self, session: &Session, id: &ServiceId, revision: Option<u64>) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        let report = self.compare(session, id).await?;
        let mut scope = self.store().write(&id.tenant).await?;
        let service = scope.service(id).await?.ok_or_else(|| no_experiment(id))?;
        service.require_revision(revision)?;
        scope.set_service(&Service { experiment: None, ..service }).await?;
        scope.forget_variant_metrics(id).await?;
        scope.audit(&session.actor(), "stages.end", id.subject(), Some(&report), NOTHING).await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// Compares the variants of an experiment: what this host has measured, and what the others have stored.
    ///
    /// # Errors
    /// `wrong-state` without an experiment; `forbidden`.
    pub async fn compare(&self, session: &Session, id: &ServiceId) -> Result<ExperimentReport> {
        session.require(Permission::Read, &id.tenant, id)?;
        let service = self.serving().service(id).ok_or_else(|| no_experiment(id))?;
        let experiment = service.state().experiment.clone().ok_or_else(|| no_experiment(id))?;
        let decision = service.state().snapshot.target.experiment.as_ref().and_then(|stored| stored.decision.clone());
        let metrics = self.variant_metrics(id, &experiment).await?;
        let plan = &experiment.definition.plan;
        let named: Vec<_> = plan.variants.iter().map(|one| one.name.as_str()).zip(&metrics).collect();
        let mirroring = named.iter().map(|(name, metrics)| MirroringReport {
            name: (*name).to_owned(),
            skipped: metrics.skipped,
            differences: metrics.differences.clone(),
        });
        Ok(ExperimentReport {
            component: id.component.clone(),
            environment: id.environment,
            experiment: Experiment { decision, ..experiment.definition.clone() },
            comparison: comparison(plan, &metrics),
            mirroring: mirroring.collect(),
        })
    }

    /// The metrics of all hosts together, in the plan's order.
    async fn variant_metrics(&self, id: &ServiceId, experiment: &ActiveExperiment) -> Result<Vec<VariantMetrics>> {
        let mut scope = self.store().read(&id.tenant).await?;
        let elsewhere = scope.variant_metrics_elsewhere(id, &experiment.definition.id, self.run_id()).await?;
        let own = |(position, variant): (usize, &Variant)| {
            let mut metrics = experiment.metrics(position).unwrap_or_default();
            let of_others = elsewhere.iter().filter(|(name, _)| *name == variant.name);
            of_others.for_each(|(_, theirs)| metrics.merge(theirs));
            metrics
        };
        Ok(experiment.definition.plan.variants.iter().enumerate().map(own).collect())
    }

    /// Stores this host's metrics of a service's variants. Returns the experiment as the store has it; none if another
    /// one has begun meanwhile.
    pub(crate) async fn store_variant_metrics(
        &self,
        id: &ServiceId,
        experiment: &ActiveExperiment,
    ) -> Result<Option<Experiment>> {
        let mut scope = self.store().write(&id.tenant).await?;
        let stored = scope.service(id).await?.and_then(|service| service.experiment);
        let Some(stored) = stored.filter(|stored| stored.id == experiment.definition.id) else { return Ok(None) };
        for (position, variant) in experiment.definition.plan.variants.iter().enumerate() {
            if let Some(metrics) = experiment.metrics(position) {
                let (experiment, host) = (&experiment.definition.id, self.run_id());
                scope.set_variant_metrics(id, experiment, host, &variant.name, &metrics).await?;
            }
        }
        scope.commit().await?;
        Ok(Some(stored))
    }

    /// Compares the metrics of all hosts once there are enough, if the plan promotes the better variant.
    pub(crate) async fn decide_experiment(
        &self,
        id: &ServiceId,
        experiment: &ActiveExperiment,
        stored: Experiment,
    ) -> Result<()> {
        if !stored.plan.promote || stored.decision.is_some() {
            return Ok(());
        }
        let metrics = self.variant_metrics(id, experiment).await?;
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
                let experiment = Experiment { decision: Some(decision), ..stored };
                let next = Service { experiment: Some(experiment), ..service.clone() };
                scope.set_service(&next).await?;
                let actor = Session::of_host().actor();
                scope
                    .audit(&actor, "stages.decide", id.subject(), service.experiment.as_ref(), next.experiment.as_ref())
                    .await?;
                scope.commit().await?;
                self.follow_store(id, &[]).await
            }
        }
    }
}

fn comparison(plan: &ExperimentPlan, metrics: &[VariantMetrics]) -> Comparison {
    let mut named = plan.variants.iter().map(|one| one.name.as_str()).zip(metrics.iter().map(|one| &one.observed));
    let nothing = Default::default();
    let baseline = named.next().unwrap_or(("", &nothing));
    Comparison::new(baseline, &named.collect::<Vec<_>>(), &plan.better)
}
