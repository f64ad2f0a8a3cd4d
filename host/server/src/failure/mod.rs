//! The reasons for which a request gets no response of a component.

mod refusal;

pub(crate) use refusal::Refusal;

use elias_api::Code;
use elias_gateway::LocalReply;
use elias_host::{Error, ErrorCode, Execution};
use elias_platform::NotAdmitted;
use http::header::{RETRY_AFTER, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderValue};

/// Why a request has no response of a component.
pub(crate) enum Failure {
    /// The server did not pass the request on, or could not send the component's response.
    Refused(Refusal),
    /// The component failed.
    Component(Error),
    /// The rules of its route refused the request, or it has no route.
    Gateway(Box<elias_gateway::Refusal>),
    /// Its service does not take the request now.
    NotAdmitted(Box<NotAdmitted>),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<elias_gateway::Refusal> for Failure {
    fn from(refusal: elias_gateway::Refusal) -> Self {
        Self::Gateway(Box::new(refusal))
    }
}

impl From<LocalReply> for Failure {
    fn from(reply: LocalReply) -> Self {
        match reply {
            LocalReply::Refusal(refusal) => refusal.into(),
            // A response without a body is sent as it is: it does not get here.
            LocalReply::Response(_) => Self::Refused(Refusal::Host(ErrorCode::Internal)),
        }
    }
}

impl From<NotAdmitted> for Failure {
    fn from(refused: NotAdmitted) -> Self {
        tracing::debug!(error = %refused.error, "a request was not admitted");
        Self::NotAdmitted(Box::new(refused))
    }
}

impl Failure {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.entry().0
    }

    /// The execution that failed, if there was one.
    pub(crate) fn execution(&self) -> Option<&Execution> {
        match self {
            Self::Component(error) => error.execution(),
            _ => None,
        }
    }

    /// The stable code, the HTTP status and the title.
    pub(crate) fn entry(&self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Refused(refusal) => (refusal.as_str(), refusal.status(), refusal.title()),
            Self::Component(error) => {
                let code = error.code();
                (code.as_str(), code.status(), code.title())
            }
            Self::Gateway(refusal) => {
                let code = refusal.code();
                (code.as_str(), code.status(), code.title())
            }
            Self::NotAdmitted(refused) => match refused.error.code() {
                Code::Component(ErrorCode::Overloaded) => Self::Refused(Refusal::Host(ErrorCode::Overloaded)).entry(),
                // The message of the deployment is for the operator: to clients the service is not there for now.
                Code::Component(_)
                | Code::ArtifactMissing
                | Code::NotInLog
                | Code::MissingConfiguration
                | Code::BadInput => Self::Refused(Refusal::Unavailable).entry(),
                code => (code.as_str(), code.status(), code.title()),
            },
        }
    }

    /// The headers that the response has beside those of every failure.
    pub(crate) fn headers(&self) -> HeaderMap {
        match self {
            Self::Gateway(refusal) => refusal.headers().clone(),
            Self::Refused(Refusal::SocketVersion) => {
                HeaderMap::from_iter([(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))])
            }
            Self::NotAdmitted(refused) => {
                refused.retry_after_seconds.map(|seconds| (RETRY_AFTER, seconds.into())).into_iter().collect()
            }
            _ => HeaderMap::new(),
        }
    }
}

/// A component's error with its stack, as the record of its execution has it.
pub(crate) fn describe(error: &Error) -> String {
    match error.stack().filter(|stack| !stack.is_empty()) {
        Some(stack) => format!("{error}\n{stack}"),
        None => error.to_string(),
    }
}
