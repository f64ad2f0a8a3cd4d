//! From an upload to a version, from a version to a deployment, and back.

mod deployment;
mod rollback;
mod smoke;
mod steering;
mod version;

pub use deployment::DeployRequest;
pub use steering::{ReleaseStatus, RolloutAction, ServiceStatus};
pub use version::{Diff, UploadedVersion};
