//! Executions: recorded, followed and cancelled; and that nothing of it crosses from one tenant to another.

use elias_tests::answering::{answering, answers};
use elias_tests::build::{Project, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::PATIENCE;
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A tenant's executions by a query, newest first, once there are as many as these.
async fn recorded(team: &Tenant<'_>, query: &str, least: usize) -> Vec<Value> {
    until(&format!("{least} executions are recorded for {query}"), async || {
        let all = team.done("GET", &format!("/executions?limit=1000&{query}"), Value::Null).await;
        let items = all["items"].as_array().expect("a list").clone();
        (items.len() >= least).then_some(items)
    })
    .await
}

#[tokio::test]
async fn an_execution_is_recorded_with_what_it_used_said_and_failed_with() {
    let project = Project::new(&[
        (
            "src/index.ts",
            "import { fail } from \"./deep\";\n\nexport default {\n  fetch(request: Request): Response {\n    \
             console.log(\"asked for\", new URL(request.url).pathname);\n    \
             if (request.url.endsWith(\"/fail\")) return fail(1);\n    return new Response(\"fine\");\n  },\n};\n",
        ),
        (
            "src/deep.ts",
            "type N = number;\n\nexport function fail(n: N): Response {\n  throw new RangeError(`not ${n}`);\n}\n",
        ),
    ]);
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &project.build("src/index.ts"), json!({})).await;
    let fine = team.get("shop", "/fine").await;
    let failed = team.get("shop", "/fail").await;
    assert_eq!((fine.status, failed.status), (200, 500));
    assert!(!failed.body.contains("RangeError"), "who asks is told nothing: {}", failed.body);
    for (answer, outcome, code, path, failing) in
        [(fine, "completed", Value::Null, "/fine", false), (failed, "failed", json!("exception"), "/fail", true)]
    {
        let id = answer.headers["elias-execution-id"].to_str().expect("ASCII").to_owned();
        let list = recorded(&team, &format!("component=shop&environment=production&failed={failing}"), 1).await;
        assert_eq!(list.len(), 1, "{list:?}");
        let execution = team.done("GET", &format!("/executions/{id}"), Value::Null).await;
        assert_eq!(execution, list[0]);
        let facts =
            ["component", "environment", "version", "source", "status", "outcome", "code"].map(|key| &execution[key]);
        let (source, status) = (json!(format!("GET {path}")), json!(answer.status));
        let wanted = [&json!("shop"), &json!("production"), &json!(1), &source, &status, &json!(outcome), &code];
        assert_eq!(facts, wanted);
        for figure in ["fuel", "memory_bytes", "duration_us", "started_at"] {
            assert!(execution[figure].as_u64().is_some_and(|figure| figure > 0), "{figure}: {execution}");
        }
        let lines = execution["lines"].to_string();
        assert!(lines.contains(&format!("asked for {path}")), "{lines}");
        let error = execution["error"].as_str().unwrap_or_default();
        for wanted in ["RangeError", "not 1", "src/deep.ts:4:", "src/index.ts:6:"] {
            assert_eq!(error.contains(wanted), failing, "{wanted}: {error}");
        }
    }
}

#[tokio::test]
async fn an_execution_says_how_long_it_was_with_each_capability() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let source = "import { cache, db } from 'elias';
        export default { async fetch() {
            await cache.set('k', 'v');
            await Promise.all([db.query('SELECT 1'), db.query('SELECT 2'), db.query('SELECT 3')]);
            return new Response('done');
        } };";
    team.serve("shop", &component(source), json!({ "capabilities": { "db": {}, "cache": {} } })).await;
    assert_eq!(team.get("shop", "/").await.body, "done");
    let list = recorded(&team, "component=shop&failed=false", 1).await;
    // The smoke test is not a request.
    let calls = list[0]["host_calls"].as_array().expect("a list");
    let calls: Vec<_> = calls.iter().map(|of| (of["capability"].as_str(), of["calls"].as_u64())).collect();
    assert_eq!(calls, [(Some("cache"), Some(1)), (Some("db"), Some(3))], "{list:?}");
    assert!(list[0]["host_calls"][1]["duration_us"].as_u64().is_some_and(|time| time > 0), "{list:?}");
}

#[tokio::test]
async fn of_a_busy_component_every_failure_is_recorded() {
    const REQUESTS: usize = 400;
    const FAILURES: usize = REQUESTS / 4;
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let mut settings = answers("one");
    settings["supervision"] =
        json!({ "consecutive-failures": 100_000, "error-rate": 1.0, "error-rate-requests": 1_000_000 });
    team.serve("shop", answering(), settings).await;
    let ask = async |number: usize| {
        let (path, status) = if number.is_multiple_of(4) { ("/throw", 500) } else { ("/", 200) };
        assert_eq!(team.get("shop", path).await.status, status);
    };
    futures::stream::iter(0..REQUESTS).map(ask).buffer_unordered(16).collect::<Vec<_>>().await;
    let failed = recorded(&team, "failed=true", FAILURES).await;
    assert_eq!(failed.len(), FAILURES);
    assert!(
        failed.iter().all(|execution| execution["error"].as_str().is_some_and(|error| error.contains("one throws")))
    );
    let completed = recorded(&team, "failed=false", 1).await;
    assert!(completed.len() <= REQUESTS - FAILURES);
}

#[tokio::test]
async fn a_running_execution_is_cancelled_by_those_who_may() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let stranger = platform.new_tenant("stranger", json!({})).await.with_role("admin", None).await;
    let viewer = team.with_role("viewer", None).await;
    let cancel = async {
        platform.logged("one waits").await;
        let running = viewer.done("GET", "/executions/running?component=shop", Value::Null).await["items"].clone();
        let id = running[0]["id"].as_str().unwrap_or_else(|| panic!("nothing runs: {running}")).to_owned();
        assert_eq!(team.status("shop").await["executions"], json!([id]));
        let what = ["component", "environment", "version", "source", "canary"].map(|key| running[0][key].clone());
        assert_eq!(what, [json!("shop"), json!("production"), json!(1), json!("GET /wait"), json!(false)]);
        assert!(running[0]["started_at"].as_i64().is_some_and(|since| since > 1_600_000_000_000), "{running}");
        let after = format!("/executions/running?after={id}");
        for path in [after.as_str(), "/executions/running?environment=staging", "/executions/running?component=other"] {
            assert_eq!(viewer.done("GET", path, Value::Null).await["items"], json!([]), "{path}");
        }
        let blog = team.with_role("viewer", Some(&["blog"])).await;
        assert_eq!(blog.done("GET", "/executions/running", Value::Null).await["items"], json!([]), "not its component");
        assert_eq!(stranger.done("GET", "/executions/running", Value::Null).await["items"], json!([]));
        let foreign = platform.admin_as(&stranger.token, "GET", &team.path("/executions/running"), Value::Null).await;
        assert_eq!(foreign.0, 403, "{}", foreign.1);
        let path = format!("/executions/{id}/cancel");
        assert_eq!(viewer.refused("POST", &path, Value::Null).await.0, "forbidden");
        assert_eq!(stranger.refused("POST", &path, Value::Null).await.0, "not-found", "of the stranger's own");
        let foreign = platform.admin_as(&stranger.token, "POST", &team.path(&path), Value::Null).await;
        assert_eq!(foreign.0, 403, "{}", foreign.1);
        assert_eq!(team.get("shop", "/").await.body, "one");
        team.done("POST", &path, Value::Null).await;
        id
    };
    let (answer, id) = tokio::join!(team.get("shop", "/wait"), cancel);
    assert_eq!(answer.code(), "cancelled");
    let path = format!("/executions/{id}");
    let execution = until("it is recorded", async || {
        let (status, execution) = team.ask("GET", &path, Value::Null).await;
        (status == 200).then_some(execution)
    })
    .await;
    assert_eq!(
        (&execution["outcome"], &execution["source"]),
        (&json!("cancelled"), &json!("GET /wait")),
        "{execution}"
    );
    assert_eq!(team.refused("POST", &format!("{path}/cancel"), Value::Null).await.0, "not-found", "it has ended");
    assert_eq!(team.status("shop").await["executions"], json!([]));
    assert_eq!(team.status("shop").await["release"]["health"]["state"], "healthy", "that was not its fault");
}

/// Follows a stream of the admin API, over a connection of its own.
pub(crate) struct Follower {
    stream: tokio::net::TcpStream,
    seen: Vec<u8>,
}

impl Follower {
    /// Follows a service's log.
    async fn start(platform: &Platform, team: &Tenant<'_>, component: &str) -> Self {
        let path = team.path(&service(component, "production", "/logs"));
        Self::open(platform, &path, &format!("authorization: Bearer {}\r\n", team.token)).await
    }

    /// Follows what is at a path, by a request with these header lines.
    pub(crate) async fn open(platform: &Platform, path: &str, headers: &str) -> Self {
        let address = platform.admin_address;
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut follower = Self { stream, seen: Vec::new() };
        let head = follower.sees("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
        follower
    }

    /// Waits until this was seen; gives everything that was.
    pub(crate) async fn sees(&mut self, text: &str) -> String {
        let reading = async {
            while !String::from_utf8_lossy(&self.seen).contains(text) {
                let count = self.stream.read_buf(&mut self.seen).await.expect("it goes on");
                assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&self.seen));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{text} is never seen"));
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Everything that was seen, once nothing more can come: the response has ended.
    async fn rest(mut self) -> String {
        let reading = async {
            // The last chunk, of no bytes; the connection stays open.
            while !self.seen.ends_with(b"0\r\n\r\n") {
                let count = self.stream.read_buf(&mut self.seen).await.expect("it goes on");
                if count == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the response ends");
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

#[tokio::test]
async fn a_log_is_followed_as_it_is_written_also_over_a_deployment() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.serve("other", answering(), answers("other")).await;
    assert_eq!(team.get("shop", "/log?text=before").await.status, 200);
    let mut follower = Follower::start(&platform, &team, "shop").await;
    assert_eq!(team.get("other", "/log?text=elsewhere").await.status, 200);
    let answer = team.get("shop", "/log?text=hello").await;
    let seen = follower.sees("one says hello").await;
    let id = answer.headers["elias-execution-id"].to_str().expect("ASCII");
    assert!(seen.contains("event: line") && seen.contains(id), "{seen}");
    team.serve("shop", answering(), answers("two")).await;
    assert_eq!(team.get("shop", "/log?text=again").await.status, 200);
    let seen = follower.sees("two says again").await;
    assert!(!seen.contains("before") && !seen.contains("elsewhere"), "{seen}");
    let (code, _) = team.refused("GET", &service("nothing", "production", "/logs"), Value::Null).await;
    assert_eq!(code, "not-found");
}

#[tokio::test]
async fn a_log_that_is_followed_ends_with_the_token_and_with_the_role() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let revoked = team.with_role("viewer", None).await;
    team.done("POST", "/users", json!({ "id": "ada", "settings": { "name": "Ada" } })).await;
    let disabled = team.with_user("viewer", "ada").await;
    let reads = json!({ "ceiling": "viewer", "policy": "permit (principal, action == Action::\"read\", resource);" });
    team.done("PUT", "/roles/reader", reads.clone()).await;
    let demoted = team.with_role("reader", None).await;
    let stays = team.with_role("viewer", None).await;
    let mut followers = Vec::new();
    for reader in [&revoked, &disabled, &demoted, &stays] {
        followers.push(Follower::start(&platform, reader, "shop").await);
    }
    assert_eq!(team.get("shop", "/log?text=before").await.status, 200);
    for follower in &mut followers {
        follower.sees("one says before").await;
    }
    let id = revoked.token.split('_').nth(1).expect("tokens have an id").to_owned();
    team.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    team.done("PUT", "/users/ada", json!({ "name": "Ada", "disabled": true })).await;
    let nothing =
        json!({ "ceiling": "viewer", "policy": "permit (principal, action == Action::\"upload\", resource);" });
    let changed = team.ask("PUT", "/roles/reader", nothing).await;
    assert!(changed.0 < 300 || changed.0 == 412, "{changed:?}");
    if changed.0 == 412 {
        team.done("DELETE", "/roles/reader", Value::Null).await;
    }
    let mut stays = followers.pop().expect("the last");
    for (follower, code) in followers.iter_mut().zip(["unauthenticated", "unauthenticated", "forbidden"]) {
        follower.sees("event: end").await;
        follower.sees(code).await;
    }
    assert_eq!(team.get("shop", "/log?text=after").await.status, 200);
    stays.sees("one says after").await;
    // The line has been sent to those who follow the log; these three are not among them any more.
    for follower in followers {
        let seen = follower.rest().await;
        assert!(!seen.contains("one says after"), "{seen}");
    }
}

#[tokio::test]
async fn a_log_that_is_followed_on_another_host_ends_with_the_token_too() {
    let postgres = Postgres::start();
    let first = Platform::start(&["--store", &postgres.url()]);
    let second = Platform::start(&["--store", &postgres.url()]);
    let (here, there) = (first.default_tenant(), second.default_tenant());
    // Artifacts are each host's own.
    there.upload(answering()).await;
    here.serve("shop", answering(), answers("one")).await;
    until("the other host serves", async || (there.get("shop", "/").await.body == "one").then_some(())).await;
    let revoked = here.with_role("viewer", None).await;
    let mut reader = there.clone();
    reader.token.clone_from(&revoked.token);
    let mut follower = Follower::start(&second, &reader, "shop").await;
    assert_eq!(there.get("shop", "/log?text=before").await.status, 200);
    follower.sees("one says before").await;
    let id = revoked.token.split('_').nth(1).expect("tokens have an id").to_owned();
    here.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    // No request with the token comes to the second host, and nobody tells it.
    follower.sees("event: end").await;
    follower.sees("unauthenticated").await;
    assert_eq!(there.get("shop", "/log?text=after").await.status, 200);
    let seen = follower.rest().await;
    assert!(!seen.contains("one says after"), "{seen}");
}

const SHARING: &str = r#"
import { db } from "elias/db";
import { cache } from "elias/cache";
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const text = url.searchParams.get("text");
    if (text) {
      await db.query("insert into notes (text) values ($1)", text);
      await cache.set("note", text);
      console.log("noted", text);
    }
    const rows = await db.query("select text from notes order by text");
    const seen = { rows: rows.map((row) => row.text), cached: (await cache.get("note")) ?? null, token: env.token };
    if (url.pathname === "/throw") throw new Error(JSON.stringify(seen));
    return Response.json(seen);
  },
};
"#;

#[tokio::test]
async fn tenants_with_the_same_names_have_nothing_in_common() {
    let platform = Platform::start(&[]);
    let bytes = component(SHARING);
    let acme = platform.new_tenant("acme", json!({})).await;
    let other = platform.new_tenant("other", json!({})).await;
    // Each by a token of its own; staging of the first is a third that has nothing in common with the two.
    let (acme, other) = (acme.with_role("admin", None).await, other.with_role("admin", None).await);
    for team in [&acme, &other] {
        let migration = team.upload(b"create table notes (text text);").await;
        let capabilities = json!({ "db": {}, "cache": {}, "config": { "token": { "env": "TOKEN" } } });
        let settings = json!({ "capabilities": capabilities, "files": { "migrations/001-notes.sql": migration } });
        for environment in ["production", "staging"] {
            let secret = json!({ "value": format!("token-of-{}-{environment}", team.name) });
            team.done("PUT", &service("shop", environment, "/secrets/TOKEN"), secret).await;
        }
        let number = team.version("shop", &bytes, settings).await;
        assert_eq!(number, 1, "each tenant counts its own");
        for environment in ["production", "staging"] {
            team.deploy("shop", environment, number, Value::Null).await;
        }
    }
    let mut follower = Follower::start(&platform, &other, "shop").await;
    assert_eq!(acme.get("shop", "/?text=acme-was-here").await.status, 200);
    assert_eq!(acme.get("shop", "/throw").await.code(), "exception");
    let empty = |token: &str| json!({ "rows": [], "cached": null, "token": token });
    assert_eq!(other.get("shop", "/").await.json(), empty("token-of-other-production"));
    let staging = platform.ask("shop--staging.acme.localhost", "/").await.json();
    assert_eq!(staging, empty("token-of-acme-staging"));
    assert_eq!(other.get("shop", "/?text=other-was-here").await.status, 200);
    let wanted = json!({ "rows": ["acme-was-here"], "cached": "acme-was-here", "token": "token-of-acme-production" });
    assert_eq!(acme.get("shop", "/").await.json(), wanted);
    assert_eq!(other.get("shop", "/throw").await.code(), "exception");

    let mut seen = follower.sees("noted other-was-here").await;
    let failed = recorded(&other, "failed=true", 1).await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    let error = failed[0]["error"].as_str().expect("it failed");
    assert!(error.contains("other-was-here"), "{error}");
    for path in ["/executions", "/components", "/services", "/audit", "/tokens", "/components/shop/versions"] {
        seen += &other.done("GET", path, Value::Null).await.to_string();
    }
    assert!(!seen.contains("acme"), "{seen}");
    let theirs = recorded(&acme, "failed=true", 1).await;
    let id = theirs[0]["id"].as_str().expect("an id");
    assert_eq!(other.refused("GET", &format!("/executions/{id}"), Value::Null).await.0, "not-found");
    assert!(theirs[0]["error"].as_str().is_some_and(|error| error.contains("acme-was-here")), "{theirs:?}");
    assert_eq!(other.refused("GET", "/components/shop/versions/2", Value::Null).await.0, "not-found");

    // A tenant's change of its service is not the other's affair.
    other.done("POST", &service("shop", "production", "/stop"), Value::Null).await;
    assert_eq!(other.get("shop", "/").await.code(), "stopped");
    assert_eq!(acme.get("shop", "/").await.json(), wanted);
    platform.admin("DELETE", "/v1/tenants/other", Value::Null).await;
    assert_eq!(other.get("shop", "/").await.status, 404);
    assert_eq!(other.ask("GET", "/components", Value::Null).await.0, 401, "its tokens went with it");
    assert_eq!(acme.get("shop", "/").await.json(), wanted);
}

#[tokio::test]
async fn the_end_of_a_platform_waits_for_what_ran_and_not_for_who_follows_a_log() {
    let mut platform = Platform::start(&["--drain-timeout-ms", "86400000"]);
    let component = elias_tests::build::component(
        "export default { fetch(request, env, ctx) {
            ctx.waitUntil(new Promise((done) => setTimeout(done, 300)).then(() => console.log('done later')));
            return new Response('hello');
        } };",
    );
    platform.default_tenant().serve("shop", &component, json!({})).await;
    let follower = Follower::start(&platform, &platform.default_tenant(), "shop").await;
    assert_eq!(platform.default_tenant().get("shop", "/").await.body, "hello");
    platform.signal("-TERM");
    assert_eq!(platform.ended().await, Some(0));
    drop(follower);
    platform.restart();
    let recorded = platform.default_tenant().done("GET", "/executions", Value::Null).await;
    assert!(recorded["items"][0]["lines"].to_string().contains("done later"), "{recorded}");
}
