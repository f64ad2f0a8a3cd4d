//! Workers that run: a program calls, lists, restarts and stops them.

use crate::connection::SocketConnection;
use crate::handle::{WorkerCondition, WorkerStatus};
use crate::manager::Manager;
use crate::message::{Answer, Content, Stop, failed};
use crate::store::{HandledMessages, StoreError, WorkerSummary};
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{SocketRequest, TurnKind};
use elias_workers::WorkerKey;
use futures::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Workers that are read of the store at a time.
const LIST_MAX: usize = 1_000;

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
        self.call_from(key, Some(method.to_owned()), args.to_owned(), Cause::default())
    }

    /// Sends a message to a worker, likewise; what this gives is what `onMessage` returned.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn send(&self, key: WorkerKey, message: &str) -> impl Future<Output = Answer> + Send + use<> {
        self.call_from(key, None, message.to_owned(), Cause::default())
    }

    /// Calls a method, or sends a message where that is none, for what `cause` says.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn call_from(
        &self,
        key: WorkerKey,
        method: Option<String>,
        value: String,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.manager.call(key, Content::Value { method, value }, cause)
    }

    /// The same with a message that has this id, which is a UUID: turns that handle it have it, and so the log. Any other
    /// text is as none.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn call_as(
        &self,
        id: Option<String>,
        key: WorkerKey,
        method: Option<String>,
        value: String,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.manager.call_as(id, key, Content::Value { method, value }, cause)
    }

    /// The same with a message that the caller sends again, with the same id, until it has an answer: the worker handles
    /// it once. It keeps the ids of the last 128 such messages that it has handled, with what they changed; one that
    /// comes again after it was handled is answered with `undefined`. One whose handler threw is handled anew. The id
    /// has at most 64 bytes, and no other message has it.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn call_once(
        &self,
        id: String,
        key: WorkerKey,
        method: Option<String>,
        value: String,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let long = id.len() > HandledMessages::ID_BYTES_MAX;
        let answer = (!long).then(|| self.manager.call_once(id, key, Content::Value { method, value }, cause));
        async move {
            let too_long = || format!("the id of a message has at most {} bytes", HandledMessages::ID_BYTES_MAX);
            match answer {
                Some(answer) => answer.await,
                None => Err(failed(ErrorCode::Invalid, too_long())),
            }
        }
    }

    /// Has a worker run a turn of another kind when its mailbox comes to it, such as one for its health; those of
    /// sockets are begun by [`Self::open_socket`]. What this gives is the turn's answer.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub fn run_turn(
        &self,
        key: WorkerKey,
        kind: TurnKind,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.manager.call(key, Content::Turn(kind), cause)
    }

    /// Opens a socket of a worker, which is started if it does not exist: `onOpen`. What the worker sends waits in the
    /// connection, within the bounds of [`SocketLimits`](crate::SocketLimits).
    ///
    /// The socket stays open while the worker is out of memory and when it is moved to another version of the
    /// component. It is closed with 1001 when the worker or these workers are stopped, and with 1012 when the worker is
    /// given up to another host. A worker that is read without its connections, as by a process that starts anew,
    /// learns that they were lost (1006) before anything else.
    ///
    /// # Errors
    /// As of [`Self::call`]; an exception of `onOpen` among them, and `mailbox-full` if it has too many sockets.
    pub fn open_socket(
        &self,
        key: WorkerKey,
        request: SocketRequest,
        cause: Cause,
    ) -> impl Future<Output = Result<SocketConnection, Error>> + Send + use<> {
        let manager = Arc::clone(&self.manager);
        async move { SocketConnection::open(&manager, key, request, cause).await }
    }

    /// How many sockets of a worker have a connection here.
    #[must_use]
    pub fn sockets(&self, key: &WorkerKey) -> usize {
        self.manager.sockets.count(key)
    }

    /// Starts a worker that does not exist.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn start_worker(&self, key: WorkerKey) -> Result<(), Error> {
        self.manager.call(key, Content::Start, Cause::default()).await.map(drop)
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

    /// All workers, by class and name. Reads no heap.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self) -> Result<Vec<WorkerStatus>, StoreError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.list_after(after, LIST_MAX).await?;
            after = page.last().map(|status| status.key.clone());
            let is_last = page.len() < LIST_MAX;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// At most so many workers, by class and name, after this one. Reads no heap.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list_after(&self, after: Option<WorkerKey>, limit: usize) -> Result<Vec<WorkerStatus>, StoreError> {
        let stored = self.manager.store.list(after.clone(), limit).await?;
        // Of those after the last of a full page the store would have others before them.
        let last = stored.last().filter(|_| stored.len() >= limit).map(|summary| summary.key.clone());
        let mut all: BTreeMap<_, _> =
            stored.into_iter().map(|summary| (summary.key.clone(), status_of(summary))).collect();
        for status in self.manager.shown(after.as_ref(), last.as_ref()) {
            if exists(&status) {
                all.insert(status.key.clone(), status);
            }
        }
        Ok(all.into_values().take(limit).collect())
    }

    /// A worker; none if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn status(&self, key: &WorkerKey) -> Result<Option<WorkerStatus>, StoreError> {
        if let Some(status) = self.manager.shown_one(key).filter(exists) {
            return Ok(Some(status));
        }
        Ok(self.manager.store.summary(key).await?.map(status_of))
    }

    /// Has a worker leave memory once the turn that runs is committed, as if it had had nothing to do for long: for
    /// whoever needs its place. Its sockets stay open, and while it has some it stays this host's.
    pub fn hibernate(&self, key: &WorkerKey) {
        self.manager.hibernate(key);
    }

    /// Has a worker leave memory once the turn that runs is committed, and its ownership released: another host can
    /// acquire it. If something waits for it here, it is acquired again afterwards. Whoever waits for the answer of a
    /// handler that waits is told that the worker is `unavailable`.
    pub fn give_up(&self, key: &WorkerKey) {
        self.manager.give_up(key);
    }

    /// Has a worker go on that has to without a message: with timers that are due, or calls without an answer. Returns
    /// at once: a handler that waits may do so for days.
    pub fn resume(&self, key: &WorkerKey) {
        self.manager.resume(key);
    }

    /// Says that the component was exchanged: each worker goes on in the new one from its next turn on, if its heap
    /// belongs to it ([`OtherVersion`](crate::OtherVersion)).
    pub fn reload(&self) {
        self.manager.reload();
    }

    /// Has each worker go on in the component that runs now, without waiting for its next turn; one whose handler waits
    /// does when that is done. Gives how many do not: former versions of the component are of no use to the others.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn move_all(&self) -> Result<usize, StoreError> {
        let keys: Vec<WorkerKey> = self.list().await?.into_iter().map(|one| one.key).collect();
        let woken = keys.iter().map(|key| self.manager.call(key.clone(), Content::Wake, Cause::default()));
        let answers = join_all(woken).await;
        let is_moved = |key: &WorkerKey| self.manager.shown_one(key).is_none_or(|one| one.upgrade_error.is_none());
        Ok(keys.iter().zip(answers).filter(|(key, answer)| answer.is_err() || !is_moved(key)).count())
    }

    /// Begins no turn any more, and waits at most `grace` until those that have begun are committed. Those that are not
    /// by then are undone. Then the workers are released. Gives how many turns were undone. Messages that wait are
    /// lost, and whoever waits for an answer is told so.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.manager.stop(grace).await
    }
}

impl Drop for RunningWorkers {
    fn drop(&mut self) {
        self.manager.abort();
    }
}

/// A worker that has no task.
fn status_of(summary: WorkerSummary) -> WorkerStatus {
    WorkerStatus {
        condition: if summary.is_waiting { WorkerCondition::Waiting } else { WorkerCondition::Asleep },
        turns: summary.turns,
        messages: 0,
        dropped: 0,
        next_due: summary.next_due,
        upgrade_error: None,
        key: summary.key,
    }
}

/// Whether there is a worker that has a task: one that was not started yet, and is not about to be, is none.
fn exists(status: &WorkerStatus) -> bool {
    status.turns > 0 || status.messages > 0 || status.condition == WorkerCondition::Running
}
