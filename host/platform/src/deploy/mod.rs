//! From an upload to a version, from a version to a deployment, and back.

mod deployment;
mod diff;
mod purge;
mod rollback;
mod smoke;
mod stages;
mod steering;
mod version;
