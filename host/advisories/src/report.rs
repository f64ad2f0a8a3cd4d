//! The advisories about the packages in a version, and the policies that hold for those of a tenant.

use super::advisory::{AdvisorySet, Vulnerability};
use super::policy::PackagePolicy;
use super::sbom::Package;
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

/// The advisories about a component's packages.
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
