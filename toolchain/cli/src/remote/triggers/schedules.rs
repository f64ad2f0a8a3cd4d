//! `elias schedules`: lists, pauses, resumes and runs schedules.

use super::{TriggerFilterArguments, TriggerNameArguments, span};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{EnqueuedJob, ScheduleRecord, TickRecord};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use serde::Deserialize;
use serde_json::{Value, json};

/// The arguments of `schedules`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SchedulesArguments {
    #[command(subcommand)]
    command: Option<SchedulesCommand>,
    #[command(flatten)]
    filter: TriggerFilterArguments,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum SchedulesCommand {
    /// Show a schedule, its next ticks and its last ones
    Show(TriggerNameArguments),
    /// Pause a schedule: no tick is due until it is resumed
    Pause(TriggerNameArguments),
    /// Resume a schedule
    Resume(TriggerNameArguments),
    /// Run a schedule now, besides its ticks
    Run(TriggerNameArguments),
}

/// A schedule, its next due times and its last ticks.
#[derive(Debug, Deserialize)]
struct Details {
    schedule: ScheduleRecord,
    next: Vec<i64>,
    ticks: Vec<TickRecord>,
}

/// Lists schedules, or does something with one.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn schedules(arguments: &SchedulesArguments) -> Result<(), Failure> {
    let SchedulesArguments { command, filter, target } = arguments;
    let client = Client::of(target)?;
    let post = |name: &TriggerNameArguments, action: &str| client.post(url(&client, name, &[action]), &json!({}));
    match command {
        None => {
            let mut url = client.tenant_url(&["schedules"]);
            filter.apply(&mut url);
            let header = ["component", "environment", "schedule", "when", "next", "last", "outcome"];
            output::print_list(target.json, &client.list(&url, filter.limit)?, header, row)
        }
        Some(SchedulesCommand::Show(name)) => {
            let response = client.get(url(&client, name, &[]))?;
            output::print_item(target.json, &response, |details: Details| describe(&details))
        }
        Some(SchedulesCommand::Pause(name)) => {
            let response = post(name, "pause")?;
            output::print_done(target.json, &response, &format!("{} is paused", plain(&name.name)))
        }
        Some(SchedulesCommand::Resume(name)) => {
            let response = post(name, "resume")?;
            output::print_done(target.json, &response, &format!("{} is resumed", plain(&name.name)))
        }
        Some(SchedulesCommand::Run(name)) => {
            let response = post(name, "run")?;
            output::print_response(target.json, &response, || {
                let EnqueuedJob { id, .. } = read(&response)?;
                Ok(format!("job {}\n", plain(&id)))
            })
        }
    }
}

fn url(client: &Client, schedule: &TriggerNameArguments, action: &[&str]) -> reqwest::Url {
    let TriggerNameArguments { component, name, environment } = schedule;
    client.service_url(component, environment, &[&["schedules", name.as_str()][..], action].concat())
}

fn row(schedule: ScheduleRecord) -> [String; 7] {
    [
        schedule.component.to_string(),
        schedule.environment.to_string(),
        schedule.name.clone(),
        recurrence(&schedule.config),
        next(&schedule),
        schedule.last_due.map_or_else(|| "never".to_owned(), time),
        outcome(&schedule),
    ]
}

/// When it is due, as elias.toml says it.
fn recurrence(config: &Value) -> String {
    if let Some(every) = config["every"].as_str() {
        return format!("every {every}");
    }
    let cron = config["cron"].as_str().unwrap_or_default();
    match config["timezone"].as_str() {
        Some(zone) if zone != "UTC" => format!("{cron} {zone}"),
        _ => cron.to_owned(),
    }
}

fn next(schedule: &ScheduleRecord) -> String {
    match schedule.next_due {
        _ if schedule.paused => "paused".to_owned(),
        Some(due) => time(due),
        None => "never".to_owned(),
    }
}

/// The outcome of the last run, and how many in a row failed.
fn outcome(schedule: &ScheduleRecord) -> String {
    let outcome = schedule.last_outcome.clone().unwrap_or_default();
    match schedule.failures {
        0 | 1 => outcome,
        failures => format!("{outcome} ({failures} times)"),
    }
}

fn describe(details: &Details) -> String {
    let Details { schedule, next: upcoming, ticks } = details;
    let mut text = output::facts([
        ("schedule", schedule.name.clone()),
        ("component", format!("{} in {}", schedule.component, schedule.environment)),
        ("when", recurrence(&schedule.config)),
        ("next", next(schedule)),
        ("outcome", outcome(schedule)),
        ("revision", schedule.revision.to_string()),
    ]);
    if !upcoming.is_empty() {
        text.push_str("\nnext ticks\n");
        upcoming.iter().for_each(|due| text.push_str(&format!("  {}\n", time(*due))));
    }
    text.push_str("\nlast ticks\n");
    let row = |tick: &TickRecord| {
        let late = span(u64::try_from(tick.fired_at.saturating_sub(tick.due)).unwrap_or(0));
        let (job, reason) = (tick.job.clone().unwrap_or_default(), tick.reason.clone().unwrap_or_default());
        [time(tick.due), tick.outcome.as_str().to_owned(), late, job, reason]
    };
    text.push_str(&output::table(["due", "outcome", "late by", "job", "reason"], ticks.iter().map(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::TickOutcome;
    use elias_names::Environment;

    fn nightly() -> ScheduleRecord {
        ScheduleRecord {
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
            name: "nightly".to_owned(),
            config: json!({ "cron": "0 3 * * *", "timezone": "Europe/Berlin" }),
            next_due: Some(1_000),
            paused: false,
            last_due: Some(0),
            last_outcome: Some("dead".to_owned()),
            failures: 3,
            revision: 7,
        }
    }

    #[test]
    fn a_row_says_when_and_how_it_went() {
        let row_of = row(nightly());
        assert_eq!(row_of[3], "0 3 * * * Europe/Berlin");
        assert_eq!(row_of[4], "1970-01-01T00:00:01Z");
        assert_eq!(row_of[6], "dead (3 times)");
        let paused = row(ScheduleRecord { paused: true, next_due: None, ..nightly() });
        assert_eq!(paused[4], "paused");
        let every = json!({ "every": "15m", "timezone": "UTC" });
        let new = row(ScheduleRecord { config: every, last_due: None, last_outcome: None, failures: 0, ..nightly() });
        assert_eq!((new[3].as_str(), new[5].as_str(), new[6].as_str()), ("every 15m", "never", ""));
    }

    #[test]
    fn a_schedule_is_shown_with_its_ticks() {
        let tick = TickRecord {
            due: 0,
            outcome: TickOutcome::Skipped,
            reason: Some("overlap".to_owned()),
            job: None,
            fired_at: 1_500,
            host: "01A".to_owned(),
        };
        let shown = describe(&Details { schedule: nightly(), next: vec![1_000], ticks: vec![tick] });
        assert!(shown.contains("next ticks\n  1970-01-01T00:00:01Z\n"), "{shown}");
        assert!(shown.contains("1970-01-01T00:00:00Z  skipped  1s 500ms       overlap"), "{shown}");
    }
}
