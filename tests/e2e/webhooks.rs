//! Webhooks out: an event is sent to a URL, signed, until the receiver takes it; only to where the grant says.

use crate::platform_metrics::scrape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Server;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
const SOURCE: &str = "export default { fetch() { return new Response('up'); } };";

type Received = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A server that keeps what it is sent. It responds with the status that the path says; to `/once` with 503 the first
/// time, and to `/hang-up` not at all.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Received,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let received = Received::default();
        let of_server = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = Arc::clone(&of_server);
                let service = service_fn(move |request| receive(request, Arc::clone(&received)));
                tokio::spawn(async move {
                    drop(
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await,
                    );
                });
            }
        });
        Self { address, received }
    }

    pub(crate) fn received(&self) -> Vec<(HeaderMap, Value)> {
        self.received.lock().expect("no receiver panics").clone()
    }

    /// The settings of a version with a webhook to a path of the receiver.
    fn settings(&self, path: &str) -> Value {
        let retry = json!({ "attempts": 3, "first": "100ms", "jitter": false });
        let webhook = json!({
            "name": "partner", "type": "order.*", "retry": retry, "secret": "WEBHOOK_SECRET",
            "url": format!("http://{}{path}", self.address),
        });
        let secret = json!({ "env": "WEBHOOK_SECRET", "secret": true, "optional": true });
        let http = json!({ "allow": [format!("http://{}", self.address)], "private": ["127.0.0.1/32"] });
        json!({
            "triggers": { "webhook": [webhook] },
            "capabilities": { "config": { "webhook_secret": secret }, "http": http },
        })
    }
}

async fn receive(request: Request<Incoming>, received: Received) -> std::io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut all = received.lock().expect("no receiver panics");
    all.push((head.headers, serde_json::from_slice(&body).unwrap_or_default()));
    let path = head.uri.path().trim_start_matches('/');
    let status = match path {
        "hang-up" => return Err(std::io::Error::other("the receiver hangs up")),
        "once" if all.len() == 1 => 503,
        "once" => 204,
        other => other.parse().unwrap_or(404),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"as the path says")));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("location", "/200".parse().expect("a value"));
    response.headers_mut().insert("retry-after", "0".parse().expect("a value"));
    Ok(response)
}

pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn set_secret(team: &Tenant<'_>, value: &str) {
    team.done("PUT", &service("shop", "production", "/secrets/WEBHOOK_SECRET"), json!({ "value": value })).await;
}

async fn publish(team: &Tenant<'_>, id: &str) {
    let event = json!({
        "specversion": "1.0", "id": id, "type": "order.paid", "source": "/tills/7", "data": { "total": 5 },
    });
    team.done("POST", "/events", event).await;
}

/// The only dead letter, once it is there.
async fn dead_letter(team: &Tenant<'_>) -> Value {
    until("there is a dead letter", async || {
        let letters = team.done("GET", "/dead-letters?subscription=partner", Value::Null).await;
        letters["items"].get(0).cloned()
    })
    .await
}

#[tokio::test]
async fn an_event_is_sent_with_a_signature_of_each_secret_until_it_is_taken() {
    let (platform, receiver) = (Platform::start(&[]), Receiver::start().await);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    set_secret(&team, &format!("{SECRET} {NEXT}")).await;
    team.serve("shop", &component(SOURCE), receiver.settings("/once")).await;
    publish(&team, "a.1").await;
    until("it is taken", async || (receiver.received().len() >= 2).then_some(())).await;
    let received = receiver.received();
    let (headers, event) = &received[1];
    assert_eq!(
        (&event["id"], &event["type"], &event["data"]["total"]),
        (&json!("a.1"), &json!("order.paid"), &json!(5))
    );
    assert_eq!(header(headers, "content-type"), "application/cloudevents+json");
    assert_eq!(header(headers, "webhook-id"), "a%2E1", "a dot separates what is signed");
    assert_eq!(header(&received[0].0, "webhook-id"), header(headers, "webhook-id"));
    assert!(header(headers, "webhook-timestamp").parse::<u64>().is_ok_and(|seconds| seconds > 1_700_000_000));
    let mut traceparents = received.iter().map(|(headers, _)| header(headers, "traceparent"));
    assert!(traceparents.all(|text| text.len() == 55), "each attempt is in a trace: {headers:?}");
    let signatures: Vec<_> = header(headers, "webhook-signature").split(' ').collect();
    let is_signature = |text: &&str| {
        let decoded = text.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        decoded.is_some_and(|bytes| bytes.len() == 32)
    };
    assert_eq!((signatures.len(), signatures.iter().filter(|one| is_signature(one)).count()), (2, 2), "{headers:?}");

    until("its executions are recorded", async || {
        let executions = team.done("GET", "/executions", Value::Null).await;
        let of_webhook = |one: &&Value| one["source"] == "webhook partner";
        let statuses = executions["items"].as_array().expect("a list").iter().filter(of_webhook);
        let mut statuses: Vec<_> = statuses.map(|one| one["status"].clone()).collect();
        statuses.sort_by_key(Value::as_u64);
        (statuses == [json!(204), json!(503)]).then_some(())
    })
    .await;
    let subscription = service("shop", "production", "/subscriptions/partner");
    let shown = team.done("GET", &subscription, Value::Null).await;
    assert_eq!(shown["config"]["secret"], "WEBHOOK_SECRET", "the name, not the value: {shown}");
}

#[tokio::test]
async fn what_a_receiver_does_not_take_is_a_dead_letter_with_its_reason() {
    let (platform, receiver) = (Platform::start(&[]), Receiver::start().await);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    set_secret(&team, SECRET).await;
    team.serve("shop", &component(SOURCE), receiver.settings("/410")).await;
    publish(&team, "1").await;
    let letter = dead_letter(&team).await;
    assert_eq!((&letter["trigger"], &letter["attempt"]), (&json!("webhook"), &json!(1)));
    assert_eq!(letter["error"], "rejected: the receiver responded with status 410: as the path says");

    // A redirect is not followed; a dead letter can be retried by the version that serves then.
    team.serve("shop", &component(SOURCE), receiver.settings("/302")).await;
    let retried = team.done("POST", "/dead-letters/retry", json!({ "trigger": "webhook" })).await;
    assert_eq!(retried["jobs"], 1);
    until("it has failed", async || {
        let letter = dead_letter(&team).await;
        letter["error"].as_str().is_some_and(|error| error.contains("status 302")).then_some(())
    })
    .await;
    team.serve("shop", &component(SOURCE), receiver.settings("/200")).await;
    team.done("POST", "/dead-letters/retry", json!({})).await;
    until("it is taken", async || {
        let letters = team.done("GET", "/dead-letters", Value::Null).await;
        (letters["items"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_counts_as_egress_also_if_the_receiver_hangs_up() {
    let (platform, receiver) = (Platform::start(&[]), Receiver::start().await);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    set_secret(&team, SECRET).await;
    team.serve("shop", &component(SOURCE), receiver.settings("/hang-up")).await;
    publish(&team, "1").await;
    dead_letter(&team).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3, "each attempt was sent");
    let bytes: usize = received.iter().map(|(_, event)| event.to_string().len()).sum();
    let samples = scrape(&platform, &platform.token).await;
    let sent = samples["elias_egress_bytes_total{tenant=\"acme\"}"];
    assert!(sent >= f64::from(u32::try_from(bytes).expect("some hundred bytes")), "{sent} of {bytes}");
}

#[tokio::test]
async fn a_webhook_without_its_secret_fails_with_the_command_to_set_it() {
    let (platform, receiver) = (Platform::start(&[]), Receiver::start().await);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    team.serve("shop", &component(SOURCE), receiver.settings("/200")).await;
    publish(&team, "1").await;
    let letter = dead_letter(&team).await;
    let error = letter["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("attempts-used-up: the secret WEBHOOK_SECRET is not set"), "{error}");
    assert!(error.contains("elias secrets set shop WEBHOOK_SECRET --env production"), "{error}");
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_version_whose_webhook_is_not_granted_is_refused() {
    let (platform, receiver) = (Platform::start(&[]), Receiver::start().await);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let digest = team.upload(&component(SOURCE)).await;
    for (pointer, value, wanted) in [
        ("/capabilities/config", json!({}), "webhook_secret = { env = \"WEBHOOK_SECRET\""),
        ("/capabilities/http/allow", json!(["https://example.com"]), "[capabilities.http] with allow = [\"http://127"),
        ("/capabilities/http/private", json!([]), "private = [\"127.0.0.1/32\"]"),
        ("/triggers/webhook/0/url", json!("ftp://example.com"), "triggers.webhook[0].url"),
        ("/triggers/webhook/0/url", json!("http://a:b@example.com"), "no user and no password"),
    ] {
        let mut settings = receiver.settings("/200");
        *settings.pointer_mut(pointer).expect(pointer) = value;
        let version = json!({ "digest": digest, "settings": settings });
        let (code, message) = team.refused("POST", "/components/shop/versions", version).await;
        assert!(code == "bad-input" && message.contains(wanted), "{code}: {message}");
    }
}

// The receiver responds while the test waits for a command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_development_server_sends_webhooks() {
    let (terminal, receiver) = (Terminal::new(), Receiver::start().await);
    let config = format!(
        "[capabilities.config]\nsecret = {{ env = \"WEBHOOK_SECRET\", secret = true }}\n\
         [capabilities.http]\nallow = [\"http://{0}\"]\nprivate = [\"127.0.0.1/32\"]\n\
         [[triggers.webhook]]\nname = \"partner\"\ntype = \"order.*\"\nurl = \"http://{0}/once\"\n\
         secret = \"WEBHOOK_SECRET\"\nretry = {{ first = \"100ms\" }}\n",
        receiver.address
    );
    let env = format!("WEBHOOK_SECRET={SECRET}\n");
    for (file, text) in [
        ("elias.toml", config.as_str()),
        (".env", &env),
        ("package.json", r#"{"name":"app"}"#),
        ("src/index.js", SOURCE),
    ] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    let server = Server::develop(&terminal.path("app"), &[]);
    until("the server says where it is", async || terminal.path("app/.elias/dev-url").exists().then_some(())).await;
    let output = terminal.output("app", &["trigger", "event", "order.paid", "--data", r#"{"total":5}"#]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("webhook partner") && said.contains("status 503"), "{said}");
    server.logged("webhook partner is done").await;
    let received = receiver.received();
    assert_eq!((received.len(), &received[1].1["data"]), (2, &json!({ "total": 5 })));
    assert!(header(&received[1].0, "webhook-signature").starts_with("v1,"));
}
