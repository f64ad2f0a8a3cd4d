//! One host that many teams share: tenants, immutable versions, deployments and rollouts, executions. Start at
//! [`Platform`].

pub mod access;
mod advisories;
pub mod artifacts;
mod backup;
mod batch;
pub mod ceilings;
mod component_databases;
mod config;
mod connector_state;
mod connectors;
mod console_sessions;
mod data_dir;
mod databases;
mod deploy;
mod doctor;
mod execution_feed;
mod executions;
mod feed;
mod histogram;
mod idempotency;
mod key_rotation;
mod log;
mod maintenance;
mod members;
mod metrics;
mod moving;
mod open;
mod packages;
mod peers;
mod platform;
mod platform_events;
mod recorder;
mod response_cache;
mod roles;
mod running;
mod serving;
mod session;
mod tenancy;
#[cfg(test)]
mod test_store;
mod trigger_admin;
mod trigger_runs;
mod triggers;
mod vault;
mod webhook_sender;
mod webhooks;
mod worker_admin;
mod worker_calls;
mod worker_events;
mod worker_files;
mod worker_runs;
mod worker_turns;
mod workers;

pub use backup::{RestoreReport, restore};
pub use component_databases::{ComponentDatabases, DatabaseBounds};
pub use config::{PlatformConfig, PublicScheme};
pub use connectors::ConnectorBatch;
pub use feed::{Feed, FeedBounds, Followed, Follower};
pub use idempotency::{KeyedRequest, KnownReply, REPLY_BYTES_MAX};
pub use metrics::METRICS_TYPE;
pub use moving::move_store;
pub use platform::Platform;
pub use recorder::Retention;
pub use response_cache::{CacheFill, CachedResponse, LookupResult, ResponseCache};
pub use serving::{
    CompletedExecution, MirroredRequest, NotAdmitted, RequestGuard, RequestOutcome, RoutedRequest, Service, Serving,
};
pub use session::Session;
pub use trigger_admin::ReplayFrom;
pub use triggers::TriggerBackends;
pub use vault::{FORMER_KEY_VARIABLE, KEY_VARIABLE};
pub use webhook_sender::{WebhookSender, WebhookTarget};
pub use worker_calls::{ANSWER_WAIT, call_local_worker, refusal as worker_refusal, respond_by_local_worker};
pub use worker_files::{WorkerFile, WorkerFileEntry, WorkerFileKind};
pub use workers::WorkerBackends;
