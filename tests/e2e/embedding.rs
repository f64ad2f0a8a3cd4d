//! `elias-host` inside a program of one's own.

use bytes::Bytes;
use elias_host::{ErrorCode, ExecutionHandle, Host, Limits, Outcome, RequestLimits};
use elias_tests::build::component;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

const READER: &str = r#"
export default {
  async fetch(request) { return new Response("read " + (await request.text()).length); },
  async call(input) {
    if (input === "throw") throw new RangeError("as told");
    if (input === "spin") for (globalThis.n = 0; ; ) globalThis.n += 1;
    return { got: input };
  },
};
"#;

/// A body that panics when it is read, as a defect of the host would.
struct Defective;

impl Body for Defective {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a defect of the host");
    }
}

#[tokio::test]
async fn a_panic_in_the_host_fails_that_request_alone() {
    let host = Host::builder().instances(4).build().expect("a host");
    let app = host.load(&component(READER)).await.expect("it loads");
    for _ in 0..10 {
        let request = Request::post("http://localhost/").body(Defective).expect("a request");
        let error = app.fetch(request).await.expect_err("it panicked");
        assert_eq!(error.code(), ErrorCode::Internal, "{error}");
        let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
        let answer = app.fetch(request).await.expect("an answer").into_body().collect().await.expect("a body");
        assert_eq!(answer.to_bytes(), "read 0");
    }
}

#[tokio::test]
async fn every_answer_and_every_error_says_what_it_cost() {
    let limits = Limits { fuel: 50_000_000, ..Limits::default() };
    let host = Host::builder().limits(limits).instances(4).build().expect("a host");
    let app = host.load(&component(READER)).await.expect("it loads");
    let answer = app.call(&serde_json::json!({ "a": 1 })).await.expect("an answer");
    assert_eq!(answer.value, serde_json::json!({ "got": { "a": 1 } }));
    assert_eq!(answer.execution.outcome, Outcome::Completed);
    let again = app.call(&serde_json::json!({ "a": 1 })).await.expect("an answer");
    assert_eq!(answer.execution.fuel, again.execution.fuel, "the same work costs the same");
    assert_ne!(answer.execution.id, again.execution.id);
    for (input, code) in [("throw", ErrorCode::Exception), ("spin", ErrorCode::OutOfFuel)] {
        let error = app.call(&serde_json::json!(input)).await.expect_err("it fails");
        assert_eq!(error.code(), code);
        let execution = error.execution().expect("it was begun");
        assert_eq!(execution.outcome, Outcome::Failed(code));
        assert!(execution.fuel > 0 && execution.memory_peak_bytes > 0, "{execution:?}");
        assert_eq!(error.exception().is_some(), code == ErrorCode::Exception);
    }
}

#[tokio::test]
async fn dropping_a_call_ends_its_guest() {
    let source = "export default { fetch: () => new Promise((resolve) => setTimeout(resolve, 50_000)) };";
    let limits = Limits { concurrent_executions: 1, ..Limits::default() };
    let host = Host::builder().limits(limits).instances(1).build().expect("a host");
    let app = host.load(&component(source)).await.expect("it loads");
    for _ in 0..3 {
        let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
        let mut waiting = Box::pin(app.fetch(request));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting); // with it goes the only place and the only instance
    }
}

#[tokio::test]
async fn a_response_knows_its_execution() {
    let host = Host::builder().instances(4).build().expect("a host");
    let app = host.load(&component(READER)).await.expect("it loads");
    let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
    let response = app.fetch(request).await.expect("an answer");
    let running = response.extensions().get::<ExecutionHandle>().cloned().expect("it is there");
    response.into_body().collect().await.expect("a body");
    let execution = running.finished().await;
    assert_eq!((execution.id.as_str(), execution.outcome), (running.id(), Outcome::Completed));
}

#[tokio::test]
async fn a_request_has_limits_of_its_own_below_those_of_its_component() {
    const COSTLY: &str = r#"
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/fuel") for (globalThis.n = 0; globalThis.n < 3e6; ) globalThis.n += 1;
    if (pathname === "/memory") globalThis.kept = new Uint8Array(40 << 20).fill(1);
    if (pathname === "/deadline") await new Promise((resolve) => setTimeout(resolve, 600_000));
    return new Response("done");
  },
};
"#;
    let limits = Limits { fuel: 5_000_000_000, ..Limits::default() };
    // One more than is used at a time: what a request has left is given back beside the next one.
    let host = Host::builder().limits(limits).instances(2).build().expect("a host");
    let app = host.load(&component(COSTLY)).await.expect("it loads");
    let ask = async |path: &str, limits: RequestLimits| {
        let request = Request::get(format!("http://localhost{path}")).extension(limits);
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let response = app.fetch(request).await.map_err(|error| (error.code(), error.to_string()))?;
        response.into_body().collect().await.map_err(|error| (error.code(), error.to_string())).map(|_| ())
    };
    let (none, much) = (RequestLimits::default(), Some(u64::MAX));
    let cases = [
        ("/fuel", RequestLimits { fuel: Some(20_000_000), ..none }, ErrorCode::OutOfFuel, "its 20000000 units"),
        ("/memory", RequestLimits { memory_bytes: Some(24 << 20), ..none }, ErrorCode::OutOfMemory, "25165824 bytes"),
        (
            "/deadline",
            RequestLimits { deadline: Some(Duration::from_millis(30)), ..none },
            ErrorCode::Deadline,
            "within 30 ms",
        ),
    ];
    for (path, limits, code, part) in cases {
        // In a new instance and in one that was used, beside requests without limits of their own.
        for _ in 0..2 {
            let (found, message) = ask(path, limits).await.expect_err(path);
            assert!(found == code && message.contains(part), "{path}: {message}");
            let others = RequestLimits { deadline: None, ..limits };
            assert_eq!(ask("/", others).await, Ok(()), "{path}");
        }
        if code != ErrorCode::Deadline {
            let above = RequestLimits { fuel: much, memory_bytes: much, deadline: None };
            assert_eq!(ask(path, none).await, Ok(()), "{path}");
            assert_eq!(ask(path, above).await, Ok(()), "{path}: the limits of the component are in force");
        }
    }
}
