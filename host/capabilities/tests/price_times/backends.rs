//! Queues, logs, journals and workers that keep nothing: what is measured is the host's part.

use elias_capabilities::events::{self, EventLog, NewEvent};
use elias_capabilities::jobs::{self, JobQueue, NewJob};
use elias_capabilities::trigger::Origin;
use elias_capabilities::workers::{self, WorkerBackend, WorkerCall};
use elias_capabilities::workflow::{self, BeginAnswer, EventWait, Journal, SleepAnswer, WaitAnswer};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::sync::Arc;
use std::time::Duration;

/// All of them.
pub(crate) struct Nowhere;

fn done<T: Send + 'static, E: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, E>> {
    ready(Ok(value)).boxed()
}

impl JobQueue for Nowhere {
    fn enqueue(&self, _: Arc<Origin>, _: NewJob) -> BoxFuture<'static, Result<String, jobs::Error>> {
        done("1".to_owned())
    }

    fn enqueue_once(&self, _: Arc<Origin>, id: String, _: NewJob) -> BoxFuture<'static, Result<String, jobs::Error>> {
        done(id)
    }

    fn cancel(&self, _: Arc<Origin>, _: String) -> BoxFuture<'static, Result<(), jobs::Error>> {
        done(())
    }
}

impl EventLog for Nowhere {
    fn publish(&self, _: Arc<Origin>, _: NewEvent) -> BoxFuture<'static, Result<String, events::Error>> {
        done("1".to_owned())
    }

    fn publish_once(
        &self,
        _: Arc<Origin>,
        id: String,
        _: NewEvent,
    ) -> BoxFuture<'static, Result<String, events::Error>> {
        done(id)
    }
}

impl Journal for Nowhere {
    fn begin(&self, _: u32, _: String, _: String) -> BoxFuture<'static, Result<BeginAnswer, workflow::Error>> {
        done(BeginAnswer::Run)
    }

    fn finish(&self, _: u32, _: String) -> BoxFuture<'static, Result<(), workflow::Error>> {
        done(())
    }

    fn sleep(&self, _: u32, _: String, _: Duration) -> BoxFuture<'static, Result<SleepAnswer, workflow::Error>> {
        done(SleepAnswer::Elapsed)
    }

    fn wait_for(&self, _: u32, _: String, _: EventWait) -> BoxFuture<'static, Result<WaitAnswer, workflow::Error>> {
        done(WaitAnswer::TimedOut)
    }
}

impl WorkerBackend for Nowhere {
    fn call(&self, _: Arc<Origin>, _: WorkerCall) -> BoxFuture<'static, Result<String, workers::Error>> {
        done("1".to_owned())
    }
}
