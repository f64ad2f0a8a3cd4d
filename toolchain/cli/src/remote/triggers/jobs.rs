//! `elias jobs`: lists, enqueues, cancels, retries and discards jobs.

use super::{append, moment, parse_json, steps};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, number, time};
use clap::{Args, Subcommand};
use elias_api::{ChangedJobs, EnqueuedJob, JobRecord, JobSelection, JobState, JobTrigger};
use elias_command_line::text::{plain, plain_lines};
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The arguments of `jobs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JobsArguments {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// List jobs in this state only: waiting, ready, leased, done, dead or cancelled
    #[arg(long, value_name = "STATE")]
    state: Option<JobState>,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// Which jobs.
#[derive(Debug, Args)]
struct SelectionArguments {
    /// Select jobs of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// Select jobs in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Select jobs enqueued by this only: schedule, job, event or webhook
    #[arg(long, value_name = "TRIGGER")]
    trigger: Option<JobTrigger>,
    /// Select jobs with this name only, or those of the schedule, subscription or webhook with it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Show a job and its steps
    Show {
        /// Job id
        id: String,
    },
    /// Enqueue a job
    Enqueue(EnqueueArguments),
    /// Cancel a job that waits or runs, or those of a selection
    Cancel(SelectedArguments),
    /// Retry a dead job, or those of a selection
    Retry(SelectedArguments),
    /// Discard a dead job, or those of a selection: they cannot be retried any more
    Discard(SelectedArguments),
}

#[derive(Debug, Args)]
struct EnqueueArguments {
    /// Component name
    component: ComponentName,
    /// Job name
    name: String,
    /// Input
    #[arg(long, value_name = "JSON", value_parser = parse_json, default_value = "null")]
    input: Value,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Unique key: while a job with it is kept, no second one is enqueued
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Concurrency key: jobs with the same one run at a time only as `key-concurrency` in elias.toml says
    #[arg(long, value_name = "KEY")]
    concurrency_key: Option<String>,
    /// Priority, -100 to 100: jobs with a higher one run first [default: that of the job in elias.toml]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Delay before the start, such as 30s or 2h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,
    /// Id of a job that must be done first; repeatable
    #[arg(long, value_name = "ID")]
    after: Vec<String>,
}

#[derive(Debug, Args)]
struct SelectedArguments {
    /// Job ids [default: the jobs of the selection, the newest 1,000 at most]
    #[arg(value_name = "ID", required_unless_present_any = ["component", "environment", "trigger", "name", "before"])]
    ids: Vec<String>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Select jobs enqueued before this time only (RFC 3339), or this duration ago or earlier, such as 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<i64>,
}

/// Lists jobs, or does something with some.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn jobs(arguments: &JobsArguments) -> Result<(), Failure> {
    let JobsArguments { command, selection, state, limit, target } = arguments;
    let client = Client::of(target)?;
    match command {
        None => {
            let mut url = client.tenant_url(&["jobs"]);
            selection.apply(&mut url);
            append(&mut url, "state", state.map(JobState::as_str));
            list(target.json, &client.list(&url, *limit)?)
        }
        Some(JobsCommand::Show { id }) => {
            let mut response = client.get(client.tenant_url(&["jobs", id]))?;
            let steps = steps::list(&client, id)?;
            response["steps"] = steps["items"].clone();
            output::print_response(target.json, &response, || {
                Ok(describe(&read(&response)?) + &steps::describe(&read::<Vec<_>>(&response["steps"])?))
            })
        }
        Some(JobsCommand::Enqueue(enqueue)) => {
            let url = client.service_url(&enqueue.component, &enqueue.environment, &["jobs"]);
            let response = client.post(url, &enqueue.request())?;
            output::print_response(target.json, &response, || {
                let EnqueuedJob { id, existing } = read(&response)?;
                Ok(format!("job {}{}\n", plain(&id), if existing { " has the key already" } else { "" }))
            })
        }
        Some(JobsCommand::Cancel(selected)) => change(&client, selected, "cancel", "cancelled", target.json),
        Some(JobsCommand::Retry(selected)) => change(&client, selected, "retry", "ready again", target.json),
        Some(JobsCommand::Discard(selected)) => change(&client, selected, "discard", "discarded", target.json),
    }
}

/// Changes jobs: these, or those of a selection.
fn change(
    client: &Client,
    SelectedArguments { ids, selection, before }: &SelectedArguments,
    action: &str,
    done: &str,
    json: bool,
) -> Result<(), Failure> {
    if ids.is_empty() {
        let response = client.post(client.tenant_url(&["jobs", action]), &selection.body(*before))?;
        return print_changed(json, &response, done);
    }
    for id in ids {
        let response = client.post(client.tenant_url(&["jobs", id, action]), &json!({}))?;
        output::print_done(json, &response, &format!("{} is {done}", plain(id)))?;
    }
    Ok(())
}

/// Prints jobs, or dead letters.
pub(super) fn list(json: bool, response: &Value) -> Result<(), Failure> {
    let header = ["job", "enqueued", "component", "by", "name", "state", "attempt", "error"];
    output::print_list(json, response, header, row)
}

/// Prints how many jobs were changed.
pub(super) fn print_changed(json: bool, response: &Value, done: &str) -> Result<(), Failure> {
    output::print_response(json, response, || {
        let ChangedJobs { jobs } = read(response)?;
        Ok(format!("{} jobs are {done}\n", number(jobs)))
    })
}

impl SelectionArguments {
    /// Adds the selection to the query.
    fn apply(&self, url: &mut reqwest::Url) {
        let environment = self.environment.map(|environment| environment.to_string());
        append(url, "component", self.component.as_ref().map(ComponentName::as_str));
        append(url, "environment", environment.as_deref());
        append(url, "trigger", self.trigger.map(JobTrigger::as_str));
        append(url, "name", self.name.as_deref());
    }

    fn body(&self, before: Option<i64>) -> JobSelection {
        JobSelection {
            component: self.component.clone(),
            environment: self.environment,
            trigger: self.trigger,
            name: self.name.clone(),
            before,
        }
    }
}

impl EnqueueArguments {
    fn request(&self) -> Value {
        let start = self.delay.and_then(|delay| SystemTime::now().checked_add(delay));
        let since = start.and_then(|start| start.duration_since(UNIX_EPOCH).ok());
        let run_at = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        json!({
            "name": self.name, "input": self.input, "priority": self.priority, "run_at": run_at, "key": self.key,
            "concurrency_key": self.concurrency_key, "after": self.after,
        })
    }
}

fn row(job: JobRecord) -> [String; 8] {
    let error = job.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default().to_owned();
    let state = state(&job);
    [
        job.id,
        time(job.enqueued_at),
        format!("{} {}", job.queue.component, job.queue.environment),
        job.queue.trigger.as_str().to_owned(),
        job.queue.name,
        state,
        job.attempt.to_string(),
        error,
    ]
}

/// The state, and what a waiting job waits for.
fn state(job: &JobRecord) -> String {
    match &job.waits_for {
        Some(what) => format!("{} ({what})", job.state.as_str()),
        None if job.cancelling => "cancelling".to_owned(),
        None => job.state.as_str().to_owned(),
    }
}

fn describe(job: &JobRecord) -> String {
    let mut text = output::facts([
        ("job", job.id.clone()),
        ("name", job.queue.name.clone()),
        ("component", format!("{} in {}", job.queue.component, job.queue.environment)),
        ("by", job.queue.trigger.as_str().to_owned()),
        ("state", state(job)),
        ("due", job.due.map_or_else(String::new, time)),
        ("attempt", job.attempt.to_string()),
        ("key", job.key.clone().unwrap_or_default()),
        ("concurrency key", job.concurrency_key.clone().unwrap_or_default()),
        ("order", job.ordering_key.clone().unwrap_or_default()),
        ("priority", job.priority.to_string()),
        ("version", job.version.map_or_else(String::new, |version| version.to_string())),
        ("cause", job.cause.clone().unwrap_or_default()),
        ("replayed by", job.replayed_by.clone().unwrap_or_default()),
        ("enqueued", time(job.enqueued_at)),
        ("ended", job.finished_at.map_or_else(String::new, time)),
        ("input", job.input.clone()),
        ("result", job.result.clone().unwrap_or_default()),
    ]);
    if let Some(error) = &job.error {
        text.push_str(&format!("\n{}\n", plain_lines(error)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::QueueId;

    fn job() -> JobRecord {
        JobRecord {
            id: "01A".to_owned(),
            queue: QueueId {
                component: "shop".parse().expect("a name"),
                environment: Environment::Production,
                trigger: JobTrigger::Job,
                name: "resize".to_owned(),
            },
            state: JobState::Dead,
            key: None,
            ordering_key: None,
            concurrency_key: None,
            input: "{\"w\":1}".to_owned(),
            priority: 0,
            attempt: 8,
            version: None,
            cause: None,
            replayed_by: None,
            hops: 0,
            enqueued_at: 0,
            waits_for: None,
            due: None,
            cancelling: false,
            result: None,
            error: Some("Error: no such image\n    at resize (src/index.js:3:9)".to_owned()),
            finished_at: Some(5_000),
        }
    }

    #[test]
    fn a_row_has_the_first_line_of_the_error() {
        assert_eq!(row(job())[7], "Error: no such image");
        let waiting = JobRecord { state: JobState::Waiting, waits_for: Some("time".to_owned()), ..job() };
        assert_eq!(row(waiting)[5], "waiting (time)");
        let leased = JobRecord { state: JobState::Leased, cancelling: true, ..job() };
        assert_eq!(row(leased)[5], "cancelling");
    }

    #[test]
    fn a_job_is_shown_with_its_stack() {
        let shown = describe(&job());
        assert!(shown.contains("1970-01-01T00:00:05Z\n"), "{shown}");
        assert!(shown.ends_with("\nError: no such image\n    at resize (src/index.js:3:9)\n"), "{shown}");
        assert!(!shown.contains("key"), "{shown}");
    }
}
