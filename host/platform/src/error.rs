//! Everything that the platform refuses, under stable names.

use elias_host::ErrorCode;
use std::fmt;

/// Defines [`Code`] from the one table of names, HTTP statuses and titles.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $title:literal;)*) => {
        /// What was refused, as a name that stays the same from version to version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
            /// The host's own code: why it does not load or run a component.
            Component(ErrorCode),
        }

        impl Code {
            /// Every code but those of the host.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, in kebab case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Component(code) => code.as_str() }
            }

            /// The HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    // The host's affair, not the component's.
                    Self::Component(ErrorCode::Overloaded) => 503,
                    Self::Component(_) => 422,
                }
            }

            /// A title for people.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* Self::Component(code) => code.title() }
            }
        }
    };
}

codes! {
    /// Not a name, number or digest.
    BadName = "bad-name", 400, "A name is malformed";
    /// A body, parameter or setting is wrong.
    BadInput = "bad-input", 400, "The request is malformed";
    /// No token, or none that is valid.
    Unauthenticated = "unauthenticated", 401, "A valid token is needed";
    /// The token's role does not allow it.
    Forbidden = "forbidden", 403, "The token does not allow this";
    /// There is no such thing, or the token may not know of it.
    NotFound = "not-found", 404, "There is no such thing";
    /// The path takes other methods.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// It is there already.
    AlreadyThere = "already-there", 409, "It is there already";
    /// Something else still needs it.
    InUse = "in-use", 409, "It is in use";
    /// What was to be changed is not in a state for that.
    WrongState = "wrong-state", 409, "It is not in a state for this";
    /// An idempotency key came again with another request.
    IdempotencyMismatch = "idempotency-mismatch", 409, "The idempotency key belongs to another request";
    /// What was to be changed has changed since it was read.
    Stale = "stale", 412, "It has changed in the meantime";
    /// Too many bytes.
    TooLarge = "too-large", 413, "The request is too large";
    /// The bytes are not those that the digest names.
    DigestMismatch = "digest-mismatch", 422, "The bytes are not what the digest says";
    /// A signature is needed, or the one given is not valid.
    SignatureRefused = "signature-refused", 422, "The signature was refused";
    /// The version needs configuration that is not there.
    MissingConfiguration = "missing-configuration", 422, "Configuration is missing";
    /// The tenant may not use what the version asks for.
    NotAllowed = "not-allowed", 422, "The tenant is not allowed this";
    /// Compiling took too long.
    CompileTimeout = "compile-timeout", 422, "The component takes too long to compile";
    /// The smoke call failed.
    SmokeFailed = "smoke-failed", 422, "The version did not answer the smoke call";
    /// A tenant's quota is used up.
    QuotaExceeded = "quota-exceeded", 429, "A quota is used up";
    /// A component's bytes are not where they were.
    ArtifactMissing = "artifact-missing", 422, "The component's bytes are missing";
    /// The database or the artifact store cannot be reached.
    StoreUnavailable = "store-unavailable", 503, "The store cannot be reached";
    /// No space, or no right to write.
    StorageFailed = "storage-failed", 507, "The data directory cannot be written to";
    /// The service's circuit breaker is open.
    CircuitOpen = "circuit-open", 503, "The component fails and is given a rest";
    /// The service was stopped.
    Stopped = "stopped", 503, "The component is stopped";
    /// As many executions as the service may have are under way.
    BulkheadFull = "bulkhead-full", 503, "The component is busy";
    /// A defect of the platform.
    Internal = "internal", 500, "Internal error";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: its code, and for people what happened and what to do.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: String,
}

/// What the platform's functions give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Says that there is no such thing.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    /// What was refused.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<elias_host::Error> for Error {
    fn from(error: elias_host::Error) -> Self {
        Self::new(Code::Component(error.code()), error.to_string())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Code::AlreadyThere,
            // A table or column that is not there is a defect of ours; all else is the store's affair: gone, full, locked.
            sqlx::Error::ColumnNotFound(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Code::Internal
            }
            _ => Code::StoreUnavailable,
        };
        Self::new(code, format!("the store: {error}"))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::StorageFailed, format!("the data directory: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_unique_and_statuses_are_errors() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!((400..600).contains(&code.status()), "{code}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
