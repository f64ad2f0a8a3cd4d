//! Tenants, immutable versions, deployments and rollouts, executions: one host that many teams share. Start at [`Platform`].

pub mod access;
mod answers;
pub mod artifacts;
mod backup;
pub mod clock;
mod config;
mod deploy;
mod doctor;
pub mod error;
mod log;
mod maintenance;
pub mod name;
mod platform;
mod recorder;
pub mod rollout;
mod serving;
mod session;
pub mod setting;
pub mod stages;
pub mod statistics;
pub mod store;
pub mod supervision;
mod tenancy;
pub mod transparency;
mod vault;

pub use answers::{Fill, Found, Kept};
pub use backup::{Restored, restore};
pub use config::PlatformConfig;
pub use deploy::{DeployRequest, Diff, ReleaseStatus, RolloutAction, ServiceStatus, UploadedVersion};
pub use doctor::Finding;
pub use error::{Code, Error, Result};
pub use platform::{DEFAULT_TENANT, Platform};
pub use recorder::Retention;
pub use serving::{Ending, FollowedLine, NotAdmitted, Passage, Service, Ticket};
pub use session::Session;
pub use vault::{KEY_VARIABLE, SECRET_BYTES_MAX};
