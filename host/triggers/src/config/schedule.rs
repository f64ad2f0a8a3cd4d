//! The settings of a schedule: `[[triggers.schedule]]`.

use super::check_name;
use super::error::{InvalidTrigger, Table};
use super::worker::WorkerTarget;
use crate::duration::DurationText;
use crate::schedule::{CatchUp, InvalidRecurrence, Overlap, Recurrence, Schedule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes of the largest input of a schedule, as JSON.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// A schedule of a component: its handler `scheduled` is run at these times, or a service worker gets a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScheduleConfig {
    /// The name: 1 to 40 lower-case letters and digits, with single hyphens between them.
    pub name: String,
    /// A cron line of five POSIX fields, six with the second before them, or a nickname such as `@daily`. Either this
    /// or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An interval from 1s to 366 days; the times are its multiples since 1970. Either this or `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<DurationText>,
    /// The IANA time zone of the cron line; UTC by default.
    #[serde(default = "utc")]
    pub timezone: String,
    /// The policy for a tick that is due while a run is not over: `skip` (the default), `queue`, `cancel` or `allow`.
    #[serde(default)]
    pub overlap: Overlap,
    /// The policy for ticks that were due while no host could run them: `none`, `last` (the default) or `all`.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// A tick that is later than this is skipped: 1s to 366 days; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lateness: Option<DurationText>,
    /// How many ticks are caught up at most with `catch-up = "all"`: 1 to 1,000; 100 by default.
    #[serde(default = "catch_up_max")]
    pub catch_up_max: u32,
    /// The input of the handler, as JSON of at most 64 KiB; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<serde_json::Value>,
    /// The service worker that gets the ticks in the place of the handler `scheduled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerTarget>,
    /// Whether it runs; `true` by default.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn catch_up_max() -> u32 {
    100
}

fn enabled() -> bool {
    true
}

impl ScheduleConfig {
    /// The schedule.
    ///
    /// # Errors
    /// A cron line, time zone or interval that cannot be used.
    pub fn schedule(&self) -> Result<Schedule, InvalidRecurrence> {
        let recurrence = match self.every {
            Some(every) => Recurrence::every(every.get())?,
            None => Recurrence::cron(self.cron.as_deref().unwrap_or_default(), &self.timezone)?,
        };
        Ok(Schedule {
            recurrence,
            overlap: self.overlap,
            catch_up: self.catch_up,
            catch_up_max: self.catch_up_max,
            max_lateness: self.max_lateness.map(DurationText::get),
        })
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        check_name(&self.name).map_err(|what| table.error("name", format!("must be another: {what}")))?;
        match (&self.cron, &self.every) {
            (Some(_), None) => {}
            (None, Some(_)) if self.timezone == utc() => {}
            (None, Some(_)) => return Err(table.error("timezone", "has no effect on `every`: use a cron line")),
            (Some(_), Some(_)) => return Err(table.error("every", "must not stand beside `cron`: use one of them")),
            (None, None) => return Err(table.error("cron", "is missing: write a cron line, or `every`")),
        }
        self.schedule().map_err(|error| table.error(error.setting(), error.what()))?;
        table.within("catch-up-max", self.catch_up_max, 1..=1_000)?;
        if let Some(lateness) = self.max_lateness {
            let bounds = DurationText::from_secs(1)..=DurationText::from_secs(366 * 86_400);
            table.within("max-lateness", lateness, bounds)?;
        }
        if self.input.as_ref().is_some_and(|input| input.to_string().len() > INPUT_BYTES_MAX) {
            return Err(table.error("input", format!("must have at most {INPUT_BYTES_MAX} bytes as JSON")));
        }
        let Some(worker) = &self.worker else { return Ok(()) };
        if self.overlap == Overlap::Cancel {
            return Err(
                table.error("overlap", "must not be \"cancel\" beside `worker`: a worker's turn is not cancelled")
            );
        }
        worker.check_for_schedule(table)
    }
}
