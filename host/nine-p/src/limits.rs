//! Bounds of a server and of its connections.

use std::time::Duration;

/// Bounds of a server and of its connections. None can be zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Those of a client address among them, by TCP and not from this machine; further ones are closed.
    pub connections_per_address: usize,
    /// Bytes of a message. Clients may agree on fewer.
    pub message_bytes: u32,
    /// Fids of a connection.
    pub fids: usize,
    /// Bytes that the files of the fids of a connection hold, with the directories above them: about those of their
    /// paths.
    pub place_bytes: usize,
    /// Files and directories that a connection has open, those among them that are being closed.
    pub open_files: usize,
    /// Requests of a connection that are not answered yet, reads that wait among them; further ones are refused.
    pub requests: usize,
    /// Directories above a file.
    pub depth: usize,
    /// How long a client may take to agree on a version and attach, and how long it may have no fid of a file later.
    pub attach_timeout: Duration,
    /// How long a connection may have no request under way.
    pub idle_timeout: Duration,
    /// How long a client may take to read a response.
    pub write_timeout: Duration,
}

/// Bytes of a message, at least: the protocol needs some hundred for a walk.
pub(crate) const MESSAGE_BYTES_MIN: u32 = 4_096;

/// Bytes of a token that is written to an authentication file.
pub(crate) const TOKEN_BYTES_MAX: usize = 8_192;

/// Authentication files of a connection.
pub(crate) const TOKEN_FILES_MAX: usize = 4;

/// Bytes of a name in a listing: clients on Linux have no longer ones, and give up a directory that has.
pub(crate) const LISTED_NAME_BYTES_MAX: usize = 255;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            connections_per_address: 16,
            message_bytes: 64 << 10,
            fids: 4_096,
            place_bytes: 8 << 20,
            open_files: 64,
            requests: 32,
            depth: 64,
            attach_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(24 * 3_600),
            write_timeout: Duration::from_secs(30),
        }
    }
}
