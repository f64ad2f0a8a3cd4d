//! Events of a subscription that wait for others: a batch is run when it is full, or when its first event has waited as
//! long as the subscription says.

use crate::report::Reporter;
use crate::run::{Message, RunOptions, Runner};
use crate::settings::SubscriptionSettings;
use elias_host::{EventBatch, EventMessage, ExecutionHandle};
use elias_triggers::queue::Outcome;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes of the events of a batch, as JSON: a handler takes a message of 1 MiB.
const BYTES_MAX: usize = 768 << 10;

/// The batch of a subscription that is not run yet.
#[derive(Default)]
pub(crate) struct OpenBatch {
    /// Its number: those who have waited long enough find out whether theirs was run meanwhile.
    number: u64,
    bytes: usize,
    events: Vec<Entry>,
}

/// An event in a batch that is not run yet.
pub(crate) struct WaitingEvent {
    pub(crate) event: EventMessage,
    /// Bytes of the event as JSON.
    pub(crate) bytes: usize,
    /// How many events led to it.
    pub(crate) hops: u32,
    pub(crate) reporter: Option<Reporter>,
}

/// An event in a batch, and whoever waits for its outcome.
type Entry = (WaitingEvent, oneshot::Sender<Outcome>);

impl OpenBatch {
    fn close(&mut self) -> Vec<Entry> {
        self.number += 1;
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}

/// Has an event run in a batch with others; gives its own outcome.
pub(crate) async fn run(
    runner: &Arc<Runner>,
    subscription: &Arc<SubscriptionSettings>,
    waiting: WaitingEvent,
) -> Outcome {
    let config = subscription.config.batch;
    let size = usize::try_from(config.size).unwrap_or(usize::MAX);
    let (sender, mut outcome) = oneshot::channel();
    let (mut closed, began) = {
        let mut open = subscription.open_batch.lock();
        let mut closed = Vec::new();
        if open.bytes + waiting.bytes > BYTES_MAX {
            closed.push(open.close());
        }
        open.bytes += waiting.bytes;
        open.events.push((waiting, sender));
        let began = (open.events.len() == 1 && size > 1).then_some(open.number);
        if open.events.len() >= size {
            closed.push(open.close());
        }
        (closed, began)
    };
    // An event that is too large for any other has closed an empty one.
    closed.retain(|batch| !batch.is_empty());
    closed.into_iter().for_each(|batch| start(runner, subscription, batch));
    if let Some(number) = began {
        let now = runner.now();
        let pause = config.pause(1, now, now).unwrap_or_default();
        let until = now.unix_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tokio::select! {
            () = runner.clock.sleep_until(until) => {
                let mut open = subscription.open_batch.lock();
                let batch = if open.number == number { open.close() } else { Vec::new() };
                drop(open);
                if !batch.is_empty() {
                    start(runner, subscription, batch);
                }
            }
            outcome = &mut outcome => return outcome.unwrap_or(Outcome::Cancelled),
        }
    }
    // Nobody sends it only when the triggers are stopped.
    outcome.await.unwrap_or(Outcome::Cancelled)
}

/// Runs a batch in a task of its own, and tells each event's outcome.
fn start(runner: &Arc<Runner>, subscription: &Arc<SubscriptionSettings>, batch: Vec<Entry>) {
    let (this, subscription) = (Arc::clone(runner), Arc::clone(subscription));
    drop(runner.spawn(async move {
        let Ok(slot) = subscription.slots.acquire().await else { return };
        let (mut events, mut reporters, mut senders, mut hops) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (waiting, sender) in batch {
            hops = hops.max(waiting.hops);
            events.push(waiting.event);
            reporters.push(waiting.reporter);
            senders.push(sender);
        }
        let options = RunOptions {
            running: ExecutionHandle::new(),
            deadline: None,
            // Each event is a delivery of its own, and a journal is of one.
            journal: None,
            hops,
            policy: subscription.config.retry.policy(),
        };
        let message = Message::Events(EventBatch { subscription: subscription.name.clone(), events });
        let outcomes = this.execute_all(message, options, &reporters).await;
        drop(slot);
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            // Whoever waited for it may have been dropped.
            let _ = sender.send(outcome);
        }
    }));
}
