//! Why packages or advisories are refused, under stable names.

use std::fmt;

/// Defines [`ErrorCode`] from the one table of names.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What was refused, as a name that stays the same from version to version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// The name, in kebab case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// A policy, a severity or an advisory is malformed.
    BadInput = "bad-input";
    /// Too many bytes, packages, files or folders.
    TooLarge = "too-large";
    /// The component has no bill of materials, or a malformed one.
    SbomMissing = "sbom-missing";
    /// A package has no integrity hash, and must have one.
    IntegrityMissing = "integrity-missing";
    /// A package has another integrity hash than the policy pins.
    IntegrityMismatch = "integrity-mismatch";
    /// The policy does not allow a package.
    PackageDenied = "package-denied";
    /// An advisory is about a package.
    PackageVulnerable = "package-vulnerable";
    /// The policy asks for advisories, and there are none.
    AdvisoriesMissing = "advisories-missing";
}

/// A refusal: its code, and for people what happened and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    code: ErrorCode,
    message: String,
}

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What was refused.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
