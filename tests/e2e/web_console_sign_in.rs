//! Users who sign in at an identity provider: in the web console, and on the command line.

use crate::web_console::{Browser, session_of};
use elias_tests::build::binary;
use elias_tests::identity::{IdentityProvider, decode, encode};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{Answer, PATIENCE};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Visits the identity provider with a browser; the path of the platform that it leads back to, and its cookie.
async fn visit(platform: &Platform, browser: &Browser<'_>, return_to: &str) -> (String, String) {
    let path = format!("/console/sign-in?return={}", encode(return_to));
    let begun = platform.call(browser.request("GET"), &path, "").await;
    assert_eq!(begun.status, 303, "{begun:?}");
    let cookie = begun.headers["set-cookie"].to_str().expect("ASCII");
    assert!(cookie.contains("; SameSite=Lax") && cookie.contains("; HttpOnly"), "{cookie}");
    let location = begun.headers["location"].to_str().expect("ASCII");
    assert!(location.contains("code_challenge_method=S256") && location.contains("nonce="), "{location}");
    let back = follow(location).await;
    let path = back.strip_prefix(&format!("http://{}", platform.admin_address)).expect("it leads back");
    (path.to_owned(), cookie.split(';').next().expect("a cookie").to_owned())
}

/// Where a GET of a URL on this machine is redirected to.
async fn follow(url: &str) -> String {
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http URL");
    let mut stream = tokio::net::TcpStream::connect(authority).await.expect("it listens");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut response = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut response)).await.expect("in time").expect("a response");
    let location = response.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_default().to_owned()
}

async fn sign_in_at_provider(platform: &Platform) -> Answer {
    let browser = Browser::new(platform);
    // The keys are fetched after the start.
    until("the keys are there", async || {
        let (path, cookie) = visit(platform, &browser, "/console/services").await;
        let answer = platform.call(browser.request("GET").header("cookie", cookie), &path, "").await;
        Some(answer).filter(|answer| !answer.headers["location"].to_str().is_ok_and(|to| to.contains("unavailable")))
    })
    .await
}

#[tokio::test]
async fn users_sign_in_at_their_identity_provider() {
    let claims = json!({ "elias_tenant": "default", "elias_role": "viewer", "name": "Ada" });
    let provider = IdentityProvider::start(claims).await;
    let flags = provider.flags();
    let platform = Platform::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let signed_in = sign_in_at_provider(&platform).await;
    assert_eq!(signed_in.headers["location"], "/console/services", "{signed_in:?}");
    let browser = Browser { cookie: session_of(&signed_in).expect("a session"), ..Browser::new(&platform) };
    let whoami = browser.get("/v1/whoami").await.json();
    assert_eq!((&whoami["name"], &whoami["role"]), (&json!("user:ada"), &json!("viewer")));
    assert!(browser.get("/console/session").await.json()["has_identity_provider"] == true);
    // The record of the user bounds the session from the next request on.
    let team = platform.default_tenant();
    team.done("PUT", "/users/ada", json!({ "name": "Ada", "disabled": true })).await;
    assert_eq!(browser.get("/v1/whoami").await.status, 401);
    team.done("PUT", "/users/ada", json!({ "name": "Ada" })).await;
    assert_eq!(browser.get("/v1/whoami").await.status, 200);

    // Whoever has no role is told so, and gets no session.
    provider.set_claims(json!({ "elias_tenant": "default" }));
    let refused = sign_in_at_provider(&platform).await;
    assert_eq!(refused.headers["location"], "/console/login?error=no-role");
    assert_eq!(session_of(&refused), None);
    // A provider's token is for the API, not for this form.
    assert_eq!(browser.sign_in("eyJhbGciOiJFZERTQSJ9.e30.x").await.code(), "unauthenticated");
}

#[tokio::test]
async fn an_answer_of_the_provider_is_for_the_browser_that_asked_and_for_once() {
    let claims = json!({ "elias_tenant": "default", "elias_role": "admin" });
    let provider = IdentityProvider::start(claims).await;
    let flags = provider.flags();
    let platform = Platform::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    sign_in_at_provider(&platform).await;
    let browser = Browser::new(&platform);
    let end = async |path: &str, cookie: &str| {
        let request = browser.request("GET").header("sec-fetch-site", "cross-site");
        let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
        let answer = platform.call(request, path, "").await;
        (session_of(&answer).is_some(), answer.headers["location"].to_str().expect("ASCII").to_owned())
    };
    let failed = (false, "/console/login?error=sign-in-failed".to_owned());
    let (attackers, _) = visit(&platform, &browser, "/console/").await;
    let (own, cookie) = visit(&platform, &browser, "//evil.test/").await;
    assert_eq!(end(&attackers, &cookie).await, failed, "the state is of another browser");
    assert_eq!(end(&own, "").await, failed, "a browser that did not begin");
    let value = |path: &str, name: &str| {
        let pair = path.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned));
        pair.expect("it is there")
    };
    let injected = own.replace(&value(&own, "code"), &value(&attackers, "code"));
    assert_eq!(end(&injected, &cookie).await, failed, "the code is of another sign-in: PKCE");
    let mixed = own.replace(&value(&own, "iss"), &encode("https://evil.test"));
    assert_eq!(end(&mixed, &cookie).await, failed, "another issuer (RFC 9207)");
    let unnamed = own.replace(&format!("&iss={}", value(&own, "iss")), "");
    assert_eq!(end(&unnamed, &cookie).await, failed, "the issuer was left out");
    assert_eq!(end(&own, &cookie).await, (true, "/console/".to_owned()), "it leads to no other host");
    assert_eq!(end(&own, &cookie).await, failed, "the code is for once");
    assert_eq!(decode(&value(&own, "iss")), provider.url);
    until("the attempts are security events", async || {
        let request = browser.request("GET").header("authorization", format!("Bearer {}", platform.token));
        let events = platform.call(request, "/v1/tenants/system/security-events?kind=sign-in-failed", "").await.json();
        events["items"].as_array()?.iter().any(|event| event["code"] == "sign-in-failed").then_some(())
    })
    .await;
}

/// `elias login` as it runs, with what it says so far.
struct Login {
    process: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Login {
    fn start(terminal: &Terminal, platform: &Platform, flag: &str) -> Self {
        let mut command = Command::new(binary("elias"));
        command.args(["login", &format!("http://{}", platform.admin_address), flag]);
        // A browser that does nothing.
        command.env("ELIAS_CONFIG_DIR", terminal.path("config")).env("BROWSER", "true");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("elias starts");
        let errors = BufReader::new(process.stderr.take().expect("it is piped"));
        Self { process, errors }
    }

    /// Reads on until a line begins with this, and gives that.
    fn says(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.errors.read_line(&mut line).expect("text") > 0, "it never says {start}");
            if line.trim_start().starts_with(start) {
                return line.trim().to_owned();
            }
        }
    }

    fn ends(mut self) -> bool {
        self.process.wait().expect("it ends").success()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_command_line_signs_in_with_a_browser_and_renews_its_token() {
    let claims = json!({ "elias_tenant": "default", "elias_role": "viewer" });
    let provider = IdentityProvider::start(claims).await;
    let flags = provider.flags();
    let platform = Platform::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    sign_in_at_provider(&platform).await; // the keys are there then
    let terminal = Terminal::new();
    let mut login = Login::start(&terminal, &platform, "--browser");
    let url = login.says("http://");
    assert!(url.contains("offline_access") && url.contains("code_challenge="), "{url}");
    let back = follow(&url).await;
    assert!(back.starts_with("http://127.0.0.1:"), "{back}");
    // Any page may send something to the port: it is no answer, and ends nothing.
    follow(&back.replace("state=", "state=x")).await;
    follow(&back).await;
    assert!(login.ends());
    let file = terminal.path("config/login.json");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    terminal.types("", &["sessions", "list"]);
    let stored = std::fs::read_to_string(&file).expect("it is there");
    terminal.types("", &["sessions", "list"]);
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), stored, "the token is good for a while");

    // Tokens that end within a minute are replaced at once.
    provider.set_seconds(30);
    let mut login = Login::start(&terminal, &platform, "--browser");
    follow(&follow(&login.says("http://")).await).await;
    assert!(login.ends());
    let before: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("it is there")).expect("JSON");
    terminal.types("", &["sessions", "list"]);
    let after: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("it is there")).expect("JSON");
    assert_ne!(before["token"], after["token"]);
    assert_ne!(before["renewal"]["refresh_token"], after["renewal"]["refresh_token"], "each is for one time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_command_line_signs_in_by_another_device() {
    let claims = json!({ "elias_tenant": "default", "elias_role": "viewer" });
    let provider = IdentityProvider::start(claims).await;
    let flags = provider.flags();
    let platform = Platform::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    sign_in_at_provider(&platform).await;
    let terminal = Terminal::new();
    let mut login = Login::start(&terminal, &platform, "--device");
    assert!(login.says("and enter").contains("WDJB-MJHT"));
    until("it waits for the user", async || (provider.polls() > 0).then_some(())).await;
    provider.approve();
    assert!(login.ends());
    terminal.types("", &["sessions", "list"]);

    let without = Platform::start(&[]);
    let url = format!("http://{}", without.admin_address);
    let refused = terminal.output("", &["login", &url, "--browser"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("error[not-found]"), "{refused:?}");
}
