//! The connection to a platform: which one and as whom, requests, event streams, and what is printed of the responses.

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod output;
pub(crate) mod target;
