//! An exception that nobody catches is an event of the global scope, and logged unless a listener cancels it; and
//! messages between ports.

use elias_tests::serve::Server;
use serde_json::json;

const SOURCE: &str = r#"
const seen = [];
const note = (what) => (event) => {
  seen.push([event.type, String(event.reason ?? event.message), event.isTrusted]);
  if (what.some((word) => seen.at(-1)[1].includes(word))) event.preventDefault();
};
addEventListener("error", note(["quiet"]));
addEventListener("unhandledrejection", note(["quiet"]));
addEventListener("rejectionhandled", note([]));
const later = (delay) => new Promise((resolve) => setTimeout(resolve, delay));
export default {
  async fetch(request, env, ctx) {
    console.log("asked");
    ctx.waitUntil(Promise.reject(new Error("waited for")));
    Promise.reject("caught").catch(() => {});
    Promise.reject(new Error("loud rejection"));
    const late = Promise.reject("quiet rejection");
    queueMicrotask(() => { throw new RangeError("quiet microtask"); });
    setTimeout(() => { throw new TypeError("loud timer"); }, 1);
    await later(20);
    late.catch(() => {});
    await later(1);
    const { port1, port2 } = new MessageChannel();
    const order = [];
    const arrived = new Promise((resolve) => (port2.onmessage = ({ data }) => 
      (order.push(data) === 2 ? resolve() : 0)));
    port1.postMessage("one");
    port1.postMessage("two");
    await Promise.resolve().then(() => order.push("job")).then(() => order.pop());
    await arrived;
    return Response.json({ seen, order, started: performance.now() > 0 });
  },
};
"#;

#[tokio::test]
async fn what_nobody_catches_is_an_event_and_is_logged() {
    let server = Server::of(SOURCE, &[]);
    let told = server.get("/").await.json();
    let mut seen: Vec<_> = told["seen"].as_array().expect("a list").clone();
    seen.sort_by_key(ToString::to_string);
    assert_eq!(
        json!(seen),
        json!([
            ["error", "Uncaught RangeError: quiet microtask", true],
            ["error", "Uncaught TypeError: loud timer", true],
            ["rejectionhandled", "quiet rejection", true],
            ["unhandledrejection", "Error: loud rejection", true],
            ["unhandledrejection", "quiet rejection", true],
        ])
    );
    assert_eq!((&told["order"], &told["started"]), (&json!(["one", "two"]), &json!(true)));
    let log = server.logged("waited for").await;
    assert!(
        log.contains("Uncaught (in promise) Error: loud rejection") && log.contains("Uncaught TypeError: loud timer"),
        "{log}"
    );
    assert!(!log.contains("quiet"), "{log}");
}

#[tokio::test]
async fn messages_that_answer_each_other_leave_timers_their_turn() {
    let source = r#"
        export default {
          async fetch() {
            const { port1, port2 } = new MessageChannel();
            let count = 0;
            port1.onmessage = port2.onmessage = ({ target, data }) => {
              count++; (target === port1 ? port1 : port2).postMessage(data); };
            port1.postMessage("ping");
            await new Promise((resolve) => setTimeout(resolve, 5));
            return Response.json(count > 10);
          },
        };
    "#;
    assert_eq!(Server::of(source, &[]).get("/").await.body, "true");
}
