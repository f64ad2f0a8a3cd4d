//! The errors that an author reads: original lines, whoever waits, what was running, and what to do.

use elias_tests::build::{Project, component};
use elias_tests::serve::Server;
use serde_json::Value;

const DEEP: &str = "type N = number;

export async function inner(n: N): Promise<number> {
  await null;
  throw new RangeError(`not ${n}`);
}

export function spin(): never {
  for (let i = 0; ; i++) {
    if (i < 0) break;
  }
  throw new Error();
}
";

const INDEX: &str = r#"import { inner, spin } from "./deep";

const cases: Record<string, (request: Request, ctx: any) => unknown> = {
  async awaited() {
    const n = await inner(1);
    return n + 1;
  },
  async all() {
    return await Promise.all([inner(2), 1]);
  },
  async body() {
    return await new Response("{").json();
  },
  background(request, ctx) {
    ctx.waitUntil(inner(3));
    return "answered";
  },
  timer() {
    setTimeout(() => {
      throw new Error("late");
    }, 1);
    return new Promise((resolve) => setTimeout(() => resolve("answered"), 20));
  },
  trace() {
    console.trace("passing by");
    console.error(new Error("only logged"));
    return "answered";
  },
  spin() {
    spin();
  },
  sort() {
    return [3, 2, 1].sort(() => spin());
  },
  regex() {
    return /^(a+)+$/.test("a".repeat(40) + "b");
  },
  memory() {
    const all = [];
    for (;;) all.push(new Uint8Array(1 << 20).fill(1));
  },
  // @ts-ignore
  socket() { return new WebSocket("wss://example.com"); },
  async twice(request) {
    await request.text();
    return await request.text();
  },
  unhandled() {
    inner(4);
    return new Promise((resolve) => setTimeout(() => resolve("answered"), 20));
  },
};

export default {
  async fetch(request: Request, env: unknown, ctx: unknown): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    return new Response(String(await cases[name]!(request, ctx)));
  },
};
"#;

const FLAGS: [&str; 4] = ["--fuel", "200000000", "--memory-bytes", "33554432"];

fn server(flags: &[&str]) -> Server {
    let project = Project::new(&[("src/index.ts", INDEX), ("src/deep.ts", DEEP)]);
    Server::start(&project.build("src/index.ts"), &[&FLAGS, flags].concat())
}

/// The log's event that has `text` in it.
async fn event(server: &Server, text: &str) -> Value {
    let log = server.logged(text).await;
    let line = log.lines().find(|line| line.contains(text)).expect("it was logged");
    serde_json::from_str(line).expect("a line is one JSON object")
}

#[tokio::test]
async fn errors_in_production_are_logged_with_original_lines() {
    let server = server(&[]);
    for (case, message, places) in [
        (
            "awaited",
            "not 1",
            &["inner (src/deep.ts:5:", "async awaited (src/index.ts:5:", "async fetch (src/index.ts:"][..],
        ),
        ("all", "not 2", &["inner (src/deep.ts:5:", "async all (src/index.ts:9:"]),
        // Before or after it waited: the request's body may be there at once.
        ("body", "JSON", &["body (src/index.ts:12:"]),
        ("background", "not 3", &["inner (src/deep.ts:5:"]),
        ("unhandled", "not 4", &["inner (src/deep.ts:5:"]),
        ("timer", "late", &["src/index.ts:20:"]),
        ("trace", "passing by", &["trace (src/index.ts:25:"]),
        ("trace", "only logged", &["trace (src/index.ts:26:"]),
    ] {
        let answer = server.get(&format!("/{case}")).await;
        assert!(!answer.body.contains("src/"), "a caller sees no inside: {answer:?}");
        let event = event(&server, message).await;
        let said = format!("{} {}", event["message"], event["fields"]);
        for place in places {
            assert!(said.contains(place), "{case}: {place} is not in {said}");
        }
        assert!(!said.contains("app.js") && !said.contains("<null>"), "{case}: frames of no interest in {said}");
        assert!(event["execution"].as_str().is_some_and(|id| id.len() == 26), "{event}");
    }
}

#[tokio::test]
async fn errors_of_a_guest_that_was_ended_say_what_was_running() {
    let server = server(&["--dev"]);
    for (case, code, places) in [
        ("spin", "out-of-fuel", &["in spin (src/deep.ts:", "at spin (src/index.ts:30:"][..]),
        ("sort", "out-of-fuel", &["in spin (src/deep.ts:", "at sort (native)", "at sort (src/index.ts:33:"]),
        ("regex", "out-of-fuel", &["in exec, called by regex (src/index.ts:36:"]),
        ("memory", "out-of-memory", &["in memory (src/index.ts:40:"]),
    ] {
        let answer = server.get(&format!("/{case}")).await;
        assert_eq!(answer.code(), code, "{answer:?}");
        let logged = event(&server, &answer.json()["execution"].to_string()).await;
        for place in places {
            assert!(answer.body.contains(place), "{case}: {place} is not in {}", answer.body);
            assert!(logged.to_string().contains(place), "{case}: {place} is not in {logged}");
        }
    }
}

#[tokio::test]
async fn errors_that_many_meet_come_with_what_to_do() {
    let server = server(&["--dev"]);
    let hint = |answer: &Value| answer["exception"]["hint"].as_str().unwrap_or_default().to_owned();
    let answer = server.get("/socket").await.json();
    assert!(answer["detail"].as_str().is_some_and(|detail| detail.contains("WebSocket is not defined")), "{answer}");
    assert!(hint(&answer).contains("fetch"), "{answer}");
    let answer = server.send(http::Request::post("/"), "/twice", "text").await.json();
    assert!(hint(&answer).contains("clone()"), "{answer}");
    let project = Project::new(&[("index.js", "document.title = 'x';\nexport default { fetch() {} };")]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("index.js:1:1") && said.contains("there is no page"), "{said}");
}

#[tokio::test]
async fn a_source_map_that_lies_leaves_positions_as_they_are() {
    let source = "export default { fetch() { throw new Error('plain'); } };";
    let whole = component(source);
    let text = b"elias:sourcemap{";
    let at = whole.windows(text.len()).position(|window| window == text).expect("it has a source map") + text.len() - 1;
    let mappings = b"\"mappings\":\"";
    let start = whole[at..].windows(mappings.len()).position(|window| window == mappings).expect("it has mappings");
    let start = at + start + mappings.len();
    let length = whole[start..].iter().position(|&byte| byte == b'"').expect("they end");
    for garbage in [b'!', b'g', b'z', b';', b'/'] {
        let mut lying = whole.clone();
        lying[start..start + length].fill(garbage);
        let server = Server::start(&lying, &["--dev"]);
        let answer = server.get("/").await;
        assert_eq!(answer.code(), "exception", "{answer:?}");
        assert!(answer.body.contains("plain") && answer.body.contains("app.js:"), "{}", answer.body);
        assert_eq!(server.get("/").await.code(), "exception");
    }
}

#[tokio::test]
async fn secrets_do_not_show_in_exceptions() {
    let project = Project::new(&[("secrets/token", "s3cret-token\n")]);
    let source = "export default { fetch(request, env) { throw new Error(`no access with ${env.token}`); } };";
    project.write("app.wasm", component(source));
    project.write("elias.toml", "[capabilities.config]\ntoken = { file = \"secrets/token\", secret = true }\n");
    let server = Server::of_project(project, "app.wasm", &["--dev"]);
    let page = server.get("/").await;
    assert!(page.body.contains("no access with [redacted]"), "{}", page.body);
    let log = server.logged("no access with [redacted]").await;
    assert!(!page.body.contains("s3cret") && !log.contains("s3cret"), "{} {log}", page.body);
}
