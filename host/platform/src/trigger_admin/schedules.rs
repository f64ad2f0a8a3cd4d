//! Schedules: due and past ticks, pause, resume, and a run by hand.

use crate::access::Permission;
use crate::platform::{Platform, check_revision};
use crate::session::Session;
use elias_api::{Code, Error, Result, ScheduleDetails, ScheduleRecord};
use elias_delivery::clock::Now;
use elias_names::{ServiceId, TenantId};
use elias_store::{NOTHING, ScheduleId, now_ms};
use elias_triggers::config::ScheduleConfig;
use elias_triggers::schedule::Schedule;
use serde::Deserialize;

/// Ticks that are shown with a schedule, and due times.
const TICKS_SHOWN: u32 = 20;
const NEXT_SHOWN: usize = 10;

impl Platform {
    /// The schedules of a tenant that the session may see, by component, environment and name.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn schedules(&self, session: &Session, tenant: &TenantId) -> Result<Vec<ScheduleRecord>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let allowed = session.allowed_services(&mut scope, Permission::Read, tenant, None).await?;
        Ok(scope.schedules(&allowed).await?)
    }

    /// A schedule.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `store-unavailable`.
    pub async fn schedule(&self, session: &Session, service: &ServiceId, name: &str) -> Result<ScheduleDetails> {
        let mut scope = self.read(session, Permission::Read, &service.tenant, service).await?;
        let id = ScheduleId { service: service.clone(), name: name.to_owned() };
        let schedule = scope.schedule(&id).await?;
        let ticks = scope.ticks(&id, None, TICKS_SHOWN).await?;
        let next = if schedule.paused { Vec::new() } else { next(&schedule)? };
        Ok(ScheduleDetails { schedule, next, ticks })
    }

    /// Pauses a schedule: what is due until it is resumed is not run.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `stale` if it is not at `revision` any more; `store-unavailable`.
    pub async fn pause_schedule(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        revision: Option<u64>,
    ) -> Result<ScheduleRecord> {
        self.set_schedule_paused(session, service, name, (true, revision)).await
    }

    /// Lets a paused schedule go on, with the next due time from now on.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `stale` if it is not at `revision` any more; `store-unavailable`.
    pub async fn resume_schedule(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        revision: Option<u64>,
    ) -> Result<ScheduleRecord> {
        self.set_schedule_paused(session, service, name, (false, revision)).await
    }

    async fn set_schedule_paused(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        (paused, revision): (bool, Option<u64>),
    ) -> Result<ScheduleRecord> {
        let mut scope = self.write(session, Permission::RunTriggers, &service.tenant, service).await?;
        let id = ScheduleId { service: service.clone(), name: name.to_owned() };
        let before = scope.schedule(&id).await?;
        check_revision("schedule", name, revision, before.revision)?;
        if before.paused == paused {
            return Ok(before);
        }
        if paused {
            scope.pause_schedule(&id).await?;
        } else {
            let next = machine(&before)?.arm(moment(now_ms()));
            let next = next.map(|due| i64::try_from(due.unix_ms()).unwrap_or(i64::MAX));
            scope.resume_schedule(&id, next).await?;
        }
        let after = scope.schedule(&id).await?;
        // Another transaction may have changed it since it was read above; the update has seen that.
        check_revision("schedule", name, revision.map(|revision| revision.saturating_add(1)), after.revision)?;
        let action = if paused { "schedule.pause" } else { "schedule.resume" };
        let subject = format!("{}/{name}", service.subject());
        scope.audit(&session.actor(), action, subject, Some(&before), Some(&after)).await?;
        scope.commit().await?;
        // A schedule that goes on may be due before anything that the scheduler knows of.
        self.runner().look();
        Ok(after)
    }

    /// Runs a schedule now, also a paused one; gives the id of the job. Its due times stay.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `quota-exceeded`, `wrong-state` if it is due in this millisecond; `store-unavailable`.
    pub async fn run_schedule_now(&self, session: &Session, service: &ServiceId, name: &str) -> Result<String> {
        let mut scope = self.write(session, Permission::RunTriggers, &service.tenant, service).await?;
        let id = ScheduleId { service: service.clone(), name: name.to_owned() };
        scope.schedule(&id).await?;
        let served = self.served_triggers(service)?;
        let subject = format!("{}/{name}", service.subject());
        scope.audit(&session.actor(), "schedule.run", subject, NOTHING, NOTHING).await?;
        scope.commit().await?;
        self.runner().run_schedule_now(&id, &served, &session.principal.name).await
    }
}

fn moment(ms: i64) -> Now {
    Now::from_unix_ms(u64::try_from(ms).unwrap_or_default())
}

/// The machine of a stored schedule.
fn machine(schedule: &ScheduleRecord) -> Result<Schedule> {
    let unreadable = |error: String| Error::new(Code::Internal, format!("schedule `{}`: {error}", schedule.name));
    let config = ScheduleConfig::deserialize(&schedule.config).map_err(|error| unreadable(error.to_string()))?;
    config.schedule().map_err(|error| unreadable(error.to_string()))
}

/// The next due times of a stored schedule, in milliseconds since 1970.
fn next(schedule: &ScheduleRecord) -> Result<Vec<i64>> {
    // The store's is the first, also if it has passed and no host was there.
    let after = moment(schedule.next_due.map_or_else(now_ms, |due| due.saturating_sub(1)));
    let next = machine(schedule)?.recurrence.next(after, NEXT_SHOWN);
    Ok(next.into_iter().map(|due| i64::try_from(due.unix_ms()).unwrap_or(i64::MAX)).collect())
}
