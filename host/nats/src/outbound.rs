//! A tenant's events to a subject. The log's cursor moves on when JetStream has acknowledged what was published.

use crate::BATCH_MAX;
use crate::config::OutboundConfig;
use crate::event_log::{EventBatch, EventLog, Outcome};
use crate::message::{is_from_nats, message_of};
use crate::outage::Outage;
use async_nats::jetstream::Context;
use async_nats::{Client, Error};
use elias_triggers::event::{Event, TypePattern};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a message beside its payload, at most.
const HEADERS_BYTES_MAX: usize = 4 << 10;
/// How often the log is looked at when there was nothing.
const POLL: Duration = Duration::from_millis(500);

/// Publishes events for as long as the connector is there.
pub(crate) async fn run(client: Client, context: Context, config: OutboundConfig, log: Arc<dyn EventLog>) {
    let label = config.label();
    let Ok(pattern) = config.event_type.parse::<TypePattern>() else {
        tracing::error!(connection = label, "the type is not a pattern: nothing is published");
        return;
    };
    let outbound = Outbound { client, config, label, pattern, log };
    let mut outage = Outage::default();
    loop {
        match outbound.round(&context).await {
            Ok(is_empty) => {
                outage.end(&outbound.label);
                if is_empty {
                    tokio::time::sleep(POLL).await;
                }
            }
            Err(error) => outage.wait(&outbound.label, &error.to_string()).await,
        }
    }
}

struct Outbound {
    /// For what it knows of the server.
    client: Client,
    config: OutboundConfig,
    label: String,
    pattern: TypePattern,
    log: Arc<dyn EventLog>,
}

impl Outbound {
    /// Publishes the next batch; says whether there was none.
    async fn round(&self, context: &Context) -> Result<bool, Error> {
        let tenant = &self.config.tenant;
        let Some(batch) = self.log.read(tenant, &self.label, BATCH_MAX).await? else { return Ok(true) };
        let EventBatch { from, to, events } = batch;
        let wanted = |event: &&Event| self.pattern.matches(&event.event_type) && !is_from_nats(event);
        let wanted: Vec<_> = events.iter().filter(wanted).collect();
        let published = self.publish(context, &wanted).await;
        let published = published.inspect_err(|_| {
            self.log.count(&self.label, Outcome::Deferred, wanted.len() as u64);
        })?;
        self.log.advance(tenant, &self.label, from, to).await?;
        self.log.count(&self.label, Outcome::Delivered, published);
        self.log.count(&self.label, Outcome::Rejected, wanted.len() as u64 - published);
        Ok(false)
    }

    /// Publishes events and waits until the server has them; says how many, for the others can never be published.
    async fn publish(&self, context: &Context, events: &[&Event]) -> Result<u64, Error> {
        let mut sent = Vec::with_capacity(events.len());
        for event in events {
            let message = match message_of(event, &self.config) {
                Ok(message) => message,
                Err(reason) => {
                    self.reject(event, &reason);
                    continue;
                }
            };
            // Not known before the first connection; the server would close the connection of whoever sends more.
            let bytes_max = self.client.server_info().max_payload;
            if bytes_max > 0 && message.payload.len() + HEADERS_BYTES_MAX > bytes_max {
                self.reject(event, &format!("it has more than the {bytes_max} bytes that the server takes"));
                continue;
            }
            let payload = message.payload.into();
            sent.push(context.publish_with_headers(message.subject, message.headers, payload).await?);
        }
        let count = sent.len() as u64;
        for acknowledgement in sent {
            acknowledgement.await?;
        }
        Ok(count)
    }

    fn reject(&self, event: &Event, reason: &str) {
        let (connection, id) = (self.label.as_str(), event.id.as_str());
        tracing::error!(connection, id, reason, "an event can never be published: it is left out");
    }
}
