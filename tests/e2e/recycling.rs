//! Instances that are used again: a component must not be able to tell.

use bytes::Bytes;
use elias_host::{
    App, CallOptions, Caller, CpuShare, ErrorCode, ExecutionHandle, Grants, Host, IdleLimits, Limits, LoadOptions,
};
use elias_tests::build::{Finish, Project, binary, component, root};
use elias_tests::platform::until;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Executions of the comparison; more by the environment's `ELIAS_EXECUTIONS`.
const EXECUTIONS: usize = 500;

/// Leaves traces wherever JavaScript can, and tells of those that it finds.
const TRACES: &str = r#"
let count = 0;
const kept = new Map(), weak = new WeakMap(), key = {};
const counter = (function* () { for (let i = 0; ; i++) yield i; })();
const pattern = /a/g;
class Cell { static #n = 0; static next() { return Cell.#n++; } }
function traces() {
  pattern.test("aaa");
  const found = [count++, kept.size, weak.get(key), counter.next().value, pattern.lastIndex, Cell.next(),
    globalThis.left, Array.prototype.left, Object.keys(Symbol).length, "x".left, JSON.left,
    new Error("e").stack.split("\n").length, new Uint8Array(4096).reduce((a, b) => a + b, 0)];
  kept.set(count, "x".repeat(count * 100));
  weak.set(key, count);
  globalThis.left = count;
  Array.prototype.left = count;
  JSON.left = count;
  String.prototype.left = count;
  return found;
}
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const text = await request.text();
    const found = traces();
    if (url.pathname === "/stream") {
      return new Response(new ReadableStream({
        async pull(controller) {
          controller.enqueue(new TextEncoder().encode(JSON.stringify(found)));
          await new Promise((resolve) => setTimeout(resolve, 1));
          controller.enqueue(new TextEncoder().encode(text));
          controller.close();
        },
      }));
    }
    if (url.pathname === "/later") ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 1)).then(traces));
    if (url.pathname === "/timer") setTimeout(traces, 60_000);
    if (url.pathname === "/throw") throw new RangeError("as told " + found);
    return Response.json({ found, text, query: Object.fromEntries(url.searchParams) });
  },
  async call(input) {
    const found = traces();
    if (input.grow) {
      const large = []; for (let i = 0; i < input.grow; i++) large.push(new Uint8Array(100_000).fill(1));
    }
    if (input.spin) for (;;);
    if (input.recurse) { const f = (n) => f(n + 1) + 1; try { f(0); } catch (error) { found.push(error.name); } }
    if (input.throw) throw new TypeError("as told " + found);
    if (input.json) found.push(JSON.parse(JSON.stringify(input.json)));
    if (input.sort) {
      found.push(Array.from({ length: input.sort }, (_, i) => (i * 7919) % 1009).sort((a, b) => a - b)[3]);
    }
    if (input.match) found.push("aXbXc".repeat(input.match).replace(/X(.)/g, (all, one) => one).length);
    return found;
  },
};
"#;

const SMALL: &str =
    "let n = 0; export default { call: (input) => [n++, input], fetch: () => new Response(String(n++)) };";

fn host(idle_bytes: u64, instances: u32) -> Host {
    let limits = Limits { fuel: 30_000_000, memory_bytes: 24 << 20, ..Limits::default() };
    let idle = IdleLimits { bytes: idle_bytes, ..IdleLimits::default() };
    let host = Host::builder().limits(limits).instances(instances).idle(idle);
    host.capability(elias_capabilities::Log).build().expect("a host")
}

/// The result and the cost of an execution.
async fn execute(app: &App, what: &Value) -> Value {
    if let Some(path) = what["path"].as_str() {
        let body = Full::new(Bytes::from(what["body"].as_str().unwrap_or_default().to_owned()));
        let request = Request::post(format!("http://localhost{path}")).body(body).expect("a request");
        return match app.fetch(request).await {
            Ok(response) => {
                let running = response.extensions().get::<ExecutionHandle>().cloned().expect("it is there");
                let (head, body) = response.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let execution = running.finished().await;
                json!([
                    head.status.as_u16(),
                    String::from_utf8_lossy(&body),
                    execution.fuel,
                    execution.memory_peak_bytes
                ])
            }
            Err(error) => told(&error),
        };
    }
    match app.call(&what["call"]).await {
        Ok(answer) => json!([answer.value, answer.execution.fuel, answer.execution.memory_peak_bytes]),
        Err(error) => told(&error),
    }
}

fn told(error: &elias_host::Error) -> Value {
    let execution = error.execution().expect("it was begun");
    json!([error.code().as_str(), error.to_string(), execution.fuel, execution.memory_peak_bytes])
}

/// An execution by a number.
fn request(number: usize) -> Value {
    let text = "t".repeat(number * 37 % 5_000);
    match number % 17 {
        0 => json!({ "path": "/stream", "body": text }),
        1 => json!({ "path": "/later", "body": text }),
        2 => json!({ "path": "/throw" }),
        3 => json!({ "call": { "grow": number % 300 } }),
        4 => json!({ "call": { "throw": true } }),
        5 if number.is_multiple_of(5) => json!({ "call": { "spin": true } }),
        6 => json!({ "call": { "recurse": true } }),
        7 => json!({ "call": { "sort": number % 900 + 4 } }),
        8 => json!({ "call": { "match": number % 300 } }),
        9 => json!({ "path": "/timer" }),
        10..=12 => json!({ "call": { "json": { "text": text, "list": [number, { "n": number % 7 }] } } }),
        _ => json!({ "path": format!("/a?n={number}&q={}", number % 11), "body": text }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_in_a_used_instance_is_one_in_a_new_instance() {
    let executions = std::env::var("ELIAS_EXECUTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(EXECUTIONS);
    let components = [component(TRACES), component(SMALL)];
    let (fresh, used) = (host(0, 64), host(64 << 20, 3));
    let mut pairs = Vec::new();
    for component in &components {
        pairs.push((fresh.load(component).await.expect("it loads"), used.load(component).await.expect("it loads")));
    }
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for number in 0..executions {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let what = request(usize::try_from(seed % 1_000_003).expect("small"));
        let (fresh, used) = &pairs[usize::from(seed.is_multiple_of(5))];
        let (mut used, mut fresh) = (execute(used, &what).await, execute(fresh, &what).await);
        if matches!(what["path"].as_str(), Some("/stream" | "/later")) {
            // How often the event loop turns for a timer is up to the clock, and so is what that costs.
            for one in [&mut used, &mut fresh] {
                one[2].take();
            }
        }
        assert_eq!(used, fresh, "execution {number}: {what}");
    }
    let counts = used.instance_counts();
    assert!(counts.recycled > counts.created, "{counts:?}");
    assert_eq!(fresh.instance_counts().recycled, 0);
}

#[tokio::test]
async fn instances_are_used_again_unless_their_execution_ended_badly() {
    let host = host(64 << 20, 4);
    let app = host.load(&component(TRACES)).await.expect("it loads");
    let paths = ["/a?b=c", "/stream", "/later"];
    for round in 0..5 {
        for path in paths {
            execute(&app, &json!({ "path": path, "body": "text" })).await;
        }
        let counts = host.instance_counts();
        assert_eq!((counts.created, counts.recycled), (1, 3 * round + 2), "{counts:?}");
    }
    for what in [json!({ "call": { "spin": true } }), json!({ "call": { "grow": 100 } })] {
        let before = host.instance_counts();
        execute(&app, &what).await;
        execute(&app, &what).await;
        let after = host.instance_counts();
        assert_eq!(after.created, before.created + 2, "{what}: {after:?}");
    }
}

#[tokio::test]
async fn an_execution_need_not_wait_for_the_memory_of_the_last_one_to_be_given_back() {
    let host = host(64 << 20, 1);
    let app = host.load(&component(TRACES)).await.expect("it loads");
    // Some 10 MB each, of which 64 MiB may wait.
    for _ in 0..6 {
        app.call(&json!({ "grow": 100 })).await.expect("there is a place");
    }
    let counts = host.instance_counts();
    assert_eq!((counts.created, counts.dropped_grown, counts.instances), (6, 6, 0), "{counts:?}");
}

#[tokio::test]
async fn a_component_that_needs_room_gets_that_of_an_idle_instance() {
    let host = host(64 << 20, 2);
    let mut apps = Vec::new();
    for source in [SMALL, TRACES, "export default { call: () => 1 };"] {
        apps.push(host.load(&component(source)).await.expect("it loads"));
    }
    for _ in 0..4 {
        for app in &apps {
            execute(app, &json!({ "call": {} })).await;
        }
    }
    let counts = host.instance_counts();
    assert!(counts.instances <= 2 && counts.dropped_idle > 0, "{counts:?}");
    drop(apps);
    assert_eq!(host.instance_counts().instances, 0, "with a component go its idle instances");
    assert_eq!((host.instance_counts().idle, host.instance_counts().idle_bytes), (0, 0));
}

/// Method, path, content type and body.
type RequestParts = (&'static str, &'static str, &'static str, &'static str);

/// Programs as people write them, with requests that they are asked again and again.
const PROGRAMS: [(&str, &[RequestParts]); 3] = [
    (
        "examples/guestbook/src/index.js",
        &[
            ("POST", "/", "application/x-www-form-urlencoded", "name=Ada&message=hello"),
            ("POST", "/", "application/x-www-form-urlencoded", "name=Ada"),
            ("GET", "/", "", ""),
            ("GET", "/", "", ""),
        ],
    ),
    (
        "examples/api-hono/src/index.ts",
        &[
            ("POST", "/notes", "application/json", r#"{"title":"One"}"#),
            ("GET", "/notes", "", ""),
            ("GET", "/notes/1", "", ""),
            ("POST", "/notes", "application/json", "{"),
        ],
    ),
    (
        "tests/packages/src/express.js",
        &[("GET", "/", "", ""), ("GET", "/users/7?page=2", "", ""), ("GET", "/fail", "", ""), ("GET", "/none", "", "")],
    ),
];

#[tokio::test]
async fn what_people_write_runs_in_used_instances() {
    for (entry, requests) in PROGRAMS {
        let output = Project::new(&[]);
        let (entry, file) = (root().join(entry), output.path("app.wasm"));
        let built = Command::new(binary("elias-build")).arg(&entry).arg("-o").arg(&file).finish();
        assert!(built.expect("elias-build starts").status.success(), "{}", entry.display());
        let host =
            Host::builder().instances(4).capability(elias_capabilities::Log).capability(elias_capabilities::Config);
        let host = host.capability(elias_capabilities::Cache::new()).capability(elias_capabilities::Crypto);
        let host = host.capability(elias_capabilities::Http);
        let host = host.capability(elias_capabilities::Db::new(output.path("data"))).build().expect("a host");
        let grants = Grants::none().with("cache", json!({})).with("config", json!({})).with("db", json!({}));
        let folder = entry.parent().and_then(Path::parent).expect("a project").to_owned();
        let options = LoadOptions { grants, folder, ..LoadOptions::default() };
        let wasm = std::fs::read(&file).expect("it was built");
        let app = host.load_with(&wasm, &options).await.unwrap_or_else(|error| panic!("{}: {error}", entry.display()));
        for _ in 0..25 {
            for (method, path, kind, body) in requests {
                let request = Request::builder().method(*method).uri(format!("http://localhost{path}"));
                let request = request.header("content-type", *kind).body(Full::new(Bytes::from(*body)));
                let response = app.fetch(request.expect("a request")).await.expect("an answer");
                let running = response.extensions().get::<ExecutionHandle>().cloned().expect("it is there");
                response.into_body().collect().await.expect("a body");
                running.finished().await;
            }
        }
        let counts = host.instance_counts();
        let all = counts.recycled + counts.created;
        assert!(all == 100 && counts.recycled >= 95, "{}: {counts:?}", entry.display());
    }
}

#[tokio::test]
async fn idle_instances_go_when_nobody_uses_them() {
    let idle = IdleLimits { idle_ms: 20, ..IdleLimits::default() };
    let host = Host::builder().instances(2).idle(idle).capability(elias_capabilities::Log).build().expect("a host");
    let app = host.load(&component(SMALL)).await.expect("it loads");
    for dropped in 1..=2 {
        execute(&app, &json!({ "call": 1 })).await;
        let counts = until("the idle instance is dropped", async || {
            Some(host.instance_counts()).filter(|counts| counts.dropped_idle == dropped)
        });
        assert_eq!(counts.await.idle, 0);
    }
}

#[tokio::test]
async fn a_group_has_its_own_bound_of_idle_instances_and_leaves_others_theirs() {
    let room = |group_bytes| async move {
        let idle = IdleLimits { group_bytes, ..IdleLimits::default() };
        let host = Host::builder().instances(8).idle(idle).capability(elias_capabilities::Log).build().expect("a host");
        let mut apps = Vec::new();
        for group in ["busy", "busy", "busy", "calm"] {
            let share = Some(CpuShare::new(group, apps.len().to_string()));
            let options = LoadOptions { share, ..LoadOptions::default() };
            apps.push(host.load_with(&component(SMALL), &options).await.expect("it loads"));
        }
        // First the one that stays, though it is the least used.
        for app in apps.iter().rev() {
            execute(app, &json!({ "call": {} })).await;
        }
        let counts = host.instance_counts();
        execute(&apps[3], &json!({ "call": {} })).await;
        assert_eq!(host.instance_counts().recycled, 1, "the other group's instance is there");
        counts
    };
    let all = room(24 << 20).await;
    assert_eq!((all.idle, all.dropped_idle), (4, 0));
    let one = room(all.idle_bytes / 4).await;
    assert_eq!((one.idle, one.dropped_idle), (2, 2), "one of each group");
}

#[tokio::test]
async fn components_of_one_shape_are_compiled_once() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let host = Host::builder().cache_dir(cache.path()).build().expect("a host");
    let compiled = || {
        let files =
            std::fs::read_dir(cache.path()).expect("it is there").map(|entry| entry.expect("a file").file_name());
        files.filter(|name| name.to_string_lossy().contains("component")).count()
    };
    let mut apps = Vec::new();
    for text in ["one", "another", "a third, which is longer"] {
        let source = format!("export default {{ fetch: () => new Response('{text}') }};");
        apps.push((host.load(&component(&source)).await.expect("it loads"), text));
    }
    assert_eq!(compiled(), 1);
    for (app, text) in &apps {
        let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
        let answer = app.fetch(request).await.expect("an answer").into_body().collect().await.expect("a body");
        assert_eq!(answer.to_bytes(), *text);
    }
    let calls = host.load(&component("export default { call: () => 1 };")).await.expect("it loads");
    assert_eq!((compiled(), calls.call(&json!(0)).await.expect("an answer").value), (2, json!(1)));
}

#[tokio::test]
async fn components_of_one_shape_share_the_code_of_those_that_are_loaded() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let host = Host::builder().cache_dir(cache.path()).build().expect("a host");
    let source = |text| format!("export default {{ call: () => '{text}' }};");
    let [first, second] = ["one", "another"].map(|text| Bytes::from(component(&source(text))));
    let options = LoadOptions::default();
    let app = host.load_bytes(first, &options).await.expect("it loads");
    for file in std::fs::read_dir(cache.path()).expect("it is there") {
        std::fs::remove_file(file.expect("a file").path()).expect("it is ours");
    }
    let other = host.load_compiled(second.clone(), &options).await.expect("it loads");
    let other = other.expect("nothing has to be compiled");
    drop(app);
    assert_eq!(other.call(&json!(0)).await.expect("an answer").value, json!("another"));
    drop(other);
    let none = host.load_compiled(second, &options).await.expect("it could be loaded");
    assert!(none.is_none(), "the code went with the last of them");
}

#[tokio::test]
async fn components_that_share_code_share_neither_grants_nor_limits_nor_images() {
    let host = Host::builder().capability(elias_capabilities::Log).capability(elias_capabilities::Config);
    let host = host.build().expect("a host");
    let source = |text: &str| format!("export default {{ call: (input, env) => ['{text}', env.greeting ?? null] }};");
    let load = async |text: &str, greeting: &str, limits: Option<Limits>| {
        let grants = Grants::none().with("config", json!({ "greeting": greeting }));
        let options = LoadOptions { grants, limits, ..LoadOptions::default() };
        host.load_bytes(component(&source(text)).into(), &options).await.expect("it loads")
    };
    let first = load("one", "of the first", None).await;
    let second = load("another", "of the second", None).await;
    let poor = load("one", "of the third", Some(Limits { fuel: 10, ..Limits::default() })).await;
    for _ in 0..3 {
        for (app, wanted) in [(&first, ["one", "of the first"]), (&second, ["another", "of the second"])] {
            assert_eq!(app.call(&json!(0)).await.expect("an answer").value, json!(wanted));
        }
        assert_eq!(poor.call(&json!(0)).await.expect_err("it has hardly any").code(), ErrorCode::OutOfFuel);
    }
    let bare = host.load_bytes(component(&source("one")).into(), &LoadOptions::default()).await.expect("it loads");
    assert_eq!(bare.call(&json!(0)).await.expect("an answer").value, json!(["one", null]));
}

#[tokio::test]
async fn memories_that_were_put_back_are_compared_with_their_images_as_often_as_is_said() {
    let idle = IdleLimits { check_interval: 3, ..IdleLimits::default() };
    let host = Host::builder().instances(2).idle(idle).capability(elias_capabilities::Log).build().expect("a host");
    let app = host.load(&component(TRACES)).await.expect("it loads");
    for _ in 0..10 {
        execute(&app, &json!({ "call": {} })).await;
    }
    let counts = host.instance_counts();
    assert_eq!((counts.checked, counts.differed, counts.recycled), (3, 0, 9), "{counts:?}");
}

#[tokio::test]
async fn more_executions_than_instances_are_refused_and_the_rest_goes_on() {
    let source =
        "export default { fetch: () => new Promise((resolve) => setTimeout(resolve, 50_000)), call: () => 1 };";
    let host = host(64 << 20, 1);
    let app = host.load(&component(source)).await.expect("it loads");
    let request = || Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
    let mut waiting = Box::pin(app.fetch(request()));
    assert!(futures::poll!(&mut waiting).is_pending());
    let error = app.call(&json!(1)).await.expect_err("there is no room");
    assert_eq!(error.code(), ErrorCode::Overloaded, "{error}");
    drop(waiting);
    assert_eq!(app.call(&json!(1)).await.expect("there is room").value, 1);
}

#[tokio::test]
async fn callers_reach_the_component_by_value_and_by_reference_and_calls_can_be_cancelled() {
    let source = r#"export default {
      fetch: (request, env, ctx) => Response.json(ctx.userId ?? null),
      call: (input, env, ctx) => (input === "wait" ? new Promise((resolve) => setTimeout(resolve, 50_000)) :
        ctx.userId ?? null),
    };"#;
    let host = host(64 << 20, 2);
    let app = host.load(&component(source)).await.expect("it loads");
    let caller = Caller { user_id: Some("ada".to_owned()), ..Caller::default() };
    let mut by_value = Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
    let mut by_reference = by_value.clone();
    by_value.extensions_mut().insert(caller.clone());
    by_reference.extensions_mut().insert(Arc::new(caller.clone()));
    for request in [by_value, by_reference] {
        let response = app.fetch(request).await.expect("an answer").into_body().collect().await.expect("a body");
        assert_eq!(response.to_bytes(), "\"ada\"");
    }
    let options = CallOptions { caller: Arc::new(caller), ..CallOptions::default() };
    let answer = app.call_with(&json!(null), options.clone()).await.expect("an answer");
    assert_eq!((answer.value, answer.execution.id.as_str()), (json!("ada"), options.running.id()));
    let options = CallOptions::default();
    let waits = json!("wait");
    let mut waiting = Box::pin(app.call_with(&waits, options.clone()));
    assert!(futures::poll!(&mut waiting).is_pending());
    options.running.cancel();
    assert_eq!(waiting.await.expect_err("it was cancelled").code(), ErrorCode::Cancelled);
}
