//! Traces: the spans of a request and of all that it has caused, as the admin API and collectors get them.

use crate::platform_metrics::scrape;
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::Tenant;
use elias_tests::terminal::Terminal;
use elias_tests::upstream::Upstream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What a collector got, and how it responds.
#[derive(Default)]
struct Collected {
    spans: Vec<Span>,
    lines: Vec<String>,
    headers: Vec<HeaderMap>,
    /// Requests that are still to be refused for the moment.
    busy: u32,
    /// Spans that the next response says it has rejected.
    rejects: i64,
    /// Whether requests are refused for good.
    refuses: bool,
}

/// A collector, over HTTP and gRPC.
struct Collector {
    address: SocketAddr,
    collected: Arc<Mutex<Collected>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let collected = Arc::<Mutex<Collected>>::default();
        let of_server = Arc::clone(&collected);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collected = Arc::clone(&of_server);
                let service = service_fn(move |request| collect(request, Arc::clone(&collected)));
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, collected }
    }

    fn set(&self, change: impl FnOnce(&mut Collected)) {
        change(&mut self.collected.lock().expect("no collector panics"));
    }

    fn spans(&self) -> Vec<Span> {
        self.collected.lock().expect("no collector panics").spans.clone()
    }
}

async fn collect(
    request: Request<Incoming>,
    collected: Arc<Mutex<Collected>>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let is_grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
    let mut all = collected.lock().expect("no collector panics");
    all.headers.push(head.headers);
    if all.busy > 0 {
        all.busy -= 1;
        return Ok(respond(is_grpc, 503, 14, &[]));
    }
    if all.refuses {
        return Ok(respond(is_grpc, 400, 3, &[]));
    }
    let message = if is_grpc { &body[5..] } else { &body[..] };
    let mut response = ExportTraceServiceResponse::default();
    match head.uri.path() {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            let request = ExportTraceServiceRequest::decode(message).expect("a request of OTLP");
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            all.spans.extend(scopes.flat_map(|scope| scope.spans));
            let rejected_spans = std::mem::take(&mut all.rejects);
            if rejected_spans > 0 {
                let error_message = "too old".to_owned();
                response.partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
            }
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            let request = ExportLogsServiceRequest::decode(message).expect("a request of OTLP");
            let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
            let records = scopes.flat_map(|scope| scope.log_records);
            all.lines.extend(records.filter_map(|record| Some(format!("{:?}", record.body?.value?))));
        }
        other => panic!("{other} is no path of OTLP"),
    }
    Ok(respond(is_grpc, 200, 0, &response.encode_to_vec()))
}

fn respond(is_grpc: bool, status: u16, code: u32, message: &[u8]) -> Response<BoxBody<Bytes, Infallible>> {
    if !is_grpc {
        let mut response = Response::new(Full::new(Bytes::copy_from_slice(message)).boxed());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
        return response;
    }
    let length = u32::try_from(message.len()).expect("it is small");
    let framed = [&[0][..], &length.to_be_bytes(), message].concat();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(code))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async move { Some(Ok(trailers)) }).boxed();
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// A component whose request leads to a job, an event, a turn of a service worker, and a request of that.
fn source(upstream: SocketAddr) -> String {
    format!(
        r#"
        import {{ events, jobs, trace, worker, workers }} from "elias";
        export class Cart extends worker.Worker {{
          sent = "";
          async add() {{
            this.sent = (await (await fetch("http://{upstream}/headers")).json()).traceparent;
          }}
          list() {{ return this.sent; }}
        }}
        export default {{
          async fetch(request) {{
            const {{ pathname }} = new URL(request.url);
            if (pathname === "/fails") throw new RangeError("as told");
            if (pathname === "/sent") return new Response(await workers.get(Cart, "ada").list());
            console.log("an order");
            await trace.span("take the order", async () => {{
              await trace.span("check it", () => {{}});
              await jobs.enqueue("ship", {{}});
            }});
            return new Response("taken");
          }},
          async job() {{ await events.publish("order.shipped", {{}}); }},
          async event() {{ await workers.get(Cart, "ada").add(); }},
        }};
        "#
    )
}

async fn serve(platform: &Platform, upstream: SocketAddr) -> Tenant<'_> {
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let http = json!({ "allow": [format!("http://{upstream}")], "private": ["127.0.0.1/32"] });
    let settings = json!({
        "capabilities": { "events": {}, "jobs": {}, "workers": {}, "http": http },
        "smoke": { "path": "" },
        "triggers": { "event": [{ "type": "order.*" }] },
    });
    team.serve("shop", &component(&source(upstream)), settings).await;
    team
}

async fn ask(platform: &Platform, path: &str, flags: &str) -> String {
    let request = Request::get("/").header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"));
    platform.ask_with(request, "shop.acme.localhost", path, "").await.body
}

/// The trace once it has a span of this name.
async fn trace_with(team: &Tenant<'_>, name: &str) -> Value {
    until("the trace has the span", async || {
        let (status, trace) = team.ask("GET", &format!("/traces/{TRACE}"), Value::Null).await;
        (status == 200 && spans_of(&trace).values().any(|span| span.0 == name)).then_some(trace)
    })
    .await
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of a trace by their ids: name and parent.
fn spans_of(trace: &Value) -> HashMap<String, (String, Option<String>)> {
    let executions = trace["executions"].as_array().expect("executions").iter();
    let spans = executions.flat_map(|execution| execution["spans"].as_array().expect("spans"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entry = |span: &Value| {
        (text(&span["id"]).expect("an id"), (text(&span["name"]).expect("a name"), text(&span["parent"])))
    };
    spans.map(entry).collect()
}

#[tokio::test]
async fn one_trace_goes_from_the_gateway_to_the_request_of_a_worker() {
    let (platform, upstream) = (Platform::start(&["--trace-sample-rate", "1"]), Upstream::start().await);
    let team = serve(&platform, upstream.address()).await;
    assert_eq!(ask(&platform, "/order", "00").await, "taken");
    let trace = trace_with(&team, "http").await;
    let spans = spans_of(&trace);
    // From the request that the worker sends, to the top.
    let (mut id, (name, mut above)) = spans
        .iter()
        .find(|(_, (name, _))| name == "http")
        .map(|(id, span)| (id.clone(), span.clone()))
        .expect("a fetch");
    let mut names = vec![name];
    let fetch = id.clone();
    while let Some(parent) = above.clone() {
        id = parent;
        match spans.get(&id) {
            Some((name, parent)) => {
                names.push(name.clone());
                above.clone_from(parent);
            }
            None => break,
        }
    }
    let kinds: Vec<_> = names.iter().filter_map(|name| name.split(' ').next()).collect();
    assert_eq!(kinds, ["http", "worker", "event", "job", "execution", "GET"], "{trace}");
    assert_eq!(id, CALLER, "the caller's span is above all");
    let parent_of = |name: &str| spans.values().find(|span| span.0 == name).and_then(|span| span.1.clone());
    let name_of = |id: Option<String>| id.and_then(|id| spans.get(&id)).map(|span| span.0.clone());
    assert_eq!(name_of(parent_of("check it")).as_deref(), Some("take the order"));
    assert_eq!(name_of(parent_of("take the order")).as_deref(), Some("execution"));
    let sent = until("the worker has sent it", async || {
        Some(platform.ask("shop.acme.localhost", "/sent").await.body).filter(|sent| !sent.is_empty())
    })
    .await;
    assert_eq!(sent, format!("00-{TRACE}-{fetch}-01"), "the other server was told the span of the request");

    // Who may not read a service sees nothing of it.
    let other = team.with_role("viewer", Some(&["blog"])).await;
    assert_eq!(other.refused("GET", &format!("/traces/{TRACE}"), Value::Null).await.0, "not-found");
    assert_eq!(other.done("GET", "/traces", Value::Null).await["items"], json!([]));
    let stranger = platform.new_tenant("evil", json!({})).await;
    assert_eq!(stranger.refused("GET", &format!("/traces/{TRACE}"), Value::Null).await.0, "not-found");
    assert_eq!(team.refused("GET", "/traces/x", Value::Null).await.0, "bad-input");
}

#[tokio::test]
async fn failures_are_kept_and_others_by_the_rate_and_by_their_callers() {
    let flags = ["--trace-sample-rate", "0", "--trace-slow-ms", "3600000"];
    let (platform, upstream) = (Platform::start(&flags), Upstream::start().await);
    let team = serve(&platform, upstream.address()).await;
    platform.ask("shop.acme.localhost", "/sent").await;
    ask(&platform, "/fails", "00").await;
    let trace = trace_with(&team, "GET").await;
    assert_eq!(trace["executions"][0]["name"], "GET /fails");
    assert_eq!(trace["executions"][0]["spans"][0]["failed"], true);
    let listed = team.done("GET", "/traces", Value::Null).await;
    let names: Vec<_> = listed["items"].as_array().expect("a list").iter().map(|trace| &trace["name"]).collect();
    assert_eq!(names, ["GET /fails"], "what went well is not kept: {listed}");
    assert_eq!(team.done("GET", "/traces?failed=false", Value::Null).await["items"], json!([]));
    assert_eq!(team.done("GET", "/traces?min_duration_ms=3600000", Value::Null).await["items"], json!([]));
    // A caller who has recorded the trace has it kept.
    assert_eq!(ask(&platform, "/order", "01").await, "taken");
    let trace = trace_with(&team, "http").await;
    let names: Vec<_> =
        trace["executions"].as_array().expect("executions").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"GET /order") && names.contains(&"job ship"), "{names:?}");

    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let typed = |line: &[&str]| terminal.types("", &[line, &["--tenant", "acme"]].concat());
    let list = typed(&["traces", "list", "--failed"]);
    assert!(list.contains(TRACE) && list.contains("GET /fails"), "{list}");
    let shown = typed(&["traces", "show", TRACE]);
    assert!(shown.contains("FAILED"), "{shown}");
    assert!(shown.contains("  take the order") && shown.contains("jobs enqueue ship"), "{shown}");
}

async fn is_collected(protocol: &str) {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    collector.set(|collected| (collected.busy, collected.rejects) = (2, 1));
    let endpoint = format!("http://{}", collector.address);
    let flags = ["--trace-sample-rate", "1", "--otlp-endpoint", endpoint.as_str(), "--otlp-protocol", protocol];
    let environment = [("OTEL_EXPORTER_OTLP_HEADERS", "x-team=acme".to_owned())];
    let platform = Platform::start_with(&flags, &environment);
    let team = serve(&platform, upstream.address()).await;
    assert_eq!(ask(&platform, "/order", "00").await, "taken");
    let kept = spans_of(&trace_with(&team, "http").await);
    until("the collector has each span once, though it was busy", async || {
        let spans = collector.spans();
        let times = |id: &String| spans.iter().filter(|span| hex(&span.span_id) == *id).count();
        let parent = |span: &Span| (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id));
        let is_right = |span: &Span| {
            let found = kept.get(&hex(&span.span_id));
            found.is_none_or(|(name, above)| {
                *name == span.name && *above == parent(span) && hex(&span.trace_id) == TRACE
            })
        };
        assert!(spans.iter().all(is_right), "{spans:?}");
        kept.keys().all(|id| times(id) == 1).then_some(())
    })
    .await;
    until("the log line is there", async || {
        let collected = collector.collected.lock().expect("no collector panics");
        collected.lines.iter().any(|line| line.contains("an order")).then_some(())
    })
    .await;
    assert!(
        collector
            .collected
            .lock()
            .expect("no collector panics")
            .headers
            .iter()
            .all(|headers| headers["x-team"] == "acme")
    );
    until("all are counted, and the one that was rejected", async || {
        let samples = scrape(&platform, &team.token).await;
        let (taken, lost) = (
            samples[r#"elias_telemetry_exported_total{signal="traces"}"#],
            samples[r#"elias_telemetry_dropped_total{signal="traces"}"#],
        );
        (lost == 1.0 && taken + lost == collector.spans().len() as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_collector_gets_spans_and_lines_over_http() {
    is_collected("http/protobuf").await;
}

#[tokio::test]
async fn a_collector_gets_spans_and_lines_over_grpc() {
    is_collected("grpc").await;
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_to_the_unit() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    collector.set(|collected| collected.refuses = true);
    let endpoint = format!("http://{}", collector.address);
    let platform = Platform::start(&["--trace-sample-rate", "1", "--otlp-endpoint", endpoint.as_str()]);
    let team = serve(&platform, upstream.address()).await;
    assert_eq!(ask(&platform, "/order", "00").await, "taken");
    trace_with(&team, "http").await;
    let stored = async || {
        let listed = team.done("GET", "/traces?limit=1000", Value::Null).await;
        let mut spans = 0;
        for trace in listed["items"].as_array().expect("a list") {
            let id = trace["trace"].as_str().expect("an id");
            spans += spans_of(&team.done("GET", &format!("/traces/{id}"), Value::Null).await).len();
        }
        spans as f64
    };
    until("each span that is kept was lost on the way to the collector", async || {
        let samples = scrape(&platform, &team.token).await;
        let lost = samples[r#"elias_telemetry_dropped_total{signal="traces"}"#];
        let waiting = samples[r#"elias_telemetry_waiting_bytes{signal="traces"}"#];
        (waiting == 0.0 && lost == stored().await).then_some(())
    })
    .await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn a_tenant_gets_its_own_spans_and_no_others() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let platform = Platform::start(&["--trace-sample-rate", "1", "--private-network", "127.0.0.0/8"]);
    let team = serve(&platform, upstream.address()).await;
    let other = platform.default_tenant();
    other.serve("blog", &component("export default { fetch() { return new Response('up'); } };"), json!({})).await;
    let settings = json!({ "trusted": true, "otlp-endpoint": format!("http://{}", collector.address) });
    let path = "/v1/tenants/acme";
    let (status, refused) = platform.admin("PUT", path, json!({ "otlp-endpoint": "http://a@b" })).await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad-input")), "{refused}");
    let (status, answer) = platform.admin("PUT", path, settings).await;
    assert_eq!(status, 200, "{answer}");
    until("the setting holds, and the collector has spans", async || {
        assert_eq!(other.get("blog", "/").await.status, 200);
        ask(&platform, "/order", "00").await;
        (!collector.spans().is_empty()).then_some(())
    })
    .await;
    trace_with(&team, "http").await;
    let own = async |tenant: &Tenant<'_>| {
        let listed = tenant.done("GET", "/traces?limit=1000", Value::Null).await;
        let ids = listed["items"].as_array().expect("a list").iter().filter_map(|one| one["trace"].as_str());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let foreign = until("the other tenant has traces", async || Some(own(&other).await).filter(|ids| !ids.is_empty()));
    let foreign = foreign.await;
    assert!(collector.spans().iter().all(|span| !foreign.contains(&hex(&span.trace_id))));
}
