//! What packages are in a version, and which policies hold for a tenant's.

use super::advisory::{AdvisorySet, Vulnerability};
use super::policy::{PackagePolicy, PolicyOwner};
use super::sbom::Package;
use crate::access::Permission;
use crate::error::Result;
use crate::name::{ComponentName, TenantId};
use crate::platform::Platform;
use crate::session::Session;
use crate::store::TenantSettings;
use serde::{Deserialize, Serialize};

/// The npm packages in a version of a component.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackageReport {
    /// The packages; null if the component has no bill of materials (SBOM).
    pub packages: Option<Vec<AuditedPackage>>,
    /// The number of advisories that the packages were compared with; null if the host has no advisories.
    pub advisories: Option<u64>,
}

/// An npm package with the advisories about it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditedPackage {
    /// The package.
    #[serde(flatten)]
    pub package: Package,
    /// The advisories about the package, the most severe first.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// The policies for the npm packages in a tenant's versions. A version must comply with both.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PackagePolicies {
    /// The policy that the platform operators set for the tenant.
    pub host: PackagePolicy,
    /// The policy that the tenant's administrators set.
    pub own: PackagePolicy,
}

/// What advisories say of a component's packages.
#[must_use]
pub fn report(packages: Option<Vec<Package>>, advisories: Option<&AdvisorySet>) -> PackageReport {
    let audited = |package: Package| {
        let vulnerabilities = advisories.map(|set| set.of(&package)).unwrap_or_default();
        AuditedPackage { package, vulnerabilities }
    };
    PackageReport {
        packages: packages.map(|packages| packages.into_iter().map(audited).collect()),
        advisories: advisories.map(|set| set.len() as u64),
    }
}

impl Platform {
    /// The packages in a version, with what the host's advisories say of them now.
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
        let packages = Package::all_of(component)?;
        let advisories = match self.advisories() {
            Some(advisories) => Some(advisories.now().await),
            None => None,
        };
        policies
            .into_iter()
            .try_for_each(|(owner, policy)| policy.examine(owner, packages.as_deref(), advisories.as_deref()))
    }

    /// Which packages a tenant's versions may have in them.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn package_policies(&self, session: &Session, tenant: &TenantId) -> Result<PackagePolicies> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let TenantSettings { packages, own_packages, .. } = scope.this_tenant().await?.settings;
        Ok(PackagePolicies { host: packages, own: own_packages })
    }

    /// Sets what the tenant itself says. What the host says holds all the same.
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
