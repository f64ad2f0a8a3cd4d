//! A connector between NATS JetStream and a log of events, both ways: messages of a stream become events of a tenant,
//! and a tenant's events are published to a subject.
//!
//! Neither way loses anything, and each may repeat: a message is acknowledged when the log has committed its event, and
//! a reader's cursor moves on when JetStream has acknowledged what was published. `Nats-Msg-Id` lets either side leave
//! out what it has seen. A server that is away is waited for; the client reconnects by itself.
//!
//! It knows the log by the trait [`EventLog`] alone, which a platform implements.

mod config;
mod event_log;
mod inbound;
mod message;
mod outage;
mod outbound;

pub use config::{InboundConfig, InvalidConfig, NatsConfig, OutboundConfig};
pub use event_log::{EventBatch, EventLog, Outcome, PublishError};

use async_nats::ConnectOptions;
use async_nats::jetstream;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Events that are taken from the log, and messages that are taken from a stream, at a time.
pub(crate) const BATCH_MAX: usize = 50;

/// The connector's tasks, which end with it.
#[derive(Debug)]
pub struct Connector {
    _tasks: JoinSet<()>,
}

impl Connector {
    /// Starts what a configuration that was checked asks for. A server that is away does not matter.
    ///
    /// # Errors
    /// Why there can be no connection: the URL, the file of credentials or of certificates is wrong.
    pub async fn start(config: NatsConfig, log: Arc<dyn EventLog>) -> Result<Self, String> {
        let options = ConnectOptions::new().name("elias").retry_on_initial_connect();
        let mut options = options.event_callback(|event| async move {
            tracing::info!(%event, "the connection to NATS");
        });
        if let Some(file) = &config.credentials_file {
            let read = options.credentials_file(file).await;
            options = read.map_err(|error| format!("[nats] credentials-file {}: {error}", file.display()))?;
        }
        if let Some(file) = config.root_certificate.clone() {
            options = options.add_root_certificates(file).require_tls(true);
        }
        let client = options.connect(config.url.as_str()).await.map_err(|error| format!("[nats]: {error}"))?;
        let context = jetstream::new(client.clone());
        let mut tasks = JoinSet::new();
        for inbound in config.inbound {
            tasks.spawn(inbound::run(context.clone(), inbound, Arc::clone(&log)));
        }
        for outbound in config.outbound {
            tasks.spawn(outbound::run(client.clone(), context.clone(), outbound, Arc::clone(&log)));
        }
        Ok(Self { _tasks: tasks })
    }
}
