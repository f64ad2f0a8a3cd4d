//! Who owns a worker: acquiring it, asking for it, giving it up.

use super::{IS_WORKER, WorkerRef, optional_number, worker_refs};
use crate::error::{Error, Result};
use crate::triggers::statement;
use crate::{Dialect, HostScope, TenantScope, get, number, signed};
use elias_api::Code;
use elias_names::{Digest, ServiceId};
use elias_workers::WorkerKey;

/// How often an acquisition begins anew because the worker was released while it looked for the owner.
const ATTEMPTS: u32 = 8;

/// The name of the lease of a process that owns workers. It owns them for as long as it renews that lease
/// ([`HostScope::renew_lease`]): it acquires the lease before the first worker, and ends it with the process.
#[must_use]
pub fn worker_lease_name(process: &str) -> String {
    format!("workers/{process}")
}

/// The result of an attempt to acquire a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerAcquisition {
    /// The caller owns it now.
    Acquired(AcquiredWorker),
    /// Another process owns it, and finds out that it is wanted by [`HostScope::wanted_workers`].
    OwnedElsewhere {
        /// That process.
        owner: String,
    },
}

/// A worker that was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquiredWorker {
    /// What the new owner's commits name. Higher than that of any former owner, also where the worker was removed and
    /// made anew since.
    pub epoch: u64,
    /// Its last committed turn; 0 where nothing was committed.
    pub turns: u64,
    /// Its record as the last owner committed it; none where nothing was committed.
    pub record: Option<Vec<u8>>,
    /// The version of the component that its heap belongs to.
    pub version: Option<u32>,
    /// The component that its heap belongs to.
    pub component_digest: Option<Digest>,
}

impl TenantScope {
    /// Makes the process `owner` the owner of a worker, also where there is no such worker yet. It takes one that has
    /// no owner, one whose owner's lease has ended, and one that is its own. The process holds the lease
    /// [`worker_lease_name`]; without it the next one to ask gets the worker.
    ///
    /// If another process owns it, the worker is marked as wanted: ask again a little later.
    ///
    /// # Errors
    /// `bad-input` if no worker can have this class and name; `store-unavailable`.
    pub async fn acquire_worker(
        &mut self,
        service: &ServiceId,
        key: &WorkerKey,
        owner: &str,
    ) -> Result<WorkerAcquisition> {
        if let Some(problem) = key.problem() {
            return Err(Error::new(Code::BadInput, problem));
        }
        for _ in 0..ATTEMPTS {
            let id = ulid::Ulid::new().to_string();
            let query = self.query_of_worker(acquire_worker(self.dialect), service, key);
            let query = query.bind(id.clone()).bind(owner.to_owned());
            if let Some(row) = self.row(query).await? {
                if get::<String>(&row, "id")? == id {
                    self.count_workers(1, 0).await?;
                }
                let digest = get::<Option<String>>(&row, "component_digest")?;
                return Ok(WorkerAcquisition::Acquired(AcquiredWorker {
                    epoch: number(&row, "epoch")?,
                    turns: number(&row, "turns")?,
                    record: get(&row, "record")?,
                    version: optional_number(&row, "version")?,
                    component_digest: digest
                        .map(|digest| Digest::try_from(digest).map_err(|_| crate::damaged("component_digest")))
                        .transpose()?,
                }));
            }
            if let Some(owner) = self.want_worker(service, key, owner).await? {
                return Ok(WorkerAcquisition::OwnedElsewhere { owner });
            }
        }
        Err(Error::new(Code::StoreUnavailable, format!("the worker {key} changes its owner all the time; try again")))
    }

    /// Asks the owner of a worker to give it up; gives the owner, if there is one.
    async fn want_worker(&mut self, service: &ServiceId, key: &WorkerKey, wanted_by: &str) -> Result<Option<String>> {
        let select = format!("SELECT owner, wanted_by FROM workers WHERE {IS_WORKER} AND owner <> ''");
        let query = self.query_of_worker(select, service, key);
        let Some(row) = self.row(query).await? else { return Ok(None) };
        let owner: String = get(&row, "owner")?;
        // Whoever waits asks again and again: the row is written once.
        if get::<Option<String>>(&row, "wanted_by")?.is_none() {
            let update = format!("UPDATE workers SET wanted_by = $6 WHERE {IS_WORKER} AND owner = $7");
            let query = self.query_of_worker(update, service, key).bind(wanted_by.to_owned());
            if self.run(query.bind(owner.clone())).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(owner))
    }

    /// Gives up a worker: commits with the epoch are refused from here on. One that was never committed leaves nothing.
    /// `false` if the epoch is not the worker's any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn release_worker(&mut self, service: &ServiceId, key: &WorkerKey, epoch: u64) -> Result<bool> {
        let delete = format!("DELETE FROM workers WHERE {IS_WORKER} AND epoch = $6 AND record IS NULL");
        let query = self.query_of_worker(delete, service, key).bind(signed(epoch));
        if self.run(query).await? > 0 {
            self.count_workers(-1, 0).await?;
            return Ok(true);
        }
        let update = format!(
            "UPDATE workers SET owner = '', wanted_by = NULL, epoch = epoch + 1 WHERE {IS_WORKER} AND epoch = $6"
        );
        let query = self.query_of_worker(update, service, key).bind(signed(epoch));
        Ok(self.run(query).await? > 0)
    }
}

impl HostScope {
    /// The workers of the process `owner` that others have asked for, at most so many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn wanted_workers(&mut self, owner: &str, most: u32) -> Result<Vec<WorkerRef>> {
        let query = sqlx::query(WANTED_WORKERS).bind(owner.to_owned()).bind(i64::from(most));
        worker_refs(&query.fetch_all(&mut *self.tx).await?)
    }

    /// Ends the leases of processes other than `process` whose ids begin with `prefix`; says how many. Whoever has the
    /// data directory of a host locked knows that the host's former processes are over, and need not wait until their
    /// leases end.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn end_worker_leases(&mut self, prefix: &str, process: &str) -> Result<u64> {
        let update = format!(
            "UPDATE leases SET until = 0 WHERE substr(name, 1, length($1)) = $1 AND name <> $2 AND until > {}",
            self.dialect.now()
        );
        let query = statement(update).bind(worker_lease_name(prefix)).bind(worker_lease_name(process));
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }
}

/// The condition that the process in the column `owner` has a lease.
pub(super) fn is_live(dialect: Dialect, owner: &str) -> String {
    let now = dialect.now();
    format!("EXISTS (SELECT 1 FROM leases l WHERE l.name = 'workers/' || {owner} AND l.until > {now})")
}

/// The statement that acquires a worker for the process `$7`; `$6` is the id of a new one.
pub(super) fn acquire_worker(dialect: Dialect) -> String {
    let (now, is_live) = (dialect.now(), is_live(dialect, "workers.owner"));
    format!(
        "INSERT INTO workers (tenant, component, environment, class, name, id, owner, epoch, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, {now}, {now}, {now}) \
         ON CONFLICT (tenant, component, environment, class, name) DO UPDATE SET epoch = workers.epoch + 1, \
         owner = excluded.owner, wanted_by = NULL WHERE workers.owner IN ('', excluded.owner) OR NOT {is_live} \
         RETURNING id, epoch, turns, record, version, component_digest"
    )
}

pub(super) const WANTED_WORKERS: &str = "SELECT tenant, component, environment, class, name FROM workers \
                                         WHERE owner = $1 AND wanted_by IS NOT NULL LIMIT $2";
