//! The connection to a platform: which one and as whom, tokens of its identity provider, requests, event streams, and
//! what is printed of the responses.

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod identity;
pub(crate) mod loopback;
pub(crate) mod output;
pub(crate) mod target;
