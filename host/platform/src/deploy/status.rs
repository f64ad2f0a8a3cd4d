//! The status of services: releases, rollouts and health, as this host has them.

use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::{CircuitKind, Release, Service};
use crate::session::Session;
use elias_api::{ReleaseStatus, Result, ServiceStatus};
use elias_names::{ComponentName, TenantId};

impl Platform {
    /// The status of a tenant's services on this host. The store is not asked.
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

    fn service_status(&self, service: &Service) -> ServiceStatus {
        let state = service.state();
        let now = self.serving().clock.now();
        let release = |release: &Release| ReleaseStatus {
            version: release.target.version,
            digest: release.target.digest.to_string(),
            deployment: release.target.deployment.clone(),
            loaded: release.idle_since_ms().is_some(),
            problem: release.problem(),
            health: release.breaker(CircuitKind::Requests).health(now),
            trigger_health: release.breaker(CircuitKind::Triggers).health(now),
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
            experiment: target.experiment.clone(),
            beside: state.beside.iter().map(|beside| release(beside)).collect(),
            rollout: state.canary.as_ref().map(|canary| canary.with_rollout(|rollout| rollout.status())),
            executions: service.executions(),
            pending: state.snapshot.pending,
        }
    }
}
