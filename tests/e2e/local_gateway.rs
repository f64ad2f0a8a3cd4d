//! `[gateway]` without a platform: `elias serve FILE` and `elias dev`.

use elias_tests::build::Project;
use elias_tests::platform::until;
use elias_tests::serve::{Server, refused};

const CONFIG: &str = r#"
[gateway.cors]
origins = ["https://shop.example.com"]
[gateway.headers]
set = { x-team = "shop" }
[gateway.assets]
folder = "public"
[gateway.compress]
codings = ["gzip"]

[[gateway.routes]]
path = "/limited"
rate-limit = { requests = 2, per-seconds = 3600 }

[[gateway.routes]]
path = "/orders"
methods = ["POST"]
validate = { body = { type = "object", required = ["sku"] }, max-body-bytes = 1000 }

[[gateway.routes]]
path = "/item"
response-transform = "{ id }"

[[gateway.routes]]
"#;

const SOURCE: &str = r#"
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/item") return Response.json({ id: 7, secret: "hidden" }, { headers: { etag: '"v1"' } });
    if (pathname === "/broken") return new Response("{", { headers: { "content-type": "application/json" } });
    return new Response(`${request.method} ${pathname} ${(await request.text()).length}`);
  },
};
"#;

fn project(config: &str) -> Project {
    let long = "word ".repeat(2_000);
    let files = [
        ("elias.toml", config),
        ("package.json", r#"{"name":"app"}"#),
        ("src/index.js", SOURCE),
        ("public/index.html", "<h1>Shop</h1>"),
        ("public/long.txt", long.as_str()),
        ("public/.env", "SECRET=1"),
    ];
    let project = Project::new(&files);
    project.write("app.wasm", project.build("src/index.js"));
    project
}

#[tokio::test]
async fn routes_rules_and_files_hold_as_on_a_platform() {
    let server = Server::of_project(project(CONFIG), "app.wasm", &[]);
    for wanted in [200, 200, 429] {
        assert_eq!(server.get("/limited").await.status, wanted);
    }
    let send =
        async |request: http::request::Builder, path: &str, body: &'static str| server.send(request, path, body).await;
    let json = || http::Request::post("/").header("content-type", "application/json");
    let good = send(json(), "/orders", "{\"sku\":1}").await;
    assert_eq!((good.status, good.body.as_str()), (200, "POST /orders 9"));
    assert_eq!(good.headers["x-team"], "shop");
    let wrong = send(json(), "/orders", "{}").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "invalid-request"));
    assert_eq!(server.get("/orders").await.code(), "method-not-allowed");
    assert_eq!(server.get("/a//b").await.code(), "ambiguous-path");

    let preflight = http::Request::options("/").header("origin", "https://shop.example.com");
    let preflight = preflight.header("access-control-request-method", "DELETE");
    assert_eq!(send(preflight, "/other", "").await.status, 204);

    let page = server.get("/").await;
    assert_eq!((page.status, page.body.as_str()), (200, "<h1>Shop</h1>"));
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let again = http::Request::get("/").header("if-none-match", page.headers["etag"].clone());
    assert_eq!(send(again, "/", "").await.status, 304);
    let part = send(http::Request::get("/").header("range", "bytes=5-8"), "/long.txt", "").await;
    assert_eq!((part.status, part.body.as_str()), (206, "word"));
    let head = send(http::Request::head("/"), "/long.txt", "").await;
    assert_eq!((head.body.as_str(), head.headers["content-length"].to_str().ok()), ("", Some("10000")));
    let small = send(http::Request::get("/").header("accept-encoding", "gzip"), "/long.txt", "").await;
    assert!(small.headers["content-encoding"] == "gzip" && small.body.len() < 1_000, "{:?}", small.headers);
    assert_eq!(server.get("/.env").await.body, "GET /.env 0", "hidden files are the component's affair");

    let item = server.get("/item").await;
    assert_eq!((item.body.as_str(), item.headers["content-length"].to_str().ok()), ("{\"id\":7}", Some("8")));
    assert!(item.headers["etag"].to_str().expect("text").starts_with("\"v1-jq"), "{item:?}");
    assert_eq!(server.get("/broken").await.body, "{", "a route without a program sends what the component made");
}

#[tokio::test]
async fn a_rule_that_needs_a_platform_is_named_at_the_start_and_can_be_left_out() {
    for (rule, key) in [
        ("middleware = [{ component = \"auth\" }]", "`middleware`"),
        ("idempotency = {}", "`idempotency`"),
        ("auth = { api-key = {} }", "`auth`"),
    ] {
        let project = project(&format!("[[gateway.routes]]\npath = \"/in\"\n{rule}\n"));
        let (file, config) = (project.path("app.wasm"), project.path("elias.toml"));
        let config = ["--config", config.to_str().expect("UTF-8")];
        let output = refused(&file, &config);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(key) && said.contains("/in") && said.contains("--no-gateway"), "{said}");
        let server = Server::of_project(project, "app.wasm", &["--no-gateway"]);
        assert_eq!(server.get("/elsewhere").await.body, "GET /elsewhere 0", "no route is needed either");
    }
    let project = project("[gateway.cors]\norigin = \"*\"\n");
    let (file, config) = (project.path("app.wasm"), project.path("elias.toml"));
    let said = refused(&file, &["--config", config.to_str().expect("UTF-8")]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("invalid-gateway-config"), "{said:?}");
}

#[tokio::test]
async fn a_development_server_follows_the_rules_and_the_files() {
    let project = project("[gateway.assets]\nfolder = \"public\"\n");
    let server = Server::develop(&project.path(""), &[]);
    assert_eq!(server.get("/").await.body, "<h1>Shop</h1>");
    project.write("public/index.html", "<h1>Another</h1>");
    project.write("public/css/new.css", "a {}");
    until("changed and new files are served", async || {
        let (page, style) = (server.get("/").await, server.get("/css/new.css").await);
        (page.body == "<h1>Another</h1>" && style.body == "a {}").then_some(())
    })
    .await;
    project.write("elias.toml", "[gateway.headers]\nset = { x-team = \"shop\" }\n");
    let changed = until("the new rules hold", async || {
        let page = server.get("/").await;
        page.headers.contains_key("x-team").then_some(page)
    });
    assert_eq!(changed.await.body, "GET / 0");
    project.write("elias.toml", "[gateway.nothing]\n");
    server.logged("gateway.nothing").await;
    assert_eq!(server.get("/").await.headers["x-team"], "shop", "the last good rules go on");
}

const WORKER_CONFIG: &str = r#"
[gateway.headers]
set = { x-team = "shop" }

[[gateway.routes]]
path = "/carts/{user}"
worker = { class = "Cart", name = "cart-{user}", method = "view" }

[[gateway.routes]]
path = "/checked/{user}"
worker = { class = "Cart", name = "{user}" }
validate = { body = { type = "object", required = ["sku"] }, max-body-bytes = 1000 }
response-transform = "{ sku }"

[[gateway.routes]]
path = "/nobody"
worker = { class = "Nobody", name = "a" }

[[gateway.routes]]
path = "/open"
"#;

const WORKER_SOURCE: &str = r#"
import { worker } from "elias";

export class Cart extends worker.Worker {
  items = [];
  onMessage(item) {
    if (item.sku === "bad") throw new RangeError("as told");
    this.items.push(item);
    return { ...item, count: this.items.length };
  }
  view(query) { return { query, items: this.items, who: worker.name }; }
}

export default { fetch() { return new Response("the component"); } };
"#;

#[tokio::test]
async fn routes_to_workers_lead_to_those_of_the_process() {
    let files = [("elias.toml", WORKER_CONFIG), ("package.json", r#"{"name":"app"}"#), ("src/index.js", WORKER_SOURCE)];
    let project = Project::new(&files);
    project.write("app.wasm", project.build("src/index.js"));
    let server = Server::of_project(project, "app.wasm", &[]);
    let json = || http::Request::post("/").header("content-type", "application/json");
    let added = server.send(json(), "/carts/ada", r#"{"sku":"tea"}"#).await;
    assert_eq!((added.status, added.json()), (200, serde_json::json!({ "sku": "tea", "count": 1 })));
    assert_eq!(added.headers["x-team"], "shop");
    let view = server.get("/carts/ada?a=1&b=2&b=3").await.json();
    let query = serde_json::json!({ "a": "1", "b": ["2", "3"] });
    assert_eq!(view, serde_json::json!({ "query": query, "items": [{ "sku": "tea" }], "who": "cart-ada" }));
    let checked = server.send(json(), "/checked/bo", r#"{"sku":"tea"}"#).await;
    assert_eq!(checked.body, r#"{"sku":"tea"}"#, "checked and transformed");
    for (path, body, status, code) in [
        ("/checked/bo", "{}", 422, "invalid-request"),
        ("/carts/ada", "{", 400, "malformed-json"),
        ("/carts/ada", r#"{"sku":"bad"}"#, 500, "exception"),
        ("/nobody", "{}", 503, "unavailable"),
    ] {
        let refused = server.send(json(), path, body).await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{path} {body}");
    }
    assert_eq!(server.get("/checked/bo").await.code(), "method-not-allowed");
    assert_eq!(server.get("/open").await.body, "the component");
}
