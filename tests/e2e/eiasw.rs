//! examples/eiasw: services after the architecture "everything is a service worker", which survive that their host is
//! killed.

use elias_tests::build::{Finish, Project, binary};
use elias_tests::platform::until;
use elias_tests::serve::{Server, example};
use http::Request;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// Built once: a heap belongs to one build of a component.
static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let project = Project::new(&[]);
    let file = project.path("app.wasm");
    let mut build = Command::new(binary("elias-build"));
    let built = build.arg(example("eiasw").join("src/index.js")).arg("-o").arg(&file).finish();
    let built = built.expect("elias-build starts");
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{said}");
    assert!(said.contains("workers accounts, catalog, files, orders, pool, processor"), "{said}");
    std::fs::read(file).expect("it was written")
});

/// Serves the example with its workers in a folder.
fn serve(folder: &Path) -> Server {
    let project = Project::new(&[]);
    project.write("app.wasm", &*COMPONENT);
    std::fs::copy(example("eiasw").join("elias.toml"), project.path("elias.toml")).expect("copied");
    Server::of_project(project, "app.wasm", &["--workers-dir", folder.to_str().expect("UTF-8")])
}

async fn ask(server: &Server, request: http::request::Builder, path: &str, body: &'static str) -> (u16, Value) {
    let answer = server.send(request, path, body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn files_are_there_after_their_host_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let listed = ask(&server, Request::get("/"), "/files/", "").await;
    assert_eq!(listed, (200, json!({ "folder": ["readme.txt"] })));
    let written = ask(&server, Request::put("/"), "/files/a/b.txt", "hello").await;
    assert_eq!(written, (200, json!({ "written": 5 })));
    drop(server);
    let server = serve(folder.path());
    assert_eq!(ask(&server, Request::get("/"), "/files/a/b.txt", "").await, (200, json!({ "content": "hello" })));
    let wrong = ask(&server, Request::put("/"), "/files/a/b.txt/c", "x").await;
    assert_eq!(wrong, (400, json!({ "error": "a/b.txt/c: b.txt is a file" })));
    let removed = ask(&server, Request::delete("/"), "/files/a/b.txt", "").await;
    assert_eq!(removed, (200, json!({ "removed": "a/b.txt" })));
    let missing = ask(&server, Request::get("/"), "/files/a/b.txt", "").await;
    assert_eq!(missing, (404, json!({ "error": "a/b.txt: no such file or folder" })));
}

#[tokio::test]
async fn services_work_together_and_an_order_that_one_refuses_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let order = async |path: &str| ask(&server, Request::post("/"), path, "").await;
    let (status, first) = order("/orders?user=ada&sku=cup").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!((&first["number"], &first["left"], &first["sent"]), (&json!(1), &json!(41), &first["id"]));
    assert_eq!(first["id"].as_str().map(str::len), Some(36), "{first}");
    let refused = order("/orders?user=bo&sku=cup").await;
    assert_eq!(refused, (409, json!({ "error": "bo has not enough credit" })));
    assert_eq!(order("/orders?user=bo&sku=pen").await, (409, json!({ "error": "there is no pen" })));
    let (status, second) = order("/orders?user=bo&sku=tea").await;
    assert_eq!((status, &second["number"], &second["left"]), (200, &json!(2), &json!(1)), "{second}");
}

#[tokio::test]
async fn tasks_are_worked_off_although_the_host_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    for text in ["one two three", "four", "five six"] {
        assert_eq!(ask(&server, Request::post("/"), "/tasks", text).await.0, 200);
    }
    drop(server);
    let server = serve(folder.path());
    let done = until("the tasks are worked off", async || {
        let (_, tasks) = ask(&server, Request::get("/"), "/tasks", "").await;
        (tasks["waiting"] == 0).then_some(tasks)
    })
    .await;
    let words: Vec<_> = done["done"].as_array().expect("a list").iter().map(|task| task["words"].clone()).collect();
    assert_eq!(words, [3, 1, 2], "{done}");
}

#[tokio::test]
async fn a_pool_lends_what_it_has_and_services_are_stopped_and_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let post = async |path: &str| ask(&server, Request::post("/"), path, "").await;
    let lent = |number: u32, uses: u32| {
        (200, json!({ "number": number, "address": format!("db-{number}.example:5432"), "uses": uses }))
    };
    assert_eq!(post("/pool").await, lent(1, 1));
    assert_eq!(post("/pool").await, lent(2, 1));
    assert_eq!(post("/pool").await, (409, json!({ "error": "all connections are lent" })));
    assert_eq!(ask(&server, Request::delete("/"), "/pool/1", "").await, (200, Value::Null));
    assert_eq!(post("/pool").await, lent(1, 2));
    assert_eq!(post("/services/pool/stop").await, (200, json!(["pool stopped"])));
    let stopped = (409, json!({ "error": "ServiceWorker pool is not running (state: stopped)" }));
    assert_eq!(post("/pool").await, stopped);
    let (_, services) = ask(&server, Request::get("/"), "/services", "").await;
    assert_eq!((&services["pool"], &services["files"]), (&json!("stopped"), &json!("running")), "{services}");
    assert_eq!(post("/services/pool/start").await, (200, json!(["pool started"])));
    let running = (409, json!({ "error": "ServiceWorker pool is already running" }));
    assert_eq!(post("/services/pool/start").await, running);
    assert_eq!(post("/pool").await, lent(1, 3));
    assert_eq!(post("/services/pool/restart").await, (200, json!(["pool stopped", "pool started"])));
}
