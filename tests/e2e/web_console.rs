//! The web console's side of the server: sessions of browsers, where their requests may come from, the policies under
//! which its pages run, and the streams that they follow.

use crate::platform_executions::Follower;
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::terminal::Terminal;
use http::Request;
use http::request::Builder;
use serde_json::{Value, json};

/// A browser that has signed in, or not yet.
pub(crate) struct Browser<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) origin: String,
    pub(crate) cookie: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(platform: &'a Platform) -> Self {
        Self { platform, origin: format!("http://{}", platform.admin_address), cookie: String::new() }
    }

    /// Signs in with a token, as the console's page does.
    async fn signed_in(platform: &'a Platform, token: &str) -> Self {
        let mut browser = Self::new(platform);
        let answer = browser.sign_in(token).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        browser.cookie = session_of(&answer).expect("a session");
        browser
    }

    pub(crate) async fn sign_in(&self, token: &str) -> Answer {
        self.write("POST", "/console/session", json!({ "token": token })).await
    }

    /// A request that the browser makes by itself, with its cookie.
    pub(crate) fn request(&self, method: &str) -> Builder {
        let request = Request::builder().method(method).header("user-agent", "Test Browser/1.0");
        if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.platform.call(self.request("GET").header("sec-fetch-site", "same-origin"), path, "").await
    }

    /// A request that a page of the console makes.
    async fn write(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method).header("origin", &self.origin).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.platform.call(request, path, body).await
    }
}

/// The cookie of a session in a response, with what browsers need to know of it.
pub(crate) fn session_of(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("ASCII"));
    let cookie = cookies.into_iter().find(|value| value.starts_with("__Host-elias="))?;
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    cookie.split(';').next().map(str::to_owned)
}

#[tokio::test]
async fn a_session_stands_for_its_token_and_ends_with_it() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant().with_role("developer", None).await;
    let browser = Browser::signed_in(&platform, &team.token).await;
    let whoami = browser.get("/v1/whoami").await.json();
    assert_eq!((&whoami["tenant"], &whoami["role"]), (&json!("default"), &json!("developer")));
    let state = browser.get("/console/session").await.json();
    assert_eq!(state["principal"]["name"], whoami["name"], "{state}");
    let nobody = Browser::new(&platform);
    assert_eq!(nobody.get("/console/session").await.json()["principal"], Value::Null);
    assert_eq!(nobody.get("/v1/whoami").await.code(), "unauthenticated");
    // It may do what the token may, and no more.
    assert_eq!(browser.get("/v1/tenants/default/tokens").await.code(), "forbidden");
    // It is a cookie, and no token.
    let value = browser.cookie.split_once('=').expect("a value").1;
    for token in [value.to_owned(), format!("session_{value}"), format!("elias_{value}")] {
        assert_eq!(platform.admin_as(&token, "GET", "/v1/whoami", Value::Null).await.0, 401, "{token}");
    }
    let secret = value.split_once('_').expect("an id and a secret").1;
    assert!(!platform.keeps(secret), "there is a hash of it in the store");
    // A request with a token is one of the token's, whatever cookies are with it.
    let operator = browser.request("GET").header("authorization", format!("Bearer {}", platform.token));
    assert_eq!(platform.call(operator, "/v1/whoami", "").await.json()["name"], "operator");

    let path = format!("/tokens/{}", whoami["name"].as_str().expect("an id"));
    platform.default_tenant().done("DELETE", &path, Value::Null).await;
    assert_eq!(browser.get("/v1/whoami").await.code(), "unauthenticated", "the token was revoked");
    let audit = platform.default_tenant().done("GET", "/audit", Value::Null).await.to_string();
    assert!(audit.contains("session.create") && !audit.contains(secret), "{audit}");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_signing_in_again_the_former_one() {
    let mut platform = Platform::start(&[]);
    let first = Browser::signed_in(&platform, &platform.token).await;
    let again = first.sign_in(&platform.token).await;
    let second = Browser { cookie: session_of(&again).expect("a session"), ..Browser::new(&platform) };
    assert_eq!(first.get("/v1/whoami").await.status, 401, "nothing is left of it");
    let out = second.write("DELETE", "/console/session", Value::Null).await;
    assert_eq!((out.status, session_of(&out).as_deref()), (204, Some("__Host-elias=")));
    assert_eq!(second.get("/v1/whoami").await.status, 401);
    assert_eq!(second.write("DELETE", "/console/session", Value::Null).await.status, 204, "once more is no failure");
    for wrong in ["", "elias_no", "session_x", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(second.sign_in(wrong).await.code(), "unauthenticated", "{wrong}");
    }
    let cookie = Browser::signed_in(&platform, &platform.token).await.cookie;
    platform.restart();
    let kept = Browser { cookie, ..Browser::new(&platform) };
    assert_eq!(kept.get("/v1/whoami").await.status, 200, "it outlives the process");
}

#[tokio::test]
async fn pages_of_other_origins_neither_change_nor_read_anything() {
    let platform = Platform::start(&[]);
    let browser = Browser::signed_in(&platform, &platform.token).await;
    let other_port = format!("http://127.0.0.1:{}", platform.address.port());
    let own = browser.origin.as_str();
    let new = json!({ "name": "stolen", "role": "admin", "days": 1 }).to_string();
    let attempts: [(&str, &[(&str, &str)]); 8] = [
        ("a form", &[("origin", "https://evil.test"), ("content-type", "application/x-www-form-urlencoded")]),
        ("a form of plain text", &[("origin", "https://evil.test"), ("content-type", "text/plain")]),
        ("a form without a referrer", &[("origin", "null"), ("content-type", "text/plain")]),
        ("no origin", &[("content-type", "application/json")]),
        ("another port of this host", &[("origin", &other_port), ("sec-fetch-site", "same-site")]),
        ("the scheme of a proxy that nobody named", &[("origin", &own.replace("http:", "https:"))]),
        ("a header that contradicts", &[("origin", own), ("sec-fetch-site", "cross-site")]),
        ("a longer host", &[("origin", &format!("{own}.evil.test"))]),
    ];
    for (what, headers) in attempts {
        let add =
            |request: Builder| headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        for (method, path) in [("POST", "/v1/tenants/default/tokens"), ("PUT", "/v1/tenants/default")] {
            let answer = platform.call(add(browser.request(method)), path, new.clone()).await;
            assert_eq!((answer.status, answer.code()), (403, "cross-origin".to_owned()), "{what}: {method} {path}");
        }
        let sign_out = platform.call(add(browser.request("DELETE")), "/console/session", "").await;
        assert_eq!(sign_out.code(), "cross-origin", "{what}");
        // Signing a visitor in as somebody else is refused too.
        let body = json!({ "token": platform.token }).to_string();
        let sign_in = platform.call(add(Request::post("/")), "/console/session", body).await;
        assert_eq!((sign_in.code(), session_of(&sign_in)), ("cross-origin".to_owned(), None), "{what}");
    }
    let tokens = platform.default_tenant().done("GET", "/tokens", Value::Null).await;
    assert!(!tokens.to_string().contains("stolen"), "{tokens}");
    for headers in
        [[("sec-fetch-site", "same-site")], [("sec-fetch-site", "cross-site")], [("origin", "https://a.test")]]
    {
        let request =
            headers.iter().fold(browser.request("GET"), |request, (name, value)| request.header(*name, *value));
        let answer = platform.call(request, "/v1/whoami", "").await;
        assert_eq!(answer.code(), "cross-origin", "{headers:?}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    assert_eq!(browser.get("/v1/whoami").await.status, 200);
    let typed = browser.request("GET").header("sec-fetch-site", "none");
    assert_eq!(platform.call(typed, "/v1/whoami", "").await.status, 200, "the user typed the address");
    assert_eq!(
        browser
            .write("POST", "/v1/tenants/default/tokens", json!({ "name": "own", "role": "viewer", "days": 1 }))
            .await
            .status,
        201
    );
    let media_type = browser.request("POST").header("origin", own).header("content-type", "text/plain");
    assert_eq!(platform.call(media_type, "/console/session", r#"{"token":"x"}"#).await.code(), "bad-input");
}

#[tokio::test]
async fn behind_a_proxy_the_origin_is_what_the_operator_says() {
    let platform = Platform::start(&["--console-origin", "https://elias.example.com"]);
    let browser = Browser { origin: "https://elias.example.com".to_owned(), ..Browser::new(&platform) };
    let answer = browser.sign_in(&platform.token).await;
    assert!(session_of(&answer).is_some(), "{answer:?}");
    assert_eq!(Browser::new(&platform).sign_in(&platform.token).await.code(), "cross-origin");
}

#[tokio::test]
async fn sessions_are_listed_ended_and_not_more_than_ten_for_one_token() {
    let platform = Platform::start(&[]);
    let (admin, team) = (platform.default_tenant(), platform.default_tenant().with_role("viewer", None).await);
    let first = Browser::signed_in(&platform, &team.token).await;
    let mut browsers = Vec::new();
    for _ in 0..9 {
        browsers.push(Browser::signed_in(&platform, &team.token).await);
    }
    assert_eq!(first.get("/v1/whoami").await.status, 200, "ten are within the bound");
    browsers.push(Browser::signed_in(&platform, &team.token).await);
    assert_eq!(first.get("/v1/whoami").await.status, 401, "the oldest has ended");
    let other = admin.with_role("viewer", None).await;
    let of_other = Browser::signed_in(&platform, &other.token).await;

    let all = admin.done("GET", "/sessions", Value::Null).await;
    let own = team.done("GET", "/sessions", Value::Null).await;
    assert_eq!(own["items"].as_array().map(Vec::len), Some(10), "{own}");
    assert_eq!(all["items"].as_array().map(Vec::len), Some(11), "{all}");
    assert_eq!(
        (&own["items"][0]["user_agent"], &own["items"][0]["address"]),
        (&json!("Test Browser/1.0"), &json!("127.0.0.1"))
    );
    let session = of_other.get("/console/session").await.json()["principal"]["session"].clone();
    let path = format!("/sessions/{}", session.as_str().expect("an id"));
    assert_eq!(team.refused("DELETE", &path, Value::Null).await.0, "not-found", "it is another's");
    assert_eq!(of_other.get("/v1/whoami").await.status, 200);
    admin.done("DELETE", &path, Value::Null).await;
    assert_eq!(of_other.get("/v1/whoami").await.status, 401);
    assert_eq!(admin.refused("DELETE", &path, Value::Null).await.0, "not-found");

    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let listed = terminal.types("", &["sessions", "list"]);
    assert!(listed.contains("Test Browser/1.0"), "{listed}");
    let last = browsers.last().expect("it has signed in");
    let id = last.get("/console/session").await.json()["principal"]["session"].as_str().expect("an id").to_owned();
    terminal.types("", &["sessions", "end", &id]);
    assert_eq!(last.get("/v1/whoami").await.status, 401);
}

#[tokio::test]
async fn pages_run_under_their_policy_and_what_browsers_refuse_is_counted() {
    let platform = Platform::start(&[]);
    let browser = Browser::new(&platform);
    let page = browser.get("/console/services/shop").await;
    assert_eq!(page.status, 200, "made with `make console`: {page:?}");
    let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("require-trusted-types-for 'script'") && policy.contains("frame-ancestors 'none'"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(page.headers[name], value, "{name}");
    }
    assert_eq!(browser.get("/console").await.status, 308);
    let tag = page.headers["etag"].to_str().expect("ASCII").to_owned();
    let known = browser.request("GET").header("if-none-match", tag);
    assert_eq!(platform.call(known, "/console/", "").await.status, 304);
    assert_eq!(browser.get("/console/assets/none.js").await.status, 404);
    // Nothing that the API sends is a document.
    let document = browser.get("/v1/openapi.json").await;
    assert!(document.headers["content-security-policy"].to_str().expect("ASCII").contains("sandbox"));

    let report = json!({ "csp-report": { "document-uri": "http://a/", "blocked-uri": "inline" } }).to_string();
    for _ in 0..3 {
        let request = Request::post("/").header("content-type", "application/csp-report");
        assert_eq!(platform.call(request, "/console/csp-reports", report.clone()).await.status, 204);
    }
    let long = platform.call(Request::post("/"), "/console/csp-reports", " ".repeat(100 << 10)).await;
    assert_eq!(long.status, 413);
    let (status, counted) = platform.admin("GET", "/console/csp-reports", Value::Null).await;
    assert_eq!((status, &counted["count"], &counted["newest"][0]["blocked"]), (200, &json!(3), &json!("inline")));
    let viewer = platform.default_tenant().with_role("admin", None).await;
    assert_eq!(platform.admin_as(&viewer.token, "GET", "/console/csp-reports", Value::Null).await.0, 403);
    platform.logged("a browser refused something by a policy of the web console").await;
}

#[tokio::test]
async fn components_on_the_same_host_neither_see_the_session_nor_set_one() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let echo = component(
        "export default { fetch(request) {
            const headers = new Headers();
            headers.append('set-cookie', '__Host-elias=stolen; Path=/; Secure');
            headers.append('set-cookie', 'mine=1');
            return new Response(request.headers.get('cookie'), { headers });
        } };",
    );
    team.serve("shop", &echo, json!({})).await;
    let request = Request::get("/").header("cookie", "a=b; __Host-elias=secret; c=d");
    let answer = platform.ask_with(request, &team.host("shop"), "/", "").await;
    assert_eq!(answer.body, "a=b; c=d");
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["mine=1"]);
}

/// Follows a stream of the admin API with a session's cookie, from behind the event of this id.
async fn follow(browser: &Browser<'_>, path: &str, last: Option<&str>) -> Follower {
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    Follower::open(browser.platform, path, &format!("cookie: {}\r\n{last}", browser.cookie)).await
}

#[tokio::test]
async fn executions_are_followed_resumed_and_end_with_the_session() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let shop = component("export default { fetch(request) { return new Response(new URL(request.url).pathname); } };");
    team.serve("shop", &shop, json!({})).await;
    team.serve("blog", &shop, json!({})).await;
    let limited = team.with_role("viewer", Some(&["shop"])).await;
    let browser = Browser::signed_in(&platform, &limited.token).await;
    let path = "/v1/tenants/default/executions/stream";
    let mut stream = follow(&browser, path, None).await;
    team.get("blog", "/hidden").await;
    team.get("shop", "/first").await;
    let seen = stream.sees("GET /first").await;
    assert!(seen.contains("event: execution") && !seen.contains("hidden"), "{seen}");
    let seen = stream.sees("\n\n").await;
    let id = seen.lines().find_map(|line| line.trim().strip_prefix("id: ")).expect("an id").to_owned();
    drop(stream);
    team.get("shop", "/second").await;
    until("it is recorded", async || {
        let recorded = team.done("GET", "/executions", Value::Null).await.to_string();
        recorded.contains("GET /second").then_some(())
    })
    .await;
    let mut resumed = follow(&browser, path, Some(&id)).await;
    let seen = resumed.sees("GET /second").await;
    assert!(!seen.contains("GET /first") && !seen.contains("event: reset"), "{seen}");
    let mut unknown = follow(&browser, path, Some("01OTHER:5")).await;
    unknown.sees("event: reset").await;
    browser.write("DELETE", "/console/session", Value::Null).await;
    for mut stream in [resumed, unknown] {
        assert!(stream.sees("event: end").await.contains("unauthenticated"));
    }
}
