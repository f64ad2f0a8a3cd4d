//! The use of the quotas of triggers by tenants: unfinished jobs, and the bytes of jobs, of their records once they
//! have ended, and of the log of events.
//!
//! Both are counted along the way, in rows that are written to anyway.

use super::{Database, statement};
use crate::error::{Error, Result};
use crate::{Dialect, HostScope, TenantScope, get, text, to_json};
use elias_api::{Code, Quotas};
use elias_names::TenantId;
use serde::Serialize;
use serde_json::Value;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// Rows in which a tenant's unfinished jobs are counted, or its workers.
const COUNT_SLOTS: u32 = 8;

/// A column of statements that select jobs which are about to end or to begin again: the bytes of the input.
pub(super) const INPUT_BYTES: &str = "CAST(octet_length(input) AS BIGINT) AS input_bytes";

/// A column of statements that select records of jobs that have ended: the bytes of all that they keep.
pub(super) const RECORD_BYTES: &str = "CAST(octet_length(input) + COALESCE(octet_length(result), 0) \
    + COALESCE(octet_length(error), 0) AS BIGINT) AS record_bytes";

/// A tenant's use of the quotas of triggers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TriggerUse {
    /// Jobs that are not finished.
    pub unfinished_jobs: u64,
    /// Bytes of the inputs of these, of the inputs, results and errors of jobs that have ended and are kept, and of the
    /// data of the events in the log.
    pub bytes: u64,
}

impl TriggerUse {
    /// The use that was counted. What is less than none, since the count is off, is none.
    fn of(unfinished_jobs: i64, bytes: i64) -> Self {
        let [unfinished_jobs, bytes] = [unfinished_jobs, bytes].map(|count| u64::try_from(count).unwrap_or_default());
        Self { unfinished_jobs, bytes }
    }
}

/// By how much the count of a tenant's unfinished jobs changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct JobCountChange {
    pub(super) tenant: String,
    /// Jobs more, or fewer if it is negative.
    pub(super) jobs: i64,
    /// Bytes of inputs and of records more, or fewer.
    pub(super) bytes: i64,
}

impl TenantScope {
    /// The tenant's use. It takes no time, however many jobs and events there are.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trigger_use(&mut self) -> Result<TriggerUse> {
        let tenant = self.tenant.clone();
        self.database().trigger_use(&tenant).await
    }
}

impl HostScope {
    /// A tenant's use, as [`TenantScope::trigger_use`].
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trigger_use(&mut self, tenant: &TenantId) -> Result<TriggerUse> {
        self.database().trigger_use(tenant).await
    }

    /// The use of each tenant that ever had a job or an event. It takes time by the number of tenants.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trigger_use_by_tenant(&mut self) -> Result<HashMap<TenantId, TriggerUse>> {
        let select = "SELECT used.tenant AS tenant, CAST(SUM(used.unfinished) AS BIGINT) AS unfinished, \
                      CAST(SUM(used.bytes) AS BIGINT) AS bytes FROM (SELECT tenant, unfinished, bytes FROM job_counts \
                      UNION ALL SELECT tenant, 0, bytes - hidden_bytes FROM event_positions) AS used \
                      GROUP BY used.tenant";
        let rows = self.database().rows(sqlx::query(select)).await?;
        let entry =
            |row: &AnyRow| Ok((text(row, "tenant")?, TriggerUse::of(get(row, "unfinished")?, get(row, "bytes")?)));
        rows.iter().map(entry).collect()
    }

    /// Whether the jobs of a tenant and their bytes are what was counted along the way. It takes time by their number.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn are_jobs_counted(&mut self, tenant: &TenantId) -> Result<bool> {
        Ok(self.database().count_drift(tenant).await?.is_none())
    }

    /// Corrects the counts of a tenant by its jobs; says whether they were off. One host at a time may do so: two would
    /// correct them twice. Others enqueue and end jobs meanwhile.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn recount_jobs(&mut self, tenant: &TenantId) -> Result<bool> {
        let mut database = self.database();
        let drift = database.count_drift(tenant).await?;
        database.count(drift.as_slice()).await?;
        Ok(drift.is_some())
    }

    /// The quota `trigger-bytes` of each tenant that ever had a job; 0 where there is none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trigger_bytes_quotas(&mut self) -> Result<HashMap<TenantId, u64>> {
        let select = "SELECT t.tenant AS tenant, t.settings AS settings FROM tenants t \
                      WHERE EXISTS (SELECT 1 FROM job_counts c WHERE c.tenant = t.tenant)";
        let quota = |row: &AnyRow| {
            // Read without the other settings: a later release may have more of them.
            let settings: Value = crate::json(row, "settings")?;
            let bytes = settings["quotas"]["trigger-bytes"].as_u64();
            Ok((text(row, "tenant")?, bytes.unwrap_or_else(|| Quotas::default().trigger_bytes)))
        };
        self.database().rows(sqlx::query(select)).await?.iter().map(quota).collect()
    }
}

impl Dialect {
    /// An expression: the row of a tenant in which a transaction counts. It has one connection, and so one row, however
    /// often it counts: with several rows, two transactions might wait for each other.
    pub(crate) fn count_slot(self) -> String {
        match self {
            Self::Sqlite => "0".to_owned(),
            Self::Postgres => format!("CAST(pg_backend_pid() % {COUNT_SLOTS} AS BIGINT)"),
        }
    }
}

impl Database<'_> {
    pub(super) async fn trigger_use(&mut self, tenant: &TenantId) -> Result<TriggerUse> {
        let select = "SELECT CAST(COALESCE(SUM(unfinished), 0) AS BIGINT) AS unfinished, \
                      CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS job_bytes, \
                      COALESCE((SELECT p.bytes - p.hidden_bytes FROM event_positions p WHERE p.tenant = $1), 0) \
                      AS event_bytes FROM job_counts WHERE tenant = $1";
        let row = self.row(sqlx::query(select).bind(tenant.as_str().to_owned())).await?;
        let row = row.ok_or_else(|| Error::new(Code::Internal, "the store counted nothing"))?;
        let bytes = get::<i64>(&row, "job_bytes")?.saturating_add(get(&row, "event_bytes")?);
        Ok(TriggerUse::of(get(&row, "unfinished")?, bytes))
    }

    /// By how much the counts of a tenant have to change to be those of its jobs. All of it is one statement: a
    /// transaction that changes jobs also counts them, and the statement sees both or neither.
    async fn count_drift(&mut self, tenant: &TenantId) -> Result<Option<JobCountChange>> {
        let row = self.row(statement(count_drift()).bind(tenant.as_str().to_owned())).await?;
        let row = row.ok_or_else(|| Error::new(Code::Internal, "the store counted nothing"))?;
        let (jobs, bytes) = (get(&row, "jobs")?, get(&row, "bytes")?);
        let change = JobCountChange { tenant: tenant.to_string(), jobs, bytes };
        Ok((jobs != 0 || bytes != 0).then_some(change))
    }

    /// Refuses so many more jobs, with so many bytes of inputs, if they are more than the quotas allow.
    pub(super) async fn check_jobs(&mut self, tenant: &TenantId, jobs: u64, bytes: u64, quotas: &Quotas) -> Result<()> {
        if jobs == 0 || (quotas.jobs == 0 && quotas.trigger_bytes == 0) {
            return Ok(());
        }
        let used = self.trigger_use(tenant).await?;
        let (unfinished, most) = (used.unfinished_jobs, quotas.jobs);
        if most > 0 && unfinished.saturating_add(jobs) > most {
            return Err(over_quota(tenant, "jobs", unfinished, jobs, most, "jobs have ended"));
        }
        let most = quotas.trigger_bytes;
        if most > 0 && used.bytes.saturating_add(bytes) > most {
            return Err(over_trigger_bytes(tenant, used.bytes, bytes, most));
        }
        Ok(())
    }

    /// Counts unfinished jobs and bytes up or down, by tenant.
    pub(super) async fn count(&mut self, changes: &[JobCountChange]) -> Result<()> {
        let slot = self.dialect.count_slot();
        let mut sorted: Vec<_> = changes.iter().filter(|change| change.jobs != 0 || change.bytes != 0).collect();
        sorted.sort(); // transactions that count for the same tenants lock their rows in the same order
        if sorted.is_empty() {
            return Ok(());
        }
        let upsert = format!(
            "INSERT INTO job_counts (tenant, slot, unfinished, bytes) SELECT item.value->>'tenant', {slot}, \
             CAST(item.value->>'jobs' AS BIGINT), CAST(item.value->>'bytes' AS BIGINT) FROM {} WHERE true \
             ON CONFLICT (tenant, slot) DO UPDATE SET unfinished = job_counts.unfinished + excluded.unfinished, \
             bytes = job_counts.bytes + excluded.bytes",
            self.dialect.each(1)
        );
        self.run(statement(upsert).bind(to_json(&sorted)?)).await.map(drop)
    }
}

/// The statement that gives by how much the jobs of the tenant `$1` and their bytes are more than was counted.
fn count_drift() -> String {
    format!(
        "SELECT CAST(SUM(part.jobs) AS BIGINT) AS jobs, CAST(SUM(part.bytes) AS BIGINT) AS bytes FROM \
         (SELECT count(*) AS jobs, COALESCE(SUM(job.input_bytes), 0) AS bytes FROM \
         (SELECT {INPUT_BYTES} FROM jobs WHERE tenant = $1 \
         UNION ALL SELECT {INPUT_BYTES} FROM waiting_jobs WHERE tenant = $1) AS job \
         UNION ALL SELECT 0, COALESCE(SUM(record.record_bytes), 0) FROM \
         (SELECT {RECORD_BYTES} FROM finished_jobs WHERE tenant = $1) AS record \
         UNION ALL SELECT -COALESCE(SUM(unfinished), 0), -COALESCE(SUM(bytes), 0) FROM job_counts \
         WHERE tenant = $1) AS part"
    )
}

/// The bytes that a text takes up in the store.
pub(super) fn stored_bytes(text: &str) -> u64 {
    // A character 0 is stored as one of three bytes.
    (text.len() + 2 * text.matches('\0').count()) as u64
}

/// The refusal of what is over the quota `trigger-bytes`.
pub(super) fn over_trigger_bytes(tenant: &TenantId, used: u64, more: u64, most: u64) -> Error {
    let until = "jobs have ended, or dead jobs and events are not kept any more";
    over_quota(tenant, "trigger-bytes", used, more, most, until)
}

/// The refusal of what is over a quota. `until` says what has to happen before it is worth another try.
pub(super) fn over_quota(tenant: &TenantId, quota: &str, used: u64, more: u64, most: u64, until: &str) -> Error {
    let message = format!(
        "the quota `{quota}` of tenant {tenant} is {most}: {used} are in use, and {more} more were asked for; \
         try again when {until}"
    );
    Error::new(Code::QuotaExceeded, message)
}
