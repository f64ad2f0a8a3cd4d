//! The npm packages in a component: which there are, which of them a tenant takes, and which are known to be
//! vulnerable.
//!
//! The packages of a component are in its bill of materials, which `elias-build` writes from the lockfile. It is a
//! claim of whoever built the component: where that is not to be believed, let the tenant demand signatures.

mod advisory;
mod error;
mod files;
mod pattern;
mod policy;
mod report;
mod sbom;
mod severity;

pub use advisory::{AdvisorySet, Vulnerability};
pub use error::{Error, Result};
pub use files::AdvisoryFiles;
pub use policy::{PackagePolicy, PolicyOwner};
pub use report::{AuditedPackage, PackagePolicies, PackageReport, report};
pub use sbom::Package;
pub use severity::Severity;

#[cfg(test)]
mod tests;
