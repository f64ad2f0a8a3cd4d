//! Service workers in a rollout: a canary has a part of them by the hash of their names, and a rollback brings back
//! what they were.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Counts. In version 2 a call adds a hundred, and fails where that was done before.
fn source(version: u32) -> String {
    let add = if version == 1 {
        "this.count += n;"
    } else {
        "this.count += 100; if (this.count >= 200) throw new Error(`too many: ${this.count}`);"
    };
    format!(
        r#"
        import {{ worker }} from "elias";
        export class Counter extends worker.Worker {{
            count = 0;
            add(n) {{ {add} return this.count; }}
            get() {{ return [{version}, this.count]; }}
        }}
        export default {{ fetch() {{ return new Response("up"); }} }};
        "#
    )
}

/// Built once: a heap belongs to one build of a component.
static ONE: LazyLock<Vec<u8>> = LazyLock::new(|| component(&source(1)));
static TWO: LazyLock<Vec<u8>> = LazyLock::new(|| component(&source(2)));

const WORKERS: u64 = 20;

fn counter(number: u64, action: &str) -> String {
    service("shop", "production", &format!("/workers/Counter/user-{number}{action}"))
}

/// Calls a method; the status, and the answer or the problem.
async fn call(team: &Tenant<'_>, number: u64, method: &str, args: Value) -> (u16, Value) {
    let message = json!({ "method": method, "args": args });
    team.ask("POST", &counter(number, "/messages"), message).await
}

/// The version of a worker and its count.
async fn get(team: &Tenant<'_>, number: u64) -> Value {
    let (status, mut body) = call(team, number, "get", json!([])).await;
    assert_eq!(status, 200, "user-{number}: {body}");
    body["answer"].take()
}

/// Workers that count to their numbers, in version 1.
async fn serve(team: &Tenant<'_>) {
    team.serve("shop", &ONE, json!({})).await;
    for number in 0..WORKERS {
        assert_eq!(call(team, number, "add", json!([number])).await.0, 200);
    }
}

/// Whether a worker belongs to the canary at 50 %, as the reference says: by SHA-256, which another program computes.
fn is_in_canary(rollout: &str, number: u64) -> bool {
    let key = format!("elias-bucket-1\0{rollout}\0worker\0Counter\0user-{number}");
    let digest = elias_contract::digest(key.as_bytes());
    u64::from_str_radix(&digest[..16], 16).expect("hexadecimal digits") % 10_000 < 5_000
}

/// A canary that is judged by its failures alone, and stays at its step.
fn half() -> Value {
    json!({ "steps": [50.0], "every-ms": 3_600_000, "requests": 1_000_000, "p99-ratio": 1000.0, "fuel-ratio": 1000.0 })
}

#[tokio::test]
async fn a_canary_has_half_of_the_workers_and_one_that_fails_leaves_them_as_they_were() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let two = team.version("shop", &TWO, json!({})).await;
    let begun = team.deploy("shop", "production", two, half()).await;
    let rollout = begun["id"].as_str().expect("an id");
    let members: BTreeSet<u64> = (0..WORKERS).filter(|number| is_in_canary(rollout, *number)).collect();
    for number in 0..WORKERS {
        let version = if members.contains(&number) { 2 } else { 1 };
        assert_eq!(get(&team, number).await, json!([version, number]), "user-{number}");
    }
    let Some(first) = members.first().copied() else { return };
    assert_eq!(call(&team, first, "add", json!([1])).await.1["answer"], json!(first + 100), "it was answered");

    until("the canary is rolled back", async || {
        for number in &members {
            call(&team, *number, "add", json!([1])).await;
        }
        team.status("shop").await["canary"].is_null().then_some(())
    })
    .await;
    let history = team.history("shop").await;
    assert_eq!((&history[0]["version"], &history[0]["state"]), (&json!(two), &json!("rolled-back")));
    let reason = history[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("requests failed"), "{reason}");
    // Those that the last round of calls found rolled back already have counted on in version 1.
    for number in 0..WORKERS {
        let answer = get(&team, number).await;
        let count = answer[1].as_u64().expect("a number");
        let is_as_before = answer[0] == 1 && (number..number + 50).contains(&count);
        assert!(is_as_before && (members.contains(&number) || count == number), "user-{number}: {answer}");
    }
    let shown = team.done("GET", &counter(first, ""), Value::Null).await;
    assert_eq!((&shown["rolled_back"]["from"], &shown["rolled_back"]["version"]), (&json!(two), &json!(1)), "{shown}");
    assert!(shown["rolled_back"]["lost"].as_u64().is_some_and(|lost| lost >= 2), "{shown}");
    platform.logged("the turns since are lost").await;
}

#[tokio::test]
async fn a_canary_that_is_aborted_leaves_workers_as_they_were_and_one_that_is_promoted_keeps_them() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let two = team.version("shop", &TWO, json!({})).await;
    for action in ["abort", "promote"] {
        let begun = team.deploy("shop", "production", two, half()).await;
        let rollout = begun["id"].as_str().expect("an id");
        let members: BTreeSet<u64> = (0..WORKERS).filter(|number| is_in_canary(rollout, *number)).collect();
        for number in &members {
            assert_eq!(call(&team, *number, "add", json!([1])).await.1["answer"], json!(number + 100));
        }
        let request = json!({ "action": action, "reason": "as told" });
        team.done("POST", &service("shop", "production", "/rollout"), request).await;
        for number in 0..WORKERS {
            let is_moved = action == "promote";
            let count = if is_moved && members.contains(&number) { number + 100 } else { number };
            assert_eq!(get(&team, number).await, json!([if is_moved { 2 } else { 1 }, count]), "user-{number}");
        }
    }
}

#[tokio::test]
async fn a_rollback_by_hand_takes_the_state_of_workers_along_or_restores_it() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let two = team.serve("shop", &TWO, json!({})).await;
    let rollback = service("shop", "production", "/rollback");
    assert_eq!(call(&team, 7, "add", json!([1])).await.1["answer"], 107);
    team.done("POST", &rollback, json!({})).await;
    assert_eq!(get(&team, 7).await, json!([1, 107]), "what it did is kept");
    assert_eq!(get(&team, 8).await, json!([1, 8]), "it was not moved meanwhile");

    team.deploy("shop", "production", two, Value::Null).await;
    assert_eq!(call(&team, 8, "add", json!([1])).await.1["answer"], 108);
    team.done("POST", &rollback, json!({ "restore_workers": true })).await;
    assert_eq!(get(&team, 8).await, json!([1, 8]), "what it did is lost");
    assert_eq!(get(&team, 7).await, json!([1, 107]));

    // Only the version that the present one replaced is one that workers were in before.
    let three = team.version("shop", &component(&source(3)), json!({})).await;
    team.deploy("shop", "production", two, Value::Null).await;
    team.deploy("shop", "production", three, Value::Null).await;
    let request = json!({ "to": 1, "restore_workers": true });
    let (code, detail) = team.refused("POST", &rollback, request).await;
    assert_eq!(code, "wrong-state");
    assert!(detail.contains("replaced version 2"), "{detail}");
}
