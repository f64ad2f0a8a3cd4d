//! `elias-host` inside a program of one's own.

use bytes::Bytes;
use elias_host::{ErrorCode, ExecutionHandle, Host, Limits, Outcome};
use elias_tests::build::component;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

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
