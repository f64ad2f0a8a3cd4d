//! Versions and deployments, as a team sees them: what is asked for serves, what is refused changes nothing, and
//! nobody's request is lost.

use elias_tests::answering::{answering, answers, fails};
use elias_tests::build::{Project, component};
use elias_tests::platform::Platform;
use elias_tests::serve::PATIENCE;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::cell::Cell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Of each deployment, newest first: the version and how it stands.
async fn history(team: &Tenant<'_>) -> Vec<(u64, String)> {
    let of = |deployment: &Value| {
        let state = deployment["state"].as_str().expect("a state").to_owned();
        (deployment["version"].as_u64().expect("a number"), state)
    };
    team.history("shop").await.iter().map(of).collect()
}

fn past(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries.iter().map(|(version, state)| (*version, (*state).to_owned())).collect()
}

#[tokio::test]
async fn what_is_deployed_answers_and_what_served_before_can_be_gone_back_to() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    assert_eq!(team.get("shop", "/").await.status, 404, "nothing was deployed");
    for (number, text) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(team.version("shop", answering(), answers(text)).await, number);
    }
    assert_eq!(team.get("shop", "/").await.status, 404, "a version alone serves nothing");
    for (number, text) in [(1, "one"), (2, "two")] {
        let deployed = team.deploy("shop", "production", number, Value::Null).await;
        assert_eq!((&deployed["version"], &deployed["state"]), (&json!(number), &json!("active")));
        assert_eq!(team.get("shop", "/").await.body, text);
    }
    assert_eq!(history(&team).await, past(&[(2, "active"), (1, "superseded")]));

    let rollback = service("shop", "production", "/rollback");
    assert_eq!(team.done("POST", &rollback, json!({})).await["version"], 1);
    assert_eq!(team.get("shop", "/").await.body, "one");
    assert_eq!(history(&team).await, past(&[(1, "active"), (2, "rolled-back"), (1, "superseded")]));
    assert_eq!(team.done("POST", &rollback, json!({ "to": 2 })).await["replaces"], 1);
    assert_eq!(team.get("shop", "/").await.body, "two");

    team.deploy("shop", "staging", 3, Value::Null).await;
    assert_eq!(platform.ask("shop--staging.default.localhost", "/").await.body, "three");
    assert_eq!(team.get("shop", "/").await.body, "two");
    let promoted = service("shop", "production", "/deployments");
    let promoted = team.done("POST", &promoted, json!({ "promote_from": "staging", "reason": "tested" })).await;
    assert_eq!((&promoted["version"], &promoted["reason"]), (&json!(3), &json!("tested")));
    assert_eq!(team.get("shop", "/").await.body, "three");
}

#[tokio::test]
async fn versions_are_numbered_and_immutable_and_deleted_only_where_they_serve_nowhere() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    assert_eq!(team.serve("shop", answering(), answers("one")).await, 1);
    assert_eq!(team.version("shop", answering(), answers("one")).await, 1, "the same again is the same version");
    assert_eq!(team.version("shop", answering(), answers("two")).await, 2);
    assert_eq!(team.version("other", answering(), answers("one")).await, 1, "each component counts its own");
    let path = "/components/shop/versions/1";
    let before = team.done("GET", path, Value::Null).await;
    assert_eq!(before["digest"], elias_contract::digest(answering()));
    for method in ["PUT", "PATCH", "POST"] {
        let (status, answer) = team.ask(method, path, json!({ "settings": answers("other") })).await;
        assert!((400..500).contains(&status), "{method}: {status} {answer}");
    }
    assert_eq!(team.done("GET", path, Value::Null).await, before);

    let (code, detail) = team.refused("DELETE", path, Value::Null).await;
    assert!(code == "in-use" && detail.contains("production"), "{code}: {detail}");
    team.done("DELETE", "/components/shop/versions/2", Value::Null).await;
    assert_eq!(team.refused("GET", "/components/shop/versions/2", Value::Null).await.0, "not-found");
    assert_eq!(team.version("shop", answering(), answers("three")).await, 3, "a number is never given twice");
    assert_eq!(team.get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn a_difference_names_imports_packages_sources_and_settings() {
    let plain = Project::new(&[
        ("package.json", r#"{"name":"shop","version":"1.0.0"}"#),
        ("index.js", "export default { fetch: () => new Response('plain') };"),
    ]);
    let more = Project::new(&[
        ("package.json", r#"{"name":"shop","version":"1.0.0","dependencies":{"tiny":"1.2.3"}}"#),
        ("node_modules/tiny/package.json", r#"{"name":"tiny","version":"1.2.3","main":"index.js"}"#),
        ("node_modules/tiny/index.js", "export default (text) => text + globalThis.String('!');"),
        ("deep.js", "import { cache } from 'elias/cache'; export const get = (key) => cache.get(key);"),
        (
            "index.js",
            "import tiny from 'tiny'; import { get } from './deep.js';\n\
             export default { fetch: async () => new Response(tiny(String(await get('a')))) };",
        ),
    ]);
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.version("shop", &plain.build("index.js"), json!({ "limits": { "fuel": 100_000_000 } })).await;
    let settings = json!({ "limits": { "fuel": 200_000_000 }, "capabilities": { "cache": {} } });
    team.version("shop", &more.build("index.js"), settings).await;
    let there = team.done("GET", "/components/shop/versions/1/diff/2", Value::Null).await;
    let back = team.done("GET", "/components/shop/versions/2/diff/1", Value::Null).await;
    let has = |list: &Value, part: &str| {
        list.as_array().expect("a list").iter().any(|entry| entry.as_str().is_some_and(|entry| entry.contains(part)))
    };
    for (what, part) in [("imports", "elias:cache/cache"), ("packages", "tiny@1.2.3"), ("sources", "deep.js")] {
        assert!(has(&there[format!("{what}_added")], part), "{what}: {there}");
        assert!(has(&back[format!("{what}_removed")], part), "{what}: {back}");
        assert!(!has(&there[format!("{what}_removed")], part), "{what}: {there}");
    }
    assert!(has(&there["changes"], "settings.limits.fuel: 100000000 -> 200000000"), "{there}");
    assert!(has(&there["changes"], "settings.capabilities.cache: nothing -> {}"), "{there}");
}

#[tokio::test]
async fn an_upload_that_is_refused_makes_no_version() {
    let most = answering().len() + 1_000_000;
    let platform = Platform::start(&["--component-bytes", &most.to_string()]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let digest = elias_contract::digest(answering());

    let other = elias_contract::digest(b"other");
    let mismatch = team.put_artifact(&other, b"not what it says").await;
    assert_eq!((mismatch.status, mismatch.code().as_str()), (422, "digest-mismatch"));
    let large = vec![b'x'; most + 1];
    let too_large = elias_contract::digest(&large);
    let request = http::Request::put("/").header("authorization", format!("Bearer {}", team.token));
    // The server answers and closes before all is sent: this client may notice the one or the other.
    if let Ok(large) = platform.try_call(request, &team.path(&format!("/artifacts/{too_large}")), large).await {
        assert_eq!((large.status, large.code().as_str()), (413, "request-too-large"));
    }
    for refused in [&other, &too_large] {
        assert!(!platform.artifact(refused).exists(), "what was refused is not kept");
    }

    let versions = "/components/shop/versions";
    let text = team.upload(b"no component at all").await;
    let importing = component(
        "import { cache } from 'elias/cache'; export default { fetch: async () => new Response(await cache.get('a')) \
         };",
    );
    let importing = team.upload(&importing).await;
    let calling = component(
        "import { worker, workers } from 'elias'; export class A extends worker.Worker { b() {} } \
         export default { fetch: async () => new Response(await workers.get(A, 'a').b()) };",
    );
    let calling = team.upload(&calling).await;
    let of = |settings: Value| json!({ "digest": digest, "settings": settings });
    for (version, code, part) in [
        (json!({ "digest": other }), "artifact-missing", other.as_str()),
        (json!({ "digest": calling }), "capability-denied", "[capabilities.workers]"),
        (of(json!({ "workers": { "idle": "1ms" } })), "bad-input", "workers.idle"),
        (json!({ "digest": text }), "bad-component", ""),
        (json!({ "digest": importing }), "capability-denied", "[capabilities.cache]"),
        (json!({ "digest": "x" }), "bad-input", "digest"),
        (json!({ "digest": digest, "setings": {} }), "bad-input", "setings"),
        (of(json!({ "limits": { "fule": 1 } })), "bad-input", "fule"),
        (of(json!({ "limits": { "fuel": -1 } })), "bad-input", "-1"),
        (of(json!({ "smoke": { "path": "no slash" } })), "bad-input", "[smoke] path"),
        (of(json!({ "supervision": { "retries": 6 } })), "bad-input", "retries"),
        (of(json!({ "gateway": { "route": [] } })), "bad-input", "gateway.route"),
        (of(json!({ "files": { "../up": digest } })), "bad-input", "../up"),
        (of(json!({ "files": { "migrations/1.sql": other } })), "artifact-missing", "migrations/1.sql"),
        (of(json!({ "capabilities": { "teleport": {} } })), "not-allowed", "teleport"),
        (of(json!({ "capabilities": { "db": { "url": "postgres://host/db" } } })), "not-allowed", "url"),
        (
            of(json!({ "capabilities": { "config": { "a": { "file": "/etc/passwd" } } } })),
            "not-allowed",
            "elias secrets set",
        ),
    ] {
        let (found, detail) = team.refused("POST", versions, version.clone()).await;
        assert!(found == code && detail.contains(part), "{version}: {found}: {detail}");
    }
    let all = team.done("GET", versions, Value::Null).await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
    assert_eq!(team.get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn a_deployment_that_is_refused_changes_nothing_that_serves() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let other = platform.new_tenant("other", json!({})).await;
    other.serve("shop", answering(), answers("the other's")).await;
    team.serve("shop", answering(), answers("one")).await;
    let version = async |settings: Value| json!({ "version": team.version("shop", answering(), settings).await });
    let config = |entries: Value| json!({ "capabilities": { "config": entries } });
    let throws = json!({ "capabilities": { "config": { "answer": "two", "fails": true } } });
    let teapot = json!({ "capabilities": { "config": { "answer": "two" } }, "smoke": { "path": "/", "status": 418 } });
    let routed = |host: &str| {
        json!({
            "capabilities": { "config": {} },
            "gateway": { "routes": [{ "host": host, "path": "/" }] },
        })
    };
    let stolen = routed("shop.other.localhost");
    let foreign = routed("www.example.com");
    let bad_plan = json!({ "version": 1, "rollout": { "steps": [50, 10] } });
    for (request, code, part) in [
        (
            version(config(json!({ "token": { "env": "TOKEN" } }))).await,
            "missing-configuration",
            "elias secrets set shop TOKEN --env production",
        ),
        (version(throws).await, "smoke-failed", "two fails"),
        (version(teapot).await, "smoke-failed", "200"),
        (version(stolen).await, "not-allowed", "shop.other.localhost"),
        (version(foreign).await, "not-allowed", "elias tenants set default --host www.example.com"),
        (json!({ "version": 99 }), "not-found", "99"),
        (json!({ "version": 0 }), "not-found", "0"),
        (json!({ "version": -1 }), "bad-input", "-1"),
        (json!({}), "bad-input", "promote_from"),
        (json!({ "version": 1, "promote_from": "staging" }), "bad-input", "exactly one of"),
        (json!({ "promote_from": "staging" }), "not-found", "staging"),
        (bad_plan, "bad-input", "rollout.steps"),
        (json!({ "version": 1, "rollout": { "every-ms": 1 } }), "bad-input", "rollout.every-ms"),
        (json!({ "version": 1, "rollout": { "sticky": { "header": "no name" } } }), "bad-input", "sticky.header"),
        (json!({ "version": 1, "revision": 77 }), "stale", "revision"),
    ] {
        let before = team.status("shop").await["revision"].clone();
        let (found, detail) =
            team.refused("POST", &service("shop", "production", "/deployments"), request.clone()).await;
        assert!(found == code && detail.contains(part), "{request}: {found}: {detail}");
        assert_eq!(team.get("shop", "/").await.body, "one", "{request}");
        assert_eq!(team.status("shop").await["revision"], before, "{request}");
    }
    assert_eq!(history(&team).await, past(&[(1, "active")]));
    assert_eq!(other.get("shop", "/").await.body, "the other's");
    let (code, _) = team.refused("POST", &service("shop", "nowhere", "/deployments"), json!({ "version": 1 })).await;
    assert_eq!(code, "bad-input");
}

#[tokio::test]
async fn of_two_deployments_at_once_that_have_read_the_same_one_is_done() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    for text in ["two", "three"] {
        team.version("shop", answering(), answers(text)).await;
    }
    let revision = team.status("shop").await["revision"].to_string();
    let deploy = async |number: u64| {
        let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("if-match", format!("\"{revision}\""));
        let path = team.path(&service("shop", "production", "/deployments"));
        platform.call(request, &path, json!({ "version": number }).to_string()).await
    };
    let (two, three) = tokio::join!(deploy(2), deploy(3));
    let (winner, loser, text) = if two.status == 201 { (two, three, "two") } else { (three, two, "three") };
    assert_eq!((winner.status, loser.status), (201, 412), "{} {}", winner.body, loser.body);
    assert_eq!(loser.code(), "stale");
    assert_eq!(team.get("shop", "/").await.body, text);
    assert_eq!(team.history("shop").await.len(), 2);
}

#[tokio::test]
async fn a_secret_reaches_its_component_and_nobody_else() {
    const SECRETS: [&str; 2] = ["s3cret-0f-production", "s3cret-0f-tomorrow"];
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let path = |environment: &str, name: &str| service("shop", environment, &format!("/secrets{name}"));
    team.done("PUT", &path("production", "/TOKEN"), json!({ "value": SECRETS[0] })).await;
    let settings = json!({ "capabilities": { "config": { "answer": { "env": "TOKEN", "secret": true } } } });
    team.serve("shop", answering(), settings).await;
    assert_eq!(team.get("shop", "/").await.body, SECRETS[0]);
    team.done("PUT", &path("production", "/TOKEN"), json!({ "value": SECRETS[1] })).await;
    assert_eq!(team.get("shop", "/").await.body, SECRETS[1], "a new one counts at once");
    assert_eq!(team.get("shop", "/log?text=x").await.status, 200);
    assert_eq!(team.get("shop", "/throw").await.status, 500);

    let elsewhere = json!({ "version": 1 });
    let (code, _) = team.refused("POST", &service("shop", "staging", "/deployments"), elsewhere).await;
    assert_eq!(code, "missing-configuration", "each environment has its own");
    let (code, _) = team.refused("PUT", &path("production", "/NO-NAME"), json!({ "value": "x" })).await;
    assert_eq!(code, "bad-input");
    let names = team.done("GET", &path("production", ""), Value::Null).await;
    assert_eq!(names["items"], json!(["TOKEN"]));
    let (status, _) = team.ask("GET", &path("production", "/TOKEN"), Value::Null).await;
    assert!((400..500).contains(&status), "{status}");

    platform.logged("[redacted] throws").await;
    let mut seen = platform.log() + &names.to_string();
    let deployments = service("shop", "production", "/deployments");
    for path in ["/audit", "/services", "/components", "/components/shop/versions", "/executions", &deployments] {
        seen += &team.done("GET", path, Value::Null).await.to_string();
    }
    for secret in SECRETS {
        assert!(!seen.contains(secret), "{seen}");
        assert!(!platform.keeps(secret), "the data directory has {secret} in plain text");
    }
    team.done("DELETE", &path("production", "/TOKEN"), Value::Null).await;
    assert_eq!(team.done("GET", &path("production", ""), Value::Null).await["items"], json!([]));
}

#[tokio::test]
async fn a_request_in_flight_ends_on_the_version_that_it_began_on() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let mut client = tokio::net::TcpStream::connect(platform.address).await.expect("it listens");
    let head =
        "POST /stream HTTP/1.1\r\nhost: shop.default.localhost\r\ncontent-length: 6\r\nconnection: close\r\n\r\nabc";
    client.write_all(head.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let begun = async {
        while !String::from_utf8_lossy(&answer).contains("one begins") {
            assert!(client.read_buf(&mut answer).await.expect("it answers") > 0, "{answer:?}");
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("it begins");

    team.serve("shop", answering(), answers("two")).await;
    assert_eq!(team.get("shop", "/").await.body, "two");
    client.write_all(b"def").await.expect("it reads");
    tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it ends").expect("it is whole");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("one ends") && !answer.contains("two"), "{answer}");
}

#[tokio::test]
async fn fifty_swaps_under_load_fail_no_request_and_no_old_version_answers_after_its_time() {
    const SWAPS: u64 = 50;
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("1")).await;
    for number in 2..=SWAPS {
        assert_eq!(team.version("shop", answering(), answers(&number.to_string())).await, number);
    }
    let (begun, done) = (Cell::new(1), Cell::new(1));
    let swaps = async {
        for number in 2..=SWAPS {
            begun.set(number);
            team.deploy("shop", "production", number, Value::Null).await;
            done.set(number);
        }
    };
    let load = futures::future::join_all((0..8).map(async |_| {
        let mut answered = 0_u64;
        while done.get() < SWAPS || answered == 0 {
            let earliest = done.get();
            let answer = team.get("shop", "/").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let version: u64 = answer.body.parse().expect("a number");
            assert!((earliest..=begun.get()).contains(&version), "{version} answered after {earliest} was deployed");
            answered += 1;
        }
        answered
    }));
    let ((), answered) = tokio::join!(swaps, load);
    assert!(answered.iter().sum::<u64>() >= SWAPS, "{answered:?}");
    assert_eq!(team.get("shop", "/").await.body, SWAPS.to_string());
}

#[tokio::test]
async fn a_version_that_went_wrong_is_left_by_a_rollback_under_load() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let bad = team.serve("shop", answering(), fails("two")).await;
    assert_eq!(team.get("shop", "/").await.code(), "exception");
    let after = Cell::new(false);
    let back = async {
        team.done("POST", &service("shop", "production", "/rollback"), json!({})).await;
        after.set(true);
    };
    let load = futures::future::join_all((0..8).map(async |_| {
        loop {
            let late = after.get();
            let answer = team.get("shop", "/").await;
            if late {
                assert_eq!(answer.body, "one", "{answer:?}");
                break;
            }
        }
    }));
    tokio::join!(back, load);
    let history = team.history("shop").await;
    assert_eq!((&history[1]["version"], &history[1]["state"]), (&json!(bad), &json!("rolled-back")));
}
