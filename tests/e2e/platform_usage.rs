//! Usage by hours, which is exact though hosts are killed; metrics over time; adoption.

use bytes::Bytes;
use elias_tests::answering::{answering, answers};
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::terminal::Terminal;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests of clients: those that were begun, and those whose response they have whole.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    answered: AtomicU64,
}

/// Sends one request after the other until the host is gone.
async fn load(address: SocketAddr, host: String, requests: Arc<Requests>) {
    let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http::<Full<Bytes>>();
    loop {
        let request = http::Request::post(format!("http://{address}/")).header("host", &host);
        let request = request.body(Full::new(Bytes::from_static(b"abc"))).expect("it is well formed");
        requests.begun.fetch_add(1, Ordering::SeqCst);
        let Ok(response) = client.request(request).await else { return };
        let status = response.status();
        let Ok(body) = response.into_body().collect().await else { return };
        assert_eq!((status.as_u16(), body.to_bytes()), (200, Bytes::from_static(b"abcde")));
        requests.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// The sums of the usage of the tenant `default` over all hours.
async fn used(platform: &Platform) -> [u64; 4] {
    let (status, usage) = platform.admin("GET", "/v1/tenants/default/usage?from=0&limit=1000", Value::Null).await;
    assert_eq!(status, 200, "{usage}");
    let hours = usage["items"].as_array().expect("a list");
    let sum = |name: &str| hours.iter().map(|hour| hour[name].as_u64().expect("a number")).sum();
    ["executions", "fuel", "bytes_in", "bytes_out"].map(sum)
}

#[tokio::test]
async fn usage_is_exact_though_the_host_is_killed_under_load() {
    const CLIENTS: u64 = 8;
    let mut platform = Platform::start(&[]);
    let host = {
        let team = platform.default_tenant();
        let reads = "export default { fetch: async (request) => new Response(await request.text() + 'de') };";
        team.serve("shop", &component(reads), json!({})).await;
        team.host("shop")
    };
    let before = used(&platform).await;
    let requests = Arc::<Requests>::default();
    for round in 1..=3 {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| tokio::spawn(load(platform.address, host.clone(), Arc::clone(&requests)))).collect();
        until("requests are answered", async || {
            (requests.answered.load(Ordering::SeqCst) >= round * 300).then_some(())
        })
        .await;
        platform.kill();
        for client in clients {
            client.await.expect("the responses were as they must be");
        }
        platform.restart();
    }
    let after = used(&platform).await;
    let (begun, answered) = (requests.begun.load(Ordering::SeqCst), requests.answered.load(Ordering::SeqCst));
    assert!(begun <= answered + 3 * CLIENTS);
    let [executions, fuel, bytes_in, bytes_out] = std::array::from_fn(|at| after[at] - before[at]);
    // What a client has is counted; of requests that were under way at the end it may be.
    assert!((answered..=begun).contains(&executions), "{answered} <= {executions} <= {begun}");
    assert!((3 * answered..=3 * begun).contains(&bytes_in), "3 * {answered} <= {bytes_in} <= 3 * {begun}");
    assert!((5 * answered..=5 * begun).contains(&bytes_out), "5 * {answered} <= {bytes_out} <= 5 * {begun}");
    assert!(fuel > 0);
    // Whatever was told twice counts once.
    platform.restart();
    assert_eq!(used(&platform).await, after);
}

#[tokio::test]
async fn usage_of_a_host_that_is_not_killed_is_what_was_asked_for() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({})).await;
    team.serve("shop", answering(), answers("hello")).await;
    let executions = async || {
        let usage = team.done("GET", "/usage", Value::Null).await;
        let hours = usage["items"].as_array().expect("a list");
        hours.iter().map(|hour| hour["executions"].as_u64().expect("a number")).sum::<u64>()
    };
    let before = executions().await;
    for _ in 0..7 {
        assert_eq!(team.get("shop", "/").await.body, "hello");
    }
    assert_eq!(team.get("shop", "/throw").await.status, 500);
    assert_eq!(team.get("shop", "/").await.body, "hello");
    assert_eq!(executions().await - before, 9, "also those that failed");
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", platform.token));
    let csv = platform.call(request, "/v1/usage.csv", "").await;
    assert!(csv.headers["content-type"].to_str().is_ok_and(|value| value.starts_with("text/csv")), "{csv:?}");
    let lines: Vec<_> = csv.body.lines().collect();
    assert!(lines[0].starts_with("tenant,hour_at,executions,"), "{csv:?}");
    assert!(lines[1..].iter().any(|line| line.starts_with("acme,")), "{csv:?}");

    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.ask("GET", "/usage", Value::Null).await.0, 403);
    let operator = team.with_role("operator", None).await;
    assert_eq!(operator.ask("GET", "/usage", Value::Null).await.0, 200);
    for path in ["/usage?from=5&to=5", "/usage?from=-1", "/usage?after=x", "/usage?limit=0"] {
        assert_eq!(team.ask("GET", path, Value::Null).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn metrics_survive_the_process_and_the_command_line_draws_them() {
    let mut platform = Platform::start(&[]);
    {
        let team = platform.default_tenant();
        team.serve("shop", answering(), answers("hello")).await;
        for _ in 0..5 {
            assert_eq!(team.get("shop", "/").await.status, 200);
        }
        assert_eq!(team.get("shop", "/throw").await.status, 500);
    }
    // The end of a process stores what it has measured since the last minute.
    platform.signal("-TERM");
    platform.ended().await;
    platform.restart();
    let team = platform.default_tenant();
    let sum = async |query: &str| {
        let series = team.done("GET", &format!("/metrics?{query}"), Value::Null).await;
        assert_eq!((&series["left_out"], &series["step"]), (&json!(0), &json!(60_000)), "{series}");
        let items = series["items"].as_array().expect("a list").clone();
        assert!(items.iter().all(|item| item["component"] == "shop" && item["environment"] == "production"));
        let values = items.iter().flat_map(|item| item["values"].as_array().expect("values").clone());
        values.filter_map(|value| value.as_f64()).sum::<f64>()
    };
    assert!(sum("metric=requests").await >= 6.0);
    assert_eq!(sum("metric=errors&component=shop&environment=production").await, 1.0);
    assert!(sum("metric=latency-p99").await > 0.0);
    assert_eq!(sum("metric=requests&component=blog").await, 0.0);
    assert_eq!(sum("metric=requests&environment=staging").await, 0.0);
    for query in ["metric=none", "metric=requests&step=1", "metric=requests&from=2&to=1"] {
        assert_eq!(team.ask("GET", &format!("/metrics?{query}"), Value::Null).await.0, 400, "{query}");
    }
    let other = team.with_role("viewer", Some(&["blog"])).await;
    assert_eq!(other.done("GET", "/metrics?metric=requests", Value::Null).await["items"], json!([]));

    until("the bytes that are stored are counted", async || {
        let usage = team.done("GET", "/usage", Value::Null).await;
        let hours = usage["items"].as_array().expect("a list");
        let stored = hours.iter().filter_map(|hour| hour["storage_bytes"].as_u64()).max();
        (stored >= Some(answering().len() as u64)).then_some(())
    })
    .await;

    let weeks = team.done("GET", "/adoption?weeks=2", Value::Null).await;
    let week = &weeks["items"][1];
    assert_eq!(weeks["items"].as_array().map(Vec::len), Some(2));
    assert_eq!((&week["active_components"], &week["authors"], &week["deployments"]), (&json!(1), &json!(1), &json!(1)));
    let builder = week["sdk_versions"][0]["builder"].as_str().expect("a builder");
    assert!(builder.starts_with("elias-build "), "{weeks}");

    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let drawn = terminal.types("", &["metrics", "--component", "shop"]);
    assert!(drawn.contains("shop") && drawn.contains('█'), "{drawn}");
    let csv = terminal.types("", &["usage", "--csv"]);
    assert!(csv.starts_with("tenant,hour_at,") && csv.contains("\r\ndefault,"), "{csv}");
    assert!(terminal.types("", &["usage", "--all"]).contains("default"));
    assert!(terminal.types("", &["adoption"]).contains("elias-build"));
}
