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

/// What the built-in functions say, and what `Atomics` does: cases, and what Node 20 gives for them.
const BUILT_INS: &str = include_str!("messages_as_v8.js");
const OF_BUILT_INS: &str = include_str!("messages_as_v8.json");

#[tokio::test]
async fn built_in_functions_refuse_with_the_messages_of_v8() {
    let host = Host::builder().build().expect("a host");
    let app = host.load(&component(BUILT_INS)).await.expect("it loads");
    let found = app.call(&json!(null)).await.expect("an answer").value;
    let expected: Value = serde_json::from_str(OF_BUILT_INS).expect("JSON");
    for group in ["cases", "atomics"] {
        for (name, expected) in expected[group].as_object().expect("cases") {
            assert_eq!(&found[group][name], expected, "{group}.{name}");
        }
    }
}

#[tokio::test]
async fn programs_that_ask_for_shared_memory_and_threads_go_on_without() {
    let host = Host::builder().build().expect("a host");
    let source = r#"
        const cells = new Int32Array(new SharedArrayBuffer(8));
        const wait = () => { try { return Atomics.wait(cells, 0, 0, 1); } catch (error) { return error.message; } };
        export default {
          call: () => [
            wait(), Atomics.notify(cells, 0), Atomics.add(cells, 1, 2), cells[1], "waitAsync" in Atomics, typeof Worker,
            typeof WebAssembly,
          ],
        };
    "#;
    let app = host.load(&component(source)).await.expect("it loads");
    let found = app.call(&json!(null)).await.expect("an answer").value;
    let refused = "Atomics.wait cannot be called in this context";
    assert_eq!(found, json!([refused, 0, 0, 2, false, "undefined", "undefined"]));
}
