//! From an upload to a version, from a version to a deployment, and back.

mod deployment;
mod diff;
mod experiment;
mod purge;
mod rollback;
mod rollout;
mod smoke;
mod start_stop;
mod status;
mod targeting;
mod version;
mod worker_routes;
