//! The connection to a platform: which one and as whom, tokens of its identity provider, requests, what is read for
//! them, event streams, and what is printed of the responses.

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod identity;
pub(crate) mod input;
pub(crate) mod loopback;
pub(crate) mod output;
pub(crate) mod target;
