//! The bounds of sockets that end in workers.

/// The bounds of the sockets of each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketLimits {
    /// Sockets that a worker has open at a time. Another one is not opened. At most 10,000 are, which the worker keeps.
    pub sockets: usize,
    /// Bytes of a message of a client. One that has more closes its socket with 1009.
    pub message_bytes: usize,
    /// Messages of one socket that wait for the worker or are being handled. No further one is taken before: the client
    /// waits.
    pub unanswered: usize,
    /// Messages that wait for one client to read. Beyond it the socket is closed with 1013, and they are dropped.
    pub waiting_messages: usize,
    /// Their bytes, those of binary messages in base64. Likewise; but a message that alone has more closes its socket
    /// with 1009.
    pub waiting_bytes: usize,
}

impl SocketLimits {
    /// The most bytes of a message that a worker takes: 786,432, which are 1,048,576 characters of base64.
    pub const MESSAGE_BYTES_MAX: usize = 786_432;
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            sockets: 1_000,
            message_bytes: Self::MESSAGE_BYTES_MAX,
            unanswered: 32,
            waiting_messages: 1_000,
            waiting_bytes: 8 << 20,
        }
    }
}
