//! Administration of service workers: who may see them, read their state, send to them and operate them.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::worker_calls::{call, check_worker, refusal, shown};
use crate::worker_events::subject_of;
use elias_api::{
    Error, Result, WorkerFilter, WorkerForkRequest, WorkerId, WorkerMessage, WorkerRollback, WorkerStatus,
    WorkerStopRequest, WorkerTurn,
};
use elias_names::ServiceId;
use elias_store::NOTHING;
use elias_workers::WorkerKey;
use serde::Serialize;
use serde_json::{Value, json};

/// Items of a list, at most.
const LISTED_MAX: u32 = 1_000;

impl Platform {
    /// The workers of a service that the filter names, by class and name, after this one; at most 1,000.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn list_workers(
        &self,
        session: &Session,
        service: &ServiceId,
        filter: &WorkerFilter,
        after: Option<WorkerKey>,
        limit: u32,
    ) -> Result<Vec<WorkerStatus>> {
        session.require(Permission::Read, &service.tenant, service)?;
        self.workers().list(service, filter, after, limit.min(LISTED_MAX) as usize).await
    }

    /// A worker.
    ///
    /// # Errors
    /// `not-found`, `bad-input` for a class or a name that none can have; `forbidden`, `store-unavailable`.
    pub async fn worker(&self, session: &Session, service: &ServiceId, key: &WorkerKey) -> Result<WorkerStatus> {
        session.require(Permission::Read, &service.tenant, service)?;
        check_worker(key)?;
        let worker = self.existing_worker(service, key).await?;
        let history = self.workers().history(service, key, None, LISTED_MAX as usize).await?;
        Ok(WorkerStatus { rolled_back: WorkerRollback::last(&history), ..worker })
    }

    /// The state of a worker as of a committed turn, the last one if none is named; see
    /// [`to_json`](elias_workers::value::to_json) for the form.
    ///
    /// # Errors
    /// `not-found`, also for a turn that is not kept; `wrong-state` if the component cannot read it; `worker-failed`,
    /// `bad-input`, `forbidden`, `store-unavailable`.
    pub async fn worker_state(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        at: Option<u64>,
    ) -> Result<Value> {
        session.require(Permission::ReadData, &service.tenant, service)?;
        check_worker(key)?;
        self.require_deployed(service)?;
        self.existing_worker(service, key).await?;
        shown(&self.workers().state(service, key, at).await?)
    }

    /// The commits of a worker that are kept, the newest first, before this turn; at most 1,000.
    ///
    /// # Errors
    /// `not-found`, `bad-input`, `forbidden`, `store-unavailable`.
    pub async fn worker_history(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<WorkerTurn>> {
        session.require(Permission::Read, &service.tenant, service)?;
        check_worker(key)?;
        self.existing_worker(service, key).await?;
        self.workers().history(service, key, before, limit.min(LISTED_MAX) as usize).await
    }

    /// Has a worker handle a message or a call, which starts it if it does not exist; gives what the handler returned,
    /// once the turn is committed. `cause` is the `traceparent` of the request.
    ///
    /// # Errors
    /// `worker-exception` if the handler threw: the worker is as before the message; `answer-timeout` after two
    /// minutes: the worker handles it all the same; `worker-failed`, `mailbox-full`, `workers-unavailable`; `not-found`
    /// for the service or the class; `bad-input`, `too-large`, `quota-exceeded`, `forbidden`.
    pub async fn send_to_worker(
        &self,
        session: &Session,
        service: &ServiceId,
        key: WorkerKey,
        message: WorkerMessage,
        cause: Option<String>,
    ) -> Result<Value> {
        session.require(Permission::CallWorkers, &service.tenant, service)?;
        check_worker(&key)?;
        self.require_deployed(service)?;
        call(self.workers(), service, key, message.split()?, cause).await
    }

    /// Starts a worker. One that exists is left as it is.
    ///
    /// # Errors
    /// As of [`Platform::send_to_worker`]; `store-unavailable`, for what cannot be audited is not done.
    pub async fn start_worker(&self, session: &Session, service: &ServiceId, key: &WorkerKey) -> Result<WorkerStatus> {
        self.audit_worker(session, service, key, "worker.start", NOTHING).await?;
        self.workers().start_worker(service, key).await.map_err(refusal)?;
        self.existing_worker(service, key).await
    }

    /// Stops a worker: its `onStop` is called and what it holds is forgotten. The next message begins a new one.
    ///
    /// # Errors
    /// `not-found` if there is no such worker; else as of [`Platform::start_worker`].
    pub async fn stop_worker(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        request: WorkerStopRequest,
    ) -> Result<()> {
        let reason = self.audit_stop(session, service, key, request, "worker.stop").await?;
        // It may have gone since it was looked for.
        self.workers().stop_worker(service, key, reason).await.map_err(refusal)?;
        Ok(())
    }

    /// Stops a worker and starts it with an empty state.
    ///
    /// # Errors
    /// As of [`Platform::stop_worker`].
    pub async fn restart_worker(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        request: WorkerStopRequest,
    ) -> Result<WorkerStatus> {
        let reason = self.audit_stop(session, service, key, request, "worker.restart").await?;
        self.workers().restart_worker(service, key, reason).await.map_err(refusal)?;
        self.existing_worker(service, key).await
    }

    /// Makes a worker that is as another one was after a turn, and runs beside it.
    ///
    /// # Errors
    /// `not-found`, also for a turn that is not kept; `already-there` for the name, `bad-input` for that of a group;
    /// `wrong-state` while a handler waits; `forbidden`, `quota-exceeded`, `store-unavailable`.
    pub async fn fork_worker(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        request: &WorkerForkRequest,
    ) -> Result<WorkerId> {
        session.require(Permission::OperateWorkers, &service.tenant, service)?;
        check_worker(key)?;
        check_worker(&WorkerKey::new(key.class.clone(), request.name.clone()))?;
        self.existing_worker(service, key).await?;
        self.audit_worker(session, service, key, "worker.fork", Some(request)).await?;
        let WorkerKey { class, name } = self.workers().fork(service, key, request.at, &request.name).await?;
        Ok(WorkerId { class, name })
    }

    fn require_deployed(&self, service: &ServiceId) -> Result<()> {
        self.serving().service(service).map(drop).ok_or_else(|| Error::not_deployed(service))
    }

    async fn existing_worker(&self, service: &ServiceId, key: &WorkerKey) -> Result<WorkerStatus> {
        let found = self.workers().status(service, key).await?;
        found.ok_or_else(|| Error::not_listed(format_args!("the worker {key}"), "elias workers list"))
    }

    /// Checks and audits that a worker is stopped; the reason that it is told.
    async fn audit_stop(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        request: WorkerStopRequest,
        action: &str,
    ) -> Result<Value> {
        session.require(Permission::OperateWorkers, &service.tenant, service)?;
        check_worker(key)?;
        request.check()?;
        self.existing_worker(service, key).await?;
        let reason = request.reason.unwrap_or_else(|| format!("stopped by {}", session.principal.name));
        self.audit_worker(session, service, key, action, Some(&json!({ "reason": reason }))).await?;
        Ok(Value::from(reason))
    }

    /// Checks that a worker may be operated, and says in the audit trail that it is.
    async fn audit_worker(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        action: &str,
        details: Option<&(impl Serialize + Sync)>,
    ) -> Result<()> {
        session.require(Permission::OperateWorkers, &service.tenant, service)?;
        check_worker(key)?;
        self.require_deployed(service)?;
        let mut scope = self.store().write(&service.tenant).await?;
        // The key is shown with its control characters escaped: a text in PostgreSQL has no NUL.
        scope.audit(&session.actor(), action, subject_of(service, key), NOTHING, details).await?;
        Ok(scope.commit().await?)
    }
}
