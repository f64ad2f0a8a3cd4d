//! A Rust service that runs a component's schedule, jobs and events in its own process, in memory:
//! `elias-build src/orders.js -o orders.wasm`, and `cargo run -p embed-triggers -- orders.wasm`.

use elias_capabilities::jobs::NewJob;
use elias_capabilities::{Log, Workflow};
use elias_host::{Grants, Host, LoadOptions};
use elias_local_triggers::{LocalTriggers, Outcome};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let component = std::env::args().nth(1).unwrap_or_else(|| "orders.wasm".into());
    // #region triggers
    // The table [triggers] of elias.toml, as JSON.
    let config = serde_json::from_value(json!({
        "schedule": [{ "name": "often", "every": "1s" }],
        "event": [{ "type": "order.*", "where": { "data.total": { "gte": 10 } } }],
        "jobs": { "charge": { "concurrency": 2, "retry": { "attempts": 3 } } },
    }))?;
    let (reports, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let triggers =
        LocalTriggers::builder().config(config).on_run(move |report| drop(reports.send(report.clone()))).build()?;
    // #endregion triggers

    // #region host
    let host = Host::builder()
        .capability(Log)
        .capability(triggers.jobs())
        .capability(triggers.events())
        .capability(Workflow)
        .build()?;
    let grants = Grants::none().with("jobs", json!({})).with("events", json!({})).with("workflow", json!({}));
    let options = LoadOptions { grants, observer: Some(triggers.observer()), ..LoadOptions::default() };
    let app = host.load_file_with(component.as_ref(), &options).await?;
    // #endregion host

    // #region run
    let triggers = triggers.start(app);
    triggers.enqueue(NewJob::new("charge", &json!({ "prices": [12, 30] })))?;
    let mut expected = BTreeSet::from(["job charge", "event order.paid", "schedule often"]);
    while !expected.is_empty() {
        let Some(report) = ended.recv().await else { break };
        if expected.remove(report.what.as_str()) {
            match &report.outcome {
                Outcome::Done { result } => println!("{}: {result}", report.what),
                other => println!("{}: {other:?}", report.what),
            }
            report.lines.iter().for_each(|(level, text)| println!("  {level} {text}"));
        }
    }
    let cut = triggers.stop(Duration::from_secs(5)).await;
    println!("stopped; {cut} runs were cut");
    // #endregion run
    Ok(())
}
