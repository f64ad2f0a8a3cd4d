//! Features that the server provides for components, a file each. `pipeline` says at which step of a request each runs.

pub(crate) mod assets;
mod compression;
pub(crate) mod live_reload;
pub(crate) mod mirroring;
pub(crate) mod response_cache;
pub(crate) mod response_transform;
pub(crate) mod trigger_control;
