//! Messages of a stream, by a durable pull consumer, to events. A message is acknowledged when the log has its event.

use crate::BATCH_MAX;
use crate::config::InboundConfig;
use crate::event_log::{EventLog, Outcome, PublishError};
use crate::message::event_of;
use crate::outage::Outage;
use async_nats::Error;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Context, Message};
use elias_triggers::event::Event;
use futures::TryStreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the server waits for a message before it says that there is none.
const EXPIRES: Duration = Duration::from_secs(5);
/// How long a request to the server may take beyond that.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Takes messages for as long as the connector is there.
pub(crate) async fn run(context: Context, config: InboundConfig, log: Arc<dyn EventLog>) {
    let label = config.label();
    let inbound = Inbound { config, label, log };
    let mut outage = Outage::default();
    loop {
        if let Err(error) = inbound.consume(&context, &mut outage).await {
            outage.wait(&inbound.label, &error.to_string()).await;
        }
    }
}

struct Inbound {
    config: InboundConfig,
    label: String,
    log: Arc<dyn EventLog>,
}

/// A message, and the event that it became.
type Accepted = (Message, Event);

impl Inbound {
    /// Takes messages until something fails.
    async fn consume(&self, context: &Context, outage: &mut Outage) -> Result<(), Error> {
        let InboundConfig { stream, consumer, filter, .. } = &self.config;
        let found = context.get_stream(stream).await?;
        let wanted = pull::Config {
            durable_name: Some(consumer.clone()),
            filter_subject: filter.clone(),
            ..pull::Config::default()
        };
        let consumer = found.get_or_create_consumer(consumer, wanted).await?;
        loop {
            let messages = next_batch(&consumer).await?;
            outage.end(&self.label);
            let mut accepted = Vec::new();
            for message in messages {
                let sequence = message.info()?.stream_sequence;
                match event_of(&message, sequence, &self.config) {
                    Ok(event) => accepted.push((message, event)),
                    Err(reason) => self.reject(&message, &reason).await?,
                }
            }
            if !accepted.is_empty() {
                self.publish(&accepted).await?;
            }
        }
    }

    /// Publishes a batch, and says to the server what became of each message.
    async fn publish(&self, accepted: &[Accepted]) -> Result<(), Error> {
        let published = self.try_publish(accepted).await;
        if accepted.len() == 1 || !matches!(published, Err(PublishError::Refused(_))) {
            return self.answer(accepted, published).await;
        }
        // One of them is the reason, and the others are not to wait for it.
        for one in accepted.chunks(1) {
            let published = self.try_publish(one).await;
            self.answer(one, published).await?;
        }
        Ok(())
    }

    async fn try_publish(&self, accepted: &[Accepted]) -> Result<(), PublishError> {
        let events = accepted.iter().map(|(_, event)| event.clone()).collect();
        self.log.publish(&self.config.tenant, events).await
    }

    /// Acknowledges messages whose events were published, and has those come again that may be published later.
    async fn answer(&self, accepted: &[Accepted], published: Result<(), PublishError>) -> Result<(), Error> {
        let (kind, outcome) = match published {
            Ok(()) => (AckKind::Ack, Outcome::Delivered),
            Err(PublishError::Later { reason, after }) => {
                tracing::warn!(connection = self.label, reason, ?after, "messages have to come again");
                (AckKind::Nak(Some(after)), Outcome::Deferred)
            }
            Err(PublishError::Refused(reason)) => {
                for (message, _) in accepted {
                    self.reject(message, &reason).await?;
                }
                return Ok(());
            }
        };
        for (message, _) in accepted {
            message.ack_with(kind).await?;
        }
        self.log.count(&self.label, outcome, accepted.len() as u64);
        Ok(())
    }

    /// Says that a message is not to come again.
    async fn reject(&self, message: &Message, reason: &str) -> Result<(), Error> {
        let (connection, subject) = (self.label.as_str(), message.subject.as_str());
        tracing::error!(connection, subject, reason, "a message can never become an event: it is left out");
        message.ack_with(AckKind::Term).await?;
        self.log.count(&self.label, Outcome::Rejected, 1);
        Ok(())
    }
}

/// The messages that are there; else the next one, if one comes soon.
async fn next_batch(consumer: &PullConsumer) -> Result<Vec<Message>, Error> {
    let there = consumer.fetch().max_messages(BATCH_MAX).messages();
    let there = timeout(REQUEST_MAX, collect(there)).await??;
    if !there.is_empty() {
        return Ok(there);
    }
    let next = consumer.batch().max_messages(1).expires(EXPIRES).messages();
    timeout(EXPIRES + REQUEST_MAX, collect(next)).await?
}

async fn collect(batch: impl Future<Output = Result<pull::Batch, pull::BatchError>>) -> Result<Vec<Message>, Error> {
    batch.await?.try_collect().await
}
