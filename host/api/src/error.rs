//! Everything that a platform refuses, under stable names.

use elias_contract::ErrorCode;
use elias_names::{InvalidName, ServiceId};
use std::fmt;
use std::io::ErrorKind;

elias_contract::error_codes! {
    /// The reason of a refusal, as a name that stays the same from version to version.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Code {
        /// Not a name, number or digest.
        BadName = "bad-name", 400, "A name is malformed";
        /// A body, parameter or setting is wrong.
        BadInput = "bad-input", 400, "The request is malformed";
        /// No token, or none that is valid.
        Unauthenticated = "unauthenticated", 401, "A valid token is needed";
        /// The identity provider's token was valid, and is not any more.
        TokenExpired = "token-expired", 401, "The token has expired";
        /// The identity provider's token is valid, and names no tenant or no role that is there.
        NoRole = "no-role", 403, "The token must have a role";
        /// The identity provider did not say who it is, or its answer was not for this browser.
        SignInFailed = "sign-in-failed", 401, "The sign-in failed";
        /// A request with the cookie of a session, or one that is to open a session, is not of the console's own pages.
        CrossOrigin = "cross-origin", 403, "The request comes from another origin";
        /// The keys of the identity provider were not fetched yet.
        AuthUnavailable = "auth-unavailable", 503, "Tokens cannot be checked at the moment";
        /// Too many tokens that are not valid came from an address.
        RateLimited = "rate-limited", 429, "Too many requests";
        /// The token's role does not allow it.
        Forbidden = "forbidden", 403, "The token does not allow this";
        /// There is no such thing, or the token may not know of it.
        NotFound = "not-found", 404, "Not found";
        /// The path takes other methods.
        MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
        /// It already exists.
        AlreadyThere = "already-there", 409, "It already exists";
        /// Something else still needs it.
        InUse = "in-use", 409, "The resource is in use";
        /// The object of the change is in the wrong state for it.
        WrongState = "wrong-state", 409, "The current state does not allow this";
        /// An idempotency key came again with another request.
        IdempotencyMismatch = "idempotency-mismatch", 409, "The idempotency key belongs to another request";
        /// The object of the change was changed since it was read.
        Stale = "stale", 412, "The resource has changed in the meantime";
        /// Too many bytes.
        TooLarge = "too-large", 413, "The request is too large";
        /// The bytes are not those that the digest names.
        DigestMismatch = "digest-mismatch", 422, "The content does not match the digest";
        /// A signature is needed, or the one given is not valid.
        SignatureRefused = "signature-refused", 422, "The signature was refused";
        /// The component does not say which packages are in it.
        SbomMissing = "sbom-missing", 422, "The component has no bill of materials";
        /// A package has no integrity that can be held against anything.
        IntegrityMissing = "integrity-missing", 422, "A package must have an integrity hash";
        /// A package is not the one that it must be.
        IntegrityMismatch = "integrity-mismatch", 422, "The integrity hash of a package does not match";
        /// The tenant does not take a package.
        PackageDenied = "package-denied", 422, "A package is not allowed";
        /// An advisory is about a package.
        PackageVulnerable = "package-vulnerable", 422, "A package is known to be vulnerable";
        /// Advisories are to be looked at, and the host has none.
        AdvisoriesMissing = "advisories-missing", 503, "The host has no advisories";
        /// The version needs configuration that is not there.
        MissingConfiguration = "missing-configuration", 422, "Configuration is missing";
        /// The tenant may not use what the version asks for.
        NotAllowed = "not-allowed", 422, "The tenant is not allowed to do this";
        /// The version asks for more than a ceiling of its tenant.
        AboveCeiling = "above-ceiling", 422, "The version asks for more than the tenant may have";
        /// Compiling took too long.
        CompileTimeout = "compile-timeout", 422, "The component takes too long to compile";
        /// Building a draft took more CPU time, memory or output than it may, or did not end.
        BuildLimit = "build-limit", 422, "The build takes more than it may";
        /// The host builds no drafts.
        BuildsUnavailable = "builds-unavailable", 503, "The host does not build drafts";
        /// The smoke test failed.
        SmokeFailed = "smoke-failed", 422, "The version failed the smoke test";
        /// A tenant's quota is used up.
        QuotaExceeded = "quota-exceeded", 429, "A quota is exceeded";
        /// A component's bytes are not where they were.
        ArtifactMissing = "artifact-missing", 422, "The component's bytes are missing";
        /// A version is not in the transparency log, on a host that loads nothing else.
        NotInLog = "not-in-log", 422, "The version is not in the transparency log";
        /// The database or the artifact store cannot be reached.
        StoreUnavailable = "store-unavailable", 503, "The store is unavailable";
        /// The data directory belongs to a store that is not there.
        StoreMissing = "store-missing", 503, "The store is missing";
        /// The data directory belongs to another store.
        StoreMismatch = "store-mismatch", 503, "The store is not the one that the data directory belongs to";
        /// The disk is full, or a quota of it.
        NoSpaceLeft = "no-space-left", 507, "There is no space left on the disk";
        /// The data directory cannot be written to, by whatever else but a full disk.
        StorageFailed = "storage-failed", 507, "The data directory cannot be written to";
        /// The service's circuit breaker is open.
        CircuitOpen = "circuit-open", 503, "The component fails: its circuit is open";
        /// The service was stopped.
        Stopped = "stopped", 503, "The component is stopped";
        /// As many executions as the service may have are under way.
        BulkheadFull = "bulkhead-full", 503, "The component is busy";
        /// A statement writes on a database, and was not to.
        ReadOnly = "read-only", 422, "The statement must not write";
        /// The database, or the rules for statements, refused a statement.
        Sql = "sql", 422, "The statement was refused";
        /// A statement on a database took too long.
        StatementTimeout = "statement-timeout", 422, "The statement takes too long";
        /// The result of a statement has more bytes than it may.
        ResultTooLarge = "result-too-large", 422, "The result is too large";
        /// A component's database cannot be reached, or has no room for another statement.
        DatabaseUnavailable = "database-unavailable", 503, "The database is not available";
        /// The handler of a service worker threw.
        WorkerException = "worker-exception", 422, "The worker threw an exception";
        /// A service worker was ended in a turn as often as it is tried, or failed too often before it.
        WorkerFailed = "worker-failed", 503, "The worker failed";
        /// As many messages as may wait for a service worker.
        MailboxFull = "mailbox-full", 503, "The worker's mailbox is full";
        /// A service worker has not answered a message yet, which it handles all the same.
        AnswerTimeout = "answer-timeout", 504, "The worker did not answer in time";
        /// The service's workers do not run here at the moment.
        WorkersUnavailable = "workers-unavailable", 503, "The workers are unavailable";
        /// A defect of the platform.
        Internal = "internal", 500, "Internal error";
    } with {
        /// The host's own code: why it does not load or run a component.
        Component(ErrorCode), status_of_component;
    }
}

/// A component that cannot be loaded is at fault, unless the host is busy.
fn status_of_component(code: ErrorCode) -> u16 {
    if code == ErrorCode::Overloaded { 503 } else { 422 }
}

/// A refusal: its code, and for people what happened and what to do.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: String,
}

/// The result of the platform's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `not-found`: this does not exist.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist"))
    }

    /// `not-found`: this does not exist; the command lists what exists.
    #[must_use]
    pub fn not_listed(what: impl fmt::Display, command: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist; `{command}` lists those that do"))
    }

    /// `not-found`: this does not exist or is revoked; the command lists what exists.
    #[must_use]
    pub fn not_valid(what: impl fmt::Display, command: &str) -> Self {
        Self::new(
            Code::NotFound,
            format!("{what} does not exist or is revoked already; `{command}` lists those that exist"),
        )
    }

    /// `not-found`: no version serves for this component in this environment.
    #[must_use]
    pub fn not_deployed(id: &ServiceId) -> Self {
        let ServiceId { component, environment, .. } = id;
        Self::new(
            Code::NotFound,
            format!("component `{component}` is not deployed in {environment}; deploy a version with: elias deploy"),
        )
    }

    /// The reason of the refusal.
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

impl From<InvalidName> for Error {
    fn from(error: InvalidName) -> Self {
        Self::new(Code::BadName, error.to_string())
    }
}

impl From<elias_advisories::Error> for Error {
    fn from(error: elias_advisories::Error) -> Self {
        use elias_advisories::Error as Packages;
        let code = match &error {
            Packages::BadInput(_) => Code::BadInput,
            Packages::TooLarge(_) => Code::TooLarge,
            Packages::SbomMissing(_) => Code::SbomMissing,
            Packages::IntegrityMissing(_) => Code::IntegrityMissing,
            Packages::IntegrityMismatch(_) => Code::IntegrityMismatch,
            Packages::PackageDenied(_) => Code::PackageDenied,
            Packages::PackageVulnerable(_) => Code::PackageVulnerable,
            Packages::AdvisoriesMissing(_) => Code::AdvisoriesMissing,
        };
        Self::new(code, error.to_string())
    }
}

/// The remedy for a full disk, as the end of a message.
pub const MAKE_ROOM: &str = "make room on the disk, and do it again";

/// Whether a file could not be written for want of space: on the disk, in the user's quota, or in what the process may
/// write.
#[must_use]
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) {
            return Self::new(Code::NoSpaceLeft, format!("the data directory: {error}; {MAKE_ROOM}"));
        }
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
