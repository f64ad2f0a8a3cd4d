//! Each example does what its comment says.

use elias_tests::build::{Project, binary};
use elias_tests::serve::{Server, example};
use http::Request;
use serde_json::{Value, json};
use std::process::Command;

fn built(name: &str, entry: &str) -> Vec<u8> {
    let output = Project::new(&[]);
    let file = output.path("app.wasm");
    let status = Command::new(binary("elias-build")).arg(example(name).join(entry)).arg("-o").arg(&file).output();
    let status = status.expect("elias-build starts");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    std::fs::read(file).expect("it was written")
}

#[tokio::test]
async fn hello_greets() {
    let server = Server::start(&built("hello", "src/index.js"), &[]);
    assert_eq!(server.get("/").await.body, "Hello, world!\n");
    assert_eq!(server.get("/?name=Ada%20L").await.body, "Hello, Ada L!\n");
}

#[tokio::test]
async fn the_hono_router_routes() {
    let server = Server::start(&built("router-hono", "src/index.js"), &[]);
    assert_eq!(server.get("/").await.body, "Hello from Hono\n");
    let user: Value = serde_json::from_str(&server.get("/users/42?verbose").await.body).expect("JSON");
    assert_eq!(user, json!({ "id": "42", "verbose": true }));
    let post = Request::post("/").header("content-type", "application/json");
    let echo = server.send(post, "/echo", r#"{"a":[1,2]}"#).await;
    assert_eq!((echo.status, echo.body.as_str()), (201, r#"{"got":{"a":[1,2]}}"#));
    let teapot = server.get("/teapot").await;
    assert_eq!((teapot.status, teapot.body.as_str()), (418, "short and stout"));
    assert_eq!(server.get("/nowhere").await.status, 404);
}

#[tokio::test]
async fn streaming_streams() {
    let server = Server::start(&built("streaming", "src/index.js"), &[]);
    let answer = server.get("/?count=7").await;
    assert_eq!(answer.body, "1\n2\n3\n4\n5\n6\n7\n");
    assert_eq!(answer.headers.get("content-length"), None, "its length cannot have been known");
}

#[tokio::test]
async fn the_typescript_api_converts() {
    let server = Server::start(&built("api-typescript", "src/index.ts"), &[]);
    let post = || Request::post("/").header("content-type", "application/json");
    let good = server.send(post(), "/convert", r#"{"from":{"value":5,"unit":"km"},"to":"m"}"#).await;
    assert_eq!(serde_json::from_str::<Value>(&good.body).expect("JSON"), json!({ "value": 5000, "unit": "m" }));
    assert_eq!(server.send(post(), "/convert", "{").await.status, 400);
    assert_eq!(server.send(post(), "/convert", r#"{"from":{"value":5,"unit":"km"},"to":"parsec"}"#).await.status, 422);
}

#[test]
fn embed_runs_a_component() {
    let project = Project::new(&[]);
    project.write("hello.wasm", built("hello", "src/index.js"));
    let output = Command::new(binary("embed")).arg(project.path("hello.wasm")).output().expect("embed starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("call:  \"Hello, Ada!\"") && text.contains("fetch: Hello, Grace!"), "{text}");
}
