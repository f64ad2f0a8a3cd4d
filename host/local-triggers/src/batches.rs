//! Events of a subscription that wait for others: a batch is run when it is full, or when its first event has waited as
//! long as the subscription says.

use crate::open_batch::{Batch, WaitingEvent};
use crate::run::{Message, RunOptions, Runner};
use crate::settings::SubscriptionSettings;
use elias_host::{EventBatch, ExecutionHandle};
use elias_triggers::queue::Outcome;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Has an event run in a batch with others; gives its own outcome.
pub(crate) async fn run(
    runner: &Arc<Runner>,
    subscription: &Arc<SubscriptionSettings>,
    waiting: WaitingEvent,
) -> Outcome {
    let config = subscription.config.batch;
    let size = usize::try_from(config.size).unwrap_or(usize::MAX);
    let (sender, mut outcome) = oneshot::channel();
    let (closed, began) = subscription.open_batch.lock().push(waiting, sender, size);
    closed.into_iter().for_each(|batch| start(runner, subscription, batch));
    if let Some(number) = began {
        let now = runner.now();
        let pause = config.pause(1, now, now).unwrap_or_default();
        let until = now.unix_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tokio::select! {
            () = runner.clock.sleep_until(until) => {
                let batch = subscription.open_batch.lock().close(number);
                if let Some(batch) = batch {
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
fn start(runner: &Arc<Runner>, subscription: &Arc<SubscriptionSettings>, batch: Batch) {
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
