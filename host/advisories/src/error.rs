//! The error for packages or advisories that are refused.

elias_contract::error_codes! {
    /// A refusal, with what happened and what to do.
    #[derive(Debug, Clone, thiserror::Error)]
    pub enum Error {
        /// A policy, a severity or an advisory is malformed.
        #[error("{0}")]
        BadInput(String) => "bad-input",
        /// Too many bytes, packages, files or folders.
        #[error("{0}")]
        TooLarge(String) => "too-large",
        /// The component has no bill of materials, or a malformed one.
        #[error("{0}")]
        SbomMissing(String) => "sbom-missing",
        /// A package has no integrity hash, and must have one.
        #[error("{0}")]
        IntegrityMissing(String) => "integrity-missing",
        /// A package has another integrity hash than the policy pins.
        #[error("{0}")]
        IntegrityMismatch(String) => "integrity-mismatch",
        /// The policy does not allow a package.
        #[error("{0}")]
        PackageDenied(String) => "package-denied",
        /// An advisory is about a package.
        #[error("{0}")]
        PackageVulnerable(String) => "package-vulnerable",
        /// The policy asks for advisories, and there are none.
        #[error("{0}")]
        AdvisoriesMissing(String) => "advisories-missing",
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
