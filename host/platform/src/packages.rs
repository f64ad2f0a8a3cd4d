//! The npm packages in a tenant's versions, and the policies for them.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_advisories::{Package, PackagePolicies, PackagePolicy, PackageReport, PolicyOwner, report};
use elias_api::{Result, TenantSettings};
use elias_names::{ComponentName, TenantId};

impl Platform {
    /// The packages in a version, with the present advisories of the host about them.
    ///
    /// # Errors
    /// `not-found`, `artifact-missing`, `sbom-missing` if the bill of materials is malformed.
    pub async fn packages(
        &self,
        session: &Session,
        tenant: &TenantId,
        component: &ComponentName,
        number: u32,
    ) -> Result<PackageReport> {
        let mut scope = self.read(session, Permission::Read, tenant, Some(component)).await?;
        let version = scope.version(component, number).await?;
        drop(scope);
        let packages = Package::all_of(&self.artifacts().get(&version.digest).await?)?;
        let advisories = match self.advisories() {
            Some(advisories) => Some(advisories.now().await),
            None => None,
        };
        Ok(report(packages, advisories.as_deref()))
    }

    /// Refuses a component whose packages the tenant does not take.
    ///
    /// # Errors
    /// As [`PackagePolicy`] says.
    pub(crate) async fn examine_packages(&self, component: &[u8], settings: &TenantSettings) -> Result<()> {
        let policies = [(PolicyOwner::Host, &settings.packages), (PolicyOwner::Tenant, &settings.own_packages)];
        if policies.iter().all(|(_, policy)| !policy.asks()) {
            return Ok(());
        }
        self.examine_listed(Package::all_of(component)?.as_deref(), settings).await
    }

    /// Refuses packages that the tenant does not take; `None` are those of a component that does not list them.
    ///
    /// # Errors
    /// As [`PackagePolicy`] says.
    pub(crate) async fn examine_listed(&self, packages: Option<&[Package]>, settings: &TenantSettings) -> Result<()> {
        let policies = [(PolicyOwner::Host, &settings.packages), (PolicyOwner::Tenant, &settings.own_packages)];
        let advisories = match self.advisories() {
            Some(advisories) => Some(advisories.now().await),
            None => None,
        };
        for (owner, policy) in policies {
            policy.examine(owner, packages, advisories.as_deref())?;
        }
        Ok(())
    }

    /// The policies for packages in a tenant's versions.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn package_policies(&self, session: &Session, tenant: &TenantId) -> Result<PackagePolicies> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let TenantSettings { packages, own_packages, .. } = scope.this_tenant().await?.settings;
        Ok(PackagePolicies { host: packages, own: own_packages })
    }

    /// Sets the tenant's own policy. The host's policy still holds.
    ///
    /// # Errors
    /// `bad-input`, `not-found`; `stale` if somebody else changed the tenant at the same time.
    pub async fn set_package_policy(
        &self,
        session: &Session,
        tenant: &TenantId,
        policy: &PackagePolicy,
    ) -> Result<PackagePolicies> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        let before = scope.this_tenant().await?;
        let settings = TenantSettings { own_packages: policy.clone(), ..before.settings };
        scope.set_tenant(&settings, Some(before.revision), &session.actor()).await?;
        scope.commit().await?;
        Ok(PackagePolicies { host: settings.packages, own: settings.own_packages })
    }
}
