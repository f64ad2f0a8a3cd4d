//! The responses that the server sends in place of a component's.

use elias_host::ErrorCode;

elias_contract::error_codes! {
    /// Why the server does not pass a request on, or not further.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Refusal {
        /// The client stopped sending the body.
        RequestTimeout = "request-timeout", 408, "The request's body did not arrive in time";
        /// The target is over the cap.
        UriTooLong = "uri-too-long", 414, "The request's target is too long";
        /// The header section is over a cap.
        HeadersTooLarge = "headers-too-large", 431, "The request has too many or too large header fields";
        /// The component's response is none that HTTP can carry.
        BadResponse = "bad-response", 500, "The component's response cannot be sent";
        /// The method is CONNECT.
        NotImplemented = "not-implemented", 501, "The method is not implemented";
        /// A WebSocket is requested.
        UpgradeNotSupported = "upgrade-not-supported", 501, "WebSockets are not supported here";
        /// The handshake of a WebSocket is malformed.
        SocketHandshake = "socket-handshake", 400, "The handshake of the WebSocket is not valid";
        /// The WebSocket is of another version than 13.
        SocketVersion = "socket-version", 426, "The version of the WebSocket is not supported";
        /// A page of an origin that is not allowed asks for a WebSocket.
        SocketOrigin = "socket-origin", 403, "Pages of this origin may not open the WebSocket";
        /// There is no worker of this class, or none of this name can be.
        SocketNotFound = "socket-not-found", 404, "The worker does not exist";
        /// The worker's `onOpen` threw, or it takes no sockets.
        SocketRefused = "socket-refused", 403, "The worker refused the WebSocket";
        /// The worker has as many sockets or messages as it may.
        SocketLimit = "socket-limit", 503, "The worker takes no further WebSocket now";
        /// The worker failed, cannot run now, or has not opened the socket in time.
        SocketUnavailable = "socket-unavailable", 503, "The worker cannot take the WebSocket";
        /// Too many connections of the client's address.
        AddressConnections = "address-connections", 429, "Too many connections of this address are open";
        /// Too many requests of the client's address.
        AddressRequests = "address-requests", 429, "Too many requests of this address are under way";
        /// Too many requests to the service.
        ServiceRequests = "service-requests", 503, "Too many requests to this service are under way";
        /// Too many requests.
        HostRequests = "host-requests", 503, "Too many requests are under way";
        /// Too many responses on the connection wait for the client to read.
        ConnectionStalled = "connection-stalled", 429,
            "Too many responses on this connection wait for the client to read them";
        /// The server shuts down.
        Draining = "draining", 503, "The server is shutting down";
        /// There is no component yet.
        NoComponent = "no-component", 503, "No component is loaded";
        /// The service that the request is for cannot be loaded.
        Unavailable = "unavailable", 503, "The component cannot be loaded";
    } with {
        /// The server found what the host has a code for: the request is malformed or its body too large, the host has
        /// no permit for an execution, or code of the server or the host panicked.
        Host(ErrorCode), ErrorCode::status;
    }
}
