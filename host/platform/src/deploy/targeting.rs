//! Targeting rules, which give some callers a version of their own.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, Result, Service};
use elias_delivery::rollout::{FlagRule, FlagTable};
use elias_names::ServiceId;
use elias_store::ReleaseTarget;

impl Platform {
    /// Replaces the targeting rules of a service (the API calls them flags): they give callers a version of their own,
    /// before any rollout does. Each version is loaded first.
    ///
    /// # Errors
    /// `bad-input`, `not-found` for a version or a service that is not there, `stale`.
    pub async fn set_targeting_rules(
        &self,
        session: &Session,
        id: &ServiceId,
        rules: Vec<FlagRule>,
        revision: Option<u64>,
    ) -> Result<()> {
        session.require(Permission::deploy(id.environment), &id.tenant, id)?;
        FlagTable::new(&id.to_string(), rules.clone())
            .map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let mut scope = self.store().read(&id.tenant).await?;
        let not_deployed = || Error::not_deployed(id);
        let service = scope.service(id).await?.ok_or_else(not_deployed)?;
        let target = self.serving_target(id, Some(&service)).await?.ok_or_else(not_deployed)?;
        let mut warm = Vec::new();
        for rule in &rules {
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
        let next = Service { flags: rules, ..service.clone() };
        scope.set_service(&next).await?;
        scope.audit(&session.actor(), "flags.set", id.subject(), Some(&service.flags), Some(&next.flags)).await?;
        scope.commit().await?;
        self.follow_store(id, &warm).await
    }
}
