//! Triggers that `elias trigger` asks for.

use super::run::{Report, Runner};
use super::schedules;
use elias_capabilities::events::{EventLog, NewEvent};
use elias_capabilities::jobs::{JobQueue, NewJob, StartTime};
use elias_capabilities::trigger::Origin;
use elias_host::Running;
use elias_server::TriggerControl;
use elias_triggers::queue::Outcome;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
pub(super) struct Control(pub(super) Arc<Runner>);

impl TriggerControl for Control {
    fn run(&self, request: Value) -> BoxFuture<'static, Result<Value, String>> {
        let reports = Asked::deserialize(request)
            .map_err(|error| format!("this server does not understand the request: {error}"))
            .and_then(|asked| self.begin(asked));
        match reports {
            Ok(reports) => collect(reports).map(Ok).boxed(),
            Err(message) => ready(Err(message)).boxed(),
        }
    }
}

impl Control {
    /// Begins what is asked for: the reports of the first runs come out of the channel, which then ends.
    fn begin(&self, asked: Asked) -> Result<mpsc::UnboundedReceiver<Report>, String> {
        let (reporter, reports) = mpsc::unbounded_channel();
        let runner = &self.0;
        let app = runner.source.current().ok_or("no component is loaded: see what `elias dev` prints")?;
        let origin =
            Origin { component: app.name().to_owned(), version: app.version().to_owned(), ..Origin::default() };
        let origin = Arc::new(origin);
        match asked {
            Asked::Schedule { name } => {
                if !runner.settings().schedules.iter().any(|schedule| schedule.config.name == name) {
                    return Err(format!("elias.toml has no schedule `{name}`"));
                }
                let runner = Arc::clone(runner);
                tokio::spawn(async move {
                    let due = runner.now();
                    schedules::run_tick(&runner, &name, due, Running::new(), Some(reporter)).await;
                });
            }
            Asked::Job { name, input } => {
                let job = NewJob {
                    name,
                    input: input.to_string(),
                    priority: None,
                    start: StartTime::Now,
                    key: None,
                    concurrency_key: None,
                    after: Vec::new(),
                    target: None,
                };
                // The job cannot begin before the reporter is known to whoever runs it.
                let mut reporters = runner.reporters.lock();
                let id = immediately(runner.queue.enqueue(origin, job))?.map_err(|error| error.message)?;
                reporters.insert(id, reporter);
            }
            Asked::Event { event_type, data, subject } => {
                let data = data.to_string();
                let event = NewEvent { event_type, data, subject, key: None, delay: Duration::ZERO };
                let mut reporters = runner.reporters.lock();
                let id = immediately(runner.log.publish(origin, event))?.map_err(|error| error.message)?;
                reporters.insert(id, reporter);
            }
        }
        Ok(reports)
    }
}

/// The value of a future that does not wait: the backends in memory have none that do.
fn immediately<T>(future: BoxFuture<'static, T>) -> Result<T, String> {
    future.now_or_never().ok_or_else(|| "the queue does not answer".to_owned())
}

async fn collect(mut reports: mpsc::UnboundedReceiver<Report>) -> Value {
    let mut runs = Vec::new();
    while let Some(report) = reports.recv().await {
        runs.push(shown(&report));
    }
    json!({ "runs": runs })
}

fn shown(report: &Report) -> Value {
    let Report { what, execution, outcome, lines } = report;
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
        let report = Report {
            what: "job resize".to_owned(),
            execution: "01A".to_owned(),
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
