//! Deliveries that wait for others: the batch of a subscription is claimed when it is full, or when its first event has
//! waited as long as the subscription says. Nothing is kept between two looks; each host counts in the store.

use super::Runner;
use super::plan::QueueKey;
use elias_api::{JobTrigger, Result};
use elias_delivery::clock::Now;
use elias_names::ServiceId;
use elias_store::{HostScope, ReadyQueue};
use elias_triggers::config::BatchConfig;
use std::time::Duration;

/// Those of the queues that are not subscriptions whose batches wait for more. Notes when the first of these is run.
pub(super) async fn without_waiting(
    runner: &Runner,
    scope: &mut HostScope,
    ready: Vec<ReadyQueue>,
) -> Result<Vec<ReadyQueue>> {
    let batches: Vec<_> = ready.iter().map(|queue| waiting_batch(runner, queue)).collect();
    let queues: Vec<QueueKey> =
        ready.iter().zip(&batches).filter(|(_, batch)| batch.is_some()).map(|(queue, _)| key(queue)).collect();
    if queues.is_empty() {
        return Ok(ready);
    }
    let (now, counts) = (moment(scope.now().await?), scope.ready_counts(&queues).await?);
    let (mut complete, mut first): (Vec<ReadyQueue>, Option<Duration>) = (Vec::with_capacity(ready.len()), None);
    for (queue, batch) in ready.into_iter().zip(batches) {
        let count = || counts.get(&key(&queue)).copied().unwrap_or_default();
        match batch.and_then(|batch| batch.pause(count(), moment(queue.ready_at), now)) {
            None => complete.push(queue),
            Some(pause) => first = Some(first.map_or(pause, |first| first.min(pause))),
        }
    }
    *runner.batch_pause.lock() = first;
    Ok(complete)
}

/// The batch of a queue of deliveries, if its events wait for others.
fn waiting_batch(runner: &Runner, ReadyQueue { tenant, queue, .. }: &ReadyQueue) -> Option<BatchConfig> {
    if queue.trigger != JobTrigger::Event {
        return None;
    }
    let (component, environment) = (queue.component.clone(), queue.environment);
    let served = runner.services.find(&ServiceId { tenant: tenant.clone(), component, environment })?;
    let subscription = served.config.event.iter().find(|subscription| subscription.name() == queue.name)?;
    Some(subscription.batch).filter(|batch| batch.wait.is_some())
}

fn key(queue: &ReadyQueue) -> QueueKey {
    (queue.tenant.clone(), queue.queue.clone())
}

fn moment(ms: i64) -> Now {
    Now::from_unix_ms(u64::try_from(ms).unwrap_or_default())
}
