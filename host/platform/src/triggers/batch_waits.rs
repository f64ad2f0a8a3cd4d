//! Deliveries that wait for others: the batch of a subscription is claimed when it is full, or when its first event has
//! waited as long as the subscription says. No state is kept between two looks; each host counts in the store.

use super::Runner;
use super::plan::{QueueKey, ReadyBatches};
use elias_api::{JobTrigger, Result};
use elias_delivery::clock::Now;
use elias_names::ServiceId;
use elias_store::{HostScope, ReadyQueue};
use elias_triggers::config::BatchConfig;
use std::collections::HashMap;
use std::time::Duration;

/// Leaves out what waits for others. Notes when the first batch is run that does.
pub(super) async fn without_waiting(
    runner: &Runner,
    scope: &mut HostScope,
    ready: Vec<ReadyQueue>,
) -> Result<ReadyBatches> {
    let batches: Vec<_> = ready.iter().map(|queue| waiting_batch(runner, queue)).collect();
    let queues: Vec<&ReadyQueue> =
        ready.iter().zip(&batches).filter(|(_, batch)| batch.is_some()).map(|(queue, _)| queue).collect();
    let mut found = ReadyBatches { queues: Vec::with_capacity(ready.len()), whole: HashMap::new() };
    if queues.is_empty() {
        found.queues = ready;
        return Ok(found);
    }
    let (now, counts) = (moment(scope.now().await?), scope.ready_counts(&queues).await?);
    let mut first: Option<Duration> = None;
    for (queue, batch) in ready.into_iter().zip(batches) {
        let count = counts.get(&key(&queue)).copied().unwrap_or_default();
        // Whether those that are no whole batch wait, and for how long.
        let left = batch.and_then(|batch| Some((batch.size.max(1), batch.pause(0, moment(queue.ready_at), now)?)));
        if let Some((size, pause)) = left {
            let whole = count - count % size;
            if whole == 0 {
                first = Some(first.map_or(pause, |first| first.min(pause)));
                continue;
            }
            found.whole.insert(key(&queue), whole);
        }
        found.queues.push(queue);
    }
    *runner.batch_pause.lock() = first;
    Ok(found)
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
