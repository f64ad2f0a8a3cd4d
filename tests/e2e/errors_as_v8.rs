//! Errors are as V8 has them: their messages, and the property `stack`.

use elias_host::Host;
use elias_tests::build::component;
use serde_json::{Value, json};

/// Throws and looks at what it caught.
const SOURCE: &str = include_str!("errors_as_v8.js");
/// What Node 20 gives for it.
const EXPECTED: &str = include_str!("errors_as_v8.json");

#[tokio::test]
async fn errors_say_what_those_of_v8_say() {
    let host = Host::builder().build().expect("a host");
    let app = host.load(&component(SOURCE)).await.expect("it loads");
    let found = app.call(&json!(null)).await.expect("an answer").value;
    let expected: Value = serde_json::from_str(EXPECTED).expect("JSON");
    for (part, expected) in expected.as_object().expect("an object") {
        let Some(expected) = expected.as_object() else {
            assert_eq!(&found[part], expected, "{part}");
            continue;
        };
        for (name, expected) in expected {
            assert_eq!(&found[part][name], expected, "{part}.{name}");
        }
    }
}

#[tokio::test]
async fn programs_that_ask_for_shared_memory_and_threads_go_on_without() {
    let host = Host::builder().build().expect("a host");
    let source = r#"
        const sleeps = typeof SharedArrayBuffer !== "undefined" && typeof Atomics !== "undefined";
        const nil = sleeps ? new Int32Array(new SharedArrayBuffer(4)) : undefined;
        const sleep = sleeps ? (ms) => Atomics.wait(nil, 0, 0, ms) : () => "waited";
        export default {
          call: () => [sleep(1), globalThis.Atomics === undefined, "Atomics" in globalThis, typeof WebAssembly],
        };
    "#;
    let app = host.load(&component(source)).await.expect("it loads");
    let found = app.call(&json!(null)).await.expect("an answer").value;
    assert_eq!(found, json!(["waited", true, false, "undefined"]));
}
