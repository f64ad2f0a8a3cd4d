//! Executions and their logs: `elias executions`, `elias logs` and `elias cancel`.

use crate::remote::connection::client::{Client, items};
use crate::remote::connection::events::{self, Event};
use crate::remote::connection::output::{self, bytes, duration, number, time};
use clap::{Args, Subcommand};
use elias_api::{ExecutionRecord, RecordedCalls, RunningExecution};
use elias_command_line::text::{plain, plain_lines};
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;

/// The arguments of `executions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ExecutionsArguments {
    #[command(subcommand)]
    command: Option<ExecutionsCommand>,
    /// List executions of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// List executions in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// List runs of this job only, also of a tick or a delivery
    #[arg(long, value_name = "ID", conflicts_with = "running")]
    job: Option<String>,
    /// List executions of this trace only: a request and all that it has caused
    #[arg(long, value_name = "ID", conflicts_with = "running")]
    trace: Option<String>,
    /// List failed executions only
    #[arg(long)]
    failed: bool,
    /// List executions that run now on the responding host, longest-running first; see `elias cancel`
    #[arg(long, conflicts_with = "failed")]
    running: bool,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum ExecutionsCommand {
    /// Show an execution with its stack trace and logs
    Show {
        /// Execution id
        id: String,
    },
}

/// The arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// Component name
    component: ComponentName,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
    /// Stream new log lines until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Number of executions to show the lines of, newest first
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "follow")]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// The arguments of `cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    /// Execution id, as `elias executions --running` lists it
    id: String,
    #[command(flatten)]
    target: Target,
}

/// A line of a log that is followed.
#[derive(Debug, Deserialize)]
struct FollowedLine {
    execution: String,
    level: String,
    message: String,
    fields: String,
}

/// Lists executions, or shows one.
pub(crate) fn executions(arguments: &ExecutionsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    if let Some(ExecutionsCommand::Show { id }) = &arguments.command {
        let response = client.get(client.tenant_url(&["executions", id]))?;
        return output::print_item(json, &response, |run: ExecutionRecord| format_execution(&run));
    }
    if arguments.running {
        return running(&client, arguments);
    }
    let mut url = client.tenant_url(&["executions"]);
    add_filters(&mut url, arguments.component.as_ref(), arguments.environment);
    if arguments.failed {
        url.query_pairs_mut().append_pair("failed", "true");
    }
    if let Some(job) = &arguments.job {
        url.query_pairs_mut().append_pair("job", job);
    }
    if let Some(trace) = &arguments.trace {
        url.query_pairs_mut().append_pair("trace", trace);
    }
    let response = client.list(&url, arguments.limit)?;
    let row = |run: ExecutionRecord| {
        [
            run.id,
            time(run.started_at),
            format!("{} {} {}", run.component, run.version, run.environment),
            run.source,
            run.status.to_string(),
            duration(run.duration_us),
            number(run.fuel),
            run.code.unwrap_or(run.outcome),
        ]
    };
    let header = ["execution", "began", "component", "by", "status", "took", "fuel", "outcome"];
    output::print_list(json, &response, header, row)
}

/// Lists what runs now.
fn running(client: &Client, arguments: &ExecutionsArguments) -> Result<(), Failure> {
    let mut url = client.tenant_url(&["executions", "running"]);
    add_filters(&mut url, arguments.component.as_ref(), arguments.environment);
    let response = client.list(&url, arguments.limit)?;
    let row = |run: RunningExecution| {
        let role = if run.canary { " (canary)" } else { "" };
        [
            run.id,
            time(run.started_at),
            format!("{} {}{role} {}", run.component, run.version, run.environment),
            run.source,
        ]
    };
    output::print_list(arguments.target.json, &response, ["execution", "since", "component", "by"], row)
}

/// Adds the filters by component and environment to the query.
fn add_filters(url: &mut Url, component: Option<&ComponentName>, environment: Option<Environment>) {
    if let Some(component) = component {
        url.query_pairs_mut().append_pair("component", component.as_str());
    }
    if let Some(environment) = environment {
        url.query_pairs_mut().append_pair("environment", environment.as_str());
    }
}

fn format_execution(run: &ExecutionRecord) -> String {
    let mut text = output::facts([
        ("execution", run.id.clone()),
        ("component", format!("{} {} in {}", run.component, run.version, run.environment)),
        ("began", time(run.started_at)),
        ("by", run.source.clone()),
        ("job", run.run.as_ref().map(|run| format!("{}, attempt {}", run.job, run.attempt)).unwrap_or_default()),
        ("cause", run.run.as_ref().and_then(|run| run.cause.clone()).unwrap_or_default()),
        ("trace", run.trace.clone().unwrap_or_default()),
        ("took", duration(run.duration_us)),
        ("fuel", number(run.fuel)),
        ("memory", bytes(run.memory_bytes)),
        ("host calls", format_host_calls(run)),
        ("flags", run.flags.iter().map(|(flag, variant)| format!("{flag}={variant}")).collect::<Vec<_>>().join(", ")),
        ("status", run.status.to_string()),
        ("outcome", run.outcome.clone()),
        ("code", run.code.clone().unwrap_or_default()),
    ]);
    if let Some(error) = &run.error {
        text.push_str(&format!("\n{}\n", plain_lines(error)));
    }
    let lines = log_lines(run.lines.as_ref());
    if !lines.is_empty() {
        text.push('\n');
        lines.iter().for_each(|(level, message)| text.push_str(&format!("{level:<5} {message}\n")));
    }
    text
}

/// Formats the calls of capabilities: `db 3 in 1.2 ms`.
fn format_host_calls(run: &ExecutionRecord) -> String {
    let one =
        |of: &RecordedCalls| format!("{} {} in {}", of.capability, number(of.calls.into()), duration(of.duration_us));
    run.host_calls.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Reads the log lines of an execution, `[level, message]` each, without control characters.
fn log_lines(lines: Option<&Value>) -> Vec<(String, String)> {
    let line = |line: &Value| Some((plain(line.get(0)?.as_str()?), plain(line.get(1)?.as_str()?)));
    lines.and_then(Value::as_array).into_iter().flatten().filter_map(line).collect()
}

/// Shows what a component logged, or logs from now on.
pub(crate) fn logs(arguments: &LogsArguments) -> Result<(), Failure> {
    let LogsArguments { component, environment, follow, limit, target } = arguments;
    let client = Client::of(target)?;
    if *follow {
        let url = client.service_url(component, environment, &["logs"]);
        return events::follow(&client, url, |event| {
            let mut out = std::io::stdout().lock();
            out.write_all(format_event(event, target.json).as_bytes())?;
            out.flush()
        });
    }
    let mut url = client.tenant_url(&["executions"]);
    add_filters(&mut url, Some(component), Some(*environment));
    let response = client.list(&url, *limit)?;
    output::print_response(target.json, &response, || {
        let newest: Vec<ExecutionRecord> = items(&response)?;
        let mut text = String::new();
        // As a log is read: the newest line last.
        for run in newest.iter().rev() {
            for (level, message) in log_lines(run.lines.as_ref()) {
                text.push_str(&format!("{} {} {level:<5} {message}\n", time(run.started_at), plain(&run.id)));
            }
        }
        if text.is_empty() {
            eprintln!(
                "nothing was logged by the executions that are recorded; --follow shows what is logged from now on"
            );
        }
        Ok(text)
    })
}

/// Formats an event of a followed log as a line; with `--json` as an object on one line.
fn format_event(event: &Event, json: bool) -> String {
    let data = serde_json::from_str::<Value>(&event.data).unwrap_or_else(|_| Value::from(event.data.as_str()));
    if event.name == "lost" {
        let object = json!({ "lost": data });
        return if json {
            format!("{object}\n")
        } else {
            format!("({} lines were lost: too slow)\n", plain(&event.data))
        };
    }
    match FollowedLine::deserialize(&data) {
        Ok(line) if !json => {
            let FollowedLine { execution, level, message, fields } = line;
            let text = format!(
                "{} {:<5} {} {}",
                plain(&execution),
                plain(&level.to_ascii_lowercase()),
                plain(&message),
                plain(&fields)
            );
            format!("{}\n", text.trim_end())
        }
        // One object on a line each.
        _ => format!("{data}\n"),
    }
}

/// Ends an execution that is under way.
pub(crate) fn cancel(arguments: &CancelArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let response = client.post(client.tenant_url(&["executions", &arguments.id, "cancel"]), &json!({}))?;
    output::print_done(arguments.target.json, &response, &format!("{} is cancelled", plain(&arguments.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_line_is_one_line() {
        let data =
            json!({ "execution": "01A", "level": "INFO", "message": "a\nb\u{1b}[2J", "fields": "n=1" }).to_string();
        let event = Event { name: "line".into(), data };
        assert_eq!(format_event(&event, false), "01A info  a\\nb\\u{1b}[2J n=1\n");
        assert_eq!(format_event(&event, true).lines().count(), 1);
        let lost = Event { name: "lost".into(), data: "7".into() };
        assert_eq!(format_event(&lost, false), "(7 lines were lost: too slow)\n");
        assert_eq!(format_event(&lost, true), "{\"lost\":7}\n");
        let other = Event { name: "line".into(), data: "not JSON".into() };
        assert_eq!(format_event(&other, false), "\"not JSON\"\n");
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        let logged = json!([["info", "a"], ["warn"], "x", ["error", "b\tc"], [1, 2]]);
        let expected = [("info".to_owned(), "a".to_owned()), ("error".to_owned(), "b\\tc".to_owned())];
        assert_eq!(log_lines(Some(&logged)), expected);
        assert!(log_lines(None).is_empty() && log_lines(Some(&json!({}))).is_empty());
    }
}
