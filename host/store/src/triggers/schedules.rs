//! Schedules and their ticks. Every host may fire what is due: the primary key of the tick decides who has.

use super::{Database, NewJob, statement};
use crate::error::{Error, Result};
use crate::{AllowedServices, Dialect, HostScope, Query, TenantScope, get, number, signed, storable, text, to_json};
use elias_api::{Code, JobState, Quotas, ScheduleRecord, TickOutcome, TickRecord};
use elias_names::{ServiceId, TenantId};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// The identity of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduleId {
    /// The service that it starts.
    pub service: ServiceId,
    /// Its name.
    pub name: String,
}

/// A schedule as a service has it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Value,
    /// The time of its next tick if it is new or has changed, in milliseconds since 1970.
    pub next_due: Option<i64>,
}

/// A schedule that is due, or has no next tick.
#[derive(Debug, Clone, PartialEq)]
pub struct DueSchedule {
    /// Its tenant.
    pub tenant: TenantId,
    /// The schedule.
    pub schedule: ScheduleRecord,
    /// The time of the database's clock, in milliseconds since 1970.
    pub now: i64,
}

/// The next due time of anything that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpcomingDue {
    /// The time of the database's clock, in milliseconds since 1970.
    pub now: i64,
    /// The first due time of a schedule that is not paused or of a waiting job; none without one.
    pub due: Option<i64>,
}

/// A due time that a host has noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTick {
    /// The due time, in milliseconds since 1970.
    pub due: i64,
    /// The decision about it.
    pub action: TickAction,
}

/// The decision about a due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TickAction {
    /// A job is enqueued.
    Run {
        /// The job.
        job: Box<NewJob>,
        /// The actor who asked for it, if it is not the schedule itself.
        reason: Option<String>,
    },
    /// No job is enqueued.
    Skip {
        /// Why.
        reason: String,
    },
}

/// When a schedule is due next, once its ticks were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextDue {
    /// The revision that the schedule was read with. If it has another one by now, it stays as it is.
    pub revision: u64,
    /// The due time that it was read with, likewise.
    pub from: Option<i64>,
    /// The next due time, in milliseconds since 1970; `None` if there is none any more.
    pub next_due: Option<i64>,
}

/// How many schedules of a tenant need to be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleCounts {
    /// Those whose last runs did not succeed.
    pub failing: u64,
    /// Those that should have run already.
    pub late: u64,
}

/// The condition of a statement that is about one schedule.
const IS_SCHEDULE: &str = "tenant = $1 AND component = $2 AND environment = $3 AND name = $4";

pub(super) const UNARMED: &str = "SELECT * FROM schedules WHERE paused = 0 AND next_due IS NULL \
    ORDER BY tenant, component, environment, name LIMIT $1";

pub(super) const LAST_TICKS: &str = "SELECT * FROM ticks WHERE tenant = $1 AND component = $2 AND environment = $3 \
    AND name = $4 AND due < $5 ORDER BY due DESC LIMIT $6";

fn schedule(row: &AnyRow) -> Result<ScheduleRecord> {
    Ok(ScheduleRecord {
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        name: get(row, "name")?,
        config: crate::json(row, "config")?,
        next_due: get(row, "next_due")?,
        paused: get::<i64>(row, "paused")? != 0,
        last_due: get(row, "last_due")?,
        last_outcome: get(row, "last_outcome")?,
        failures: number(row, "failures")?,
        revision: number(row, "revision")?,
    })
}

fn tick(row: &AnyRow) -> Result<TickRecord> {
    Ok(TickRecord {
        due: get(row, "due")?,
        outcome: text(row, "outcome")?,
        reason: get(row, "reason")?,
        job: get(row, "job")?,
        fired_at: get(row, "fired_at")?,
        host: get(row, "host")?,
    })
}

impl TenantScope {
    /// Gives a service these schedules and no others. One that stays as it is keeps its next tick; one that changes
    /// keeps its pause and its last runs.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_schedules(&mut self, service: &ServiceId, schedules: &[NewSchedule]) -> Result<()> {
        let lock = format!(
            "SELECT name FROM schedules WHERE tenant = $1 AND component = $2 AND environment = $3 ORDER BY name {}",
            self.dialect.locked()
        );
        let query = self.query_of_text(lock, service);
        self.rows(query).await?;
        let names: Vec<_> = schedules.iter().map(|schedule| json!({ "name": schedule.name })).collect();
        let delete = format!(
            "DELETE FROM schedules WHERE tenant = $1 AND component = $2 AND environment = $3 \
             AND name NOT IN (SELECT item.value->>'name' FROM {})",
            self.dialect.each(4)
        );
        let query = self.query_of_text(delete, service).bind(to_json(&names)?);
        self.run(query).await?;
        for schedule in schedules {
            let upsert = "INSERT INTO schedules (tenant, component, environment, name, config, next_due, revision) \
                          VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (tenant, component, environment, name) \
                          DO UPDATE SET config = excluded.config, next_due = excluded.next_due, \
                          revision = schedules.revision + 1 WHERE schedules.config <> excluded.config";
            let query = self.query_of(upsert, service).bind(schedule.name.clone());
            let query = query.bind(to_json(&schedule.config)?).bind(schedule.next_due);
            self.run(query).await?;
        }
        Ok(())
    }

    /// The schedules of a service.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn schedules_of(&mut self, service: &ServiceId) -> Result<Vec<ScheduleRecord>> {
        let select = "SELECT * FROM schedules WHERE tenant = $1 AND component = $2 AND environment = $3 ORDER BY name";
        let query = self.query_of(select, service);
        self.rows(query).await?.iter().map(schedule).collect()
    }

    /// The schedules of the tenant, by component, environment and name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn schedules(&mut self, allowed: &AllowedServices) -> Result<Vec<ScheduleRecord>> {
        let select = format!(
            "SELECT * FROM schedules WHERE tenant = $1 {} ORDER BY component, environment, name",
            allowed.condition(self.dialect, 2)
        );
        let query = allowed.bind(self.query_text(select))?;
        self.rows(query).await?.iter().map(schedule).collect()
    }

    /// A schedule.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn schedule(&mut self, id: &ScheduleId) -> Result<ScheduleRecord> {
        let select = format!("SELECT * FROM schedules WHERE {IS_SCHEDULE}");
        let query = self.query_of_text(select, &id.service).bind(id.name.clone());
        schedule(&self.row(query).await?.ok_or_else(|| not_found(id))?)
    }

    /// Pauses a schedule: nothing is due any more.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn pause_schedule(&mut self, id: &ScheduleId) -> Result<()> {
        self.set_paused(id, true, None).await
    }

    /// Lets a schedule go on, with a tick at `next_due`, in milliseconds since 1970.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn resume_schedule(&mut self, id: &ScheduleId, next_due: Option<i64>) -> Result<()> {
        self.set_paused(id, false, next_due).await
    }

    async fn set_paused(&mut self, id: &ScheduleId, paused: bool, next_due: Option<i64>) -> Result<()> {
        let update =
            format!("UPDATE schedules SET paused = $5, next_due = $6, revision = revision + 1 WHERE {IS_SCHEDULE}");
        let query = self.query_of_text(update, &id.service).bind(id.name.clone());
        match self.run(query.bind(i64::from(paused)).bind(next_due)).await? {
            0 => Err(not_found(id)),
            _ => Ok(()),
        }
    }

    /// The ticks of a schedule that were due before `before`, in milliseconds since 1970, the last first. They stay
    /// when the schedule is gone.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ticks(&mut self, id: &ScheduleId, before: Option<i64>, limit: u32) -> Result<Vec<TickRecord>> {
        let query = self.query_of(LAST_TICKS, &id.service).bind(id.name.clone());
        let query = query.bind(before.unwrap_or(i64::MAX)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(tick).collect()
    }
}

impl HostScope {
    /// At most `limit` schedules of all tenants that are due, those that are late most first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn due_schedules(&mut self, limit: u32) -> Result<Vec<DueSchedule>> {
        let select = due_schedules(self.dialect);
        self.schedules_by(statement(select).bind(i64::from(limit))).await
    }

    /// At most `limit` schedules of all tenants that are not paused and have no next tick.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn unarmed_schedules(&mut self, limit: u32) -> Result<Vec<DueSchedule>> {
        self.schedules_by(sqlx::query(UNARMED).bind(i64::from(limit))).await
    }

    /// The first due time after `after`, of schedules and of waiting jobs. What was due before is looked at already: it
    /// may be another host's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn upcoming_due(&mut self, after: i64) -> Result<UpcomingDue> {
        let query = statement(upcoming_due(self.dialect)).bind(after);
        let row = self.database().row(query).await?;
        let row = row.ok_or_else(|| Error::new(Code::Internal, "the store returned no time"))?;
        let of_schedules: Option<i64> = get(&row, "schedule_due")?;
        let of_jobs: Option<i64> = get(&row, "job_due")?;
        let due = of_schedules.into_iter().chain(of_jobs).min();
        Ok(UpcomingDue { now: get(&row, "now_ms")?, due })
    }

    async fn schedules_by(&mut self, query: Query) -> Result<Vec<DueSchedule>> {
        let now = self.now().await?;
        let due = |row: &AnyRow| Ok(DueSchedule { tenant: text(row, "tenant")?, schedule: schedule(row)?, now });
        self.database().rows(query).await?.iter().map(due).collect()
    }

    /// Records due times of a schedule, each with its job, and sets the next one; says how many were recorded. The
    /// others are another host's: whoever is first has fired them. Without `rearm` the schedule stays as it is, be it
    /// paused.
    ///
    /// # Errors
    /// Those of [`enqueue_jobs`](Self::enqueue_jobs), also `quota-exceeded`; the transaction must be dropped then.
    pub async fn fire_schedule(
        &mut self,
        id: &ScheduleId,
        host: &str,
        ticks: &[NewTick],
        rearm: Option<NextDue>,
        quotas: Option<&Quotas>,
    ) -> Result<u64> {
        self.database().fire(id, host, ticks, rearm, quotas).await
    }

    /// Locks schedules until the transaction's end. A transaction that changes schedules and jobs does so first: two
    /// that end jobs and fire ticks at the same time would else wait for each other.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn lock_schedules(&mut self, ids: &[ScheduleId]) -> Result<()> {
        self.database().lock_schedules(ids).await
    }

    /// Notes how a run of a schedule ended; says how many runs in a row have not succeeded by now.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn schedule_ended(&mut self, id: &ScheduleId, state: JobState) -> Result<u32> {
        let update = format!(
            "UPDATE schedules SET last_outcome = $5, failures = CASE WHEN $5 = 'done' THEN 0 ELSE failures + 1 END \
             WHERE {IS_SCHEDULE} RETURNING failures"
        );
        let query = bind_schedule(statement(update), id).bind(state.as_str());
        let row = self.database().row(query).await?;
        row.map_or(Ok(0), |row| number(&row, "failures"))
    }

    /// How many schedules of each tenant fail or are late, without those that are paused: the last `failures` runs of
    /// one that fails did not succeed, and one that is late should have run more than `late_ms` milliseconds ago.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn schedule_counts(&mut self, failures: u32, late_ms: u64) -> Result<HashMap<TenantId, ScheduleCounts>> {
        let select = format!(
            "SELECT tenant, CAST(SUM(CASE WHEN failures >= $1 THEN 1 ELSE 0 END) AS BIGINT) AS failing, \
             CAST(SUM(CASE WHEN next_due < {} - $2 THEN 1 ELSE 0 END) AS BIGINT) AS late \
             FROM schedules WHERE paused = 0 GROUP BY tenant",
            self.dialect.now()
        );
        let query = statement(select).bind(i64::from(failures)).bind(signed(late_ms));
        let counts = |row: &AnyRow| {
            let counts = ScheduleCounts { failing: number(row, "failing")?, late: number(row, "late")? };
            Ok((text(row, "tenant")?, counts))
        };
        self.database().rows(query).await?.iter().map(counts).collect()
    }

    /// Deletes at most `most` ticks that were fired before `before_ms`; says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_ticks(&mut self, before_ms: i64, most: u32) -> Result<u64> {
        self.database().run(sqlx::query(PRUNE_TICKS).bind(before_ms).bind(i64::from(most))).await
    }
}

pub(super) const PRUNE_TICKS: &str = "DELETE FROM ticks WHERE (tenant, component, environment, name, due) IN \
    (SELECT tenant, component, environment, name, due FROM ticks WHERE fired_at < $1 ORDER BY fired_at LIMIT $2)";

/// The statement that selects at most `$1` schedules that are due.
pub(super) fn due_schedules(dialect: Dialect) -> String {
    format!("SELECT * FROM schedules WHERE paused = 0 AND next_due <= {} ORDER BY next_due LIMIT $1", dialect.now())
}

/// The statement that selects the first due times after `$1`: of schedules, and of waiting jobs.
pub(super) fn upcoming_due(dialect: Dialect) -> String {
    format!(
        "SELECT {} AS now_ms, \
         (SELECT MIN(next_due) FROM schedules WHERE paused = 0 AND next_due > $1) AS schedule_due, \
         (SELECT MIN(due) FROM waiting_jobs WHERE due > $1) AS job_due",
        dialect.now()
    )
}

impl Database<'_> {
    async fn lock_schedules(&mut self, ids: &[ScheduleId]) -> Result<()> {
        if ids.is_empty() || self.dialect == Dialect::Sqlite {
            return Ok(()); // SQLite has one writer
        }
        let select = format!(
            "SELECT name FROM schedules WHERE (tenant, component, environment, name) IN \
             (SELECT item.value->>'tenant', item.value->>'component', item.value->>'environment', \
             item.value->>'name' FROM {}) ORDER BY tenant, component, environment, name {}",
            self.dialect.each(1),
            self.dialect.locked()
        );
        let item = |ScheduleId { service, name }: &ScheduleId| {
            json!({
                "tenant": service.tenant.as_str(),
                "component": service.component.as_str(),
                "environment": service.environment.as_str(),
                "name": name,
            })
        };
        let items: Vec<_> = ids.iter().map(item).collect();
        self.rows(statement(select).bind(to_json(&items)?)).await.map(drop)
    }

    async fn fire(
        &mut self,
        id: &ScheduleId,
        host: &str,
        ticks: &[NewTick],
        rearm: Option<NextDue>,
        quotas: Option<&Quotas>,
    ) -> Result<u64> {
        if let Some(rearm) = rearm {
            // A schedule that was changed, paused or fired since it was read is left to whoever did so.
            let select = format!(
                "SELECT revision FROM schedules WHERE {IS_SCHEDULE} AND paused = 0 AND revision = $5 \
                 AND COALESCE(next_due, 0) = $6 {}",
                self.dialect.locked()
            );
            let query = bind_schedule(statement(select), id).bind(signed(rearm.revision));
            if self.row(query.bind(rearm.from.unwrap_or_default())).await?.is_none() {
                return Ok(0);
            }
        } else {
            self.lock_schedules(std::slice::from_ref(id)).await?;
        }
        let insert = format!(
            "INSERT INTO ticks (tenant, component, environment, name, due, outcome, reason, job, fired_at, host) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {}, $9) ON CONFLICT DO NOTHING",
            self.dialect.now()
        );
        let (mut jobs, mut recorded, mut last) = (Vec::new(), 0, None);
        for tick in ticks {
            let (outcome, reason, job) = match &tick.action {
                TickAction::Run { job, reason } => (TickOutcome::Run, reason.as_deref(), Some(job)),
                TickAction::Skip { reason } => (TickOutcome::Skipped, Some(reason.as_str()), None),
            };
            let query = bind_schedule(statement(insert.clone()), id).bind(tick.due).bind(outcome.as_str());
            let query = query.bind(reason.map(storable)).bind(job.map(|job| job.id.clone()));
            if self.run(query.bind(host.to_owned())).await? > 0 {
                recorded += 1;
                last = last.max(Some(tick.due));
                jobs.extend(job.map(|job| (**job).clone()));
            }
        }
        self.enqueue(&id.service.tenant, &jobs, quotas).await?;
        if let Some(last) = last {
            let update = format!(
                "UPDATE schedules SET last_due = $5 WHERE {IS_SCHEDULE} AND (last_due IS NULL OR last_due < $5)"
            );
            self.run(bind_schedule(statement(update), id).bind(last)).await?;
        }
        if let Some(rearm) = rearm {
            let update = format!("UPDATE schedules SET next_due = $5 WHERE {IS_SCHEDULE}");
            self.run(bind_schedule(statement(update), id).bind(rearm.next_due)).await?;
        }
        Ok(recorded)
    }
}

/// Binds `$1` to `$4`.
fn bind_schedule(query: Query, id: &ScheduleId) -> Query {
    let service = &id.service;
    let query = query.bind(service.tenant.as_str().to_owned()).bind(service.component.as_str().to_owned());
    query.bind(service.environment.as_str()).bind(id.name.clone())
}

fn not_found(id: &ScheduleId) -> Error {
    Error::not_found(format_args!("schedule `{}` of {}", id.name, id.service.subject()))
}
