//! examples/shop: an order is an event, the event a job with steps, and a schedule reports.

use elias_tests::build::{Finish, Project, binary};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{Answer, example};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use http::Request;
use serde_json::{Value, json};
use std::process::Command;

/// Orders of two customers: one whose parcel is booked at the second attempt, one at the first, one that is declined.
const ORDERS: [(&str, &str, &str, i64); 3] =
    [("o-1", "ada", "glass", 2_500), ("o-2", "bo", "book", 1_500), ("o-3", "bo", "house", 50_000_000)];

/// Copies the example into a folder, without what a run leaves there.
fn copy_shop(terminal: &Terminal) {
    for file in ["elias.toml", "package.json", "migrations/001-tables.sql", "src/index.js"] {
        let to = terminal.path("shop").join(file);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("the folder is ours");
        std::fs::copy(example("shop").join(file), to).expect("copied");
    }
}

async fn place(platform: &Platform, team: &Tenant<'_>, (id, customer, item, total): (&str, &str, &str, i64)) -> Answer {
    let order = json!({ "id": id, "customer": customer, "item": item, "total": total }).to_string();
    let request = Request::post("/").header("content-type", "application/json");
    platform.ask_with(request, &team.host("shop"), "/orders", order).await
}

/// Places the orders, and waits until each has its state.
async fn fulfil(platform: &Platform, team: &Tenant<'_>) {
    for order in ORDERS {
        assert_eq!(place(platform, team, order).await.status, 202, "{}", platform.log());
        // Sent again, it is the same order.
        assert_eq!(place(platform, team, order).await.status, 202);
    }
    for (id, state) in [("o-1", "shipped"), ("o-2", "shipped"), ("o-3", "declined")] {
        until(&format!("{id} is {state}"), async || {
            let order = team.get("shop", &format!("/orders/{id}")).await;
            (order.status == 200 && order.json()["state"] == state).then_some(())
        })
        .await;
    }
}

/// The cards that the shop has charged: each once.
async fn check_payments(team: &Tenant<'_>) {
    let payments = team.get("shop", "/payments").await.json();
    let wanted = json!([{ "order_id": "o-1", "amount": 2_500 }, { "order_id": "o-2", "amount": 1_500 }]);
    assert_eq!(payments, wanted);
}

/// The jobs of a state, once there are so many.
async fn jobs(team: &Tenant<'_>, state: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} jobs are {state}"), async || {
        let found = team.done("GET", &format!("/jobs?trigger=job&state={state}"), Value::Null).await;
        let items = found["items"].as_array().expect("a list").clone();
        (items.len() == count).then_some(items)
    })
    .await
}

async fn check_report(team: &Tenant<'_>) {
    let run = service("shop", "production", "/schedules/report/run");
    team.done("POST", &run, json!({})).await;
    let reports = until("the report is there", async || {
        let reports = team.get("shop", "/reports").await.json();
        reports.as_array().is_some_and(|reports| !reports.is_empty()).then_some(reports)
    })
    .await;
    assert_eq!((&reports[0]["shipped"], &reports[0]["revenue"]), (&json!(2), &json!(4_000)), "{reports}");
}

#[tokio::test]
async fn an_order_becomes_an_event_a_job_and_a_line_of_the_report() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    copy_shop(&terminal);
    terminal.types("shop", &["deploy"]);

    fulfil(&platform, &team).await;
    check_payments(&team).await;
    let done = jobs(&team, "done", 2).await;
    let glass = done.iter().find(|job| job["key"] == "o-1").expect("its job");
    assert_eq!(glass["attempt"], 2, "the parcel service failed at first: {glass}");
    assert_eq!(glass["result"], r#"{"paid":2500,"parcel":"parcel-o-1"}"#);
    let dead = jobs(&team, "dead", 1).await;
    assert!(dead[0]["error"].as_str().is_some_and(|error| error.contains("the card does not pay so much")), "{dead:?}");
    let steps = team.done("GET", &format!("/jobs/{}/steps", dead[0]["id"].as_str().expect("an id")), Value::Null).await;
    let load = &steps["items"][0];
    assert_eq!((&load["name"], &load["kind"], &load["state"]), (&json!("load"), &json!("step"), &json!("done")));
    assert!(load["result"].as_str().is_some_and(|result| result.contains("house")), "{steps}");
    check_report(&team).await;

    // The same by the command line.
    let listed = terminal.types("shop", &["jobs", "--state", "dead"]);
    assert!(listed.contains("fulfil") && listed.contains("the card does not pay so much"), "{listed}");
    let shown = terminal.types("shop", &["jobs", "show", dead[0]["id"].as_str().expect("an id")]);
    assert!(shown.contains("steps\nstep") && shown.contains("load"), "{shown}");
    let listed = terminal.types("shop", &["workflows", "--name", "fulfil"]);
    assert!(listed.contains("failed") && listed.contains("done") && listed.contains("last step"), "{listed}");
    let shown = terminal.types("shop", &["workflows", "show", glass["id"].as_str().expect("an id")]);
    assert!(shown.contains("state      done\n") && shown.contains("\nsteps\nstep"), "{shown}");
    let events = terminal.types("shop", &["events"]);
    assert!(events.contains("order.placed") && events.contains("order.shipped"), "{events}");
    let shown = terminal.types("shop", &["schedules", "show", "shop", "report"]);
    assert!(shown.contains("0 6 * * * Europe/Berlin") && shown.contains("next ticks"), "{shown}");
    terminal.types("shop", &["schedules", "pause", "shop", "report"]);
    assert!(terminal.types("shop", &["schedules"]).contains("paused"));
    terminal.types("shop", &["schedules", "resume", "shop", "report"]);
    let subscriptions = terminal.types("shop", &["subscriptions", "--component", "shop"]);
    assert!(subscriptions.contains("placed") && subscriptions.contains("order.placed"), "{subscriptions}");
    let id =
        terminal.types("shop", &["jobs", "enqueue", "shop", "fulfil", "--input", r#"{"id":"o-2"}"#, "--key", "o-2"]);
    assert!(id.contains("has the key already"), "{id}");
    terminal.edit("shop/elias.toml", "0 6 * * *", "0 7 * * *");
    let said = terminal.types("shop", &["deploy"]);
    assert!(said.contains("  triggers.schedule.report.cron: \"0 6 * * *\" -> \"0 7 * * *\"\n"), "{said}");
    let said = terminal.types("shop", &["rollback", "shop"]);
    assert!(said.contains("  triggers.schedule.report.cron: \"0 7 * * *\" -> \"0 6 * * *\"\n"), "{said}");
}

#[tokio::test]
async fn two_hosts_share_the_orders_of_one_shop() {
    let postgres = Postgres::start();
    let first = Platform::start(&["--store", &postgres.url()]);
    let here = first.new_tenant("acme", json!({ "trusted": true })).await;
    let second = Platform::start(&["--store", &postgres.url()]);
    let mut there = second.default_tenant();
    there.name.clone_from(&here.name);
    let output = Project::new(&[]);
    let file = output.path("app.wasm");
    let entry = example("shop").join("src/index.js");
    let build =
        Command::new(binary("elias-build")).arg(entry).arg("-o").arg(&file).finish().expect("elias-build starts");
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let component = std::fs::read(file).expect("it was written");
    let migration = std::fs::read(example("shop").join("migrations/001-tables.sql")).expect("the file is there");
    // Each host has artifacts of its own.
    there.upload(&component).await;
    there.upload(&migration).await;
    let migration = here.upload(&migration).await;
    let settings = json!({
        "capabilities": {
            "db": { "backend": "postgres", "url": postgres.url() }, "events": {}, "jobs": {}, "workflow": {},
        },
        "files": { "migrations/001-tables.sql": migration },
        "triggers": {
            "event": [{ "name": "placed", "type": "order.placed", "order": "subject" }],
            "jobs": { "fulfil": { "retry": { "attempts": 5, "first": "200ms" } } },
            "schedule": [{ "name": "report", "cron": "0 6 * * *" }],
        },
    });
    here.serve("shop", &component, settings).await;
    until("the other host serves", async || (there.get("shop", "/reports").await.status == 200).then_some(())).await;
    fulfil(&second, &there).await;
    check_payments(&here).await;
    assert_eq!(jobs(&here, "done", 2).await.len(), 2);
    check_report(&there).await;
}
