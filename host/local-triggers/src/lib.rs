//! Schedules, jobs and events of one component in the memory of its process: for programs that embed `elias-host`, and
//! for `elias dev`. What waits is lost when the process ends; a platform keeps it in its store.
//!
//! [`LocalTriggers`] are set up before the host is built, since the capabilities `jobs` and `events` lead to them, and
//! started with the component; [`RunningTriggers`] take jobs, events and ticks by hand, and are stopped.
//!
//! ```no_run
//! use elias_capabilities::{Workflow, jobs::NewJob};
//! use elias_host::{Grants, Host, LoadOptions};
//! use elias_local_triggers::LocalTriggers;
//! use serde_json::json;
//! use std::time::Duration;
//!
//! # async fn run(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! // As [triggers] of elias.toml has it.
//! let config = serde_json::from_value(json!({ "schedule": [{ "name": "often", "every": "1m" }] }))?;
//! let triggers = LocalTriggers::builder().config(config).build()?;
//! let host = Host::builder().capability(triggers.jobs()).capability(triggers.events()).capability(Workflow).build()?;
//! let grants = Grants::none().with("jobs", json!({})).with("events", json!({})).with("workflow", json!({}));
//! let app = host.load_with(bytes, &LoadOptions { grants, ..LoadOptions::default() }).await?;
//!
//! let running = triggers.start(app);
//! running.enqueue(NewJob::new("resize", &json!({ "width": 100 })))?;
//! running.stop(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```

mod batches;
mod deliveries;
mod history;
mod jobs;
mod local;
mod logs;
mod open_batch;
#[cfg(feature = "db")]
mod outbox;
mod report;
mod run;
mod running;
mod schedules;
mod settings;
mod source;
mod webhook;
mod worker;

pub use elias_capabilities::events::PublishedEvent;
pub use elias_capabilities::trigger::{Cause, Clock, ManualClock};
pub use elias_triggers::config::{TriggersConfig, WorkerMessage};
pub use elias_triggers::queue::{AttemptResult, Outcome};
pub use elias_triggers::webhook_delivery::{
    RESPONSE_BYTES_MAX as WEBHOOK_RESPONSE_BYTES_MAX, TIMEOUT as WEBHOOK_TIMEOUT, WebhookRequest, WebhookResponse,
};
pub use history::{PastEvent, PastRun, RunKind};
pub use local::{LocalTriggers, LocalTriggersBuilder};
pub use logs::LoggedLine;
pub use report::{RunReport, Runs};
pub use running::{NextTick, RunningTriggers, TriggerError};
pub use settings::InvalidSettings;
pub use source::ComponentSource;
pub use webhook::WebhookSender;
pub use worker::WorkerSender;
