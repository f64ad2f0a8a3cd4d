//! Service workers on a platform: what was answered survives that a host is killed, a deployment goes on with what
//! workers hold, and of two hosts on one store one has a worker.

use elias_tests::build::{binary, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use serde_json::{Value, json};

/// Counts, and says which version it is.
fn source(version: u32) -> String {
    format!(
        r#"
        import {{ worker, workers }} from "elias";
        export class Counter extends worker.Worker {{
            count = 0;
            seen = new Set();
            add(id) {{
                this.seen.add(id);
                this.count += 1;
                return {{ count: this.count, ids: this.seen.size, version: {version} }};
            }}
            get() {{ return {{ count: this.count, ids: this.seen.size, version: {version} }}; }}
            spin() {{ this.count = -1; for (;;); }}
            fail() {{ this.count = -1; throw new RangeError("as told"); }}
            ring(ms) {{ worker.after(Number(ms), "ring"); }}
            onAlarm() {{ this.seen.add("rung"); }}
        }}
        export default {{
            async fetch(request) {{
                const [, name, method, arg] = new URL(request.url).pathname.split("/");
                try {{
                    return Response.json(await workers.get(Counter, name)[method](arg) ?? null);
                }} catch (error) {{
                    return Response.json({{ name: error.name, message: error.message }}, {{ status: 500 }});
                }}
            }},
        }};
        "#
    )
}

fn settings() -> Value {
    json!({ "capabilities": { "workers": {} }, "smoke": { "path": "" } })
}

async fn json_of(team: &Tenant<'_>, path: &str) -> Value {
    let answer = team.get("shop", path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200
}

#[tokio::test]
async fn a_worker_survives_that_its_host_is_killed() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", &component(&source(1)), settings()).await;
    for number in 1..=5 {
        let answer = json_of(&platform.default_tenant(), &format!("/a/add/{number}")).await;
        assert_eq!(answer, json!({ "count": number, "ids": number, "version": 1 }));
    }
    json_of(&platform.default_tenant(), "/b/ring/1").await;
    platform.kill();
    platform.restart();
    let team = platform.default_tenant();
    let after = until("it serves again", async || Some(team.get("shop", "/a/add/6").await).filter(is_good)).await;
    assert_eq!(after.json(), json!({ "count": 6, "ids": 6, "version": 1 }));
    let rung = async || (json_of(&team, "/b/get/").await["ids"] == 1).then_some(());
    until("a timer that was due meanwhile is called", rung).await;
}

#[tokio::test]
async fn a_deployment_goes_on_with_what_workers_hold() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(&source(1)), settings()).await;
    assert_eq!(json_of(&team, "/a/add/1").await, json!({ "count": 1, "ids": 1, "version": 1 }));
    team.serve("shop", &component(&source(2)), settings()).await;
    let moved = async || Some(json_of(&team, "/a/get/").await).filter(|answer| answer["version"] == 2);
    assert_eq!(until("the new version runs it", moved).await, json!({ "count": 1, "ids": 1, "version": 2 }));
    assert_eq!(json_of(&team, "/a/add/2").await, json!({ "count": 2, "ids": 2, "version": 2 }));
}

#[tokio::test]
async fn a_turn_that_fails_changes_nothing_and_turns_are_executions() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let limits = json!({ "limits": { "fuel": 50_000_000 }, "workers": { "supervision": { "attempts": 1 } } });
    let mut settings = settings();
    settings.as_object_mut().expect("an object").extend(limits.as_object().expect("an object").clone());
    team.serve("shop", &component(&source(1)), settings).await;
    assert_eq!(json_of(&team, "/a/add/1").await["count"], 1);
    let thrown = team.get("shop", "/a/fail/").await;
    assert_eq!((thrown.status, thrown.json()), (500, json!({ "name": "RangeError", "message": "as told" })));
    assert_eq!(team.get("shop", "/a/spin/").await.status, 500);
    assert_eq!(json_of(&team, "/a/get/").await["count"], 1);
    let spun = until("the turns are recorded", async || {
        let all = team.done("GET", "/executions?limit=1000&component=shop", Value::Null).await;
        let turns = all["items"].as_array().expect("a list").iter().filter(|run| run["source"] == "worker Counter/a");
        turns.into_iter().find(|turn| turn["code"] == "out-of-fuel").cloned()
    })
    .await;
    assert!(spun["trace"].as_str().is_some(), "it is in the trace of its request: {spun}");
}

#[tokio::test]
async fn what_was_encrypted_is_read_after_the_hosts_key_was_exchanged() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", &component(&source(1)), settings()).await;
    assert_eq!(json_of(&platform.default_tenant(), "/a/add/1").await["count"], 1);
    let key = |platform: &Platform| std::fs::read_to_string(platform.data("secret.key")).expect("a key");
    let before = key(&platform);
    let rotate = |platform: &Platform| {
        let mut command = std::process::Command::new(binary("elias"));
        command.args(["keys", "rotate", "--data-dir"]).arg(platform.data("")).output().expect("it runs")
    };
    let refused = rotate(&platform);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("stop it first"), "{text}");
    platform.kill();
    let rotated = rotate(&platform);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    assert_ne!(key(&platform), before);
    platform.restart();
    let team = platform.default_tenant();
    let after = until("it serves again", async || Some(team.get("shop", "/a/add/2").await).filter(is_good)).await;
    assert_eq!(after.json(), json!({ "count": 2, "ids": 2, "version": 1 }));
    let is_done = async || (!platform.data("secret.key.former").exists()).then_some(());
    until("all is encrypted with the new key", is_done).await;
    platform.logged("encrypted with the present one").await;
}

#[tokio::test]
async fn settings_and_grants_of_workers_are_checked_when_a_version_is_made() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let digest = team.upload(&component(&source(1))).await;
    for (settings, code, part) in [
        (json!({}), "capability-denied", "[capabilities.workers]"),
        (json!({ "capabilities": { "workers": {} }, "workers": { "idel": "1s" } }), "bad-input", "[workers]"),
        (json!({ "capabilities": { "workers": {} }, "workers": { "idle": "1ms" } }), "bad-input", "workers.idle"),
    ] {
        let version = json!({ "digest": digest, "settings": settings });
        let (found, detail) = team.refused("POST", "/components/shop/versions", version).await;
        assert!(found == code && detail.contains(part), "{part}: {found}: {detail}");
    }
}

#[tokio::test]
async fn two_hosts_count_together_and_one_that_is_killed_loses_nothing() {
    let postgres = Postgres::start();
    let store = ["--store", &postgres.url()];
    // The key of a tenant is wrapped by the hosts' key, which is one.
    let key = [("ELIAS_SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned())];
    let (mut first, second) = (Platform::start_with(&store, &key), Platform::start_with(&store, &key));
    let bytes = component(&source(1));
    // Each host has artifacts of its own, of one build.
    second.default_tenant().upload(&bytes).await;
    first.default_tenant().serve("shop", &bytes, settings()).await;
    let there = second.default_tenant();
    until("the other host serves it", async || Some(there.get("shop", "/x/get/").await).filter(is_good)).await;
    let mut count = 0;
    for _ in 0..4 {
        for team in [&first.default_tenant(), &there] {
            count += 1;
            let answer = json_of(team, &format!("/a/add/{count}")).await;
            assert_eq!(
                answer,
                json!({ "count": count, "ids": count, "version": 1 }),
                "no host has a worker of its own"
            );
        }
    }
    // At the same time to both: each message counts once, whoever has the worker.
    let here = first.default_tenant();
    let both = (0..10).map(|number| {
        let team = if number % 2 == 0 { &here } else { &there };
        let path = format!("/a/add/both-{number}");
        async move { team.get("shop", &path).await }
    });
    let answered = futures::future::join_all(both).await.iter().filter(|answer| is_good(answer)).count();
    let after = json_of(&there, "/a/get/").await;
    let counted = after["count"].as_u64().expect("a number");
    assert!(counted >= 8 + answered as u64 && counted <= 18, "{answered} answers: {after}");
    assert_eq!(after["count"], after["ids"], "none counted twice: {after}");
    json_of(&first.default_tenant(), "/a/add/last").await;
    // The lease of a host that is killed ends by itself.
    first.kill();
    let again = until("the other host has it", async || Some(there.get("shop", "/a/get/").await).filter(is_good)).await;
    assert_eq!(again.json()["count"], counted + 1, "what the killed host answered is kept");
}
