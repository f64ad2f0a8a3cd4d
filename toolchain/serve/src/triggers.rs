//! The triggers of one project, which run in memory ([`elias_local_triggers`]), and those that `elias trigger` asks
//! for.

use crate::development::{HISTORY, Records};
use crate::service_tables;
use crate::webhooks::ProjectWebhooks;
use crate::worker_messages::ProjectWorkers;
use elias_capabilities::events::NewEvent;
use elias_capabilities::jobs::NewJob;
use elias_command_line::Failure;
use elias_host::{App, Grants};
use elias_local_triggers::{LocalTriggers, Outcome, RunReport, RunningTriggers, Runs, TriggerError, TriggersConfig};
use elias_server::TriggerControl;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// The triggers of the table `[triggers]`, which do not run yet. `webhooks` sends its webhooks, by what the component
/// is granted; paths in its grants are relative to `folder`. `workers` get what is for service workers. `records` get
/// the runs, and then what was run is kept for a while.
///
/// # Errors
/// `config`, `bad-configuration`.
pub(crate) fn prepare(
    table: Option<&Value>,
    (webhooks, workers): (&Arc<ProjectWebhooks>, &Arc<ProjectWorkers>),
    grants: &Grants,
    folder: &Path,
    records: Option<&Arc<Records>>,
) -> Result<LocalTriggers, Failure> {
    let config = read(table, webhooks, grants, folder)?;
    let triggers = LocalTriggers::builder().config(config).webhooks(Arc::clone(webhooks) as _);
    let triggers = match records.cloned() {
        Some(records) => triggers.history(HISTORY).on_run(move |report| records.add_run(report)),
        None => triggers,
    };
    triggers.workers(Arc::clone(workers) as _).build().map_err(|error| Failure::new("bad-configuration", error))
}

/// Has the triggers of another table, or other grants, hold from now on.
///
/// # Errors
/// `config`, `bad-configuration`.
pub(crate) fn configure(
    triggers: &RunningTriggers,
    webhooks: &ProjectWebhooks,
    table: Option<&Value>,
    grants: &Grants,
    folder: &Path,
) -> Result<(), Failure> {
    let config = read(table, webhooks, grants, folder)?;
    triggers.configure(config).map_err(|error| Failure::new("bad-configuration", error))
}

/// Reads the table, and has its webhooks sent by the grant `http` from now on.
fn read(
    table: Option<&Value>,
    webhooks: &ProjectWebhooks,
    grants: &Grants,
    folder: &Path,
) -> Result<TriggersConfig, Failure> {
    let http = grants.get("http");
    let config = service_tables::granted_triggers(table, grants.get("config"), http)?;
    let http = http.filter(|_| !config.webhook.is_empty());
    webhooks.set_grant(http, folder).map_err(|error| Failure::new("bad-configuration", error))?;
    Ok(config)
}

/// Warns if the triggers of a component do not fit its handlers and its classes of workers.
pub(crate) fn warn_of_handlers(triggers: &RunningTriggers, app: &App) {
    let Some(manifest) = app.manifest() else { return };
    if let Err(error) = triggers.config().check_handlers(&manifest.handlers, &manifest.workers) {
        tracing::warn!("{}", Failure::new(error.code(), &error));
    }
}

/// The body of a request of `elias trigger`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum TriggerRequest {
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
pub(crate) struct LocalTriggerControl(pub(crate) Arc<RunningTriggers>);

impl TriggerControl for LocalTriggerControl {
    fn run(&self, request: Value) -> BoxFuture<'static, Result<Value, String>> {
        let runs = TriggerRequest::deserialize(request)
            .map_err(|error| format!("this server does not understand the request: {error}"))
            .and_then(|asked| self.begin(asked).map_err(said));
        match runs {
            Ok(runs) => collect(runs).map(Ok).boxed(),
            Err(message) => ready(Err(message)).boxed(),
        }
    }
}

impl LocalTriggerControl {
    fn begin(&self, asked: TriggerRequest) -> Result<Runs, TriggerError> {
        match asked {
            TriggerRequest::Schedule { name } => self.0.fire(&name),
            TriggerRequest::Job { name, input } => self.0.enqueue(NewJob::new(name, &input)),
            TriggerRequest::Event { event_type, data, subject } => {
                self.0.publish(NewEvent { subject, ..NewEvent::new(event_type, &data) })
            }
        }
    }
}

fn said(error: TriggerError) -> String {
    match error {
        TriggerError::NoComponent => "no component is loaded: see what `elias dev` prints".to_owned(),
        TriggerError::NoSchedule(name) => format!("elias.toml has no schedule `{name}`"),
        TriggerError::NoFailedRun(id) => format!("the run `{id}` does not exist, or has not failed"),
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
        let read = |request: Value| TriggerRequest::deserialize(request);
        assert!(read(json!({ "schedule": { "name": "nightly" } })).is_ok());
        assert!(read(json!({ "job": { "name": "resize", "input": null } })).is_ok());
        let event = json!({ "event": { "type": "order.paid", "data": { "total": 5 }, "subject": null } });
        assert!(read(event).is_ok());
        for wrong in [json!({}), json!({ "queue": {} }), json!({ "schedule": {} }), json!(["schedule"])] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn webhooks_need_what_the_component_is_granted() {
        let table = json!({ "webhook": [{ "type": "a", "url": "https://example.com/a", "secret": "SECRET" }] });
        let secret = json!({ "secret": { "env": "SECRET", "secret": true } });
        let prepared = |allow: &str| {
            let grants = Grants::none().with("config", secret.clone()).with("http", json!({ "allow": [allow] }));
            let senders = (&Arc::default(), &Arc::default());
            prepare(Some(&table), senders, &grants, Path::new("."), None).map(|_| ())
        };
        assert!(prepared("https://example.com").is_ok());
        let error = prepared("https://other.example.com").expect_err("not allowed").to_string();
        assert!(error.contains("allow = [\"https://example.com\"]"), "{error}");
    }

    #[test]
    fn a_report_says_what_became_of_the_run() {
        let report = RunReport {
            what: "job resize".to_owned(),
            execution: "01A".to_owned(),
            attempt: 1,
            outcome: Outcome::Done { result: "5".to_owned() },
            record: None,
            lines: vec![("info".to_owned(), "a line".to_owned())],
        };
        let wanted = json!({
            "what": "job resize", "execution": "01A", "outcome": "done", "message": "5",
            "lines": [["info", "a line"]],
        });
        assert_eq!(shown(&report), wanted);
    }
}
