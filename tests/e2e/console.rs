//! The console: what is native of it shows values as its scripts do.

use elias_host::{App, Host, Limits, Line, LoadOptions, Observer};
use elias_tests::build::component;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Logs values in two ways.
const SOURCE: &str = include_str!("console.js");

/// Lists of values that are logged for one seed, beside those of changed prototypes.
const LISTS: usize = 20;
const CHANGED_PROTOTYPES: usize = 3;

/// The messages and fields of lines.
#[derive(Default)]
struct Lines(Mutex<Vec<(String, String)>>);

impl Observer for Lines {
    fn line(&self, line: Line<'_>) {
        self.0.lock().expect("no panic").push((line.message.to_owned(), line.fields.to_owned()));
    }
}

async fn load(source: &str, lines: &Arc<Lines>) -> App {
    let host = Host::builder().instances(4).capability(elias_capabilities::Log).build().expect("a host");
    let limits = Limits { log_bytes_per_second: 1 << 30, fuel: 100_000_000_000, ..Limits::default() };
    let options = LoadOptions { limits: Some(limits), observer: Some(lines.clone()), ..LoadOptions::default() };
    host.load_with(&component(source), &options).await.expect("it loads")
}

#[tokio::test]
async fn values_are_shown_natively_as_by_the_scripts() {
    let lines = Arc::new(Lines::default());
    let app = load(SOURCE, &lines).await;
    for seed in 1..=40 {
        app.call(&json!({ "seed": seed, "times": LISTS })).await.expect("an answer");
        let lines = std::mem::take(&mut *lines.0.lock().expect("no panic"));
        assert_eq!(lines.len(), 2 * (LISTS + CHANGED_PROTOTYPES), "seed {seed}");
        for pair in lines.chunks(2) {
            assert_eq!(pair[0], pair[1], "seed {seed}");
        }
    }
}

#[tokio::test]
async fn plain_data_are_shown_without_a_script() {
    let app = load(SOURCE, &Arc::default()).await;
    let fuel = async |input: Value| app.call(&input).await.expect("an answer").execution.fuel;
    let native = fuel(json!({ "times": 20, "method": "log" })).await;
    let script = fuel(json!({ "times": 20, "method": "dirxml" })).await;
    assert!(native < script / 2, "{native} units of fuel, {script} by the script");
}

#[tokio::test]
async fn default_options_that_a_program_changes_hold_for_the_console() {
    const SOURCE: &str = r#"
        import { inspect } from "node:util";

        const nested = { a: { b: { c: { d: 1 } } } };

        export default {
          call() {
            console.log(nested);
            inspect.defaultOptions.depth = null;
            console.log(nested);
          },
        };
    "#;
    let lines = Arc::new(Lines::default());
    load(SOURCE, &lines).await.call(&Value::Null).await.expect("an answer");
    let messages: Vec<_> = lines.0.lock().expect("no panic").iter().map(|(message, _)| message.clone()).collect();
    // As Node.js shows it: an object with so many levels within it has a line for each. The log has them in one.
    assert_eq!(messages, ["{ a: { b: { c: [Object] } } }", r"{\n  a: { b: { c: { d: 1 } } }\n}"]);
}
