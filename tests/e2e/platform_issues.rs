//! Failures become issues that are resolved and come back; what is denied becomes security events; and the audit trail
//! says who signed in.

use elias_tests::answering::{answering, answers};
use elias_tests::build::Project;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::PATIENCE;
use elias_tests::tenant::Tenant;
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Kinds of failures of the component, and how often each occurs.
const KINDS: usize = 50;
const TIMES: usize = 20;
/// Failures that are waited for together.
const ROUND: usize = 100;

/// A component that fails in as many ways: each in a function of its own, three lines each.
fn failing() -> Project {
    let mut shop = String::new();
    for kind in 0..KINDS {
        let _ = write!(
            shop,
            "export function fail{kind}(id: string): never {{\n  throw new Error(`order ${{id}} is late`);\n}}\n"
        );
    }
    let names: Vec<_> = (0..KINDS).map(|kind| format!("fail{kind}")).collect();
    let names = names.join(", ");
    let index = format!(
        "import {{ {names} }} from \"./shop\";\n\nconst kinds = [{names}];\n\nexport default {{\n  \
         fetch(request: Request): Response {{\n    \
         const [, kind, id] = new URL(request.url).pathname.split(\"/\");\n    \
         if (id === undefined) return new Response(\"fine\");\n    return kinds[Number(kind)](id);\n  }},\n}};\n"
    );
    Project::new(&[("src/index.ts", index.as_str()), ("src/shop.ts", shop.as_str())])
}

/// Settings with which no failure opens the circuit.
fn patient() -> Value {
    json!({
        "supervision": { "consecutive-failures": 100_000, "error-rate": 1.0, "error-rate-requests": 1_000_000 },
    })
}

/// The tenant's issues, once they have so many occurrences together.
async fn issues(team: &Tenant<'_>, occurrences: u64) -> Vec<Value> {
    until(&format!("{occurrences} failures are in issues"), async || {
        let all = team.done("GET", "/issues?limit=1000", Value::Null).await;
        let items = all["items"].as_array().expect("a list").clone();
        let counted: u64 = items.iter().filter_map(|issue| issue["count"].as_u64()).sum();
        (counted >= occurrences).then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_thousand_failures_of_fifty_kinds_are_fifty_issues_each_at_its_line() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &failing().build("src/index.ts"), patient()).await;
    let mut found = Vec::new();
    for round in 0..KINDS * TIMES / ROUND {
        for number in round * ROUND..(round + 1) * ROUND {
            let path = format!("/{}/{}", number % KINDS, 1_000 + number);
            assert_eq!(team.get("shop", &path).await.status, 500, "{path}");
        }
        // A batch takes a quarter of a second, so no more fail in a second than are recorded.
        found = issues(&team, ((round + 1) * ROUND) as u64).await;
    }
    assert_eq!(found.len(), KINDS);
    for issue in &found {
        let place = &issue["place"];
        let function = place["function"].as_str().expect("a function");
        let kind: usize = function.strip_prefix("fail").and_then(|kind| kind.parse().ok()).expect("one of them");
        assert_eq!((&place["file"], &place["line"]), (&json!("src/shop.ts"), &json!(3 * kind + 2)), "{issue}");
        assert_eq!((&issue["count"], &issue["state"]), (&json!(TIMES), &json!("new")), "{issue}");
        assert_eq!(issue["hours"].as_array().map(Vec::len), Some(168));
        assert_eq!(issue["samples"].as_array().map(Vec::len), Some(10));
    }
    let totals = team.done("GET", "/issues/totals", Value::Null).await;
    assert_eq!(totals, json!({ "failures": KINDS * TIMES, "folded": 0, "unrecorded": 0 }));
    let sample = found[0]["samples"][0].as_str().expect("an id");
    let execution = team.done("GET", &format!("/executions/{sample}"), Value::Null).await;
    assert_eq!(execution["outcome"], "failed");
}

#[tokio::test]
async fn an_issue_is_resolved_by_the_command_and_comes_back_in_a_later_version() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let project = failing();
    team.serve("shop", &project.build("src/index.ts"), patient()).await;
    team.get("shop", "/7/1").await;
    let id = issues(&team, 1).await[0]["id"].as_str().expect("an id").to_owned();

    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let listed = terminal.types("", &["issues", "list", "--state", "new"]);
    assert!(listed.contains(&id) && listed.contains("src/shop.ts:23 fail7"), "{listed}");
    let shown = terminal.types("", &["issues", "show", &id]);
    assert!(shown.contains("throw new Error(`order"), "the source around it: {shown}");
    terminal.types("", &["issues", "assign", &id, "ada"]);
    terminal.types("", &["issues", "resolve", &id]);
    let issue = team.done("GET", &format!("/issues/{id}"), Value::Null).await;
    let facts = ["state", "version", "assigned_to", "revision"].map(|member| &issue[member]);
    assert_eq!(facts, [&json!("resolved"), &json!(1), &json!("ada"), &json!(3)]);

    team.get("shop", "/7/2").await;
    assert_eq!(issues(&team, 2).await[0]["state"], "resolved", "the version in which it was resolved may have it");
    let index = std::fs::read_to_string(project.path("src/index.ts")).expect("it is there");
    project.write("src/index.ts", format!("{index}// It was not mended.\n"));
    assert_eq!(team.serve("shop", &project.build("src/index.ts"), patient()).await, 2);
    team.get("shop", "/7/3").await;
    let back = &issues(&team, 3).await[0];
    assert_eq!((&back["state"], &back["version"]), (&json!("regressed"), &json!(2)));

    terminal.types("", &["issues", "ignore", &id, "--count", "2"]);
    let path = format!("/issues/{id}");
    let stale = http::Request::patch("/").header("authorization", format!("Bearer {}", team.token));
    let stale = stale.header("content-type", "application/json").header("if-match", "\"1\"");
    assert_eq!(platform.call(stale, &team.path(&path), json!({ "state": "new" }).to_string()).await.code(), "stale");
    assert_eq!(team.refused("PATCH", &path, json!({ "state": "regressed" })).await.0, "bad-input");
    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.refused("PATCH", &path, json!({ "state": "new" })).await.0, "forbidden");
    assert_eq!(
        viewer.done("GET", &path, Value::Null).await["source"],
        Value::Null,
        "who uploads nothing sees no source"
    );
    for number in 4..6 {
        team.get("shop", &format!("/7/{number}")).await;
    }
    assert_eq!(issues(&team, 5).await[0]["state"], "new", "it was ignored for two more");
    let audit = team.done("GET", "/audit", Value::Null).await.to_string();
    assert!(audit.contains("issue.change") && audit.contains(&id), "{audit}");
}

/// Takes one request, answers it with 200, and gives its headers and body.
async fn take(server: &TcpListener) -> (String, String) {
    let (mut stream, _) = server.accept().await.expect("someone calls");
    let mut request = String::new();
    loop {
        if let Some((headers, body)) = request.split_once("\r\n\r\n") {
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
                return (headers.to_owned(), body.to_owned());
            }
        }
        let mut bytes = [0; 8_192];
        let count = stream.read(&mut bytes).await.expect("a request");
        assert_ne!(count, 0, "{request}");
        request.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[tokio::test]
async fn a_failure_is_reported_to_the_server_that_is_configured() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dsn = format!("http://key@{}/7", server.local_addr().expect("it listens"));
    let platform = Platform::start(&["--sentry-dsn", &dsn]);
    let team = platform.default_tenant();
    let project = Project::new(&[(
        "src/index.ts",
        "export default {\n  fetch(request: Request): Response {\n    console.warn(\"about to fail\");\n    \
         if (request.url.endsWith(\"/fail\")) throw new RangeError(\"no\");\n    return new Response();\n  },\n};\n",
    )]);
    team.serve("shop", &project.build("src/index.ts"), json!({})).await;
    let failed = team.get("shop", "/fail").await;
    let id = failed.headers["elias-execution-id"].to_str().expect("ASCII").to_owned();
    let (headers, body) = tokio::time::timeout(PATIENCE, take(&server)).await.expect("it is reported");
    assert!(headers.starts_with("POST /api/7/envelope/ HTTP/1.1") && headers.contains("sentry_key=key"), "{headers}");
    let event: Value = serde_json::from_str(body.lines().nth(2).expect("an item")).expect("an event");
    assert_eq!((&event["release"], &event["tags"]["execution"]), (&json!("shop@1"), &json!(id)));
    let exception = &event["exception"]["values"][0];
    assert_eq!((&exception["type"], &exception["value"]), (&json!("RangeError"), &json!("no")));
    let frame = exception["stacktrace"]["frames"].as_array().and_then(|frames| frames.last()).expect("a frame");
    assert_eq!((&frame["filename"], &frame["lineno"]), (&json!("src/index.ts"), &json!(4)));
    assert!(frame["context_line"].as_str().is_some_and(|line| line.contains("throw new RangeError")), "{frame}");
    assert_eq!(event["breadcrumbs"]["values"][0]["message"], "about to fail");
}

/// The tenant's security events of a kind, once so many have happened.
async fn events(team: &Tenant<'_>, kind: &str, count: u64) -> Vec<Value> {
    until(&format!("{count} events {kind} happened"), async || {
        let all = team.done("GET", &format!("/security-events?kind={kind}"), Value::Null).await;
        let items = all["items"].as_array().expect("a list").clone();
        let counted: u64 = items.iter().filter_map(|event| event["count"].as_u64()).sum();
        (counted >= count).then_some(items)
    })
    .await
}

#[tokio::test]
async fn denials_refused_servers_tokens_and_limits_are_security_events() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({})).await;
    let source = "export default { async fetch() { await fetch(\"http://user:secret@other.example:81/x?token=1\")\
                  .catch(() => {}); await fetch(\"http://other.example:81/x?token=1\").catch(() => {});\
                  return new Response(\"fine\"); } };";
    let settings = json!({ "capabilities": { "http": { "allow": ["https://allowed.example"] } } });
    team.serve("caller", &elias_tests::build::component(source), settings).await;
    let viewer = team.with_role("viewer", None).await;
    for _ in 0..3 {
        assert_eq!(viewer.refused("GET", "/audit", Value::Null).await.0, "forbidden");
    }
    let denied = events(&team, "denied", 3).await;
    let id = viewer.token.split('_').nth(1).expect("tokens have an id");
    assert_eq!((denied.len(), &denied[0]["actor"], &denied[0]["count"]), (1, &json!(id), &json!(3)), "{denied:?}");
    assert_eq!(denied[0]["subject"], "GET /v1/tenants/{tenant}/audit");

    team.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    assert_eq!(viewer.refused("GET", "/components", Value::Null).await.0, "unauthenticated");
    let failed = events(&team, "sign-in-failed", 1).await;
    assert_eq!((&failed[0]["actor"], &failed[0]["code"]), (&json!(id), &json!("unauthenticated")));

    team.get("caller", "/").await;
    let refused = events(&team, "egress-refused", 1).await;
    assert_eq!((&refused[0]["subject"], &refused[0]["component"]), (&json!("other.example:81"), &json!("caller")));
    let all = team.done("GET", "/security-events", Value::Null).await.to_string();
    assert!(!all.contains("secret") && !all.contains("token=1"), "{all}");

    let busy = platform.new_tenant("busy", json!({ "quotas": { "executions-per-minute": 1 } })).await;
    busy.serve("shop", answering(), answers("one")).await;
    for _ in 0..5 {
        busy.get("shop", "/").await;
    }
    let limits = events(&busy, "limit-hit", 1).await;
    assert!(limits.iter().all(|event| event["subject"] == "executions-per-minute"), "{limits:?}");
}

#[tokio::test]
async fn the_audit_trail_is_exported_as_lines_and_says_who_signed_in() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let operator = team.with_role("operator", None).await;
    operator.done("GET", "/components", Value::Null).await;
    let id = operator.token.split('_').nth(1).expect("tokens have an id").to_owned();
    let lines = async |accept: &str, query: &str| {
        let request = http::Request::get("/").header("authorization", format!("Bearer {}", team.token));
        let answer = platform.call(request.header("accept", accept), &team.path(&format!("/audit{query}")), "").await;
        assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        let read = |line: &str| serde_json::from_str::<Value>(line).expect("a JSON object on each line");
        answer.body.lines().map(read).collect::<Vec<_>>()
    };
    let trail = until("the sign-in is written", async || {
        let trail = lines("application/x-ndjson", "").await;
        let is_sign_in = |entry: &Value| entry["action"] == "session.sign-in" && entry["actor"]["name"] == id.as_str();
        trail.iter().any(is_sign_in).then_some(trail)
    })
    .await;
    let ids: Vec<_> = trail.iter().map(|entry| entry["id"].as_str().expect("an id")).collect();
    assert!(ids.is_sorted(), "oldest first: {ids:?}");
    assert_eq!(lines("*/*", "?format=lines").await, trail);
    let since = trail[1]["at"].as_i64().expect("a time");
    let later = lines("*/*", &format!("?format=lines&since={since}")).await;
    assert!(later.iter().all(|entry| entry["at"].as_i64() >= Some(since)) && !later.is_empty(), "{later:?}");
    assert!(lines("*/*", "?format=lines&since=9999999999999").await.is_empty());
}
