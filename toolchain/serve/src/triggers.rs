//! The triggers of one project, which run in memory ([`elias_local_triggers`]), and those that `elias trigger` asks for.

use crate::service_tables;
use elias_capabilities::events::NewEvent;
use elias_capabilities::jobs::NewJob;
use elias_command_line::Failure;
use elias_host::App;
use elias_local_triggers::{LocalTriggers, Outcome, RunReport, RunningTriggers, Runs, TriggerError};
use elias_server::TriggerControl;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The triggers of the table `[triggers]`, which do not run yet.
///
/// # Errors
/// `config`, `bad-configuration`.
pub(crate) fn prepare(table: Option<&Value>) -> Result<LocalTriggers, Failure> {
    let config = service_tables::triggers(table)?;
    LocalTriggers::builder().config(config).build().map_err(|error| Failure::new("bad-configuration", error))
}

/// Has the triggers of another table hold from now on.
///
/// # Errors
/// `config`, `bad-configuration`.
pub(crate) fn configure(triggers: &RunningTriggers, table: Option<&Value>) -> Result<(), Failure> {
    let config = service_tables::triggers(table)?;
    triggers.configure(config).map_err(|error| Failure::new("bad-configuration", error))
}

/// Warns if the triggers and the handlers of a component do not fit together.
pub(crate) fn warn_of_handlers(triggers: &RunningTriggers, app: &App) {
    let Some(manifest) = app.manifest() else { return };
    if let Err(error) = triggers.config().check_handlers(&manifest.handlers) {
        tracing::warn!("{}", Failure::new(error.code(), &error));
    }
}

/// What is asked for; `elias trigger` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Asked {
    /// A tick of a schedule, now.
    Schedule { name: String },
    /// An event.
    Event {
        #[serde(rename = "type")]
        event_type: String,
        data: Value,
        subject: Option<String>,
    },
    /// A job.
    Job { name: String, input: Value },
}

/// Runs triggers for whoever asks.
pub(crate) struct Control(pub(crate) Arc<RunningTriggers>);

impl TriggerControl for Control {
    fn run(&self, request: Value) -> BoxFuture<'static, Result<Value, String>> {
        let runs = Asked::deserialize(request)
            .map_err(|error| format!("this server does not understand the request: {error}"))
            .and_then(|asked| self.begin(asked).map_err(said));
        match runs {
            Ok(runs) => collect(runs).map(Ok).boxed(),
            Err(message) => ready(Err(message)).boxed(),
        }
    }
}

impl Control {
    fn begin(&self, asked: Asked) -> Result<Runs, TriggerError> {
        match asked {
            Asked::Schedule { name } => self.0.fire(&name),
            Asked::Job { name, input } => self.0.enqueue(NewJob::new(name, &input)),
            Asked::Event { event_type, data, subject } => {
                self.0.publish(NewEvent { subject, ..NewEvent::new(event_type, &data) })
            }
        }
    }
}

fn said(error: TriggerError) -> String {
    match error {
        TriggerError::NoComponent => "no component is loaded: see what `elias dev` prints".to_owned(),
        TriggerError::NoSchedule(name) => format!("elias.toml has no schedule `{name}`"),
        TriggerError::Stopped => "the server is stopping".to_owned(),
        TriggerError::Refused(message) => message,
    }
}

async fn collect(mut runs: Runs) -> Value {
    let mut shown_runs = Vec::new();
    while let Some(report) = runs.next().await {
        shown_runs.push(shown(&report));
    }
    json!({ "runs": shown_runs })
}

fn shown(report: &RunReport) -> Value {
    let RunReport { what, execution, outcome, lines, .. } = report;
    let (name, message) = match outcome {
        Outcome::Done { result } => ("done", Some(result)),
        Outcome::Retry { reason, .. } => ("retry", Some(reason)),
        Outcome::Dead { message, .. } => ("dead", Some(message)),
        Outcome::Suspended => ("suspended", None),
        Outcome::Cancelled => ("cancelled", None),
    };
    json!({ "what": what, "execution": execution, "outcome": name, "message": message, "lines": lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_that_the_command_sends() {
        let read = |request: Value| Asked::deserialize(request);
        assert!(read(json!({ "schedule": { "name": "nightly" } })).is_ok());
        assert!(read(json!({ "job": { "name": "resize", "input": null } })).is_ok());
        let event = json!({ "event": { "type": "order.paid", "data": { "total": 5 }, "subject": null } });
        assert!(read(event).is_ok());
        for wrong in [json!({}), json!({ "queue": {} }), json!({ "schedule": {} }), json!(["schedule"])] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_report_says_what_became_of_the_run() {
        let report = RunReport {
            what: "job resize".to_owned(),
            execution: "01A".to_owned(),
            attempt: 1,
            outcome: Outcome::Done { result: "5".to_owned() },
            lines: vec![("info".to_owned(), "a line".to_owned())],
        };
        let wanted = json!({
            "what": "job resize", "execution": "01A", "outcome": "done", "message": "5",
            "lines": [["info", "a line"]],
        });
        assert_eq!(shown(&report), wanted);
    }
}
