//! Each example does what its comment says.

use elias_tests::build::{Finish, Project, binary};
use elias_tests::serve::{Server, example};
use elias_tests::services;
use elias_tests::upstream::Upstream;
use http::Request;
use serde_json::{Value, json};
use std::process::Command;

fn built(name: &str, entry: &str) -> Vec<u8> {
    let output = Project::new(&[]);
    let file = output.path("app.wasm");
    let status = Command::new(binary("elias-build")).arg(example(name).join(entry)).arg("-o").arg(&file).finish();
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

#[tokio::test]
async fn create_api_makes_a_router() {
    let server = Server::start(&built("create-api", "src/index.ts"), &[]);
    assert_eq!(server.get("/rooms?seats=4").await.body, r#"["blue"]"#);
    assert_eq!(server.get("/rooms/r%65d").await.json(), json!({ "name": "red", "seats": 2 }));
    let code = async |path: &str| (server.get(path).await.status, server.get(path).await.code());
    assert_eq!(code("/rooms/green").await, (404, "no-room".into()));
    assert_eq!(code("/halls").await, (404, "no-endpoint".into()));
    assert_eq!(code("/rooms/%ff").await, (400, "bad-path".into()));
    let put = async |kind: &str, body: &'static str| {
        server.send(Request::put("/").header("content-type", kind), "/rooms/green", body).await
    };
    let made = put("application/json", r#"{"seats":4}"#).await;
    assert_eq!((made.status, made.json()), (201, json!({ "name": "green", "seats": 4 })));
    let refused = put("application/json", r#"{"seats":0}"#).await;
    assert_eq!((refused.status, refused.code()), (422, "invalid-input".into()));
    assert_eq!(refused.json()["issues"][0]["message"], "seats is a positive integer");
    assert_eq!(put("application/json", "{").await.code(), "bad-json");
    assert_eq!(put("text/plain", "seats").await.code(), "not-json");
    let wrong = server.send(Request::delete("/"), "/rooms/red", "").await;
    assert_eq!((wrong.status, wrong.code()), (405, "method-not-allowed".into()));
    assert_eq!(wrong.headers["allow"], "GET, HEAD, PUT");
    let options = server.send(Request::options("/"), "/rooms", "").await;
    assert_eq!((options.status, &options.headers["allow"]), (204, &http::HeaderValue::from_static("GET, HEAD")));
    assert_eq!(server.send(Request::head("/"), "/rooms/red", "").await.status, 200);
}

#[tokio::test]
async fn create_component_takes_posts_and_calls() {
    let wasm = built("create-component", "src/index.ts");
    let server = Server::start(&wasm, &[]);
    let post = || Request::post("/").header("content-type", "application/json");
    let counted = server.send(post(), "/", r#"{"text":"to be or not to be"}"#).await;
    assert_eq!(counted.body, r#"{"be":2,"not":1,"or":1,"to":2}"#);
    assert_eq!(server.send(post(), "/", r#"{"text":1}"#).await.code(), "invalid-input");
    assert_eq!(server.get("/").await.code(), "method-not-allowed");
    let host = elias_host::Host::builder().build().expect("a host");
    let app = host.load(&wasm).await.expect("it loads");
    assert_eq!(app.call(&json!({ "text": "a a" })).await.expect("an answer").value, json!({ "a": 2 }));
    let refused = app.call(&json!(1)).await.expect_err("it is not an object");
    assert!(refused.to_string().contains("text is a string"), "{refused}");
}

#[tokio::test]
async fn a_named_component_has_the_handlers_it_implements() {
    let server = Server::start(&built("named-component", "src/index.js"), &[]);
    assert_eq!(server.get("/?name=Ada").await.body, "Hello, Ada!\n");
}

/// Serves an example with its own migrations and these grants.
fn served_with(name: &str, entry: &str, grants: &str) -> Server {
    let project = Project::new(&[]);
    project.write("app.wasm", built(name, entry));
    let migrations = example(name).join("migrations");
    for file in std::fs::read_dir(&migrations).into_iter().flatten().flatten() {
        let path = format!("migrations/{}", file.file_name().to_string_lossy());
        project.write(&path, std::fs::read(file.path()).expect("it was just listed"));
    }
    project.write("elias.toml", grants);
    let data = project.path("data");
    Server::of_project(project, "app.wasm", &["--data-dir", data.to_str().expect("UTF-8")])
}

/// The grants of an example as it comes, and with real servers behind them.
fn both_backends(name: &str) -> [String; 2] {
    let own = std::fs::read_to_string(example(name).join("elias.toml")).expect("the example has one");
    let real = format!(
        "[capabilities.config]\n[capabilities.db]\nbackend = \"postgres\"\nurl = \"{}\"\n\
         [capabilities.cache]\nbackend = \"redis\"\nurl = \"{}\"\n",
        services::postgres(),
        services::redis()
    );
    [own, real]
}

#[tokio::test]
async fn the_guestbook_keeps_what_guests_write() {
    for grants in both_backends("guestbook") {
        let server = served_with("guestbook", "src/index.js", &grants);
        assert!(server.get("/").await.body.contains("<ul>\n\n</ul>"));
        let post = || Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(server.send(post(), "/", "name=Ada&message=%3Cb%3Ehello").await.status, 303);
        assert_eq!(server.send(post(), "/", "name=Ada").await.status, 400);
        assert!(server.get("/").await.body.contains("<li><b>Ada</b>: &#60;b&#62;hello</li>"), "{}", server.log());
        server.logged("somebody signed").await;
    }
}

#[tokio::test]
async fn the_notes_api_checks_and_keeps() {
    for grants in both_backends("api-hono") {
        let server = served_with("api-hono", "src/index.ts", &grants);
        let post = || Request::post("/").header("content-type", "application/json");
        let made = server.send(post(), "/notes", r#"{"title":"One"}"#).await;
        assert_eq!(
            (made.status, made.json()),
            (201, json!({ "id": 1, "title": "One", "text": "" })),
            "{}",
            server.log()
        );
        assert_eq!(server.send(post(), "/notes", r#"{"title":""}"#).await.status, 422);
        assert_eq!(server.send(post(), "/notes", "{").await.status, 422);
        assert_eq!(server.get("/notes").await.json(), json!([{ "id": 1, "title": "One", "text": "" }]));
        assert_eq!(server.get("/notes/2").await.status, 404);
        let delete = || Request::builder().method("DELETE");
        assert_eq!(server.send(delete(), "/notes/1", "").await.status, 204);
        assert_eq!(server.send(delete(), "/notes/1", "").await.status, 404);
    }
}

#[tokio::test]
async fn the_proxy_streams_both_ways() {
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let grants = format!(
        "[capabilities.config]\nupstream = \"http://{address}\"\n\
         [capabilities.http]\nallow = [\"http://{address}\"]\nprivate = [\"127.0.0.1/32\"]\n"
    );
    let server = served_with("proxy", "src/index.js", &grants);
    let body = "x".repeat(5 << 20);
    let post = Request::builder().method("POST").header("content-type", "text/large");
    let echo = server.send(post, "/echo", body.clone()).await;
    assert!(echo.body == body, "{} bytes came back: {}", echo.body.len(), server.log());
    assert_eq!(
        (&echo.headers["content-type"], &echo.headers["via"]),
        (&"text/large".parse().expect("a value"), &"1.1 elias".parse().expect("a value"))
    );
    assert_eq!(server.get("/some/path").await.body, "/some/path");
}

#[test]
fn embed_runs_a_component() {
    let project = Project::new(&[]);
    project.write("hello.wasm", built("hello", "src/index.js"));
    let output = Command::new(binary("embed")).arg(project.path("hello.wasm")).finish().expect("embed starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("call:  \"Hello, Ada!\"") && text.contains("fetch: Hello, Grace!"), "{text}");
}

#[test]
fn embed_capability_gives_a_component_what_was_granted() {
    let project = Project::new(&[]);
    project.write("places.wasm", built("embed-capability", "src/places.js"));
    let output = Command::new(binary("embed-capability")).arg(project.path("places.wasm")).finish();
    let output = output.expect("embed-capability starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("capability-denied: places imports example:geo/places"), "{text}");
    assert!(lines[0].contains("(for src/places.js:7:") && lines[0].ends_with("[capabilities.geo]"), "{text}");
    assert_eq!(
        lines[1..],
        [
            r#""Paris": {"place":{"latitude":48.86,"longitude":2.35},"next":["London, 343 km","Tokyo, 9713 km"]}"#,
            r#""Atlantis": "Atlantis is not known""#,
            r#"{"latitude":99,"longitude":0}: "refused: the latitude must be between -90 and 90, not 99""#,
        ],
        "{text}"
    );
}

#[test]
fn embed_triggers_runs_a_schedule_a_job_and_an_event() {
    let project = Project::new(&[]);
    project.write("orders.wasm", built("embed-triggers", "src/orders.js"));
    let output = Command::new(binary("embed-triggers")).arg(project.path("orders.wasm")).finish();
    let output = output.expect("embed-triggers starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    for wanted in [
        "job charge: {\"total\":42}\n",
        "event order.paid: null\n  info paid total=42\n",
        "schedule often: null\n  info tick of often\n",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    assert!(text.ends_with("stopped; 0 runs were cut\n"), "{text}");
}

#[test]
fn embed_workers_keeps_a_worker_from_one_process_to_the_next() {
    let project = Project::new(&[]);
    project.write("cart.wasm", built("embed-workers", "src/cart.js"));
    let run = |name: &str, count: &str| {
        let files = [project.path("cart.wasm"), project.path("cart.heap")];
        let output = Command::new(binary("embed-workers")).args(files).args([name, count]).finish();
        let output = output.expect("embed-workers starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        text
    };
    assert_eq!(run("pens", "2"), "2 pens\n");
    assert_eq!(run("ink", "1"), "2 pens, 1 ink\n");
    assert_eq!(run("pens", "-3"), "unchanged: RangeError: there are not so many of pens\n");
    assert_eq!(run("ink", "1"), "2 pens, 2 ink\n", "the turn that failed was undone");
}
