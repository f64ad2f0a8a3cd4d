//! The outbox of the component's database: handed over to the queue and the log in memory when the component is loaded,
//! and after each commit.

use crate::run::Runner;
use elias_capabilities::drain::drain_outbox;
use elias_capabilities::events::EventLog;
use elias_capabilities::jobs::JobQueue;
use elias_capabilities::outbox::{OutboxRelay, RelayUnavailable};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long to wait for a component, or before what was not handed over is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Tells of commits of transactions that wrote into the outbox.
#[derive(Default)]
pub(crate) struct CommitNotifier(Notify);

impl OutboxRelay for CommitNotifier {
    /// There is one component, whose outbox is looked into at each start.
    fn remember(&self, _: &str) -> BoxFuture<'static, Result<(), RelayUnavailable>> {
        ready(Ok(())).boxed()
    }

    fn committed(&self, _: &str) {
        self.0.notify_one();
    }
}

/// Hands over what is in the outbox of what is served.
pub(crate) async fn run_all(runner: Arc<Runner>, committed: Arc<CommitNotifier>) {
    let queue: Arc<dyn JobQueue> = Arc::new(runner.queue.clone());
    let log: Arc<dyn EventLog> = Arc::new(runner.log.clone());
    loop {
        let is_empty = match runner.source.current() {
            Some(app) => match drain_outbox(&app, &queue, &log).await {
                Ok(drained) => drained.is_empty,
                Err(error) => {
                    tracing::warn!("the outbox cannot be read: {}", error.message);
                    false
                }
            },
            None => false,
        };
        if is_empty {
            committed.0.notified().await;
        } else {
            // A commit meanwhile ends the pause.
            let _ = tokio::time::timeout(RETRY, committed.0.notified()).await;
        }
    }
}
