//! `elias trigger`: has a running development server run a trigger.

use clap::{Args, Subcommand};
use elias_command_line::text::{plain, plain_lines, print};
use elias_command_line::{CliErrorCode, Failure};
use elias_project::{DEV_URL_FILE, Project};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The path of the server that no component gets.
const PATH: &str = "__elias/trigger";
/// The URL of a development server that says nothing else.
const URL: &str = "http://127.0.0.1:8787";
/// The data directory of a project.
const DATA_DIR: &str = ".elias";

/// The arguments of `trigger`.
#[derive(Debug, Args)]
pub(crate) struct TriggerArguments {
    #[command(subcommand)]
    trigger: Trigger,
    /// URL of the development server [default: that of the project's running `elias dev`]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<reqwest::Url>,
    /// Data directory of the development server [default: .elias in the project]
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "url")]
    data_dir: Option<PathBuf>,
    /// Print the server's response as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Trigger {
    /// Run a schedule now
    Schedule {
        /// Name in elias.toml
        name: String,
    },
    /// Publish an event, and run the subscriptions that it matches
    Event {
        /// Type, such as order.paid
        #[arg(value_name = "TYPE")]
        event_type: String,
        /// Data
        #[arg(long, value_name = "JSON", value_parser = value, default_value = "null")]
        data: Value,
        /// Subject: what it happened to
        #[arg(long, value_name = "TEXT")]
        subject: Option<String>,
    },
    /// Enqueue a job, and run it
    Job {
        /// Job name
        name: String,
        /// Input
        #[arg(long, value_name = "JSON", value_parser = value, default_value = "null")]
        input: Value,
    },
}

/// The response of the server.
#[derive(Debug, Deserialize)]
struct Reports {
    runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
struct Run {
    /// The handler and what it was for.
    what: String,
    execution: String,
    /// `done`, `retry`, `dead`, `suspended` or `cancelled`.
    outcome: String,
    /// The result, or why it failed.
    message: Option<String>,
    /// `[level, text]` each.
    lines: Vec<(String, String)>,
}

/// A value that is given as JSON.
fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("must be JSON such as '{{\"id\": 1}}': {error}"))
}

/// Runs a trigger, and prints what became of it. Exit code 0 if all runs are done, or wait durably.
///
/// # Errors
/// If there is no server, or it refuses.
pub(crate) fn trigger(arguments: &TriggerArguments) -> Result<ExitCode, Failure> {
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => url_of(arguments.data_dir.as_deref())?,
    };
    let response = ask(&url, &arguments.trigger.request())?;
    let reports = Reports::deserialize(&response).map_err(|error| not_a_server(&url, &error))?;
    print(&if arguments.json { format!("{response:#}\n") } else { show(&reports.runs) });
    let failed = reports.runs.iter().any(|run| !matches!(run.outcome.as_str(), "done" | "suspended"));
    Ok(if failed || reports.runs.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The URL that the project's development server has written, or the default one.
fn url_of(data_dir: Option<&Path>) -> Result<reqwest::Url, Failure> {
    let data_dir = match data_dir {
        Some(data_dir) => data_dir.to_owned(),
        None => Project::find(None, None, None)?.root.join(DATA_DIR),
    };
    let written = std::fs::read_to_string(data_dir.join(DEV_URL_FILE));
    let url = written.as_deref().map_or(URL, str::trim);
    url.parse::<reqwest::Url>().map_err(|error| Failure::new(CliErrorCode::BadUrl, format_args!("{url}: {error}")))
}

impl Trigger {
    fn request(&self) -> Value {
        match self {
            Self::Schedule { name } => json!({ "schedule": { "name": name } }),
            Self::Event { event_type, data, subject } => {
                json!({ "event": { "type": event_type, "data": data, "subject": subject } })
            }
            Self::Job { name, input } => json!({ "job": { "name": name, "input": input } }),
        }
    }
}

/// Sends a request. A run may take as long as it likes.
fn ask(url: &reqwest::Url, request: &Value) -> Result<Value, Failure> {
    let unreachable = |error: reqwest::Error| {
        let message = format!("no development server responds at {url}: {}", error.without_url());
        Failure::new(CliErrorCode::Unreachable, message).help("start one with `elias dev`, or name another with --url")
    };
    let mut target = url.clone();
    target.set_path(PATH);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let (status, body) = runtime.block_on(async {
        let request = client.post(target).header("content-type", "application/json").body(request.to_string());
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        Ok::<_, Failure>((status, response.bytes().await.map_err(unreachable)?))
    })?;
    let response: Value = serde_json::from_slice(&body).map_err(|error| not_a_server(url, &error))?;
    if status.is_success() {
        return Ok(response);
    }
    let message = response["message"].as_str().map(plain).ok_or_else(|| not_a_server(url, &status))?;
    Err(Failure::new(CliErrorCode::BadInput, message))
}

fn not_a_server(url: &reqwest::Url, what: &dyn std::fmt::Display) -> Failure {
    let message = format!("{url} is not a development server: {what}");
    Failure::new(CliErrorCode::BadAnswer, message).help("start one with `elias dev`, or name another with --url")
}

fn show(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "no subscription matches the event\n".to_owned();
    }
    let mut text = String::new();
    for Run { what, execution, outcome, message, lines } in runs {
        for (level, line) in lines {
            text.push_str(&format!("{:<5} {}\n", plain(level), plain(line)));
        }
        let said = match (outcome.as_str(), message) {
            ("done", Some(result)) if result != "null" => format!("is done: {}", plain(result)),
            ("done", _) => "is done".to_owned(),
            ("retry", Some(reason)) => format!("failed and is tried again: {}", plain_lines(reason)),
            ("dead", Some(reason)) => format!("failed and is not tried again: {}", plain_lines(reason)),
            ("suspended", _) => "waits, and goes on when the wait is over".to_owned(),
            (other, _) => format!("ended: {}", plain(other)),
        };
        text.push_str(&format!("{} ({}) {said}\n", plain(what), plain(execution)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcome: &str, message: Option<&str>) -> Run {
        let (what, execution) = ("job resize".to_owned(), "01A".to_owned());
        let lines = vec![("info".to_owned(), "a line\u{1b}[2J".to_owned())];
        Run { what, execution, outcome: outcome.to_owned(), message: message.map(str::to_owned), lines }
    }

    #[test]
    fn lines_come_before_what_became_of_the_run() {
        let shown = show(&[run("done", Some("{\"w\":1}"))]);
        assert_eq!(shown, "info  a line\\u{1b}[2J\njob resize (01A) is done: {\"w\":1}\n");
        assert!(show(&[run("done", Some("null"))]).ends_with("is done\n"));
        assert!(show(&[run("retry", Some("Error: x"))]).ends_with("failed and is tried again: Error: x\n"));
        assert!(show(&[run("suspended", None)]).contains("waits"));
        assert_eq!(show(&[]), "no subscription matches the event\n");
    }

    #[test]
    fn the_url_is_that_of_the_running_server() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(url_of(Some(folder.path())).expect("the default").as_str(), "http://127.0.0.1:8787/");
        std::fs::write(folder.path().join(DEV_URL_FILE), "http://127.0.0.1:8790\n").expect("written");
        assert_eq!(url_of(Some(folder.path())).expect("a URL").as_str(), "http://127.0.0.1:8790/");
        std::fs::write(folder.path().join(DEV_URL_FILE), "nonsense").expect("written");
        assert!(url_of(Some(folder.path())).is_err());
    }
}
