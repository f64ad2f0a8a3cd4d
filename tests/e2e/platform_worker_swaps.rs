//! Hot swap on a platform: a deployment puts its code under the workers of the version before it, for good, and a
//! rollback takes it away again.

use elias_tests::build::Project;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// Counts by a closure, which no copy of the worker's state could have.
fn source(version: u32, more: &str) -> Vec<u8> {
    let source = format!(
        r#"
        import {{ worker }} from "elias";
        const state = {{ label: "one" }};
        export class Counter extends worker.Worker {{
            next = (() => {{ let count = 0; return () => `{version} ${{count += {version}}}`; }})();
            first = {{}};
            second = this.first;
            {more}
            count() {{ return [this.next(), this.first === this.second, state.label]; }}
        }}
        export default {{ fetch() {{ return new Response("up"); }} }};
        "#
    );
    // The default export of an `index.js` is called after its folder, and these are in folders of any name.
    Project::new(&[("src/index.js", &source)]).build("src/index.js")
}

fn counter(name: &str, action: &str) -> String {
    service("shop", "production", &format!("/workers/Counter/{name}{action}"))
}

async fn count(team: &Tenant<'_>, name: &str) -> Value {
    let message = json!({ "method": "count", "args": [] });
    team.done("POST", &counter(name, "/messages"), message).await["answer"].clone()
}

async fn shown(team: &Tenant<'_>, name: &str) -> Value {
    team.done("GET", &counter(name, ""), Value::Null).await
}

#[tokio::test]
async fn a_deployment_puts_its_code_under_workers_and_a_rollback_takes_it_away() {
    let mut platform = Platform::start(&[]);
    let one = platform.default_tenant().serve("shop", &source(1, ""), json!({})).await;
    assert_eq!(count(&platform.default_tenant(), "a").await, json!(["1 1", true, "one"]));
    let before = shown(&platform.default_tenant(), "a").await["turns"].clone();
    let two = platform.default_tenant().serve("shop", &source(10, ""), json!({})).await;
    assert_eq!(count(&platform.default_tenant(), "a").await, json!(["10 11", true, "one"]));
    assert_eq!(shown(&platform.default_tenant(), "a").await["version"], two, "the version whose code it has");
    // Another process finds the code in the heap, and the heap's image in the artifacts.
    platform.kill();
    platform.restart();
    let team = platform.default_tenant();
    let message = json!({ "method": "count", "args": [] });
    let again = async || {
        let (status, body) = team.ask("POST", &counter("a", "/messages"), message.clone()).await;
        (status == 200).then(|| body["answer"].clone())
    };
    assert_eq!(until("it serves again", again).await, json!(["10 21", true, "one"]));
    // A copy of it has its code, and one of before has what it had then.
    team.done("POST", &counter("a", "/fork"), json!({ "name": "now" })).await;
    team.done("POST", &counter("a", "/fork"), json!({ "name": "then", "at": before })).await;
    assert_eq!(count(&team, "now").await, json!(["10 31", true, "one"]));
    assert_eq!(count(&team, "then").await, json!(["10 11", true, "one"]));
    let history = team.done("GET", &counter("a", "/history"), Value::Null).await;
    let versions: Vec<&Value> =
        history["items"].as_array().expect("turns").iter().map(|turn| &turn["version"]).collect();
    assert_eq!((versions.first(), versions.last()), (Some(&&json!(two)), Some(&&json!(one))), "{history}");
    // Back to the code that the heap's image has.
    team.done("POST", &service("shop", "production", "/rollback"), json!({})).await;
    assert_eq!(count(&team, "a").await, json!(["1 22", true, "one"]));
    assert_eq!(count(&team, "now").await, json!(["1 32", true, "one"]));
    assert_eq!(shown(&team, "a").await["version"], one);
}

#[tokio::test]
async fn a_rollback_that_restores_workers_brings_back_heap_and_code() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &source(1, ""), json!({})).await;
    assert_eq!(count(&team, "a").await[0], "1 1");
    team.serve("shop", &source(10, ""), json!({})).await;
    assert_eq!(count(&team, "a").await[0], "10 11");
    let request = json!({ "restore_workers": true });
    team.done("POST", &service("shop", "production", "/rollback"), request).await;
    assert_eq!(count(&team, "a").await[0], "1 2", "the turn in version 2 is lost");
}

#[tokio::test]
async fn a_worker_that_cannot_be_matched_and_not_be_copied_says_both() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &source(1, ""), json!({})).await;
    count(&team, "a").await;
    team.serve("shop", &source(10, "added = true;"), json!({})).await;
    assert_eq!(count(&team, "a").await[0], "1 2", "the former version goes on serving it");
    let why = shown(&team, "a").await["upgrade_error"].clone();
    let why = why.as_str().expect("a reason");
    assert!(why.contains("the fields of the class Counter are others") && why.contains("fields.next"), "{why}");
    // The next version fits again.
    team.serve("shop", &source(100, ""), json!({})).await;
    assert_eq!(count(&team, "a").await[0], "100 102");
    assert_eq!(shown(&team, "a").await["upgrade_error"], Value::Null);
}
