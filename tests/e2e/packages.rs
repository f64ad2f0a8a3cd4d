//! npm packages run unmodified: each module of tests/packages/src answers as it does in Node.js.

use elias_tests::build::{Finish, binary, root};
use elias_tests::serve::Server;
use futures::StreamExt;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Modules that are built and asked at a time.
const AT_A_TIME: usize = 2;

/// The names of the modules, sorted.
fn modules(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("src")).expect("tests/packages has modules");
    let mut names: Vec<String> =
        files.flatten().filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".js")?.to_owned())).collect();
    names.sort_unstable();
    names
}

/// The results of Node.js for each module, on the source as it is.
fn expected(folder: &Path, names: &[String]) -> Vec<Value> {
    let output = Command::new("node")
        .arg("expected.mjs")
        .args(names)
        .env("TZ", "UTC")
        .current_dir(folder)
        .finish()
        .expect("node starts");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Builds and serves one module; gives what differs from `answers`.
async fn differences(folder: &Path, name: &str, answers: &[Value]) -> Vec<String> {
    let out = tempfile::tempdir().expect("a temporary folder");
    let wasm = out.path().join("app.wasm");
    let built = tokio::process::Command::new(binary("elias-build"))
        .arg(format!("src/{name}.js"))
        .arg("-o")
        .arg(&wasm)
        .current_dir(folder)
        .output()
        .await
        .expect("elias-build starts");
    if !built.status.success() {
        return vec![format!("{name} does not build:\n{}", String::from_utf8_lossy(&built.stderr))];
    }
    let config = folder.join("elias.toml");
    let server = Server::start_file(&wasm, &["--config", config.to_str().expect("UTF-8"), "--dev"], out);
    let mut found = Vec::new();
    for wanted in answers {
        let path = wanted["path"].as_str().expect("a path");
        let answer = server.send(http::Request::get("/").header("host", "localhost"), path, "").await;
        let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let got = json!({ "path": path, "status": answer.status, "type": kind, "body": answer.body });
        if got != *wanted {
            found.push(format!("{name} {path}\n  wanted {wanted}\n  got    {got}"));
        }
    }
    found
}

#[tokio::test]
async fn packages_answer_as_in_node() {
    let folder = root().join("tests/packages");
    assert!(folder.join("node_modules").is_dir(), "run `make packages` first");
    let names = modules(&folder);
    let expected = expected(&folder, &names);
    assert_eq!(expected.len(), names.len(), "node ended before it was through");
    let asked = names.iter().zip(&expected).map(async |(name, wanted)| match wanted["answers"].as_array() {
        Some(answers) => differences(&folder, name, answers).await,
        None => vec![format!("{name} fails in Node.js: {}", wanted["error"])],
    });
    let found = futures::stream::iter(asked).buffer_unordered(AT_A_TIME).concat().await;
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn drizzle_runs_over_the_capability_db() {
    let folder = root().join("tests/packages");
    let out = tempfile::tempdir().expect("a temporary folder");
    let wasm = out.path().join("app.wasm");
    let built = Command::new(binary("elias-build"))
        .args(["over-db/drizzle.js", "-o"])
        .arg(&wasm)
        .current_dir(&folder)
        .finish()
        .expect("elias-build starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let config = folder.join("elias.toml");
    let server = Server::start_file(&wasm, &["--config", config.to_str().expect("UTF-8"), "--dev"], out);
    let wanted = json!({
        "grown": [{ "name": "Grace", "age": 45 }, { "name": "Ada", "age": 37 }],
        "left": [{ "id": 1, "name": "Ada", "age": 37 }, { "id": 3, "name": "Blaise", "age": 3 }],
    });
    assert_eq!(server.get("/").await.json(), wanted);
}

/// The results of the component of tests/packages/over-db/adapters.js with these tables of elias.toml.
async fn adapters(tables: &str) -> Value {
    let folder = root().join("tests/packages");
    let out = tempfile::tempdir().expect("a temporary folder");
    let wasm = out.path().join("app.wasm");
    let built = Command::new(binary("elias-build"))
        .args(["over-db/adapters.js", "-o"])
        .arg(&wasm)
        .current_dir(&folder)
        .finish()
        .expect("elias-build starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let config = out.path().join("elias.toml");
    std::fs::write(&config, tables).expect("it can be written");
    let config = config.to_str().expect("UTF-8").to_owned();
    let server = Server::start_file(&wasm, &["--config", &config, "--dev"], out);
    let answer = server.get("/").await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, server.log());
    answer.json()
}

/// The results on either database.
fn adapted() -> Value {
    json!({
        "drizzle": {
            "ada": ["Ada", "2024-02-29T12:30:00.000Z", { "a": [1] }],
            "given": 3,
            "thrown": "no",
            "rolledBack": "Rollback",
            "names": "Ada,Grace,Blaise,Kept",
            "taken": "database",
        },
        "build": {
            "given": "Kurt",
            "thrown": "no",
            "updated": 1,
            "names": "Ada L.,Grace,Blaise,Kept,Kurt",
            "streamed": [1, 2, 3, 5, 7],
            "left": "Ada L.,Grace,Blaise,Kept,Kurt",
            "over": "Transaction is already committed",
            "outside": "tx must be an open transaction of elias/db, elias/drizzle or elias/kysely",
            "jobs": ["by Drizzle", "by Kysely"],
        },
    })
}

#[tokio::test]
async fn adapters_of_drizzle_and_kysely_have_transactions_on_sqlite() {
    let tables = "[limits]\nfuel = 5_000_000_000\n[capabilities.config]\ndialect = \"sqlite\"\n\
                  [capabilities.http]\n[capabilities.jobs]\n[capabilities.db]\nconnections = 2\n";
    assert_eq!(adapters(tables).await, adapted());
}

#[tokio::test]
async fn adapters_of_drizzle_and_kysely_have_transactions_on_postgresql() {
    let url = elias_tests::services::postgres();
    let tables = format!(
        "[limits]\nfuel = 5_000_000_000\n[capabilities.config]\ndialect = \"postgres\"\n[capabilities.http]\n\
         [capabilities.jobs]\n[capabilities.db]\nbackend = \"postgres\"\n\
         url = \"{url}\"\nschema = \"adapters_{}\"\nconnections = 2\n",
        std::process::id()
    );
    assert_eq!(adapters(&tables).await, adapted());
}
