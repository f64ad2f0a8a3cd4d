//! Service workers of a platform from outside: sent to, looked at, operated, by the admin API and by `elias workers`.

use elias_tests::build::component;
use elias_tests::platform::Platform;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use http::Request;
use serde_json::{Value, json};
use std::sync::LazyLock;

const SOURCE: &str = r#"
import { worker } from "elias";

export class Cart extends worker.Worker {
  items = new Map();
  stopped = (reason) => reason;

  onStart(context) { context.seen = 0; }
  onMessage(message, context) {
    context.seen += 1;
    return {
      message, at: new Date(0), big: 5n, set: new Set([1]), nan: NaN, gone: undefined, bytes: new Uint8Array([1, 2]),
      pairs: new Map([[1, "a"]]),
    };
  }
  add(sku, n) {
    this.items.set(sku, (this.items.get(sku) ?? 0) + n);
    return this.items;
  }
  list() { return this.items; }
  view(query) { return { ...query, items: this.items, who: worker.name }; }
  self() {
    const value = { name: worker.name };
    value.value = value;
    return value;
  }
  fail() {
    this.items.clear();
    throw new RangeError("as told");
  }
}

export class Order extends worker.Worker {}

export default { fetch() { return new Response("up"); } };
"#;

/// Built once: a heap belongs to one build of a component, and of two in different folders the names differ.
static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| component(SOURCE));

async fn serve(team: &Tenant<'_>) {
    team.serve("shop", &BUILT, json!({})).await;
}

/// A path of a worker of the class `Cart`, with its name as it stands in a path.
fn cart(name: &str, action: &str) -> String {
    service("shop", "production", &format!("/workers/Cart/{name}{action}"))
}

fn workers() -> String {
    service("shop", "production", "/workers")
}

fn call(method: &str, args: Value) -> Value {
    json!({ "method": method, "args": args })
}

/// Sends a message or calls a method; gives the answer.
async fn send(team: &Tenant<'_>, name: &str, message: Value) -> Value {
    team.done("POST", &cart(name, "/messages"), message).await["answer"].take()
}

async fn turns(team: &Tenant<'_>, name: &str) -> u64 {
    team.done("GET", &cart(name, ""), Value::Null).await["turns"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_worker_answers_in_json() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    assert_eq!(send(&team, "ada", call("add", json!(["tea", 2]))).await, json!({ "tea": 2 }));
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({ "tea": 2 }));
    let heard = json!({
        "message": { "a": [null, -0.5] }, "at": "1970-01-01T00:00:00.000Z", "big": "5", "set": [1], "nan": "NaN",
        "gone": null, "bytes": "AQI=", "pairs": [[1, "a"]],
    });
    assert_eq!(send(&team, "ada", json!({ "message": { "a": [null, -0.5] } })).await, heard);
    assert_eq!(send(&team, "ada", json!({ "message": null })).await["message"], Value::Null);
    let circle = json!({ "name": "ada", "value": "[Circular]" });
    assert_eq!(send(&team, "ada", json!({ "method": "self" })).await, circle);

    let (code, detail) = team.refused("POST", &cart("ada", "/messages"), json!({ "method": "fail" })).await;
    assert_eq!((code.as_str(), detail.as_str()), ("worker-exception", "RangeError: as told"));
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({ "tea": 2 }), "it is as before");
}

#[tokio::test]
async fn what_no_worker_can_take_is_refused_by_name() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    for (path, body, code) in [
        (cart("ada", "/messages"), json!({}), "bad-input"),
        (cart("ada", "/messages"), json!({ "message": 1, "method": "list" }), "bad-input"),
        (cart("ada", "/messages"), json!({ "args": [] }), "bad-input"),
        (cart("ada", "/messages"), json!({ "message": 1, "to": "bo" }), "bad-input"),
        (cart("ada", "/messages"), json!({ "method": "" }), "bad-input"),
        (cart("ada", "/messages"), json!({ "method": "x".repeat(257) }), "bad-input"),
        (cart("ada", "/messages"), json!({ "message": deep }), "bad-input"),
        (cart("ada", "/messages"), json!({ "message": "x".repeat(1 << 20) }), "too-large"),
        (cart("ada", "/messages"), json!({ "message": "x".repeat(2 << 20) }), "too-large"),
        (cart("ada", "/messages"), call("nothing", json!([])), "worker-exception"),
        (cart("ada", "/messages"), call("onStart", json!([{}])), "worker-exception"),
        (cart(&"x".repeat(257), "/messages"), json!({ "message": 1 }), "bad-input"),
        (service("shop", "production", "/workers/Nobody/ada/messages"), json!({ "message": 1 }), "not-found"),
        (service("blog", "production", "/workers/Cart/ada/messages"), json!({ "message": 1 }), "not-found"),
        (service("shop", "staging", "/workers/Cart/ada/messages"), json!({ "message": 1 }), "not-found"),
        (cart("nobody", "/stop"), json!({}), "not-found"),
        (cart("nobody", "/restart"), json!({}), "not-found"),
        (cart("nobody", "/fork"), json!({ "name": "copy" }), "not-found"),
        (cart("nobody", "/stop"), json!({ "reason": "x".repeat(1_025) }), "bad-input"),
        (cart("nobody", "/fork"), json!({ "name": "" }), "bad-input"),
    ] {
        assert_eq!(team.refused("POST", &path, body).await.0, code, "{path}");
    }
    for path in [cart("nobody", ""), cart("nobody", "/state"), cart("nobody", "/history")] {
        assert_eq!(team.refused("GET", &path, Value::Null).await.0, "not-found", "{path}");
    }
    for path in [format!("{}?after=Cart", workers()), cart("ada", "/history?after=x"), cart("ada", "/state?at=-1")] {
        assert_eq!(team.refused("GET", &path, Value::Null).await.0, "bad-input", "{path}");
    }
    assert!(team.done("GET", &workers(), Value::Null).await["next"].is_null());
}

#[tokio::test]
async fn a_message_of_100_mb_is_refused() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let path = team.path(&cart("ada", "/messages"));
    let answer = platform.post_mebibytes(&path, r#"{"message":""#, 100).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too-large"), "{answer}");
    assert_eq!(send(&team, "ada", call("add", json!(["tea", 1]))).await, json!({ "tea": 1 }), "it goes on");
}

#[tokio::test]
async fn every_text_is_a_name() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let long = "𝄞".repeat(128);
    // The name, and what is encoded in the path where that is another text.
    let names = [
        ("a/b", "a/b"),
        ("..", "~.."),
        (".", "~."),
        ("~..", "~~.."),
        ("~ada", "~ada"),
        ("\0", "\0"),
        ("a\r\n\tb", "a\r\n\tb"),
        ("%2F", "%2F"),
        (" ", " "),
        ("history", "history"),
        (long.as_str(), long.as_str()),
    ];
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for (number, (_, segment)) in names.iter().enumerate() {
        send(&team, &encoded(segment), call("add", json!(["tea", number]))).await;
    }
    for (number, (name, segment)) in names.iter().enumerate() {
        let segment = encoded(segment);
        assert_eq!(send(&team, &segment, json!({ "method": "list" })).await, json!({ "tea": number }), "{name:?}");
        assert_eq!(team.done("GET", &cart(&segment, ""), Value::Null).await["name"], *name);
    }
    // In pages, each once.
    let (mut listed, mut next) = (Vec::new(), String::new());
    loop {
        let page = team.done("GET", &format!("{}?limit=3{next}", workers()), Value::Null).await;
        let items = page["items"].as_array().expect("a list").iter();
        listed.extend(items.map(|worker| worker["name"].as_str().expect("a name").to_owned()));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={}", encoded(after));
    }
    listed.sort_unstable();
    let mut all: Vec<_> = names.iter().map(|(name, _)| (*name).to_owned()).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
}

#[tokio::test]
async fn former_states_are_shown_and_copied() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    send(&team, "ada", call("add", json!(["tea", 2]))).await;
    let before = turns(&team, "ada").await;
    send(&team, "ada", call("add", json!(["cup", 1]))).await;
    send(&team, "ada", json!({ "message": 1 })).await;
    let after = turns(&team, "ada").await;
    assert!(after > before);

    let state = async |name: &str, query: &str| {
        let mut state = team.done("GET", &cart(name, &format!("/state{query}")), Value::Null).await;
        (state["turn"].take(), state["state"].take())
    };
    let (turn, now) = state("ada", "").await;
    assert_eq!((turn, &now["fields"]["items"]), (Value::Null, &json!({ "tea": 2, "cup": 1 })), "{now}");
    assert_eq!((&now["class"], &now["name"], &now["context"]), (&json!("Cart"), &json!("ada"), &json!({ "seen": 1 })));
    assert!(now["fields"]["stopped"].as_str().is_some_and(|text| text.contains("Function")), "{now}");
    let (turn, then) = state("ada", &format!("?at={before}")).await;
    assert_eq!((turn, &then["fields"]["items"]), (json!(before), &json!({ "tea": 2 })));
    assert_eq!(then["context"], json!({ "seen": 0 }));
    assert_eq!(turns(&team, "ada").await, after, "looking is no turn");
    let future = cart("ada", &format!("/state?at={}", after + 1));
    assert_eq!(team.refused("GET", &future, Value::Null).await.0, "not-found");

    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = team.done("GET", &cart("ada", &format!("/history?limit=1{next}")), Value::Null).await;
        let items = page["items"].as_array().expect("a list");
        seen.extend(items.iter().map(|turn| turn["turn"].as_u64().expect("a number")));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("&after={after}");
    }
    assert_eq!(seen.first(), Some(&after));
    assert!(seen.contains(&before) && seen.is_sorted_by(|one, other| one > other), "{seen:?}");

    let (status, copy) = team.ask("POST", &cart("ada", "/fork"), json!({ "name": "then", "at": before })).await;
    assert_eq!((status, copy), (201, json!({ "class": "Cart", "name": "then" })));
    assert_eq!(send(&team, "then", call("add", json!(["pot", 1]))).await, json!({ "tea": 2, "pot": 1 }));
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({ "tea": 2, "cup": 1 }), "it is beside it");
    team.done("POST", &cart("ada", "/fork"), json!({ "name": "now" })).await;
    assert_eq!(send(&team, "now", json!({ "method": "list" })).await, json!({ "tea": 2, "cup": 1 }));
    let again = team.refused("POST", &cart("ada", "/fork"), json!({ "name": "now" })).await;
    assert_eq!(again.0, "already-there");
    let future = json!({ "name": "later", "at": after + 100 });
    assert_eq!(team.refused("POST", &cart("ada", "/fork"), future).await.0, "not-found");
}

#[tokio::test]
async fn workers_are_started_stopped_and_restarted_and_the_audit_trail_says_by_whom() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let started = team.done("POST", &cart("ada", "/start"), json!({})).await;
    assert_eq!((&started["class"], &started["name"]), (&json!("Cart"), &json!("ada")), "{started}");
    send(&team, "ada", call("add", json!(["tea", 2]))).await;
    team.done("POST", &cart("ada", "/start"), json!({})).await;
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({ "tea": 2 }), "it is left as it is");
    team.done("POST", &cart("ada", "/restart"), json!({ "reason": "stale" })).await;
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({}));
    let (status, _) = team.ask("POST", &cart("ada", "/stop"), json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(team.refused("GET", &cart("ada", ""), Value::Null).await.0, "not-found");
    assert_eq!(team.done("GET", &workers(), Value::Null).await["items"], json!([]));
    team.done("POST", &cart("%00", "/start"), json!({})).await;

    let audit = team.done("GET", "/audit", Value::Null).await;
    let lines = audit["items"].as_array().expect("a list").iter().filter_map(|line| {
        let action = line["action"].as_str()?.strip_prefix("worker.")?;
        Some((action, line["subject"].as_str()?, line["after"]["reason"].as_str()))
    });
    let ada = "shop/production/Cart/ada";
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            ("start", "shop/production/Cart/\\0", None),
            ("stop", ada, Some("stopped by operator")),
            ("restart", ada, Some("stale")),
            ("start", ada, None),
            ("start", ada, None),
        ],
        "{audit}"
    );
}

#[tokio::test]
async fn who_may_see_may_not_read_and_who_may_read_may_send() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    send(&team, "ada", call("add", json!(["tea", 2]))).await;
    let list = workers();
    let acts = [
        ("GET", list, Value::Null, "viewer"),
        ("GET", cart("ada", ""), Value::Null, "viewer"),
        ("GET", cart("ada", "/history"), Value::Null, "viewer"),
        ("GET", cart("ada", "/state"), Value::Null, "operator"),
        ("POST", cart("ada", "/messages"), json!({ "method": "list" }), "operator"),
        ("POST", cart("ada", "/start"), json!({}), "operator"),
        ("POST", cart("ada", "/restart"), json!({}), "operator"),
    ];
    let roles = ["caller", "viewer", "developer", "operator", "admin"];
    for (rank, role) in roles.iter().enumerate() {
        let asking = team.with_role(role, None).await;
        for (method, path, body, least) in &acts {
            let may = roles.iter().position(|role| role == least).is_some_and(|least| rank >= least);
            let (status, answer) = asking.ask(method, path, body.clone()).await;
            assert_eq!(status == 200, may, "{role}: {method} {path}: {status} {answer}");
            assert!(may || answer["code"] == "forbidden", "{role}: {method} {path}: {answer}");
        }
    }
    let blog = team.with_role("admin", Some(&["blog"])).await;
    for (method, path, body, _) in &acts {
        assert_eq!(blog.refused(method, path, body.clone()).await.0, "forbidden", "{method} {path}");
    }
    // A role of the tenant's own may send and not operate.
    let policy = "permit (principal, action in [Action::\"read\", Action::\"call-workers\"], resource);";
    team.done("PUT", "/roles/sender", json!({ "policy": policy, "ceiling": "operator" })).await;
    let sender = team.with_role("sender", None).await;
    assert_eq!(send(&sender, "ada", call("add", json!(["cup", 1]))).await, json!({ "cup": 1 }));
    for action in ["/start", "/stop", "/restart"] {
        assert_eq!(sender.refused("POST", &cart("ada", action), json!({})).await.0, "forbidden", "{action}");
    }
    assert_eq!(sender.refused("GET", &cart("ada", "/state"), Value::Null).await.0, "forbidden");
}

#[tokio::test]
async fn a_message_with_a_key_is_handled_once() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let post = async |key: &str, body: Value| {
        let request = Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        platform.call(request, &team.path(&cart("ada", "/messages")), body.to_string()).await
    };
    let add = call("add", json!(["tea", 1]));
    let (first, again) = (post("one", add.clone()).await, post("one", add.clone()).await);
    assert_eq!((first.status, again.status, &first.body), (200, 200, &again.body));
    assert!(again.headers.contains_key("idempotency-replayed"));
    assert_eq!(post("two", add).await.json()["answer"], json!({ "tea": 2 }));
    let other = post("one", call("add", json!(["cup", 1]))).await;
    assert_eq!((other.status, other.code().as_str()), (409, "idempotency-mismatch"));
}

/// A route to the cart that the path names, and one to that of whoever has the key.
fn routes() -> Value {
    json!({ "gateway": { "routes": [
        { "path": "/" },
        {
            "path": "/carts/{user}",
            "worker": { "class": "Cart", "name": "{user}", "method": "view" },
            "cors": { "origins": ["https://shop.test"] },
            "validate": { "body": { "type": "object" } },
        },
        {
            "path": "/mine",
            "methods": ["GET"],
            "auth": { "api-key": { "header": "x-api-key" } },
            "worker": { "class": "Cart", "name": "{identity}", "method": "view" },
        },
        { "path": "/failing/{user}", "worker": { "class": "Cart", "name": "{user}", "method": "fail" } },
        { "path": "/by-header", "worker": { "class": "Cart", "name": "{header:x-user}" } },
    ] } })
}

#[tokio::test]
async fn a_route_leads_to_a_worker() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &BUILT, routes()).await;
    let host = team.host("shop");
    let ask = async |request: http::request::Builder, path: &str, body: &str| {
        platform.ask_with(request, &host, path, body.to_owned()).await
    };
    let post = || Request::post("/").header("content-type", "application/json");
    send(&team, "bo%20li", call("add", json!(["tea", 2]))).await;
    let viewed = ask(Request::get("/").header("origin", "https://shop.test"), "/carts/bo%20li?a=1&a=2", "").await;
    assert_eq!(viewed.json(), json!({ "a": ["1", "2"], "items": { "tea": 2 }, "who": "bo li" }));
    assert_eq!(viewed.headers["content-type"], "application/json");
    assert_eq!(viewed.headers["access-control-allow-origin"], "https://shop.test", "the rules of the route hold");
    let head = ask(Request::head("/"), "/carts/ada", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let heard = ask(post(), "/carts/ada", r#"{ "n": 1 }"#).await;
    assert_eq!((heard.status, &heard.json()["message"]), (200, &json!({ "n": 1 })));
    let by_header = ask(post().header("x-user", "ada"), "/by-header", "[1]").await;
    assert_eq!(by_header.json()["message"], json!([1]));

    let caller = team.with_role("caller", None).await;
    let mine = ask(Request::get("/").header("x-api-key", &caller.token), "/mine", "").await;
    assert!(mine.json()["who"].as_str().is_some_and(|who| who.len() > 10), "the key's id: {mine:?}");
    let deep = format!("{}1{}", "[".repeat(110), "]".repeat(110));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    for (request, path, body, status, code) in [
        (Request::get("/"), "/mine", "", 401, "unauthenticated"),
        (Request::get("/"), "/failing/ada", "", 500, "exception"),
        (Request::delete("/"), "/carts/ada", "", 405, "method-not-allowed"),
        (Request::get("/"), "/by-header", "", 405, "method-not-allowed"),
        (post(), "/by-header", "[1]", 400, "worker-name"),
        (Request::post("/"), "/by-header", "[1]", 415, "unsupported-media-type"),
        (post().header("x-user", "ada"), "/by-header", "{", 400, "malformed-json"),
        (post().header("x-user", "ada"), "/by-header", &deep, 400, "malformed-json"),
        (post().header("x-user", "ada"), "/by-header", &large, 413, "request-too-large"),
        (post(), "/carts/ada", "[1]", 422, "invalid-request"),
    ] {
        let refused = ask(request, path, body).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{path}: {refused:?}");
        assert!(!refused.body.contains("as told"), "the client learns no internals: {refused:?}");
    }
    assert_eq!(team.get("shop", "/").await.body, "up", "the component has the other paths");

    let digest = team.upload(&BUILT).await;
    let gateway = json!({ "routes": [{ "path": "/", "worker": { "class": "Nobody", "name": "a" } }] });
    let version = json!({ "digest": digest, "settings": { "gateway": gateway } });
    let (code, detail) = team.refused("POST", "/components/shop/versions", version).await;
    assert!(
        code == "bad-input" && detail.contains("routes[0].worker") && detail.contains("Nobody"),
        "{code}: {detail}"
    );
}

#[tokio::test]
async fn workers_outlive_their_host() {
    let mut platform = Platform::start(&[]);
    serve(&platform.default_tenant()).await;
    send(&platform.default_tenant(), "ada", call("add", json!(["tea", 2]))).await;
    platform.restart();
    let team = platform.default_tenant();
    let listed = team.done("GET", &workers(), Value::Null).await;
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["condition"]), (&json!("ada"), &json!("asleep")));
    assert_eq!(send(&team, "ada", json!({ "method": "list" })).await, json!({ "tea": 2 }));
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let platform = Platform::start(&[]);
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    serve(&platform.default_tenant()).await;
    let workers = |line: &[&str]| terminal.types("", &[&["workers"][..], line].concat());
    let said = workers(&["call", "shop", "Cart", "a/b", "add", "\"tea\"", "2"]);
    assert_eq!(said, "{\n  \"tea\": 2\n}\n");
    let sent = workers(&["send", "shop", "Cart", "a/b", "-5", "--json"]);
    assert!(sent.contains("\"message\": -5"), "{sent}");
    workers(&["start", "shop", "Cart", ".."]);
    let listed = workers(&["list", "shop"]);
    assert!(listed.contains("Cart   a/b") && listed.contains("Cart   .."), "{listed}");
    let shown = workers(&["show", "shop", "Cart", "a/b"]);
    assert!(shown.contains("\"tea\": 2") && shown.contains("\"seen\": 1"), "{shown}");
    let history = workers(&["history", "shop", "Cart", "a/b", "--json"]);
    let history: Value = serde_json::from_str(&history).expect("JSON");
    let first = history["items"].as_array().and_then(|turns| turns.last()).expect("turns")["turn"].to_string();
    let at = workers(&["show", "shop", "Cart", "a/b", "--at", &first, "--json"]);
    let at: Value = serde_json::from_str(&at).expect("JSON");
    assert_eq!(at["state"]["context"], json!({ "seen": 0 }), "{at}");
    assert!(!workers(&["show", "shop", "Cart", "a/b", "--no-state"]).contains("tea"));
    let forked = workers(&["fork", "shop", "Cart", "a/b", "copy"]);
    assert_eq!(forked, "Cart/copy is a copy of Cart/a/b\n");
    assert_eq!(workers(&["call", "shop", "Cart", "copy", "list"]), "{\n  \"tea\": 2\n}\n");
    workers(&["restart", "shop", "Cart", "copy", "--reason", "stale"]);
    assert_eq!(workers(&["call", "shop", "Cart", "copy", "list"]), "{}\n");
    assert_eq!(workers(&["stop", "shop", "Cart", "copy"]), "Cart/copy is stopped\n");
    let refused = terminal.output("", &["workers", "call", "shop", "Cart", "a/b", "fail"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("error[worker-exception]: RangeError: as told"), "{said}");
}
