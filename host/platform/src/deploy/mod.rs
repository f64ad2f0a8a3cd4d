//! From an upload to a version, from a version to a deployment, and back.

mod deployment;
mod diff;
mod purge;
mod rollback;
mod rollout;
mod smoke;
mod stages;
mod start_stop;
mod status;
mod targeting;
mod version;
