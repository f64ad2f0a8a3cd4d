//! The gateway in the shipped server: files, rate limits, keys and tokens, schemas, compression; and users of an
//! identity provider in the admin API.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::PATIENCE;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Says who calls, and how long a body it got.
fn echo() -> Vec<u8> {
    component(
        "export default { async fetch(request, env, ctx) {
            const { pathname } = new URL(request.url);
            if (pathname === '/long') return new Response('word '.repeat(2000), { headers: { 'content-type': \
            'text/plain' } });
            const { tenantId, userId, organizationId, claims } = ctx;
            return Response.json({ tenantId, userId, organizationId, claims, body: (await request.text()).length });
        } };",
    )
}

#[tokio::test]
async fn files_beside_a_component_are_served_with_tags_and_ranges_and_the_rest_is_the_components() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let (page, style) = (team.upload(b"<h1>Shop</h1>").await, team.upload(b"body { color: red }").await);
    let settings = json!({
        "files": { "public/index.html": page, "public/css/main.css": style, "other/secret.txt": page },
        "gateway": { "assets": { "folder": "public" } },
    });
    team.serve("shop", &echo(), settings).await;
    let first = team.get("shop", "/").await;
    assert_eq!((first.status, first.body.as_str()), (200, "<h1>Shop</h1>"));
    assert_eq!(first.headers["content-type"], "text/html; charset=utf-8");
    let host = team.host("shop");
    let again = http::Request::get("/").header("if-none-match", first.headers["etag"].clone());
    assert_eq!(platform.ask_with(again, &host, "/", "").await.status, 304);
    let part = http::Request::get("/").header("range", "bytes=0-3");
    let part = platform.ask_with(part, &host, "/css/main.css", "").await;
    assert_eq!((part.status, part.body.as_str()), (206, "body"));
    for path in ["/api", "/other/secret.txt", "/secret.txt"] {
        assert!(team.get("shop", path).await.body.contains("tenantId"), "{path} is the component's");
    }
}

#[tokio::test]
async fn rules_refuse_before_the_component_runs_and_shape_what_it_answers() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let schema = json!({ "type": "object", "required": ["sku"], "properties": { "sku": { "type": "string" } } });
    let settings = json!({ "gateway": {
        "compress": {},
        "headers": {},
        "routes": [
            { "path": "/limited", "rate-limit": { "requests": 2, "per-seconds": 3600 } },
            { "path": "/orders", "methods": ["POST"], "validate": { "body": schema } },
            { "path": "/{*rest}", "cors": { "origins": ["https://shop.example.com"] } },
        ],
    } });
    team.serve("shop", &echo(), settings).await;
    let host = team.host("shop");

    for wanted in [200, 200, 429] {
        assert_eq!(team.get("shop", "/limited").await.status, wanted);
    }
    let refused = team.get("shop", "/limited").await;
    assert!(refused.headers.contains_key("retry-after") && refused.headers.contains_key("ratelimit"), "{refused:?}");

    assert_eq!(team.get("shop", "/orders").await.status, 405);
    let send = async |body: &'static str| {
        let request = http::Request::post("/").header("content-type", "application/json");
        platform.ask_with(request, &host, "/orders", body).await
    };
    assert_eq!(send("{\"sku\":\"A\"}").await.status, 200);
    let wrong = send("{\"sku\":7}").await;
    let problem: Value = serde_json::from_str(&wrong.body).expect("a problem document");
    assert!((400..423).contains(&wrong.status) && problem["errors"][0]["pointer"] == "#/sku", "{wrong:?}");

    let preflight = http::Request::options("/").header("origin", "https://shop.example.com");
    let preflight = preflight.header("access-control-request-method", "DELETE");
    let preflight = platform.ask_with(preflight, &host, "/long", "").await;
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    let long = http::Request::get("/").header("accept-encoding", "gzip").header("origin", "https://shop.example.com");
    let long = platform.ask_with(long, &host, "/long", "").await;
    assert_eq!(long.headers["content-encoding"], "gzip");
    assert_eq!(long.headers["x-content-type-options"], "nosniff");
    assert_eq!(long.headers["access-control-allow-origin"], "https://shop.example.com");
    assert!(long.body.len() < 1_000, "ten thousand characters became {} bytes", long.body.len());

    for path in ["/a//b", "/a/../b", "/a%2fb"] {
        let ambiguous = platform.ask(&host, path).await;
        assert_eq!((ambiguous.status, ambiguous.code().as_str()), (400, "ambiguous-path"), "{path}");
    }
}

#[tokio::test]
async fn api_keys_are_tokens_of_the_tenant_and_say_who_calls() {
    let platform = Platform::start(&[]);
    let (team, other) = (platform.default_tenant(), platform.new_tenant("other", json!({})).await);
    let rules = json!({ "gateway": { "auth": { "api-key": {} } } });
    team.serve("shop", &echo(), rules.clone()).await;
    other.serve("shop", &echo(), rules).await;
    team.done("POST", "/organizations", json!({ "id": "analysts", "settings": { "name": "Analysts" } })).await;
    let ada = json!({ "id": "ada", "settings": { "name": "Ada", "organization": "analysts" } });
    team.done("POST", "/users", ada).await;
    let made = json!({ "name": "app", "role": "caller", "days": 1, "user_id": "ada" });
    let key = team.done("POST", "/tokens", made).await["secret"].as_str().expect("a secret").to_owned();
    let ask = async |host: &str, key: &str| {
        platform.ask_with(http::Request::get("/").header("x-api-key", key), host, "/", "").await
    };
    let known = ask(&team.host("shop"), &key).await;
    let who: Value = serde_json::from_str(&known.body).expect("JSON");
    assert_eq!(
        (&who["tenantId"], &who["userId"], &who["organizationId"]),
        (&json!("default"), &json!("ada"), &json!("analysts"))
    );
    for (host, key) in [(team.host("shop"), "elias_no"), (other.host("shop"), key.as_str())] {
        let refused = ask(&host, key).await;
        assert_eq!(refused.status, 401, "{host} {refused:?}");
        assert!(refused.headers.contains_key("www-authenticate"));
    }
    let none = team.get("shop", "/").await;
    assert_eq!(none.status, 401, "{none:?}");
}

/// An identity provider: its keys over HTTP, and tokens that it signs.
struct Issuer {
    key: SigningKey,
    url: String,
}

impl Issuer {
    async fn start() -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let keys =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": x }] });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("it listens"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = keys.to_string();
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { key, url }
    }

    fn token(&self, change: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims = json!({ "iss": "https://id.test", "aud": "shop", "sub": "ada", "iat": now, "exp": now + 600 });
        for (name, value) in change.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "kid": "k1", "typ": "JWT" })), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    }
}

#[tokio::test]
async fn tokens_of_an_identity_provider_are_checked_and_their_claims_reach_the_component() {
    let issuer = Issuer::start().await;
    let platform = Platform::start(&["--private-network", "127.0.0.0/8"]);
    let team = platform.default_tenant();
    let jwt = json!({ "jwks": issuer.url, "issuer": "https://id.test", "audience": "shop" });
    team.serve("shop", &echo(), json!({ "gateway": { "auth": { "jwt": jwt } } })).await;
    let ask = async |token: &str| {
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        platform.ask_with(request, &team.host("shop"), "/", "").await
    };
    let good = issuer.token(json!({ "role": "buyer" }));
    // The keys are fetched after the deployment.
    let answer =
        until("the keys are there", async || Some(ask(&good).await).filter(|answer| answer.status != 503)).await;
    let who: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((&who["userId"], &who["claims"]["role"]), (&json!("ada"), &json!("buyer")), "{answer:?}");
    let altered = format!("{}x", &good[..good.len() - 2]);
    for (what, token) in [
        ("expired", issuer.token(json!({ "exp": 1_000_000_000 }))),
        ("of another issuer", issuer.token(json!({ "iss": "https://evil.test" }))),
        ("for another audience", issuer.token(json!({ "aud": "blog" }))),
        ("altered", altered),
        ("nothing", String::new()),
    ] {
        assert_eq!(ask(&token).await.status, 401, "{what}");
    }
}

#[tokio::test]
async fn a_stream_of_events_ends_when_the_token_does_by_which_it_was_opened() {
    let source = r#"
import { worker } from "elias";
export class Feed extends worker.Worker {
  codes = [];
  onEventStream(stream) { stream.send("welcome"); }
  onClose(stream, code) { this.codes.push(code); }
  view() { return this.codes; }
}
export default { fetch() { return new Response("up"); } };
"#;
    let issuer = Issuer::start().await;
    let platform = Platform::start(&["--private-network", "127.0.0.0/8"]);
    let team = platform.default_tenant();
    let jwt = json!({ "jwks": issuer.url, "issuer": "https://id.test", "audience": "shop", "leeway-seconds": 0 });
    let worker = json!({ "class": "Feed", "name": "all", "method": "view", "events": true });
    let routes = json!([
        { "path": "/feed", "worker": worker, "auth": { "jwt": jwt } },
        { "path": "/codes", "worker": { "class": "Feed", "name": "all", "method": "view" } },
    ]);
    let grants = json!({ "workers": {} });
    let settings = json!({ "capabilities": grants, "gateway": { "routes": routes }, "smoke": { "path": "" } });
    team.serve("shop", &elias_tests::build::component(source), settings).await;
    let host = team.host("shop");
    let feed = async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let token = issuer.token(json!({ "exp": now + 8 }));
        let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
        let request = request.header("accept", "text/event-stream");
        // The response is read to its end.
        Some(platform.ask_with(request, &host, "/feed", "").await).filter(|answer| answer.status == 200)
    };
    let answer = until("the keys are there", feed).await;
    assert_eq!(answer.body, "data: welcome\n\n");
    let codes = async || (platform.ask(&host, "/codes").await.json() == json!([1008])).then_some(());
    until("the worker knows", codes).await;
}

#[tokio::test]
async fn users_of_an_identity_provider_use_the_admin_api_as_their_claims_say() {
    let issuer = Issuer::start().await;
    let flags = ["--oidc-issuer", "https://id.test", "--oidc-jwks", &issuer.url, "--oidc-audience", "shop"];
    let platform = Platform::start(&[&flags[..], &["--private-network", "127.0.0.0/8"]].concat());
    let ask =
        async |claims: Value, path: &str| platform.admin_as(&issuer.token(claims), "GET", path, Value::Null).await;
    let viewer = json!({ "elias_tenant": "default", "elias_role": "viewer" });
    let whoami = until("the keys are there", async || {
        let (status, answer) = ask(viewer.clone(), "/v1/whoami").await;
        (status == 200).then_some(answer)
    });
    let whoami = whoami.await;
    assert_eq!((&whoami["name"], &whoami["role"]), (&json!("user:ada"), &json!("viewer")));
    assert_eq!(ask(viewer.clone(), "/v1/tenants/default/components").await.0, 200);
    assert_eq!(ask(viewer, "/v1/tenants/default/tokens").await.0, 403);
    assert_eq!(ask(json!({ "elias_tenant": "other", "elias_role": "admin" }), "/v1/tenants/default").await.0, 403);
    // The role's claim may name one that the tenant defined.
    let reads = json!({ "ceiling": "viewer", "policy": "permit (principal, action == Action::\"read\", resource);" });
    platform.default_tenant().done("PUT", "/roles/reader", reads).await;
    let reader = json!({ "elias_tenant": "default", "elias_role": "reader" });
    assert_eq!(ask(reader.clone(), "/v1/tenants/default/components").await.0, 200);
    assert_eq!(ask(reader, "/v1/tenants/default/roles").await.0, 403);
    // Whoever is seen first is recorded, and refused from the request on after that is disabled.
    let team = platform.default_tenant();
    let ada = team.done("GET", "/users/ada", Value::Null).await;
    assert_eq!((&ada["created_by"], &ada["role"], &ada["revision"]), (&json!("user:ada"), &Value::Null, &json!(1)));
    let components = "/v1/tenants/default/components";
    let admin = json!({ "elias_tenant": "default", "elias_role": "admin" });
    assert_eq!(ask(admin.clone(), "/v1/tenants/default/tokens").await.0, 200);
    team.done("PUT", "/users/ada", json!({ "name": "Ada", "role": "viewer" })).await;
    assert_eq!(ask(admin.clone(), "/v1/tenants/default/tokens").await.0, 403, "the record bounds what the claim says");
    team.done("PUT", "/users/ada", json!({ "name": "Ada", "disabled": true })).await;
    assert_eq!(ask(admin.clone(), components).await.0, 401);
    team.done("PUT", "/users/ada", json!({ "name": "Ada" })).await;
    assert_eq!(ask(admin.clone(), components).await.0, 200);
    let grace = json!({
        "sub": "grace", "name": "Grace", "email": "grace@a.example", "elias_tenant": "default",
        "elias_role": "viewer",
    });
    assert_eq!(ask(grace, components).await.0, 200);
    let grace = team.done("GET", "/users/grace", Value::Null).await;
    assert_eq!((&grace["name"], &grace["email"]), (&json!("Grace"), &json!("grace@a.example")));
    for claims in
        [json!({}), json!({ "elias_tenant": "default" }), json!({ "elias_tenant": "default", "elias_role": "god" })]
    {
        let (status, answer) = ask(claims.clone(), "/v1/whoami").await;
        assert_eq!((status, &answer["code"]), (403, &json!("no-role")), "{claims}");
    }
    // Why is said of tokens that the provider has signed, and in the log of all.
    let (status, answer) = ask(json!({ "exp": 1_000_000_000 }), "/v1/whoami").await;
    assert_eq!((status, &answer["code"]), (401, &json!("token-expired")), "{answer}");
    let (status, answer) = ask(json!({ "aud": "blog" }), "/v1/whoami").await;
    assert_eq!((status, &answer["code"]), (401, &json!("unauthenticated")), "{answer}");
    platform.logged("the token is for another audience").await;
    platform.logged("it must have the claim `elias_role`, a text").await;
}

#[tokio::test]
async fn an_identity_provider_whose_keys_cannot_be_fetched_is_told_apart_from_a_wrong_token() {
    let issuer = Issuer::start().await;
    // Nobody listens there.
    let jwks = "http://127.0.0.1:9/keys";
    let flags = ["--oidc-issuer", "https://id.test", "--oidc-jwks", jwks, "--oidc-audience", "shop"];
    let platform = Platform::start(&[&flags[..], &["--private-network", "127.0.0.0/8"]].concat());
    let token = issuer.token(json!({ "elias_tenant": "default", "elias_role": "viewer" }));
    let (status, answer) = platform.admin_as(&token, "GET", "/v1/whoami", Value::Null).await;
    assert_eq!((status, &answer["code"]), (503, &json!("auth-unavailable")), "{answer}");
    platform.logged("the keys for tokens were not fetched yet").await;
    platform.logged("the keys of an identity provider cannot be fetched").await;
}

#[tokio::test]
async fn only_requests_that_are_safe_to_repeat_are_tried_again_and_only_where_a_version_says_so() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    // Fails at the first try of each key.
    let flaky = component(
        "import { cache } from 'elias/cache';
        export default { async fetch(request) {
            const key = new URL(request.url).searchParams.get('key');
            if (await cache.get(key)) return new Response('at the second try');
            await cache.set(key, true);
            throw new Error('at the first try');
        } };",
    );
    let settings = |retries: u32| {
        json!({
            "capabilities": { "cache": {} },
            "supervision": { "retries": retries },
            "smoke": { "path": "" },
        })
    };
    team.serve("shop", &flaky, settings(1)).await;
    let host = team.host("shop");
    assert_eq!(team.get("shop", "/?key=a").await.body, "at the second try");
    for request in [http::Request::post("/"), http::Request::patch("/")] {
        let key = format!("/?key={}", request.method_ref().expect("a method"));
        assert_eq!(platform.ask_with(request, &host, &key, "").await.status, 500);
    }
    assert_eq!(
        platform.ask_with(http::Request::put("/"), &host, "/?key=body", "body").await.status,
        500,
        "its body is gone"
    );
    team.serve("shop", &flaky, settings(0)).await;
    assert_eq!(team.get("shop", "/?key=b").await.status, 500);
}

#[tokio::test]
async fn what_a_tenant_stores_is_bounded_and_files_count_too() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("small", json!({ "quotas": { "storage-bytes": 1000 } })).await;
    team.upload(&[b'a'; 600]).await;
    team.upload(&[b'b'; 600]).await;
    let third = [b'c'; 600];
    let refused = team.put_artifact(&elias_contract::digest(&third), &third).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "quota-exceeded"));
}

#[tokio::test]
async fn events_pass_as_they_happen_and_websockets_are_refused_by_name() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    // Each event follows a piece of the request's body.
    let events = component(
        "export default { fetch(request) {
            const text = new TextEncoder();
            return new Response(new ReadableStream({ async start(controller) {
                controller.enqueue(text.encode('data: begins\\n\\n'));
                if (request.body) for await (const piece of request.body) controller.enqueue(text.encode('data: ' + \
                piece.length + '\\n\\n'));
                controller.close();
            } }), { headers: { 'content-type': 'text/event-stream' } });
        } };",
    );
    let rules = json!({ "gateway": { "compress": { "min-bytes": 0 }, "cache": {}, "headers": {} } });
    team.serve("shop", &events, rules).await;
    let host = team.host("shop");
    let mut stream = tokio::net::TcpStream::connect(platform.address).await.expect("it listens");
    let head =
        format!("POST / HTTP/1.1\r\nhost: {host}\r\naccept-encoding: gzip, br\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut seen = Vec::new();
    let mut sees = async |stream: &mut tokio::net::TcpStream, text: &str| {
        let reading = async {
            while !String::from_utf8_lossy(&seen).contains(text) {
                assert!(stream.read_buf(&mut seen).await.expect("it goes on") > 0, "it ended before {text}");
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{text} is never seen"));
        String::from_utf8_lossy(&seen).into_owned()
    };
    let begun = sees(&mut stream, "data: begins").await;
    assert!(!begun.contains("content-encoding"), "{begun}");
    for piece in ["2\r\nab\r\n", "3\r\nabc\r\n"] {
        stream.write_all(piece.as_bytes()).await.expect("it is sent");
        sees(&mut stream, &format!("data: {}", &piece[..1])).await;
    }

    let upgrade = "GET / HTTP/1.1\r\nhost: HOST\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut stream = tokio::net::TcpStream::connect(platform.address).await.expect("it listens");
    stream.write_all(upgrade.replace("HOST", &host).as_bytes()).await.expect("it is sent");
    let mut answer = vec![0; 2048];
    let count = stream.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 501") && answer.contains(r#""code":"upgrade-not-supported""#), "{answer}");
}
