//! The host's figures, as Prometheus reads them.

use elias_tests::answering::{answering, answers};
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::upstream::Upstream;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// The samples of a scrape by name and labels as they stand there.
type Samples = BTreeMap<String, f64>;

/// Reads the OpenMetrics text format, and nothing that is not.
fn parse(text: &str) -> Samples {
    let (mut samples, mut types) = (Samples::new(), HashMap::new());
    let mut family = String::new();
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            let [kind, name, what] = words[..] else { panic!("{line}") };
            match kind {
                "HELP" => assert!(!what.is_empty(), "{line}"),
                "UNIT" => assert!(name.ends_with(&format!("_{what}")), "{line}"),
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram"].contains(&what), "{line}");
                    assert!(types.insert(name.to_owned(), what.to_owned()).is_none(), "twice: {line}");
                    name.clone_into(&mut family);
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let line = match line.split_once(" # {trace_id=\"") {
            Some((line, exemplar)) => {
                assert!(line.contains("_bucket{") && exemplar.as_bytes()[..32].is_ascii(), "{line}");
                line
            }
            None => line,
        };
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))));
        let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let suffixes: &[&str] = match types[&family].as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix) && name.starts_with("elias_"), "{line}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            assert!(key.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
            assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

pub(crate) async fn scrape(platform: &Platform, token: &str) -> Samples {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    let answer = platform.call(request, "/v1/metrics", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.headers["content-type"].to_str().is_ok_and(|value| value.starts_with("application/openmetrics-text"))
    );
    parse(&answer.body)
}

/// Which series has grown, or shrunk, by how much.
fn grown(before: &Samples, after: &Samples, series: &str) -> f64 {
    let value = |samples: &Samples| samples.get(series).copied();
    value(after).unwrap_or_else(|| panic!("no {series} in {after:#?}")) - value(before).unwrap_or_default()
}

const SHOP: &str = r#"tenant="acme",component="shop",environment="production""#;

#[tokio::test]
async fn figures_follow_the_requests_that_are_made() {
    let platform = Platform::start(&[]);
    let quotas = json!({ "executions-per-minute": 60, "egress-bytes-per-hour": 1_000_000 });
    let team = platform.new_tenant("acme", json!({ "quotas": quotas })).await;
    let made = platform.admin(
        "POST",
        "/v1/tenants/system/tokens",
        json!({ "name": "prometheus", "role": "viewer", "days": 1 }),
    );
    let token = made.await.1["secret"].as_str().expect("a secret").to_owned();
    team.serve("shop", answering(), answers("hello")).await;
    let before = scrape(&platform, &token).await;
    for _ in 0..5 {
        assert_eq!(team.get("shop", "/").await.body, "hello");
    }
    for _ in 0..2 {
        assert_eq!(team.get("shop", "/throw").await.status, 500);
    }
    let ended = |outcome: &str| format!("elias_executions_total{{{SHOP},outcome=\"{outcome}\"}}");
    let after = until("all have ended", async || {
        let after = scrape(&platform, &token).await;
        let written = grown(&before, &after, "elias_executions_recorded_total") >= 7.0;
        (written && grown(&before, &after, &ended("failed")) >= 2.0).then_some(after)
    })
    .await;
    let grown = |series: &str| grown(&before, &after, series);
    assert_eq!((grown(&ended("completed")), grown(&ended("failed")), grown(&ended("cancelled"))), (5.0, 2.0, 0.0));
    let duration = |suffix: &str, end: &str| format!("elias_execution_duration_seconds_{suffix}{{{end}{SHOP}}}");
    assert_eq!(grown(&duration("count", "")), 7.0);
    assert_eq!(grown(&duration("bucket", "le=\"+Inf\",")), 7.0);
    let seconds = grown(&duration("sum", ""));
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    let at_ends = [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0",
    ];
    let counts: Vec<_> = at_ends.iter().map(|end| grown(&duration("bucket", &format!("le=\"{end}\",")))).collect();
    assert!(counts.is_sorted(), "buckets add up: {counts:?}");
    assert!(grown("elias_egress_bytes_total{tenant=\"acme\"}") >= 25.0, "five times hello");
    assert_eq!(after["elias_store_up"], 1.0);
    assert_eq!(after["elias_components_loaded"], 1.0);
    assert_eq!(after["elias_executions_dropped_total"], 0.0);
    for source in ["request", "trigger"] {
        assert_eq!(after[&format!("elias_executions_unrecorded_total{{source=\"{source}\"}}")], 0.0);
    }
    assert_eq!(after[&format!("elias_circuit_state{{{SHOP},circuit=\"requests\",state=\"healthy\"}}")], 1.0);
    assert_eq!(after[&format!("elias_circuit_state{{{SHOP},circuit=\"triggers\",state=\"open\"}}")], 0.0);
    assert_eq!(after["elias_services{state=\"healthy\"}"], 1.0);
    let quota = |what: &str, name: &str| after[&format!("elias_quota_{what}{{tenant=\"acme\",quota=\"{name}\"}}")];
    assert_eq!((quota("limit", "executions-per-minute"), quota("limit", "egress-bytes-per-hour")), (60.0, 1e6));
    assert!((0.0..=7.0).contains(&quota("used", "executions-per-minute")), "they come back, one a second");
    assert!(quota("used", "egress-bytes-per-hour") >= 25.0);
    assert_eq!(quota("used", "components"), 1.0);
    assert!(quota("used", "storage-bytes") >= answering().len() as f64);
    assert!(after.keys().any(|series| series.contains("tenant=\"_other\"")), "who is not told apart");
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    let text = platform.call(request, "/v1/metrics", "").await.body;
    let exemplar = text.lines().find_map(|line| line.split_once(" # {trace_id=\"")).expect("an exemplar").1;
    let trace = exemplar.split('"').next().expect("a trace");
    let found = team.done("GET", &format!("/executions?trace={trace}"), Value::Null).await;
    assert_eq!(found["items"][0]["component"], "shop", "{found}");
}

#[tokio::test]
async fn a_tenant_sends_as_many_bytes_as_its_quota_says_and_the_metrics_tell() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({ "quotas": { "egress-bytes-per-hour": 2500 } })).await;
    team.serve("shop", answering(), answers(&"x".repeat(1000))).await;
    // Bytes count when an answer has ended, which may be after the client has it.
    let refused = until("the bytes are used up", async || {
        let answer = team.get("shop", "/").await;
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(refused.code(), "quota-exceeded");
    assert!(refused.headers.contains_key("retry-after"));
    let samples = scrape(&platform, &platform.token).await;
    let of = |name: &str, more: &str| {
        samples[&format!("elias_{name}{{tenant=\"acme\",quota=\"egress-bytes-per-hour\"{more}}}")]
    };
    assert!(of("quota_used", "") >= 2500.0 && of("quota_limit", "") <= 2500.0);
    assert!(of("quota_decisions_total", ",decision=\"rejected\"") >= 1.0);
    assert!(samples["elias_egress_bytes_total{tenant=\"acme\"}"] >= 3000.0);
    // Others go on, and so does this one with a larger quota.
    let other = platform.new_tenant("other", json!({})).await;
    other.serve("shop", answering(), answers("other")).await;
    assert_eq!(other.get("shop", "/").await.status, 200);
    let more = json!({ "quotas": { "egress-bytes-per-hour": 1_000_000 } });
    assert_eq!(platform.admin("PUT", "/v1/tenants/acme", more).await.0, 200);
    assert_eq!(team.get("shop", "/").await.status, 200);
    let rejected = "elias_quota_decisions_total{tenant=\"acme\",quota=\"egress-bytes-per-hour\",decision=\"rejected\"}";
    assert!(scrape(&platform, &platform.token).await[rejected] >= 1.0, "a change of the quota forgets no count");
}

#[tokio::test]
async fn of_what_the_host_answers_itself_the_bytes_count_that_were_sent() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({})).await;
    let page = team.upload("a line\n".repeat(10_000).as_bytes()).await;
    let keeps =
        "export default { fetch: () => new Response('hello', { headers: { 'cache-control': 'max-age=60' } }) };";
    let gateway = json!({ "assets": { "folder": "public" }, "cache": {} });
    team.serve("shop", &component(keeps), json!({ "files": { "public/page.txt": page }, "gateway": gateway })).await;
    let egress = async || scrape(&platform, &platform.token).await["elias_egress_bytes_total{tenant=\"acme\"}"];
    let before = egress().await;
    let host = team.host("shop");
    let ask = async |request: http::request::Builder, path: &str| {
        let answer = platform.ask_with(request.header("accept-encoding", "br"), &host, path, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    assert_eq!(ask(http::Request::get("/"), "/").await.headers["cache-status"], "elias; fwd=miss; stored");
    for request in [http::Request::get("/"), http::Request::head("/")] {
        let kept = ask(request, "/").await;
        assert!(kept.headers["cache-status"].as_bytes().starts_with(b"elias; hit"), "{kept:?}");
    }
    let file = ask(http::Request::get("/"), "/page.txt").await;
    let compressed: f64 = file.headers["content-length"].to_str().expect("text").parse().expect("a length");
    ask(http::Request::head("/"), "/page.txt").await;
    let wanted = before + 2.0 * 5.0 + compressed;
    until("all is counted", async || (egress().await >= wanted).then_some(())).await;
    ask(http::Request::head("/"), "/page.txt").await;
    assert_eq!(egress().await, wanted, "an answer to HEAD sends nothing");
}

#[tokio::test]
async fn what_a_component_sends_to_other_servers_counts_too() {
    let platform = Platform::start(&[]);
    let settings = json!({ "trusted": true, "quotas": { "egress-bytes-per-hour": 2500 } });
    let team = platform.new_tenant("acme", settings).await;
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let sends = format!(
        "export default {{ async fetch() {{
            await fetch('http://{address}/echo', {{ method: 'POST', body: 'x'.repeat(3000) }});
            return new Response('sent');
        }} }};"
    );
    let http = json!({ "allow": [format!("http://{address}")], "private": ["127.0.0.1/32"] });
    let settings = json!({ "capabilities": { "http": http }, "smoke": { "path": "" } });
    team.serve("shop", &component(&sends), settings).await;
    assert_eq!(team.get("shop", "/").await.body, "sent");
    until("they are counted", async || (team.get("shop", "/").await.status == 429).then_some(())).await;
    let sent = scrape(&platform, &platform.token).await["elias_egress_bytes_total{tenant=\"acme\"}"];
    assert!(sent >= 3004.0, "{sent}");
}

#[tokio::test]
async fn the_figures_are_for_those_who_run_the_host() {
    let platform = Platform::start(&[]);
    let admin = platform.default_tenant().with_role("admin", None).await;
    let (status, answer) = platform.admin_as(&admin.token, "GET", "/v1/metrics", Value::Null).await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")));
    assert_eq!(platform.call(http::Request::get("/"), "/v1/metrics", "").await.status, 401);
}

#[tokio::test]
async fn dear_calls_of_host_functions_show_with_the_cpu_time_that_they_took() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({})).await;
    let made = platform.admin(
        "POST",
        "/v1/tenants/system/tokens",
        json!({ "name": "prometheus", "role": "viewer", "days": 1 }),
    );
    let token = made.await.1["secret"].as_str().expect("a secret").to_owned();
    // 60 KB of random numbers a call, which is priced at a hundred microseconds and more.
    let source = r#"
        export default {
          fetch() {
            let sum = 0;
            for (let n = 0; n < 10; n++) sum += crypto.getRandomValues(new Uint8Array(60_000)).length;
            return new Response(String(sum));
          },
        };"#;
    team.serve("shop", &component(source), json!({})).await;
    let before = scrape(&platform, &token).await;
    assert_eq!(team.get("shop", "/").await.body, "600000");
    let after = scrape(&platform, &token).await;
    let function = "function=\"wasi:random/random@0.2.12#get-random-bytes\"";
    let count = format!("elias_host_call_cpu_seconds_count{{{function}}}");
    let sum = format!("elias_host_call_cpu_seconds_sum{{{function}}}");
    let longest = after[&format!("elias_host_call_cpu_longest_seconds{{{function}}}")];
    let (count, sum) = (grown(&before, &after, &count), grown(&before, &after, &sum));
    assert!(count >= 10.0, "{count} calls");
    // A call takes what its price says, within a wide margin, whatever else the machine does: it is CPU time.
    assert!(sum > 1e-6 && longest > 0.0 && longest < 5e-3, "{sum} s, {longest} s at most");
}
