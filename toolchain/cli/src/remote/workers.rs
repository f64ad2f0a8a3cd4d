//! `elias workers`: lists, shows, calls and operates service workers.

use super::connection::client::{Client, read};
use super::connection::output::{self, bytes, number, time};
use super::triggers::{append, parse_json};
use clap::{Args, Subcommand};
use elias_api::{
    WorkerForkRequest, WorkerHealth, WorkerId, WorkerMessage, WorkerStatus, WorkerStopRequest, WorkerTurn,
};
use elias_command_line::text::{plain, plain_lines};
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use reqwest::Url;
use serde_json::{Value, json};

/// The arguments of `workers`.
#[derive(Debug, Args)]
pub(crate) struct WorkersArguments {
    #[command(subcommand)]
    command: WorkersCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum WorkersCommand {
    /// List the workers of a component
    List {
        /// Component name
        component: ComponentName,
        /// Environment: dev, staging or production
        #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
        environment: Environment,
        /// List workers of this class only
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
        /// List workers only whose class has this tag in `[workers.tags]`
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
        /// List workers with this health only: unknown, healthy or unhealthy
        #[arg(long, value_name = "HEALTH")]
        health: Option<WorkerHealth>,
        /// Maximum number of entries
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a worker and its state as JSON
    Show {
        #[command(flatten)]
        worker: WorkerArguments,
        /// Show the state as it was after this turn [default: the last turn]
        #[arg(long, value_name = "TURN", conflicts_with = "no_state")]
        at: Option<u64>,
        /// Leave the state out, which takes a role that may read data
        #[arg(long)]
        no_state: bool,
    },
    /// Send a message to a worker, and print its answer
    Send {
        #[command(flatten)]
        worker: WorkerArguments,
        /// Message, which `onMessage` gets
        #[arg(value_name = "JSON", value_parser = parse_json, allow_negative_numbers = true)]
        message: Value,
    },
    /// Call a method of a worker, and print its answer
    Call {
        #[command(flatten)]
        worker: WorkerArguments,
        /// Method name
        method: String,
        /// Arguments
        #[arg(value_name = "JSON", value_parser = parse_json, allow_negative_numbers = true)]
        args: Vec<Value>,
    },
    /// Start a worker that does not exist
    Start(WorkerArguments),
    /// Stop a worker: what it holds is forgotten
    Stop(StopArguments),
    /// Restart a worker without what it held
    Restart(StopArguments),
    /// Copy a worker as it is, or as it was after a turn
    Fork {
        #[command(flatten)]
        worker: WorkerArguments,
        /// Name of the copy
        #[arg(value_name = "COPY")]
        copy: String,
        /// Copy the worker as it was after this turn [default: the last turn]
        #[arg(long, value_name = "TURN")]
        at: Option<u64>,
    },
    /// List the commits of a worker that are kept
    History {
        #[command(flatten)]
        worker: WorkerArguments,
        /// Maximum number of entries, newest first
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
}

/// Which worker.
#[derive(Debug, Args)]
struct WorkerArguments {
    /// Component name
    component: ComponentName,
    /// Class of the worker
    class: String,
    /// Name of the worker
    name: String,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
}

/// Which worker to stop, and why.
#[derive(Debug, Args)]
struct StopArguments {
    #[command(flatten)]
    worker: WorkerArguments,
    /// Reason, which `onStop` gets and the audit log shows
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Lists workers, or does something with one.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn workers(arguments: &WorkersArguments) -> Result<(), Failure> {
    let WorkersArguments { command, target } = arguments;
    let (client, json) = (Client::of(target)?, target.json);
    match command {
        WorkersCommand::List { component, environment, class, tag, health, limit } => {
            let mut url = client.service_url(component, environment, &["workers"]);
            append(&mut url, "class", class.as_deref());
            append(&mut url, "tag", tag.as_deref());
            append(&mut url, "health", health.map(WorkerHealth::as_str));
            let header = ["class", "name", "state", "health", "turns", "messages", "heap", "next timer"];
            output::print_list(json, &client.list(&url, *limit)?, header, row)
        }
        WorkersCommand::Show { worker, at, no_state } => {
            let mut response = client.get(worker.url(&client, &[]))?;
            if !no_state {
                let mut url = worker.url(&client, &["state"]);
                append(&mut url, "at", at.map(|turn| turn.to_string()).as_deref());
                response["state"] = client.get(url)?["state"].take();
            }
            output::print_response(json, &response, || Ok(describe(&read(&response)?, response.get("state"))))
        }
        WorkersCommand::Send { worker, message } => {
            let message = WorkerMessage { message: Some(message.clone()), ..WorkerMessage::default() };
            print_answer(json, &client.post(worker.url(&client, &["messages"]), &message)?)
        }
        WorkersCommand::Call { worker, method, args } => {
            let (method, args) = (Some(method.clone()), Some(args.clone()));
            let call = WorkerMessage { method, args, ..WorkerMessage::default() };
            print_answer(json, &client.post(worker.url(&client, &["messages"]), &call)?)
        }
        WorkersCommand::Start(worker) => {
            let response = client.post(worker.url(&client, &["start"]), &json!({}))?;
            output::print_done(json, &response, &format!("{} is there", worker.shown()))
        }
        WorkersCommand::Stop(StopArguments { worker, reason }) => {
            let request = WorkerStopRequest { reason: reason.clone() };
            let response = client.post(worker.url(&client, &["stop"]), &request)?;
            output::print_done(json, &response, &format!("{} is stopped", worker.shown()))
        }
        WorkersCommand::Restart(StopArguments { worker, reason }) => {
            let request = WorkerStopRequest { reason: reason.clone() };
            let response = client.post(worker.url(&client, &["restart"]), &request)?;
            output::print_done(json, &response, &format!("{} is restarted", worker.shown()))
        }
        WorkersCommand::Fork { worker, copy, at } => {
            let request = WorkerForkRequest { name: copy.clone(), at: *at };
            let response = client.post(worker.url(&client, &["fork"]), &request)?;
            output::print_item(json, &response, |WorkerId { class, name }: WorkerId| {
                format!("{}/{} is a copy of {}\n", plain(&class), plain(&name), worker.shown())
            })
        }
        WorkersCommand::History { worker, limit } => {
            let header = ["turn", "committed", "version", "bytes", "undone to"];
            output::print_list(json, &client.list(&worker.url(&client, &["history"]), *limit)?, header, turn_row)
        }
    }
}

impl WorkerArguments {
    fn url(&self, client: &Client, action: &[&str]) -> Url {
        let worker = ["workers", self.class.as_str(), self.name.as_str()];
        client.service_url(&self.component, &self.environment, &[&worker[..], action].concat())
    }

    fn shown(&self) -> String {
        format!("{}/{}", plain(&self.class), plain(&self.name))
    }
}

fn row(worker: WorkerStatus) -> [String; 8] {
    let (state, next) = (state(&worker).to_owned(), next_due(&worker));
    let health = match worker.health {
        WorkerHealth::Unknown => String::new(),
        health => health.as_str().to_owned(),
    };
    let WorkerStatus { class, name, turns, messages, heap_bytes, .. } = worker;
    [class, name, state, health, number(turns), number(messages), bytes(heap_bytes), next]
}

/// What a worker does. One that was given up does nothing.
fn state(worker: &WorkerStatus) -> &'static str {
    if worker.given_up.is_some() { "given up" } else { worker.condition.as_str() }
}

fn next_due(worker: &WorkerStatus) -> String {
    let due = worker.next_due.map(|due| i64::try_from(due).unwrap_or(i64::MAX));
    due.map(time).unwrap_or_default()
}

fn turn_row(turn: WorkerTurn) -> [String; 5] {
    let WorkerTurn { turn, at, back_to, bytes: stored, version } = turn;
    let back_to = back_to.map(|turn| turn.to_string()).unwrap_or_default();
    [turn.to_string(), time(at), version.to_string(), bytes(stored), back_to]
}

fn describe(worker: &WorkerStatus, state_at: Option<&Value>) -> String {
    let optional = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut text = output::facts([
        ("class", worker.class.clone()),
        ("name", worker.name.clone()),
        ("state", state(worker).to_owned()),
        ("health", worker.health.as_str().to_owned()),
        ("tags", worker.tags.join(", ")),
        ("turns", number(worker.turns)),
        ("kept from turn", optional(worker.kept_from)),
        ("messages", number(worker.messages)),
        ("heap", bytes(worker.heap_bytes)),
        ("version", optional(worker.version.map(u64::from))),
        ("next timer", next_due(worker)),
        ("last commit", worker.updated_at.map(time).unwrap_or_default()),
    ]);
    if let Some(error) = &worker.upgrade_error {
        text.push_str(&format!("\nruns in an earlier version: {}\n", plain_lines(error)));
    }
    if let Some(error) = &worker.health_error {
        text.push_str(&format!("\nis not well: {}\n", plain_lines(error)));
    }
    if let Some(why) = &worker.given_up {
        text.push_str(&format!("\nis stopped: {}\n", plain_lines(why)));
    }
    if let Some(state) = state_at {
        text.push_str(&format!("\n{}\n", plain_lines(&format!("{state:#}"))));
    }
    text
}

fn print_answer(json: bool, response: &Value) -> Result<(), Failure> {
    output::print_response(json, response, || Ok(format!("{}\n", plain_lines(&format!("{:#}", response["answer"])))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::WorkerCondition;

    fn cart() -> WorkerStatus {
        WorkerStatus {
            class: "Cart".to_owned(),
            name: "a\nb".to_owned(),
            condition: WorkerCondition::Asleep,
            turns: 1_234,
            messages: 0,
            dropped: 0,
            next_due: Some(5_000),
            heap_bytes: 30_000,
            version: Some(3),
            kept_from: Some(1_000),
            updated_at: Some(1_000),
            upgrade_error: None,
            health: WorkerHealth::Unknown,
            health_error: None,
            tags: vec!["edge".to_owned()],
            given_up: None,
        }
    }

    #[test]
    fn a_worker_is_shown_with_its_state() {
        let shown = ["asleep", "", "1,234", "0", "30.0 kB", "1970-01-01T00:00:05Z"];
        assert_eq!(row(cart())[2..], shown.map(str::to_owned));
        let shown = describe(&cart(), Some(&json!({ "fields": { "items": { "tea": 2 } } })));
        assert!(shown.contains("name            a\\nb\n") && shown.contains("\n      \"tea\": 2\n"), "{shown}");
        let given_up = Some("the supervision tree ingest was given up".to_owned());
        let health_error = Some("Error: no disk".to_owned());
        let failed = WorkerStatus { health: WorkerHealth::Unhealthy, health_error, given_up, ..cart() };
        assert_eq!(row(failed.clone())[2..4], ["given up", "unhealthy"].map(str::to_owned));
        let shown = describe(&failed, None);
        assert!(shown.contains("is not well: Error: no disk") && shown.contains("tree ingest was given up"), "{shown}");
        let upgrade_error = Some("this.hooks[0] cannot be cloned".to_owned());
        let behind = describe(&WorkerStatus { upgrade_error, next_due: None, ..cart() }, None);
        assert!(behind.contains("an earlier version: this.hooks[0]") && !behind.contains("next timer"), "{behind}");
    }

    #[test]
    fn a_turn_is_shown_with_what_it_undid() {
        let turn = WorkerTurn { turn: 7, at: 0, back_to: Some(5), bytes: 12, version: 2 };
        assert_eq!(turn_row(turn), ["7", "1970-01-01T00:00:00Z", "2", "12 B", "5"].map(str::to_owned));
    }
}
