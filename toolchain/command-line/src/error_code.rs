//! The stable codes of the command line's own failures.

use std::borrow::Cow;

elias_contract::error_codes! {
    /// Why a command fails of itself. Failures of the crates below keep the codes of those crates.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum CliErrorCode {
        /// The platform's response is not understood, or too large.
        BadAnswer = "bad-answer";
        /// The file to serve is a source file.
        BadComponent = "bad-component";
        /// A file of the project cannot be uploaded.
        BadFile = "bad-file";
        /// A flag or its value is wrong.
        BadInput = "bad-input";
        /// The component cannot be signed with the key.
        BadKey = "bad-key";
        /// The file of `elias login` is damaged.
        BadLogin = "bad-login";
        /// A name is malformed.
        BadName = "bad-name";
        /// The value of a secret is empty or too large.
        BadSecret = "bad-secret";
        /// The file of the signature is not a signature.
        BadSignature = "bad-signature";
        /// A token is malformed.
        BadToken = "bad-token";
        /// The platform's URL is malformed.
        BadUrl = "bad-url";
        /// The folder for compiled code cannot be used.
        CacheUnwritable = "cache-unwritable";
        /// elias.toml or a flag has a value that cannot be used.
        Config = "config";
        /// The platform ended a stream.
        Disconnected = "disconnected";
        /// A defect of the command line.
        Internal = "internal";
        /// A file cannot be used, or the system refuses something else.
        Io = "io";
        /// A program of the command line is not beside `elias`, or is of another version.
        MissingProgram = "missing-program";
        /// Nothing names the platform.
        NoPlatform = "no-platform";
        /// There is no signature beside the component.
        NoSignature = "no-signature";
        /// There are no tests.
        NoTests = "no-tests";
        /// Nothing gives a token for the platform.
        NoToken = "no-token";
        /// The file to deploy is not a component.
        NotAComponent = "not-a-component";
        /// A receiver of notifications did not take a test.
        NotDelivered = "not-delivered";
        /// A component, version or database does not exist.
        NotFound = "not-found";
        /// `elias doctor` found something that needs attention.
        NotInOrder = "not-in-order";
        /// There is no key and no log to verify a component against.
        NothingToCheck = "nothing-to-check";
        /// An advisory is about a package.
        PackageVulnerable = "package-vulnerable";
        /// A statement writes, and must not.
        ReadOnly = "read-only";
        /// The identity provider gives no token.
        SignInFailed = "sign-in-failed";
        /// A statement on a database is refused.
        Sql = "sql";
        /// No server responds at the platform's URL.
        Unreachable = "unreachable";
    }
}

impl From<CliErrorCode> for Cow<'static, str> {
    fn from(code: CliErrorCode) -> Self {
        code.as_str().into()
    }
}
