//! From an upload to a version, from a version to a deployment, and back.

mod deployment;
mod diff;
mod rollback;
mod smoke;
mod stages;
mod steering;
mod version;

pub use deployment::DeployRequest;
pub use diff::Diff;
pub use stages::{StageCopies, StageReport};
pub use steering::{ReleaseStatus, RolloutAction, ServiceStatus};
pub use version::UploadedVersion;
