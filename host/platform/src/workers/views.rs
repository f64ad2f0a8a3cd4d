//! What is shown of workers: lists, their state at a turn, their history; and copies of them.

use super::runner::WorkerRunner;
use super::services::ServedComponent;
use super::store::PlatformWorkerStore;
use super::versions::HeapVersion;
use elias_api::{Code, Error, Result, WorkerCondition, WorkerFilter, WorkerHealth, WorkerStatus, WorkerTurn};
use elias_host::{Turn, TurnKind, TurnResult, WorkerHeap};
use elias_local_workers::{
    AwakeWorker, CallError, CallErrorCode, HeapCommit, StoreError, SwappedCode, TurnContext, TurnFailure, WorkerCommit,
    WorkerRecord, WorkerStore, merge_heap,
};
use elias_names::{Digest, ServiceId};
use elias_store::{WorkerSummaryRow, now_ms};
use elias_workers::WorkerKey;
use elias_workers::config::WorkersConfig;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Commits of before a turn that are looked at for one in which no handler waited.
const LOOKED_AT: u32 = 100;

impl WorkerRunner {
    /// The workers of a service that the filter names, by class and name, after this one.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn list(
        &self,
        service: &ServiceId,
        filter: &WorkerFilter,
        after: Option<WorkerKey>,
        limit: usize,
    ) -> Result<Vec<WorkerStatus>> {
        if filter.health.is_some_and(|health| health != WorkerHealth::Unknown) {
            return self.list_checked(service, filter, after, limit).await;
        }
        let mut found = Vec::new();
        for class in self.classes(service, filter) {
            let mut after = after.clone();
            loop {
                let page = self.page(service, class.as_deref(), after, limit).await?;
                let is_last = page.len() < limit;
                after = page.last().map(|last| WorkerKey::new(last.class.as_str(), last.name.as_str()));
                found.extend(page.into_iter().filter(|one| filter.health.is_none_or(|health| health == one.health)));
                if found.len() >= limit {
                    found.truncate(limit);
                    return Ok(found);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The classes that a filter leaves, in order; one that is none stands for all.
    fn classes(&self, service: &ServiceId, filter: &WorkerFilter) -> Vec<Option<String>> {
        let Some(tag) = &filter.tag else { return vec![filter.class.clone()] };
        let config = self.config(service);
        let tagged = config.tags.iter().filter(|(_, tags)| tags.contains(tag)).map(|(class, _)| class);
        tagged.filter(|class| filter.class.as_ref().is_none_or(|named| named == *class)).cloned().map(Some).collect()
    }

    fn config(&self, service: &ServiceId) -> Arc<WorkersConfig> {
        self.parts.services.find(service).map(|served| served.config).unwrap_or_default()
    }

    /// The same for workers that this host has checked lately: only it knows of them.
    async fn list_checked(
        &self,
        service: &ServiceId,
        filter: &WorkerFilter,
        after: Option<WorkerKey>,
        limit: usize,
    ) -> Result<Vec<WorkerStatus>> {
        use elias_local_workers::WorkerHealth as Here;
        let workers = self.existing(service);
        let Some(running) = workers.as_ref().and_then(|workers| workers.existing()) else { return Ok(Vec::new()) };
        let health = filter.health.map(|health| match health {
            WorkerHealth::Unknown => Here::Unknown,
            WorkerHealth::Healthy => Here::Healthy,
            WorkerHealth::Unhealthy => Here::Unhealthy,
        });
        let (class, tag) = (filter.class.clone(), filter.tag.clone());
        let here = elias_local_workers::WorkerFilter { class, tag, health };
        let listed = running.list_matching(&here, after, limit).await.map_err(of_storing)?;
        let config = self.config(service);
        // One transaction for all of them.
        let mut scope = self.parts.store.read(&service.tenant).await?;
        let mut found = Vec::with_capacity(listed.len());
        for here in listed {
            let row = scope.worker(service, &here.key).await?;
            found.push(with_memory(row.map(|row| of_row(row, &config)), here));
        }
        Ok(found)
    }

    /// The workers of a class, or of all, after this one.
    async fn page(
        &self,
        service: &ServiceId,
        class: Option<&str>,
        after: Option<WorkerKey>,
        limit: usize,
    ) -> Result<Vec<WorkerStatus>> {
        let (at_most, config) = (u32::try_from(limit).unwrap_or(u32::MAX), self.config(service));
        let mut scope = self.parts.store.read(&service.tenant).await?;
        let of_class = elias_store::WorkerFilter { class: class.map(str::to_owned), prefix: None };
        let rows = scope.workers(service, &of_class, after.as_ref(), at_most).await?;
        drop(scope);
        let mut all: BTreeMap<WorkerKey, WorkerStatus> =
            rows.into_iter().map(|row| (row.key.clone(), of_row(row, &config))).collect();
        let workers = self.existing(service);
        if let Some(running) = workers.as_ref().and_then(|workers| workers.existing()) {
            // Of those after a full page the store has others before them.
            let last = all.keys().next_back().filter(|_| all.len() >= limit).cloned();
            let here = elias_local_workers::WorkerFilter { class: of_class.class, ..Default::default() };
            for here in running.list_matching(&here, after, limit).await.map_err(of_storing)? {
                if last.as_ref().is_none_or(|last| here.key <= *last) {
                    let key = here.key.clone();
                    let row = all.remove(&key);
                    all.insert(key, with_memory(row, here));
                }
            }
        }
        Ok(all.into_values().take(limit).collect())
    }

    /// A worker, if there is one.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn status(&self, service: &ServiceId, key: &WorkerKey) -> Result<Option<WorkerStatus>> {
        let row = self.parts.store.read(&service.tenant).await?.worker(service, key).await?;
        let row = row.map(|row| of_row(row, &self.config(service)));
        let workers = self.existing(service);
        let Some(running) = workers.as_ref().and_then(|workers| workers.existing()) else { return Ok(row) };
        let here = running.status(key).await.map_err(of_storing)?;
        Ok(match here {
            Some(here) => Some(with_memory(row, here)),
            None => row,
        })
    }

    /// The state of a worker as of a committed turn, the last one if none is named, in the structured clone encoding.
    /// It is read by a turn whose worker is thrown away.
    ///
    /// # Errors
    /// `not-found` if there is no such worker, or the turn is not kept; those of the component; `store-unavailable`.
    pub(crate) async fn state(&self, service: &ServiceId, key: &WorkerKey, at: Option<u64>) -> Result<String> {
        let (row, turn) = self.turn_of(service, key, at).await?;
        let heap = self.heap(service, key, turn).await?;
        let workers = self.workers(service).map_err(of_call)?;
        let component = workers.component().await.map_err(of_call)?;
        let mut worker = wake(&component, &heap).await?;
        let result = run_turn(worker.as_mut(), &row.key, TurnKind::Inspect).await?;
        result.answer.ok_or_else(|| Error::new(Code::Internal, "the worker did not give its state"))
    }

    /// The commits of a worker before a turn whose states are kept, the newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn history(
        &self,
        service: &ServiceId,
        key: &WorkerKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<WorkerTurn>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let rows = self.parts.store.read(&service.tenant).await?.worker_history(service, key, before, limit).await?;
        let turns = rows.into_iter().map(|row| {
            let elias_store::WorkerTurnRow { turn, at, back_to, is_waiting: _, bytes, version } = row;
            WorkerTurn { turn, at, back_to, bytes, version }
        });
        Ok(turns.collect())
    }

    /// Makes a worker that is as another one was after a turn, without its timers and calls, and runs beside it.
    ///
    /// # Errors
    /// `not-found` if there is no such worker, or the turn is not kept; `already-there` for the name, `bad-input` for
    /// that of a group; `wrong-state` for a turn in which a handler waited; `quota-exceeded`, `store-unavailable`.
    pub(crate) async fn fork(
        &self,
        service: &ServiceId,
        key: &WorkerKey,
        at: Option<u64>,
        name: &str,
    ) -> Result<WorkerKey> {
        let (row, turn) = self.turn_of(service, key, at).await?;
        let copy = WorkerKey::new(key.class.clone(), name);
        let served = self.parts.services.find(service);
        if let Some(group) = served.as_ref().and_then(|served| served.config.group_of(&copy)) {
            let message = format!(
                "{copy} is for a member of the group `{}`, so no message would get to the copy; choose another name",
                group.name
            );
            return Err(Error::new(Code::BadInput, message));
        }
        let is_taken = || {
            let message = format!("there is a worker {copy} already; choose another name");
            Error::new(Code::AlreadyThere, message)
        };
        // First: one that runs would lose its owner to what acquires it here, and with that the turn that runs.
        if self.status(service, &copy).await?.is_some() {
            return Err(is_taken());
        }
        let number = self.copyable_version(service, key, turn).await?.unwrap_or(row.version);
        let bytes = self.heap(service, key, turn).await?;
        let digest = WorkerHeap::component_of(&bytes);
        let digest = digest.map_err(|error| Error::new(Code::Component(error.code()), error.to_string()))?;
        let digest: Digest = digest.parse()?;
        let component = self.workers(service).map_err(of_call)?.component().await.map_err(of_call)?;
        let mut worker = wake(&component, &bytes).await?;
        let copied = run_turn(worker.as_mut(), &copy, TurnKind::Copy { of: key.name.clone() }).await?;
        let written = worker.commit().run().await.map_err(of_storing)?;
        let heap = tokio::task::spawn_blocking(move || match written {
            HeapCommit::Change(change) => merge_heap(&bytes, &[change]).map_err(TurnFailure::Unusable),
            HeapCommit::Whole(whole) => Ok(whole),
            HeapCommit::Unchanged | HeapCommit::BackTo(_) => Ok(bytes),
        });
        let heap = heap.await.map_err(|error| Error::new(Code::Internal, error.to_string()))?.map_err(of_turn)?;
        // As any worker that begins: through the service's own store, so that nothing of it runs meanwhile.
        let workers = self.entry(service);
        let store: &PlatformWorkerStore = &workers.store;
        let acquired = store.acquire(&copy).await.map_err(of_storing)?;
        if acquired.record.is_some() {
            store.release(&copy, acquired.epoch).await.map_err(of_storing)?;
            return Err(is_taken());
        }
        store.set_version(&copy, HeapVersion { number, digest });
        let mut record = WorkerRecord::new(copy.clone());
        (record.turns, record.now) = (1, u64::try_from(now_ms()).unwrap_or_default());
        // The component says it, which may be anyone's.
        let code = copied.answer.and_then(|name| name.parse::<Digest>().ok());
        record.code = code.map(|name| SwappedCode { name: name.to_string(), version: number.to_string() });
        let commit = WorkerCommit { epoch: acquired.epoch, record, heap: HeapCommit::Whole(heap), events: Vec::new() };
        let committed = store.commit(commit).await;
        store.release(&copy, acquired.epoch).await.map_err(of_storing)?;
        committed.map_err(of_storing)?;
        Ok(copy)
    }

    /// The version that ran a turn, if its commit is known; refuses one in which a handler waited, whether or not that
    /// is over by now.
    async fn copyable_version(&self, service: &ServiceId, key: &WorkerKey, turn: u64) -> Result<Option<u32>> {
        let mut scope = self.parts.store.read(&service.tenant).await?;
        let commits = scope.worker_history(service, key, turn.checked_add(1), LOOKED_AT).await?;
        let Some(commit) = commits.first() else { return Ok(None) };
        if !commit.is_waiting {
            return Ok(Some(commit.version));
        }
        let before = match commits.iter().find(|commit| !commit.is_waiting) {
            Some(before) => format!("name another one, such as {}", before.turn),
            None => "name one of before it".to_owned(),
        };
        let message = format!(
            "a handler of {key} waited in turn {turn}: what it waited for would not come to a copy, whose promise \
             would never settle; {before}"
        );
        Err(Error::new(Code::WrongState, message))
    }

    /// A worker, and the turn that is meant.
    async fn turn_of(&self, service: &ServiceId, key: &WorkerKey, at: Option<u64>) -> Result<(WorkerSummaryRow, u64)> {
        let row = self.parts.store.read(&service.tenant).await?.worker(service, key).await?;
        let row = row.ok_or_else(|| Error::not_found(format_args!("the worker {key}")))?;
        let turn = at.unwrap_or(row.turns);
        Ok((row, turn))
    }

    async fn heap(&self, service: &ServiceId, key: &WorkerKey, turn: u64) -> Result<Vec<u8>> {
        self.entry(service).store.read_heap(key, turn).await.map_err(of_storing)
    }
}

/// A worker of the store.
fn of_row(row: WorkerSummaryRow, config: &WorkersConfig) -> WorkerStatus {
    WorkerStatus {
        health: WorkerHealth::Unknown,
        health_error: None,
        tags: config.tags_of(&row.key.class).to_vec(),
        given_up: None,
        class: row.key.class,
        name: row.key.name,
        condition: if row.is_waiting { WorkerCondition::Waiting } else { WorkerCondition::Asleep },
        turns: row.turns,
        messages: 0,
        dropped: 0,
        next_due: row.next_due,
        heap_bytes: row.heap_bytes,
        version: Some(row.version),
        kept_from: Some(row.kept_from),
        updated_at: Some(row.updated_at),
        upgrade_error: None,
        rolled_back: None,
    }
}

/// A worker of the store, with what this host knows of it; without the store, one that is kept in memory alone.
fn with_memory(row: Option<WorkerStatus>, here: elias_local_workers::WorkerStatus) -> WorkerStatus {
    use elias_local_workers::WorkerCondition as Here;
    use elias_local_workers::WorkerHealth as Health;
    let elias_local_workers::WorkerStatus { key, condition, turns, messages, dropped, next_due, .. } = here;
    let row = row.unwrap_or(WorkerStatus {
        class: key.class,
        name: key.name,
        condition: WorkerCondition::Asleep,
        turns,
        messages: 0,
        dropped: 0,
        next_due,
        heap_bytes: 0,
        version: None,
        kept_from: None,
        updated_at: None,
        upgrade_error: None,
        rolled_back: None,
        health: WorkerHealth::Unknown,
        health_error: None,
        tags: here.tags,
        given_up: None,
    });
    let health = match here.health {
        Health::Unknown => WorkerHealth::Unknown,
        Health::Healthy => WorkerHealth::Healthy,
        Health::Unhealthy => WorkerHealth::Unhealthy,
    };
    let condition = match condition {
        Here::Running => WorkerCondition::Running,
        Here::Waiting => WorkerCondition::Waiting,
        Here::Idle => WorkerCondition::Idle,
        // Another host may have it in memory.
        Here::Asleep => row.condition,
    };
    WorkerStatus {
        condition,
        messages: messages as u64,
        dropped,
        upgrade_error: here.upgrade_error,
        health,
        health_error: here.health_error,
        given_up: here.given_up,
        ..row
    }
}

/// Runs a turn of a worker that nobody else has.
async fn run_turn(worker: &mut dyn AwakeWorker, key: &WorkerKey, kind: TurnKind) -> Result<TurnResult> {
    let turn = Turn {
        class: key.class.clone(),
        name: key.name.clone(),
        id: ulid::Ulid::new().to_string(),
        now: u64::try_from(now_ms()).unwrap_or_default(),
        kind,
    };
    worker.turn(&turn, TurnContext { attempt: 1, ..TurnContext::default() }).await.map_err(of_turn)
}

/// A worker with this heap, in the version that it belongs to.
async fn wake(component: &ServedComponent, heap: &[u8]) -> Result<Box<dyn AwakeWorker>> {
    match component.component.wake(Some(heap)) {
        Err(TurnFailure::OtherVersion(why)) => match component.component.predecessor(heap).await {
            Some(former) => former.wake(Some(heap)).map_err(of_turn),
            None => Err(of_turn(TurnFailure::OtherVersion(why))),
        },
        woken => woken.map_err(of_turn),
    }
}

fn of_call(error: CallError) -> Error {
    let code = match error.code {
        CallErrorCode::NotFound => Code::NotFound,
        CallErrorCode::QuotaExceeded => Code::QuotaExceeded,
        _ => Code::WorkersUnavailable,
    };
    Error::new(code, error.message)
}

fn of_turn(failure: TurnFailure) -> Error {
    let code = match &failure {
        TurnFailure::Thrown { .. } => Code::WorkerException,
        TurnFailure::NotRun(_) => Code::WorkersUnavailable,
        TurnFailure::Ended(_)
        | TurnFailure::Nondeterministic(_)
        | TurnFailure::OtherVersion(_)
        | TurnFailure::Unusable(_) => Code::WorkerFailed,
    };
    Error::new(code, failure.to_string())
}

fn of_storing(error: StoreError) -> Error {
    let code = match &error {
        StoreError::NoSuchTurn(_) => Code::NotFound,
        StoreError::Unavailable(_) => Code::StoreUnavailable,
        StoreError::QuotaExceeded(_) => Code::QuotaExceeded,
        StoreError::MemoryFull(_) => Code::WorkersUnavailable,
        StoreError::OwnedElsewhere { .. } | StoreError::NotOwner | StoreError::InUse(_) => Code::WrongState,
        StoreError::Io(_) | StoreError::Damaged(_) | StoreError::Full(_) => Code::StorageFailed,
    };
    Error::new(code, error.to_string())
}
