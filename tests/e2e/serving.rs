//! `elias serve` as its operator sees it.

use elias_tests::build::{Project, component};
use elias_tests::platform::until;
use elias_tests::serve::{Server, refused};
use std::process::Command;

const FAILING: &str = r#"
function inner(name) {
  throw new TypeError("no " + name);
}
export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/fail") inner("luck");
    return new Response("fine");
  },
};
"#;

#[tokio::test]
async fn errors_when_a_handler_throws_show_the_caller_a_code_and_nothing_else() {
    let server = Server::of(FAILING, &[]);
    let answer = server.get("/fail").await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "exception"));
    assert!(!answer.body.contains("luck") && !answer.body.contains("inner"), "{}", answer.body);
    let id = answer.headers["elias-execution-id"].to_str().expect("ASCII");
    assert!(answer.body.contains(id), "{}", answer.body);
    let log = server.logged("\"fuel\":").await;
    assert!(log.lines().any(|line| line.contains(id) && line.contains("\"fuel\":")), "{log}");
}

#[tokio::test]
async fn errors_in_development_show_the_original_lines() {
    let project = Project::new(&[
        (
            "src/index.ts",
            "import { fail } from \"./deep\";\n\nexport default {\n  fetch(): Response {\n    return fail(1);\n  },\n\
             };\n",
        ),
        (
            "src/deep.ts",
            "type N = number;\n\nexport function fail(n: N): Response {\n  throw new RangeError(`not ${n}`);\n}\n",
        ),
    ]);
    let server = Server::start(&project.build("src/index.ts"), &["--dev"]);
    let answer = server.get("/").await;
    assert_eq!(answer.status, 500);
    for wanted in ["RangeError", "not 1", "src/deep.ts:4:", "src/index.ts:5:"] {
        assert!(answer.body.contains(wanted), "{wanted} is missing in {}", answer.body);
    }
}

#[tokio::test]
async fn works_when_told_to_stop_while_a_request_is_under_way() {
    let mut server = Server::of(
        r#"
        export default {
          async fetch() {
            console.log("under way");
            await new Promise((resolve) => setTimeout(resolve, 500));
            return new Response("whole");
          },
        };
        "#,
        &[],
    );
    assert_eq!(server.get("/healthz").await.body.trim(), "ok");
    let request = server.get("/");
    let stop = async {
        server.logged("under way").await;
        server.signal("-TERM");
    };
    let (answer, ()) = tokio::join!(request, stop);
    assert_eq!(answer.body, "whole");
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test]
async fn background_work_goes_on_after_the_response() {
    let server = Server::of(
        r#"
        export default {
          fetch(request, env, ctx) {
            ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 200)).then(() =>
              console.log("done later", ctx.executionId)));
            return new Response("at once");
          },
        };
        "#,
        &[],
    );
    let answer = server.get("/").await;
    assert_eq!(answer.body, "at once");
    let id = answer.headers["elias-execution-id"].to_str().expect("ASCII").to_owned();
    server.logged(&format!("done later {id}")).await;
}

#[tokio::test]
async fn watching_a_source_serves_what_was_saved_and_survives_mistakes() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('one') };")]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_file(&project.path("index.js"), &["--watch"], folder);
    assert_eq!(server.get("/").await.body, "one");
    project.write("index.js", "export default { fetch: () => new Response('two' };");
    server.logged("syntax-error").await;
    assert_eq!(server.get("/").await.body, "one");
    project.write("index.js", "export default { fetch: () => new Response('three') };");
    until("the new source is served", async || (server.get("/").await.body == "three").then_some(())).await;
}

#[tokio::test]
async fn a_builder_that_was_killed_between_two_builds_fails_none_of_them() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('one') };")]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_file(&project.path("index.js"), &["--watch"], folder);
    assert_eq!(server.get("/").await.body, "one");
    let builders = server.children();
    assert_eq!(builders.len(), 1);
    Command::new("kill").arg("-KILL").args(&builders).status().expect("kill is there");
    until("the builder has ended", async || server.children().is_empty().then_some(())).await;
    project.write("index.js", "export default { fetch: () => new Response('two') };");
    until("the new source is served", async || (server.get("/").await.body == "two").then_some(())).await;
    assert!(!server.log().contains("has ended"), "{}", server.log());
}

#[tokio::test]
async fn exchanging_a_component_under_load_fails_no_request() {
    let version = |number| format!("export default {{ fetch: () => new Response('version {number}') }};");
    let project = Project::new(&[("index.js", &version(0))]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_file(&project.path("index.js"), &["--watch"], folder);
    let exchanges = async {
        for number in 1..=5 {
            project.write("index.js", version(number));
            server.logged_times("serving the new version", number + 1).await;
        }
    };
    let load = futures::future::join_all((0..8).map(async |_| {
        let mut last = String::new();
        while last != "version 5" {
            let answer = server.get("/").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(answer.body >= last, "{} came after {last}", answer.body);
            last = answer.body;
        }
    }));
    futures::join!(exchanges, load);
}

#[tokio::test]
async fn a_first_build_that_fails_is_explained_to_the_developer_only() {
    for (flags, shown) in [(&["--watch", "--dev"][..], true), (&["--watch"], false)] {
        let project = Project::new(&[("index.js", "export default { fetch: () => new Response('two' };")]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start_file(&project.path("index.js"), flags, folder);
        let answer = server.get("/").await;
        assert_eq!((answer.status, answer.body.contains("index.js:1")), (503, shown), "{}", answer.body);
    }
}

#[test]
fn errors_when_it_cannot_start_name_the_reason() {
    let project = Project::new(&[("elias.toml", "[limits]\nfule = 1\n"), ("text.wasm", "no component")]);
    project.write("app.wasm", component("export default { fetch: () => new Response('x') };"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).expect("an address");
    let check = |file: &str, flags: &[&str], wanted: &[&str]| {
        let output = refused(&project.path(file), flags);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for wanted in wanted {
            assert!(said.contains(wanted), "{wanted} is missing in {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    };
    let config = project.path("elias.toml");
    check("text.wasm", &[], &["error[bad-component]"]);
    check("missing.wasm", &[], &["error[io]", "missing.wasm"]);
    check("app.wasm", &["--config", config.to_str().expect("UTF-8")], &["error[config]", "elias.toml:2", "`fuel`"]);
    check("app.wasm", &["--cache-dir", "/proc/none"], &["error[cache-unwritable]", "--no-cache"]);
    check("app.wasm", &["--listen", &taken.1], &["error[address-in-use]", &taken.1, "with --listen"]);
    check("app.wasm", &["--component-bytes", "1000"], &["error[component-too-large]"]);
}
