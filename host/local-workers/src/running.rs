//! Workers that run, and what a program does with them.

use crate::manager::{Manager, WorkerCondition, WorkerStatus};
use crate::message::{Answer, Content, Stop, failed};
use crate::store::StoreError;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_workers::WorkerKey;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Workers that run. Dropping them ends the turns that run at once, which are undone; [`Self::stop`] lets them end.
pub struct RunningWorkers {
    manager: Arc<Manager>,
}

impl RunningWorkers {
    pub(crate) fn new(manager: Arc<Manager>) -> Self {
        Self { manager }
    }

    /// Calls a method of a worker, which is started if it does not exist. `args` is the list of arguments, and what
    /// this gives the answer, in the structured clone encoding. The worker handles it also if this future is dropped.
    ///
    /// # Errors
    /// As the interface `elias:workers/workers` has them: an exception of the handler among them.
    pub fn call(&self, key: WorkerKey, method: &str, args: &str) -> impl Future<Output = Answer> + Send + use<> {
        self.manager.call(key, Content::Value { method: Some(method.to_owned()), value: args.to_owned() })
    }

    /// Sends a message to a worker, likewise; what this gives is what `onMessage` returned.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn send(&self, key: WorkerKey, message: &str) -> impl Future<Output = Answer> + Send + use<> {
        self.manager.call(key, Content::Value { method: None, value: message.to_owned() })
    }

    /// Starts a worker that does not exist.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn start_worker(&self, key: WorkerKey) -> Result<(), Error> {
        self.manager.call(key, Content::Start).await.map(drop)
    }

    /// Has a worker's `onStop` called, and forgets the worker. A handler that waits is undone first; messages that wait
    /// fail. The next message begins a new worker. Gives whether there was one.
    ///
    /// # Errors
    /// `unavailable`, if it cannot be removed or the workers are being stopped.
    pub async fn stop_worker(&self, key: &WorkerKey, reason: Value) -> Result<bool, Error> {
        let unavailable = || failed(ErrorCode::Unavailable, "the workers are being stopped");
        if self.manager.is_stopping() {
            return Err(unavailable());
        }
        let (done, stopped) = oneshot::channel();
        self.manager.stop_worker(key, Stop { reason, done });
        stopped.await.unwrap_or_else(|_| Err(unavailable()))
    }

    /// Stops a worker and starts it anew, without what it held.
    ///
    /// # Errors
    /// As of [`Self::stop_worker`] and [`Self::call`].
    pub async fn restart_worker(&self, key: &WorkerKey, reason: Value) -> Result<(), Error> {
        self.stop_worker(key, reason).await?;
        self.start_worker(key.clone()).await
    }

    /// All workers, by class and name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self) -> Result<Vec<WorkerStatus>, StoreError> {
        let mut all = BTreeMap::new();
        for record in self.manager.records().await? {
            let status = WorkerStatus {
                condition: if record.is_waiting() { WorkerCondition::Waiting } else { WorkerCondition::Asleep },
                turns: record.turns,
                messages: 0,
                dropped: 0,
                next_due: record.next_due(),
                key: record.key.clone(),
            };
            all.insert(record.key, status);
        }
        for status in self.manager.shown() {
            // One that was not started yet, and is not about to be, is none.
            if status.turns > 0 || status.messages > 0 || status.condition == WorkerCondition::Running {
                all.insert(status.key.clone(), status);
            }
        }
        Ok(all.into_values().collect())
    }

    /// A worker; none if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn status(&self, key: &WorkerKey) -> Result<Option<WorkerStatus>, StoreError> {
        Ok(self.list().await?.into_iter().find(|status| status.key == *key))
    }

    /// Says that the component was exchanged: each worker goes on in the new one from its next turn on, if its heap
    /// belongs to it ([`OtherVersion`](crate::OtherVersion)).
    pub fn reload(&self) {
        self.manager.reload();
    }

    /// Begins no turn any more, and waits at most `grace` until those that have begun are committed. Those that are not
    /// by then are undone. Gives how many that were. Messages that wait are lost, and whoever waits for an answer is
    /// told so.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.manager.stop(grace).await
    }
}

impl Drop for RunningWorkers {
    fn drop(&mut self) {
        self.manager.abort();
    }
}
