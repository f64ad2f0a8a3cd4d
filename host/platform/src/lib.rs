//! Tenants, immutable versions, deployments and rollouts, executions: one host that many teams share. Start at [`Platform`].

pub mod access;
pub mod artifacts;
mod atomic_write;
mod backup;
pub mod ceilings;
pub mod clock;
mod config;
mod databases;
mod deploy;
mod doctor;
pub mod error;
#[cfg(test)]
mod interleavings;
mod log;
mod maintenance;
mod members;
mod metrics;
mod moving;
pub mod name;
pub mod packages;
mod peers;
mod platform;
mod private;
mod recorder;
mod response_cache;
mod roles;
pub mod rollout;
mod running;
mod serving;
mod session;
pub mod setting;
pub mod stages;
pub mod statistics;
pub mod store;
pub mod supervision;
mod sync;
mod tenancy;
pub mod transparency;
mod vault;

pub use backup::{Restored, restore};
pub use config::{PlatformConfig, PublicScheme};
pub use databases::{ComponentDatabases, DatabaseBounds, DatabaseQuery, DatabaseResult};
pub use deploy::{
    DeployRequest, Diff, ReleaseStatus, RolloutAction, ServiceStatus, StageCopies, StageReport, UploadedVersion,
};
pub use doctor::Finding;
pub use error::{Code, Error, Result};
pub use members::{OrganizationSettings, UserSettings};
pub use metrics::METRICS_TYPE;
pub use moving::{MovedStore, move_store};
pub use platform::{DEFAULT_TENANT, Platform};
pub use recorder::Retention;
pub use response_cache::{CacheFill, CachedResponse, LookupResult};
pub use roles::RoleSettings;
pub use running::{RunningExecution, RunningFilter};
pub use serving::{Copies, Ending, FollowedLine, NotAdmitted, Passage, Service, Settled, Ticket};
pub use session::Session;
pub use vault::{KEY_VARIABLE, SECRET_BYTES_MAX};
