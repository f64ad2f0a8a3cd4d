//! Jobs with steps.

use super::JobRef;
use super::jobs::{TABLES, job, list_jobs};
use super::refs;
use crate::error::Result;
use crate::{AllowedServices, Dialect, TenantScope, before_id, get};
use elias_api::{JobFilter, JobRecord};

/// Journals that are looked at together.
const JOURNALS: u32 = 500;

/// The statement that finds at most `$3` jobs with steps of the tenant `$1` before the id `$2`, the newest first, each
/// by one look into the index: most jobs have no steps, and most steps have others beside them.
pub(super) const JOBS_WITH_STEPS: &str = "WITH RECURSIVE keys (job, place) AS ( \
    SELECT (SELECT s.job FROM steps s WHERE s.tenant = $1 AND s.job < $2 ORDER BY s.job DESC LIMIT 1), 1 \
    UNION ALL SELECT (SELECT s.job FROM steps s WHERE s.tenant = $1 AND s.job < keys.job ORDER BY s.job DESC LIMIT 1), \
    keys.place + 1 FROM keys WHERE keys.job IS NOT NULL AND keys.place < $3) \
    SELECT job FROM keys WHERE job IS NOT NULL ORDER BY place";

/// The condition that a job is one of `$7`, and those of `allowed`.
pub(super) fn is_one_of_these(dialect: Dialect, allowed: &AllowedServices) -> String {
    let (each, allowed) = (dialect.each(7), allowed.condition(dialect, 8));
    format!("AND id IN (SELECT item.value->>'id' FROM {each}) {allowed} ORDER BY id DESC")
}

impl TenantScope {
    /// The tenant's jobs whose journals have steps, the newest first, as [`jobs`](Self::jobs) lists them. It takes time
    /// by the number of these that are looked at, however many jobs have none.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn jobs_with_steps(
        &mut self,
        filter: &JobFilter,
        allowed: &AllowedServices,
        limit: u32,
    ) -> Result<Vec<JobRecord>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let conditions = is_one_of_these(self.dialect, allowed);
        let mut before = before_id(filter.before.as_deref());
        let mut jobs = Vec::new();
        while jobs.len() < limit {
            let query = self.query(JOBS_WITH_STEPS).bind(before.clone()).bind(i64::from(JOURNALS));
            let mut ids = Vec::new();
            for row in &self.rows(query).await? {
                ids.push(JobRef::of(&self.tenant, &get::<String>(row, "job")?));
            }
            let Some(last) = ids.last() else { break };
            before.clone_from(&last.id);
            let (ids, mut found) = (refs(&ids)?, Vec::new());
            for table in TABLES.iter().filter(|table| table.may_have(filter)) {
                let query = self.query_listed(list_jobs(table, filter, &conditions), filter).bind(ids.clone());
                for row in &self.rows(allowed.bind(query)?).await? {
                    found.push(job(row)?);
                }
            }
            found.sort_by(|one: &JobRecord, other| other.id.cmp(&one.id));
            jobs.append(&mut found);
        }
        jobs.truncate(limit);
        Ok(jobs)
    }
}
