//! `elias workflows`.

use super::{append, steps};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{JobState, WorkflowDetails, WorkflowRecord, WorkflowState};
use elias_command_line::text::plain_lines;
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};

/// The arguments of `workflows`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WorkflowsArguments {
    #[command(subcommand)]
    command: Option<WorkflowsCommand>,
    /// List workflows of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// List workflows in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// List workflows of jobs with this name only
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// List workflows whose job is in this state only: waiting (also asleep or to be retried), ready, leased (running),
    /// done, dead or cancelled
    #[arg(long, value_name = "STATE")]
    state: Option<JobState>,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum WorkflowsCommand {
    /// Show a workflow and its steps
    Show {
        /// Job id
        id: String,
    },
}

/// Lists workflows, or shows one.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn workflows(arguments: &WorkflowsArguments) -> Result<(), Failure> {
    let WorkflowsArguments { command, component, environment, name, state, limit, target } = arguments;
    let client = Client::of(target)?;
    match command {
        None => {
            let mut url = client.tenant_url(&["workflows"]);
            append(&mut url, "component", component.as_ref().map(ComponentName::as_str));
            append(&mut url, "environment", environment.map(Environment::as_str));
            append(&mut url, "name", name.as_deref());
            append(&mut url, "state", state.map(JobState::as_str));
            let header = ["job", "enqueued", "component", "name", "state", "steps", "last step", "error"];
            output::print_list(target.json, &client.list(&url, *limit)?, header, row)
        }
        Some(WorkflowsCommand::Show { id }) => {
            let mut response = client.get(client.tenant_url(&["workflows", id]))?;
            let details: WorkflowDetails = read(&response)?;
            // The response has the first ones only.
            if usize::try_from(details.workflow.step_count).is_ok_and(|count| count > details.steps.len()) {
                response["steps"] = steps::list(&client, id)?["items"].clone();
            }
            output::print_item(target.json, &response, |details: WorkflowDetails| describe(&details))
        }
    }
}

fn row(workflow: WorkflowRecord) -> [String; 8] {
    let state = state(&workflow);
    let error = workflow.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default().to_owned();
    [
        workflow.id,
        time(workflow.enqueued_at),
        format!("{} {}", workflow.queue.component, workflow.queue.environment),
        workflow.queue.name,
        state,
        workflow.step_count.to_string(),
        workflow.last_step.map(|step| step.name).unwrap_or_default(),
        error,
    ]
}

/// The state, with what is waited for and until when.
fn state(workflow: &WorkflowRecord) -> String {
    let mut text = workflow.state.as_str().to_owned();
    if let Some(event) = &workflow.waits_for {
        text.push_str(&format!(" for {event}"));
    }
    if let Some(until) = workflow.until {
        let word = if workflow.state == WorkflowState::Retrying { "at" } else { "until" };
        text.push_str(&format!(" {word} {}", time(until)));
    }
    text
}

fn describe(WorkflowDetails { workflow, steps }: &WorkflowDetails) -> String {
    let mut text = output::facts([
        ("job", workflow.id.clone()),
        ("name", workflow.queue.name.clone()),
        ("component", format!("{} in {}", workflow.queue.component, workflow.queue.environment)),
        ("by", workflow.queue.trigger.as_str().to_owned()),
        ("state", state(workflow)),
        ("attempt", workflow.attempt.to_string()),
        ("version", workflow.version.map_or_else(String::new, |version| version.to_string())),
        ("enqueued", time(workflow.enqueued_at)),
        ("ended", workflow.finished_at.map_or_else(String::new, time)),
    ]);
    if let Some(error) = &workflow.error {
        text.push_str(&format!("\n{}\n", plain_lines(error)));
    }
    text + &steps::describe(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::{JobTrigger, QueueId, StepKind, StepRecord, StepState};

    fn charge() -> StepRecord {
        StepRecord {
            position: 0,
            name: "charge".to_owned(),
            kind: StepKind::Step,
            state: StepState::Done,
            at: 0,
            until: None,
            waits_for: None,
            result: Some("7".to_owned()),
            error: None,
        }
    }

    fn order(state: WorkflowState) -> WorkflowRecord {
        WorkflowRecord {
            id: "01A".to_owned(),
            queue: QueueId {
                component: "shop".parse().expect("a name"),
                environment: Environment::Production,
                trigger: JobTrigger::Job,
                name: "order".to_owned(),
            },
            state,
            until: None,
            waits_for: None,
            step_count: 1,
            last_step: Some(charge()),
            attempt: 1,
            version: Some(3),
            enqueued_at: 0,
            finished_at: None,
            error: None,
        }
    }

    #[test]
    fn the_state_says_until_when_and_for_what() {
        assert_eq!(row(order(WorkflowState::Running))[4..7], ["running", "1", "charge"].map(str::to_owned));
        let timed = |state| WorkflowRecord { until: Some(5_000), ..order(state) };
        assert_eq!(row(timed(WorkflowState::Sleeping))[4], "sleeping until 1970-01-01T00:00:05Z");
        assert_eq!(row(timed(WorkflowState::Retrying))[4], "retrying at 1970-01-01T00:00:05Z");
        let waits_for = Some("order.paid {}".to_owned());
        let waiting = WorkflowRecord { waits_for, ..timed(WorkflowState::Waiting) };
        assert_eq!(row(waiting)[4], "waiting for order.paid {} until 1970-01-01T00:00:05Z");
    }

    #[test]
    fn a_workflow_is_shown_with_its_steps_and_its_error() {
        let error = Some("Error: no parcel\n    at book (src/index.js:3:9)".to_owned());
        let failed = WorkflowRecord { error, finished_at: Some(5_000), ..order(WorkflowState::Failed) };
        let shown = describe(&WorkflowDetails { workflow: failed, steps: vec![charge()] });
        assert!(shown.contains("state      failed\n") && shown.contains("\nError: no parcel\n    at book"), "{shown}");
        assert!(shown.contains("\nsteps\nstep    kind  state"), "{shown}");
    }
}
