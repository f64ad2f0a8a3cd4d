//! Middleware of routes and transformations of responses, in the shipped server: what a client, the component and the
//! records see of them.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// Lets requests with a token go on, and says whose it is, also by headers that no route lists.
fn auth() -> Vec<u8> {
    component(
        "export default { fetch(request) {
            const token = request.headers.get('authorization');
            if (token === null) return new Response('who are you?', { status: 401, headers: { 'www-authenticate': \
            'Bearer', 'elias-middleware': 'stop' } });
            return new Response('not for the client', { headers: { 'elias-middleware': 'continue', 'x-user': \
            token.slice(7), 'x-not-listed': '1', 'content-type': 'text/css' } });
        } };",
    )
}

/// Lets every request go on, with what it saw.
fn trail() -> Vec<u8> {
    component(
        "export default { async fetch(request) {
            const seen = `${request.headers.get('x-user')}:${(await request.text()).length}`;
            return new Response(null, { headers: { 'elias-middleware': 'continue', 'x-trail': seen } });
        } };",
    )
}

/// Says what it got.
fn shop() -> Vec<u8> {
    component(
        "export default { async fetch(request) {
            const named = ['x-user', 'x-trail', 'x-not-listed', 'elias-middleware', 'content-type'];
            const headers = Object.fromEntries(named.map((name) => [name, request.headers.get(name)]));
            return Response.json({ ...headers, body: (await request.text()).length });
        } };",
    )
}

/// Settings under which failures do not open a circuit.
fn patient(gateway: Value) -> Value {
    let supervision = json!({ "consecutive-failures": 100_000, "error-rate": 1.0, "error-rate-requests": 1_000_000 });
    json!({ "gateway": gateway, "supervision": supervision })
}

/// A tenant's executions by a query, once there are as many as these.
async fn recorded(team: &Tenant<'_>, query: &str, least: usize) -> Vec<Value> {
    until(&format!("{least} executions are recorded for {query}"), async || {
        let all = team.done("GET", &format!("/executions?limit=1000&{query}"), Value::Null).await;
        let items = all["items"].as_array().expect("a list").clone();
        (items.len() >= least).then_some(items)
    })
    .await
}

async fn send(platform: &Platform, team: &Tenant<'_>, path: &str, headers: &[(&str, &str)]) -> Answer {
    let with = |request: http::request::Builder, (name, value): &(&str, &str)| request.header(*name, *value);
    let request = headers.iter().fold(http::Request::get("/"), with);
    platform.ask_with(request, &team.host("shop"), path, "").await
}

#[tokio::test]
async fn middleware_run_in_order_respond_early_and_alone_say_who_calls() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("auth", &auth(), json!({})).await;
    team.serve("trail", &trail(), json!({})).await;
    let steps = json!([{ "component": "auth", "sets": ["x-user"] }, { "component": "trail", "sets": ["x-trail"] }]);
    let gateway = json!({
        "cors": { "origins": ["https://shop.example.com"] },
        "routes": [{ "path": "/in", "middleware": steps }, { "path": "/open" }],
    });
    team.serve("shop", &shop(), json!({ "gateway": gateway })).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let origin = ("origin", "https://shop.example.com");
    let early = send(&platform, &team, "/in", &[origin, ("traceparent", &traceparent)]).await;
    assert_eq!((early.status, early.body.as_str()), (401, "who are you?"));
    assert_eq!(early.headers["www-authenticate"], "Bearer");
    assert_eq!(early.headers["access-control-allow-origin"], "https://shop.example.com");
    assert!(!early.headers.contains_key("elias-middleware"), "{early:?}");
    let head = platform.ask_with(http::Request::head("/"), &team.host("shop"), "/in", "").await;
    assert_eq!((head.status, head.body.as_str()), (401, ""));

    // What a client says of itself is gone, on every route; so is what a middleware says and no route lists.
    let forged = [("x-user", "root"), ("X-Trail", "forged"), ("x-not-listed", "2"), ("traceparent", &traceparent)];
    let token = ("authorization", "Bearer ada");
    let inside = send(&platform, &team, "/in", &[&forged[..], &[token]].concat()).await.json();
    assert_eq!((&inside["x-user"], &inside["x-trail"]), (&json!("ada"), &json!("ada:0")));
    assert_eq!((&inside["x-not-listed"], &inside["elias-middleware"]), (&json!("2"), &Value::Null));
    assert_eq!(inside["content-type"], Value::Null, "of the response nothing else is used");
    let open = send(&platform, &team, "/open", &forged).await.json();
    assert_eq!((&open["x-user"], &open["x-trail"], &open["x-not-listed"]), (&Value::Null, &Value::Null, &json!("2")));

    // Each is an execution of its own in the trace of its request.
    let all = recorded(&team, &format!("trace={traceparent}"), 5).await;
    let of = |name: &str| all.iter().filter(|execution| execution["component"] == name).collect::<Vec<_>>();
    assert_eq!([of("auth").len(), of("trail").len(), of("shop").len()], [2, 1, 2], "{all:?}");
    assert!(all.iter().all(|execution| execution["outcome"] == "completed"), "{all:?}");
    assert!(all.iter().all(|execution| execution["fuel"].as_u64().is_some_and(|fuel| fuel > 0)), "{all:?}");
    let mut status: Vec<_> = of("auth").iter().map(|execution| execution["status"].as_u64()).collect();
    status.sort_unstable();
    assert_eq!(status, [Some(200), Some(401)]);
}

#[tokio::test]
async fn a_body_is_given_to_those_who_ask_for_it_and_has_a_bound() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("trail", &trail(), json!({})).await;
    let with = json!([{ "component": "trail", "sets": ["x-trail"], "max-body-bytes": 10_000 }]);
    let without = json!([{ "component": "trail", "sets": ["x-trail"] }]);
    let gateway = json!({ "routes": [
        { "path": "/with", "middleware": with },
        { "path": "/without", "middleware": without },
        { "path": "/keyed", "middleware": with, "idempotency": {} },
    ] });
    team.serve("shop", &shop(), json!({ "gateway": gateway })).await;
    let post = async |path: &str, bytes: usize| {
        let request = http::Request::post("/").header("content-type", "text/plain").header("idempotency-key", "k");
        platform.ask_with(request, &team.host("shop"), path, "x".repeat(bytes)).await
    };
    for (path, bytes, seen) in [("/with", 10_000, 10_000), ("/without", 100_000, 0), ("/keyed", 10_000, 10_000)] {
        let answer = post(path, bytes).await.json();
        assert_eq!((&answer["x-trail"], &answer["body"]), (&json!(format!("null:{seen}")), &json!(bytes)), "{path}");
    }
    let large = post("/with", 10_001).await;
    assert_eq!((large.status, large.code().as_str()), (413, "request-too-large"));
    assert_eq!(post("/keyed", 10_000).await.headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn a_rate_limit_by_a_header_of_middleware_counts_each_user_by_what_middleware_says() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("auth", &auth(), json!({})).await;
    let gateway = json!({
        "middleware": [{ "component": "auth", "sets": ["x-user"] }],
        "rate-limit": { "requests": 2, "per-seconds": 3600, "by": "header", "header": "x-user" },
    });
    team.serve("shop", &shop(), json!({ "gateway": gateway })).await;
    let ask = async |token: &str, forged: &str| {
        let headers = [("authorization", token), ("x-user", forged)];
        send(&platform, &team, "/", &headers).await
    };
    for forged in ["one", "two"] {
        assert_eq!(ask("Bearer ada", forged).await.status, 200);
    }
    let refused = ask("Bearer ada", "three").await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (429, true), "{refused:?}");
    assert!(refused.body.contains("rate-limited"), "{refused:?}");
    assert_eq!(ask("Bearer bob", "ada").await.status, 200, "another user, who calls himself by the name of the first");
}

#[tokio::test]
async fn a_call_has_the_limits_of_its_route_and_its_failure_is_the_requests_or_none() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let costly = component(
        "export default { async fetch(request) {
            const { pathname } = new URL(request.url);
            if (pathname.endsWith('fuel')) for (globalThis.n = 0; ; ) globalThis.n += 1;
            if (pathname.endsWith('time')) await new Promise((resolve) => setTimeout(resolve, 600_000));
            if (pathname.endsWith('memory')) globalThis.kept = new Uint8Array(48 << 20).fill(1);
            if (pathname.endsWith('throw')) throw new RangeError('as told');
            return new Response(null, { headers: { 'elias-middleware': 'continue' } });
        } };",
    );
    team.serve("costly", &costly, patient(json!({}))).await;
    let step = |limits: &Value, on_error: &str| {
        let mut step = limits.clone();
        (step["component"], step["on-error"]) = (json!("costly"), json!(on_error));
        step
    };
    let mut routes = Vec::new();
    let cases = [
        ("fuel", json!({ "fuel": 50_000_000 }), 500, "out-of-fuel"),
        ("time", json!({ "timeout": "50ms" }), 504, "deadline"),
        ("memory", json!({ "memory-bytes": 32 << 20 }), 500, "out-of-memory"),
        ("throw", json!({}), 500, "exception"),
    ];
    for (name, limits, ..) in &cases {
        routes.push(json!({ "path": format!("/{name}"), "middleware": [step(limits, "refuse")] }));
        routes.push(json!({ "path": format!("/lenient/{name}"), "middleware": [step(limits, "continue")] }));
    }
    routes.push(json!({ "path": "/roomy/memory", "middleware": [step(&json!({}), "refuse")] }));
    team.serve("shop", &shop(), json!({ "gateway": { "routes": routes } })).await;
    for (name, _, status, code) in &cases {
        let refused = team.get("shop", &format!("/{name}")).await;
        assert_eq!((refused.status, refused.code().as_str()), (*status, *code), "{name}");
        assert_eq!(team.get("shop", &format!("/lenient/{name}")).await.status, 200, "{name}");
    }
    assert_eq!(team.get("shop", "/roomy/memory").await.status, 200, "the component itself may use more");
    let failed = recorded(&team, "component=costly&failed=true", 2 * cases.len()).await;
    assert_eq!(failed.len(), 2 * cases.len(), "{failed:?}");
    assert!(recorded(&team, "component=shop", 5).await.iter().all(|execution| execution["outcome"] == "completed"));
}

#[tokio::test]
async fn middleware_that_is_missing_stopped_or_called_in_a_circle() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let behind = |name: &str| json!({ "gateway": { "middleware": [{ "component": name, "sets": ["x-trail"] }] } });
    let number = team.version("shop", &shop(), behind("trail")).await;
    let deployments = service("shop", "production", "/deployments");
    let (code, message) = team.refused("POST", &deployments, json!({ "version": number })).await;
    assert!(code == "wrong-state" && message.contains("trail is not deployed in production"), "{code}: {message}");
    let own = json!({ "digest": team.upload(&shop()).await, "settings": behind("shop") });
    let (code, message) = team.refused("POST", "/components/shop/versions", own).await;
    assert!(code == "bad-input" && message.contains("middleware of its own"), "{code}: {message}");

    team.serve("trail", &trail(), json!({})).await;
    team.deploy("shop", "production", number, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.json()["x-trail"], "null:0");

    // Each is middleware of the other, and is called once: the rules of its own routes are for requests of clients.
    team.serve("trail", &trail(), behind("shop")).await;
    assert_eq!(team.get("shop", "/").await.json()["x-trail"], "null:0");
    assert_eq!(team.get("trail", "/").await.json()["body"], 0, "shop has responded in the place of trail");

    team.done("POST", &service("trail", "production", "/stop"), Value::Null).await;
    let stopped = team.get("shop", "/").await;
    assert_eq!((stopped.status, stopped.code().as_str()), (503, "stopped"));
}

#[tokio::test]
async fn files_and_cached_responses_are_behind_middleware_and_streams_pass() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let gate = component(
        "export default { fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            if (pathname === '/stream') {
                const parts = ['one ', 'two ', 'three'];
                const pull = (controller) => parts.length === 0 ? controller.close() : \
             controller.enqueue(new TextEncoder().encode(parts.shift()));
                return new Response(new ReadableStream({ pull }));
            }
            if (searchParams.has('out')) return Response.json({ error: 'out' }, { status: 403 });
            const user = searchParams.get('user') ?? 'nobody';
            return new Response(null, { headers: { 'elias-middleware': 'continue', 'x-user': user } });
        } };",
    );
    let page = component(
        "export default { fetch(request) {
            const shared = new URL(request.url).searchParams.has('shared') ? 'public, ' : '';
            const headers = { 'cache-control': shared + 'max-age=60', vary: 'x-user' };
            return new Response(request.headers.get('x-user') + crypto.randomUUID(), { headers });
        } };",
    );
    team.serve("gate", &gate, json!({})).await;
    let file = team.upload(b"secret").await;
    let settings = json!({
        "files": { "public/secret.txt": file },
        "gateway": {
            "middleware": [{ "component": "gate", "sets": ["x-user"] }], "assets": { "folder": "public" }, "cache": {},
        },
    });
    team.serve("shop", &page, settings).await;
    let file = team.get("shop", "/secret.txt").await;
    assert_eq!((file.status, file.body.as_str()), (200, "secret"));
    assert!(file.headers["cache-control"].to_str().expect("text").starts_with("private"), "{file:?}");
    assert_eq!(team.get("shop", "/secret.txt?out").await.status, 403);
    assert_eq!(team.get("shop", "/stream").await.body, "one two three");

    let (one, two) = (team.get("shop", "/a").await, team.get("shop", "/a").await);
    assert_ne!(one.body, two.body, "a response for a caller whom a middleware named is for that caller alone");
    let ask = async |user: &str| team.get("shop", &format!("/b?shared&user={user}")).await;
    let (ada, again, bob) = (ask("ada").await, ask("ada").await, ask("bob").await);
    assert!(ada.body == again.body && ada.body.starts_with("ada") && bob.body.starts_with("bob"), "{ada:?} {bob:?}");
    assert_eq!(team.get("shop", "/b?shared&user=ada&out").await.status, 403);
}

/// Responds with what its path asks for, and says in a header what it was asked.
fn api() -> Vec<u8> {
    component(
        "const item = JSON.stringify({ id: 7, secret: 'hidden', price: 1.5 });
        export default { fetch(request) {
            const { pathname } = new URL(request.url);
            const asked = JSON.stringify(['range', 'accept-encoding', 'if-none-match'].map((name) => \
         request.headers.get(name)));
            const headers = { 'content-type': 'application/json', etag: '\"v1\"', 'x-asked': asked, 'cache-control': \
         'max-age=60' };
            if (pathname === '/text') return new Response('hidden', { headers: { 'content-type': 'text/plain' } });
            if (pathname === '/events') return new Response('data: {}\\n\\n', { headers: { 'content-type': \
         'text/event-stream' } });
            if (pathname === '/missing') return Response.json({ error: 'hidden' }, { status: 404 });
            if (pathname === '/large') return new Response(JSON.stringify('x'.repeat(1 << 20)), { headers });
            if (pathname === '/no-json') return new Response('hidden', { headers });
            if (pathname === '/part') return new Response('hid', { status: 206, headers });
            const isKnown = request.headers.get('if-none-match') === headers.etag;
            if (isKnown) return new Response(null, { status: 304, headers });
            return new Response(request.method === 'HEAD' ? null : item, { headers });
        } };",
    )
}

#[tokio::test]
async fn json_responses_are_transformed_with_the_headers_that_belong_to_them() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let gateway = json!({
        "response-transform": "{ id, price }",
        "routes": [
            { "path": "/item" },
            { "path": "/small", "compress": { "min-bytes": 1, "codings": ["gzip"] } },
            { "path": "/cached", "cache": {} },
            { "path": "/{*rest}" },
        ],
    });
    team.serve("shop", &api(), json!({ "gateway": gateway })).await;
    let whole = "{\"id\":7,\"price\":1.5}";
    let first = send(&platform, &team, "/item", &[("range", "bytes=0-3"), ("accept-encoding", "br, gzip")]).await;
    assert_eq!((first.status, first.body.as_str()), (200, whole));
    assert_eq!(first.headers["content-length"], whole.len().to_string());
    assert_eq!(first.headers["x-asked"], "[null,\"identity\",null]");
    let tag = first.headers["etag"].to_str().expect("text").to_owned();
    assert!(tag.starts_with("\"v1-jq"), "{tag}");
    let known = send(&platform, &team, "/item", &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.as_str(), known.headers["etag"].to_str().ok()), (304, "", Some(tag.as_str())));
    let untransformed = send(&platform, &team, "/item", &[("if-none-match", "\"v1\"")]).await;
    assert_eq!((untransformed.status, untransformed.body.as_str()), (200, whole));
    let head = platform.ask_with(http::Request::head("/"), &team.host("shop"), "/item", "").await;
    assert_eq!((head.status, head.body.as_str(), head.headers["etag"].to_str().ok()), (200, "", Some(tag.as_str())));
    assert!(!head.headers.contains_key("content-length"), "{head:?}");

    let small = send(&platform, &team, "/small", &[("accept-encoding", "gzip")]).await;
    assert_eq!(small.headers["content-encoding"], "gzip");
    assert_eq!(small.headers["etag"], format!("W/{tag}"));
    assert!(!small.headers.contains_key("content-length"), "{small:?}");

    let (miss, hit) = (team.get("shop", "/cached").await, team.get("shop", "/cached").await);
    assert_eq!((miss.body.as_str(), hit.body.as_str()), (whole, whole));
    assert!(hit.headers["cache-status"].to_str().expect("text").starts_with("elias; hit"), "{hit:?}");

    for (path, status, body) in
        [("/text", 200, "hidden"), ("/events", 200, "data: {}\n\n"), ("/missing", 404, "{\"error\":\"hidden\"}")]
    {
        let answer = team.get("shop", path).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_transformed_is_not_sent_and_the_record_says_why() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let route = |path: &str, program: &str| json!({ "path": path, "response-transform": program });
    let gateway = json!({ "routes": [
        route("/endless", "last(range(1000000000))"),
        route("/wrong", ".secret.id"),
        route("/nothing", "empty"),
        route("/{*rest}", "."),
    ] });
    team.serve("shop", &api(), patient(gateway)).await;
    for (path, reason) in [
        ("/endless", "steps"),
        ("/wrong", "cannot index"),
        ("/nothing", "no output"),
        ("/large", "1048576 bytes"),
        ("/no-json", "not JSON"),
        ("/part", "a part"),
    ] {
        let refused = team.get("shop", path).await;
        assert_eq!((refused.status, refused.code().as_str()), (500, "response-not-transformed"), "{path}");
        assert!(!refused.body.contains("hid") && !refused.headers.contains_key("etag"), "{refused:?}");
        let record = until(path, async || {
            let found = recorded(&team, "component=shop&failed=true", 1).await;
            found.into_iter().find(|execution| execution["source"] == format!("GET {path}"))
        });
        let error = record.await["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(reason), "{path}: {error}");
    }
    assert_eq!(team.get("shop", "/item").await.json()["id"], 7, "the others go on");
    let program = json!({ "response-transform": "def f: f; f" });
    let wrong = json!({ "digest": team.upload(&api()).await, "settings": { "gateway": program } });
    let (code, message) = team.refused("POST", "/components/shop/versions", wrong).await;
    assert!(code == "bad-input" && message.contains("gateway.response-transform"), "{code}: {message}");
}

#[tokio::test]
async fn a_middleware_is_not_told_by_a_client_what_its_own_middleware_tell_it() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let inner = component(
        "export default { fetch(request) {
            const trail = `${request.headers.get('x-role')} ${request.headers.get('x-user')}`;
            return new Response(null, { headers: { 'elias-middleware': 'continue', 'x-trail': trail } });
        } };",
    );
    team.serve("auth", &auth(), json!({})).await;
    let own = json!({ "middleware": [{ "component": "auth", "sets": ["x-role", "x-user"] }] });
    team.serve("inner", &inner, json!({ "gateway": own })).await;
    let steps = json!([{ "component": "auth", "sets": ["x-user"] }, { "component": "inner", "sets": ["x-trail"] }]);
    team.serve("shop", &shop(), json!({ "gateway": { "middleware": steps } })).await;
    let forged = [("x-role", "admin"), ("x-user", "root"), ("authorization", "Bearer ada")];
    let seen = send(&platform, &team, "/", &forged).await.json();
    assert_eq!(seen["x-trail"], "null ada", "what the route's own middleware said counts");
}

#[tokio::test]
async fn a_canary_is_not_told_by_a_client_what_its_own_middleware_would_tell_it() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("auth", &auth(), json!({})).await;
    team.serve("shop", &shop(), json!({})).await;
    let next = component(
        "export default { fetch: (request) => Response.json({ next: true, user: request.headers.get('x-user') }) };",
    );
    let steps = json!([{ "component": "auth", "sets": ["x-user"] }]);
    let version = team.version("shop", &next, json!({ "gateway": { "middleware": steps } })).await;
    let rollout = json!({ "steps": [50.0], "every-ms": 3_600_000, "requests": 1_000_000 });
    assert_eq!(team.deploy("shop", "production", version, rollout).await["state"], "canary");
    let (mut of_former, mut of_canary) = (None, None);
    until("both versions have responded", async || {
        let seen = send(&platform, &team, "/", &[("x-user", "root")]).await.json();
        match seen["next"] {
            Value::Bool(true) => of_canary = Some(seen["user"].clone()),
            _ => of_former = Some(seen["x-user"].clone()),
        }
        (of_former.is_some() && of_canary.is_some()).then_some(())
    })
    .await;
    assert_eq!(of_former, Some(json!("root")), "it has no middleware, and the header is the client's");
    assert_eq!(of_canary, Some(Value::Null));
}
