//! A server of the file protocol 9P, for whatever can be seen as a tree of files: 9P2000.L, which the kernel of Linux
//! mounts, and plain 9P2000, by what the client asks for; on Unix sockets, and on TCP with TLS or on loopback.
//!
//! - `wire`, `request`, `reply`: messages as bytes, in both dialects;
//! - `errno`, `namespace`: what is served, behind the traits [`Namespace`], [`Node`] and [`OpenFile`];
//! - `fids`, `listing`: what a client has named and opened, and where it is in a directory;
//! - `operations`: what each request does; `session`: a connection, what is under way on it, and its clocks;
//! - `server`: listening; `addresses`: how many connections each client address has; `limits`.
//!
//! The messages are our own, and not those of the crate `rs9p`: it has 9P2000.L alone, and its server bounds neither
//! requests nor fids nor time, and has a task for each request that nothing ends, neither a flush nor the client's end.

mod addresses;
mod errno;
mod fids;
mod limits;
mod listing;
mod namespace;
mod operations;
mod reply;
mod request;
mod server;
mod session;
mod wire;

pub use errno::{Errno, FileError, FileResult};
pub use limits::Limits;
pub use namespace::{AttachRequest, DirectoryEntry, Metadata, Namespace, NewFile, Node, NodeId, OpenFile};
pub use request::OpenMode;
pub use server::{Endpoint, ListenError, Server, Tls};
