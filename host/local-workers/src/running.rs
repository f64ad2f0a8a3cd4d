//! Workers that run: a program calls, lists, restarts and stops them.

use crate::component::{AwakeWorker, TurnContext, TurnFailure};
use crate::connection::SocketConnection;
use crate::handle::{WorkerCondition, WorkerStatus};
use crate::health::WorkerHealth;
use crate::manager::Manager;
use crate::message::{Answer, Content, Stop, failed, new_id};
use crate::settings::WorkerSettings;
use crate::store::{HandledMessages, StoreError, WorkerSummary};
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{SocketRequest, Turn, TurnKind};
use elias_workers::WorkerKey;
use elias_workers::config::WorkersConfig;
use futures::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Workers that are read of the store at a time.
const LIST_MAX: usize = 1_000;

/// Which workers a list has: those that are all that this says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerFilter {
    /// Those of this class.
    pub class: Option<String>,
    /// Those whose class has this tag.
    pub tag: Option<String>,
    /// Those whose health is this.
    pub health: Option<WorkerHealth>,
}

impl WorkerFilter {
    fn matches(&self, status: &WorkerStatus) -> bool {
        self.class.as_ref().is_none_or(|class| *class == status.key.class)
            && self.tag.as_ref().is_none_or(|tag| status.tags.contains(tag))
            && self.health.is_none_or(|health| health == status.health)
    }
}

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

    /// The same with a message that has this id, which is a UUID: turns that handle it have it, and so the log. Any
    /// other text is as none.
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

    /// The same with a message that the caller sends again, with the same id, until it has an answer: the worker
    /// handles it once. It keeps the ids of the last 128 such messages that it has handled, with what they changed; one
    /// that comes again after it was handled is answered with `undefined`. One whose handler threw is handled anew. The
    /// id has at most 64 bytes, and no other message has it.
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

    /// The worker that gets a message to this one now: a member of the group, if it names one. The same member gets a
    /// message with the same `id`, which is that of [`Self::call_once`].
    ///
    /// # Errors
    /// `invalid`, if the group is balanced by key and neither is there.
    pub fn member(&self, key: WorkerKey, id: Option<&str>) -> Result<WorkerKey, Error> {
        Ok(self.manager.member(&key, id)?.unwrap_or(key))
    }

    /// Opens a socket of a worker, which is started if it does not exist, or of a member of a group: `onOpen`. What it
    /// sends waits in the connection, within the bounds of [`SocketLimits`](crate::SocketLimits).
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
        let (manager, member) = (Arc::clone(&self.manager), self.member(key, None));
        async move { SocketConnection::open(&manager, member?, request, cause).await }
    }

    /// How many sockets of a worker have a connection here.
    #[must_use]
    pub fn sockets(&self, key: &WorkerKey) -> usize {
        self.manager.sockets.count(key)
    }

    /// Starts a worker that does not exist. One that was given up with its supervision tree is started with all others
    /// of the tree.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub async fn start_worker(&self, key: WorkerKey) -> Result<(), Error> {
        self.manager.revive(&key).await;
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
        self.list_matching(&WorkerFilter::default(), None, usize::MAX).await
    }

    /// At most so many of the workers that the filter names, by class and name, after this one. Reads no heap.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list_matching(
        &self,
        filter: &WorkerFilter,
        mut after: Option<WorkerKey>,
        limit: usize,
    ) -> Result<Vec<WorkerStatus>, StoreError> {
        if let Some(health) = filter.health.filter(|health| *health != WorkerHealth::Unknown) {
            return self.list_checked(health, filter, after, limit).await;
        }
        if let Some(class) = &filter.class {
            // No name is before the empty one, which no worker has.
            after = after.max(Some(WorkerKey::new(class.as_str(), "")));
        }
        let (mut all, size) = (Vec::new(), limit.clamp(1, LIST_MAX));
        loop {
            let page = self.list_after(after, size).await?;
            after = page.last().map(|status| status.key.clone());
            let is_past = |last: &WorkerKey| filter.class.as_ref().is_some_and(|class| last.class > *class);
            let is_last = page.len() < size || after.as_ref().is_some_and(is_past);
            all.extend(page.into_iter().filter(|status| filter.matches(status)));
            if is_last || all.len() >= limit {
                all.truncate(limit);
                return Ok(all);
            }
        }
    }

    /// The same for workers that were checked lately, without a look at all others. Those of another health are passed
    /// over before the store is asked: hundreds of thousands may have been checked, and a few of them are not well.
    async fn list_checked(
        &self,
        health: WorkerHealth,
        filter: &WorkerFilter,
        after: Option<WorkerKey>,
        limit: usize,
    ) -> Result<Vec<WorkerStatus>, StoreError> {
        let mut keys = self.manager.health.checked();
        keys.retain(|key| after.as_ref().is_none_or(|after| key > after) && self.manager.health_of(key).0 == health);
        keys.sort();
        let mut all = Vec::new();
        for key in keys {
            if all.len() >= limit {
                break;
            }
            all.extend(self.status(&key).await?.filter(|status| filter.matches(status)));
        }
        Ok(all)
    }

    /// Whether a supervision tree was given up, which is known here alone.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        !self.manager.trees.all_given_up().is_empty()
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
            stored.into_iter().map(|summary| (summary.key.clone(), self.status_of(summary))).collect();
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
        Ok(self.manager.store.summary(key).await?.map(|summary| self.status_of(summary)))
    }

    /// What the store has of a worker; none if nothing of it was committed.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn stored(&self, key: &WorkerKey) -> Result<Option<WorkerSummary>, StoreError> {
        self.manager.store.summary(key).await
    }

    /// The state of a worker as of its last committed turn, in the structured clone encoding: `class`, `name`, its own
    /// `fields` and the `context` of its handlers. It is read by a turn of a copy, which is thrown away: a handler that
    /// waits holds nothing up, and the worker learns nothing of it.
    ///
    /// # Errors
    /// `not-found` if nothing of it was committed; `unavailable` if its heap or the component cannot be had now; the
    /// failure of that turn.
    pub async fn state(&self, key: &WorkerKey) -> Answer {
        let unavailable = |error: &dyn std::fmt::Display| failed(ErrorCode::Unavailable, error.to_string());
        let stored = self.stored(key).await.map_err(|error| unavailable(&error))?;
        let missing = || failed(ErrorCode::NotFound, format!("nothing of the worker {key} was committed"));
        let turns = stored.map(|summary| summary.turns).filter(|turns| *turns > 0).ok_or_else(missing)?;
        let heap = self.manager.store.heap(key, turns).await.map_err(|error| unavailable(&error))?;
        let mut worker = self.wake(key, &heap).await?;
        let now = self.manager.clock.now();
        let (class, name) = (key.class.clone(), key.name.clone());
        let turn = Turn { class, name, id: new_id(), now, kind: TurnKind::Inspect };
        let context = TurnContext { attempt: 1, ..TurnContext::default() };
        let result = worker.turn(&turn, context).await.map_err(|failure| of_turn(&failure))?;
        result.answer.ok_or_else(|| failed(ErrorCode::Failed, "the worker did not give its state"))
    }

    /// A copy of a worker with this heap, in the version of the component that it belongs to.
    async fn wake(&self, key: &WorkerKey, heap: &[u8]) -> Result<Box<dyn AwakeWorker>, Error> {
        let none = || failed(ErrorCode::Unavailable, "no component is loaded");
        let component = self.manager.component(key).ok_or_else(none)?;
        let woken = match component.wake(Some(heap)) {
            Err(TurnFailure::OtherVersion(why)) => match component.predecessor(heap).await {
                Some(former) => former.wake(Some(heap)),
                None => Err(TurnFailure::OtherVersion(why)),
            },
            woken => woken,
        };
        woken.map_err(|failure| of_turn(&failure))
    }

    /// Has a worker leave memory once the turn that runs is committed, as if it had had nothing to do for long: for
    /// whoever needs its place. It stays this host's for five seconds more, and while it has sockets, which stay open.
    pub fn hibernate(&self, key: &WorkerKey) {
        self.manager.hibernate(key);
    }

    /// Has a worker leave memory once the turn that runs is committed, and its ownership released: another host can
    /// acquire it. If something waits for it here, it is acquired again afterwards. Whoever waits for the answer of a
    /// handler that waits is told that the worker is `unavailable`.
    pub fn give_up(&self, key: &WorkerKey) {
        self.manager.give_up(key);
    }

    /// Has a worker go on that has to without a message: with timers that are due, or calls without an answer; one that
    /// another host has stays that host's. Returns at once: a handler that waits may do so for days, and workers are
    /// read a few at a time.
    pub fn resume(&self, key: &WorkerKey) {
        self.manager.resume(key);
    }

    /// Changes the settings, from now on and of all workers: how long those rest that do so now, what waits in
    /// mailboxes next, what becomes of the next turn that is ended. Sockets that are open keep their bounds of what
    /// waits for them.
    pub fn configure(&self, settings: WorkerSettings) {
        self.manager.configure(settings);
    }

    /// Has the tags, groups and supervision trees be those of this table from now on, which was
    /// [checked](WorkersConfig::check). A message that was sent stays with the member of the group that it went to. A
    /// tree that is as it was keeps what has failed of it, and whether it was given up; the workers of others are
    /// started with the next [`Self::reload`], and those of trees that are gone are left as they are.
    pub fn configure_registry(&self, config: &WorkersConfig) {
        self.manager.groups.configure(&config.group);
        self.manager.trees.configure(config.trees());
        self.manager.tags.write().clone_from(&config.tags);
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
        let all = self.list().await?.into_iter().filter(|one| one.given_up.is_none());
        let keys: Vec<WorkerKey> = all.map(|one| one.key).collect();
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

    /// A worker that has no task.
    fn status_of(&self, summary: WorkerSummary) -> WorkerStatus {
        let WorkerSummary { key, turns, is_waiting, next_due, .. } = summary;
        let condition = if is_waiting { WorkerCondition::Waiting } else { WorkerCondition::Asleep };
        self.manager.complete(WorkerStatus { condition, turns, next_due, ..WorkerStatus::unknown(key) })
    }
}

impl Drop for RunningWorkers {
    fn drop(&mut self) {
        self.manager.abort();
    }
}

/// The failure of a turn that nobody tries again.
fn of_turn(failure: &TurnFailure) -> Error {
    let code = match failure {
        TurnFailure::Thrown { .. } => ErrorCode::Exception,
        TurnFailure::NotRun(_) => ErrorCode::Unavailable,
        TurnFailure::Ended(_)
        | TurnFailure::Nondeterministic(_)
        | TurnFailure::OtherVersion(_)
        | TurnFailure::Unusable(_) => ErrorCode::Failed,
    };
    failed(code, failure.to_string())
}

/// Whether there is a worker that has a task or was given up: one that was not started yet, and is not about to be, is
/// none.
fn exists(status: &WorkerStatus) -> bool {
    status.given_up.is_some() || status.turns > 0 || status.messages > 0 || status.condition == WorkerCondition::Running
}
