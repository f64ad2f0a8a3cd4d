//! What the server itself answers instead of the component.

use elias_host::ErrorCode;

/// Why the server does not pass a request on, or not further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Refusal {
    /// Malformed, or of two meanings.
    BadRequest = 1,
    /// The client stopped sending the body.
    RequestTimeout,
    /// The body is over the cap.
    RequestTooLarge,
    /// The target is over the cap.
    UriTooLong,
    /// The head is over a cap.
    HeadersTooLarge,
    /// A panic in the server or the host.
    Internal,
    /// The component's response is none that HTTP can carry.
    BadResponse,
    /// CONNECT.
    NotImplemented,
    /// A WebSocket.
    UpgradeNotSupported,
    /// As many requests as allowed are in the component, and as many wait.
    Overloaded,
    /// Too many connections of the client's address.
    AddressConnections,
    /// Too many requests of the client's address.
    AddressRequests,
    /// Too many requests to the service.
    ServiceRequests,
    /// Too many requests.
    HostRequests,
    /// Too many responses on the connection wait for the client to read.
    ConnectionStalled,
    /// The server is about to end.
    Draining,
    /// There is no component yet.
    NoComponent,
    /// The service that the request is for cannot be loaded.
    Unavailable,
}

impl Refusal {
    /// The stable name, the HTTP status and the title: of the host's table where that has the like.
    pub(crate) fn entry(self) -> (&'static str, u16, &'static str) {
        let like = |code: ErrorCode| (code.as_str(), code.status(), code.title());
        match self {
            Self::BadRequest => like(ErrorCode::BadRequest),
            Self::RequestTimeout => ("request-timeout", 408, "The request's body did not arrive in time"),
            Self::RequestTooLarge => like(ErrorCode::RequestTooLarge),
            Self::UriTooLong => ("uri-too-long", 414, "The request's target is too long"),
            Self::HeadersTooLarge => ("headers-too-large", 431, "The request has too many or too large header fields"),
            Self::Internal => like(ErrorCode::Internal),
            Self::BadResponse => ("bad-response", 500, "The component's response cannot be sent"),
            Self::NotImplemented => ("not-implemented", 501, "The method is not implemented"),
            Self::UpgradeNotSupported => ("upgrade-not-supported", 501, "WebSockets are not supported"),
            Self::Overloaded => like(ErrorCode::Overloaded),
            Self::AddressConnections => ("address-connections", 429, "Too many connections of this address are open"),
            Self::AddressRequests => ("address-requests", 429, "Too many requests of this address are under way"),
            Self::ServiceRequests => ("service-requests", 503, "Too many requests to this service are under way"),
            Self::HostRequests => ("host-requests", 503, "Too many requests are under way"),
            Self::ConnectionStalled => {
                ("connection-stalled", 429, "Too many responses on this connection wait for the client to read them")
            }
            Self::Draining => ("draining", 503, "The server is shutting down"),
            Self::NoComponent => ("no-component", 503, "No component is loaded"),
            Self::Unavailable => ("unavailable", 503, "The component cannot be loaded"),
        }
    }

    /// The refusal with this number, as kept in an atomic; 0 is none.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::BadRequest, Self::RequestTimeout, Self::RequestTooLarge]
            .into_iter()
            .find(|refusal| *refusal as u8 == number)
    }
}
