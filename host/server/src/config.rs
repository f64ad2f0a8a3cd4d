//! The configuration of a server.

use std::time::Duration;

/// The addresses, timeouts and limits of a server.
///
/// Times are in milliseconds; a limit is the most that is still allowed.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address and port, such as `127.0.0.1:8787` or `localhost:0` (0: any free port).
    pub listen: String,
    /// Whether a failed request shows the exception and its stack to whoever sent it. Never on a public address.
    pub dev: bool,
    /// The path at which the server itself responds: 200 `ok`, or 503 while it drains. Empty: none.
    pub health_path: String,
    /// Proxies in front of the server that each add the address of who called them to `X-Forwarded-For`. With 0 the
    /// header is not believed, and the client is who connects.
    pub forwarded_hops: u32,
    /// Connections open at once. Beyond it the server does not accept: clients wait in the kernel's backlog.
    pub connections: u32,
    /// Connections of one client address open at once; of an IPv6 client, of its network of 64 bits. Beyond it requests
    /// on another one get 429. With proxies in front ([`Self::forwarded_hops`]) there is no such bound: the proxies are
    /// the clients.
    pub connections_per_address: u32,
    /// Requests under way at once, from their headers to the last byte of their responses. Beyond it: 503.
    pub requests: u32,
    /// The same of one client address. Beyond it: 429.
    pub requests_per_address: u32,
    /// The same of one service of a platform. Beyond it: 503.
    pub requests_per_service: u32,
    /// Bytes of responses that wait in memory for their clients, so that their executions can end; of one service or
    /// client address a quarter. Beyond it executions wait for their clients.
    pub buffered_bytes: u64,
    /// Requests in the component at once.
    pub concurrent_executions: u32,
    /// Requests that may wait for one of the above. Beyond it: 503 with `Retry-After`.
    pub queued_requests: u32,
    /// How long one may wait there before it gets the same 503.
    pub queue_timeout_ms: u64,
    /// Bytes of a request's body. Beyond it: 413.
    pub request_bytes: u64,
    /// Bytes of a request's target. Beyond it: 414.
    pub uri_bytes: u32,
    /// Bytes of a request's header section. Beyond it: 431.
    pub head_bytes: u32,
    /// Header fields of a request. Beyond it: 431. Values other than 100 cost an allocation a request.
    pub head_fields: u32,
    /// From a header section's first byte to its last, and from the connection to its first request. Then the
    /// connection is closed.
    pub head_timeout_ms: u64,
    /// How long a connection may be open with no request on it.
    pub idle_timeout_ms: u64,
    /// How long the guest waits for the next piece of a request's body. Then: 408.
    pub body_timeout_ms: u64,
    /// How long a client may take none of the bytes that wait for it. Then the connection, or in HTTP/2 the stream, is
    /// cut.
    pub write_timeout_ms: u64,
    /// How long requests in flight may take after the signal to stop. Then they are cut.
    pub drain_timeout_ms: u64,
    /// How often the client of a quiet WebSocket is asked whether it is still there. It has as long again to respond.
    pub websocket_ping_interval_ms: u64,
    /// How long a WebSocket may carry no message, in either direction. Then it is closed with 1001.
    pub websocket_idle_timeout_ms: u64,
    /// HTTP/2 streams open at once on one connection.
    pub http2_streams: u32,
    /// HTTP/2 streams that a client may abandon on one connection beyond those that it saw through.
    pub http2_resets: u32,
    /// How often a quiet HTTP/2 connection is asked whether it is still there. It has as long again to respond.
    pub http2_ping_interval_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            dev: false,
            health_path: "/healthz".to_owned(),
            forwarded_hops: 0,
            connections: 10_000,
            connections_per_address: 2_000,
            requests: 10_000,
            requests_per_address: 2_000,
            requests_per_service: 4_000,
            buffered_bytes: 256 << 20,
            concurrent_executions: 1_000,
            queued_requests: 1_000,
            queue_timeout_ms: 5_000,
            request_bytes: 10 << 20,
            uri_bytes: 8 << 10,
            head_bytes: 32 << 10,
            head_fields: HEAD_FIELDS_ON_STACK,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            drain_timeout_ms: 25_000,
            websocket_ping_interval_ms: 30_000,
            websocket_idle_timeout_ms: 3_600_000,
            http2_streams: 100,
            http2_resets: 100,
            http2_ping_interval_ms: 20_000,
        }
    }
}

/// hyper parses this many header fields without allocating.
pub(crate) const HEAD_FIELDS_ON_STACK: u32 = 100;

/// The longest time that is used as such; past it tokio's timer would overflow, and nobody waits a year.
const MILLISECONDS_MAX: u64 = 365 * 24 * 3600 * 1000;

/// A configured time.
pub(crate) fn milliseconds(configured: u64) -> Duration {
    Duration::from_millis(configured.clamp(1, MILLISECONDS_MAX))
}
