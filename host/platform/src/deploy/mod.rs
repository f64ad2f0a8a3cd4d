//! Accepts uploads as versions, deploys versions, and rolls back.

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
mod worker_classes;
