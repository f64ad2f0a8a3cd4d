//! Canaries, circuits, and services that are stopped: what is bad rolls back automatically, and its neighbours do not
//! notice.

use elias_tests::answering::{answering, answers, fails};
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A canary that is judged by its failures alone: the machines that run tests are too noisy to compare latencies.
fn canary(steps: &[f64], every_ms: u64, requests: u64) -> Value {
    json!({ "steps": steps, "every-ms": every_ms, "requests": requests, "p99-ratio": 1000.0, "fuel-ratio": 1000.0 })
}

/// A canary that stays at its step until it is told otherwise.
fn staying(percent: f64) -> Value {
    canary(&[percent], 3_600_000, 1_000_000)
}

async fn steer(team: &Tenant<'_>, action: &str) -> (u16, Value) {
    let request = json!({ "action": action, "reason": format!("to {action} it") });
    team.ask("POST", &service("shop", "production", "/rollout"), request).await
}

/// Sends requests until no canary is under way; gives the answers.
async fn decided(team: &Tenant<'_>, component: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    until("the rollout is decided", async || {
        for _ in 0..5 {
            let answer = team.get(component, "/").await;
            answers.push((answer.status, answer.body));
        }
        team.status(component).await["canary"].is_null().then_some(())
    })
    .await;
    answers
}

#[tokio::test]
async fn a_canary_that_fails_is_taken_back_by_itself() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let bad = team.version("shop", answering(), fails("two")).await;
    let begun = team.deploy("shop", "production", bad, canary(&[50.0, 100.0], 600_000, 20)).await;
    assert_eq!(begun["state"], "canary");
    let seen = decided(&team, "shop").await;
    assert!(seen.iter().any(|(status, _)| *status == 500), "the canary answered: {seen:?}");
    assert!(seen.iter().all(|(status, body)| *status >= 500 || body == "one"), "{seen:?}");

    let history = team.history("shop").await;
    let reason = history[0]["reason"].as_str().expect("a reason");
    assert_eq!((&history[0]["version"], &history[0]["state"]), (&json!(bad), &json!("rolled-back")));
    assert!(reason.contains("requests failed"), "{reason}");
    assert_eq!((&history[1]["version"], &history[1]["state"]), (&json!(1), &json!("active")));
    for _ in 0..30 {
        assert_eq!(team.get("shop", "/").await.body, "one");
    }
    let audit = team.done("GET", "/audit", Value::Null).await;
    let entry = audit["items"].as_array().expect("a list").iter().find(|entry| entry["action"] == "rollout.change");
    let entry = entry.unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(entry["actor"]["name"], "host", "nobody had to do it");
    assert!(entry["after"]["reason"].as_str().is_some_and(|text| text.contains("requests failed")), "{entry}");
}

#[tokio::test]
async fn what_cannot_be_loaded_any_more_is_taken_back_as_a_canary_and_else_given_a_rest() {
    let mut platform = Platform::start(&[]);
    let other = component("export default { fetch: () => new Response('two') };");
    let lost = {
        let team = platform.default_tenant();
        team.serve("shop", answering(), answers("one")).await;
        let two = team.version("shop", &other, json!({})).await;
        team.deploy("shop", "production", two, staying(50.0)).await;
        team.serve("alone", &other, json!({ "supervision": { "consecutive-failures": 3 } })).await;
        team.upload(&other).await
    };
    platform.kill();
    std::fs::remove_file(platform.artifact(&lost)).expect("it is there");
    platform.restart();
    let team = platform.default_tenant();
    let seen = decided(&team, "shop").await;
    assert!(seen.iter().all(|(status, body)| *status == 503 || body == "one"), "{seen:?}");
    let history = team.history("shop").await;
    assert_eq!(history[0]["state"], "rolled-back");
    let reason = history[0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("cannot be loaded: artifact-missing"), "{reason}");
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "one");
    }

    for _ in 0..3 {
        assert!(team.get("alone", "/").await.body.contains(r#""code":"unavailable""#));
    }
    until("the circuit opens", async || {
        team.get("alone", "/").await.body.contains(r#""code":"circuit-open""#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_canary_that_holds_is_promoted_step_by_step_and_one_without_traffic_waits() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for component in ["shop", "idle"] {
        team.serve(component, answering(), answers("one")).await;
        let two = team.version(component, answering(), answers("two")).await;
        team.deploy(component, "production", two, canary(&[50.0, 100.0], 1_000, 20)).await;
    }
    let seen = decided(&team, "shop").await;
    let bodies: BTreeSet<_> = seen.iter().map(|(status, body)| (*status, body.as_str())).collect();
    assert_eq!(bodies, BTreeSet::from([(200, "one"), (200, "two")]), "both answered, and nothing failed");
    assert_eq!(team.status("shop").await["release"]["version"], 2);
    let history = team.history("shop").await;
    assert_eq!((&history[0]["state"], &history[1]["state"]), (&json!("active"), &json!("superseded")));
    assert!(history[0]["reason"].as_str().is_some_and(|reason| reason.contains("the step held")), "{history:?}");
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "two");
    }

    // The neighbour took as many steps as this one could have.
    let idle = team.status("idle").await;
    assert_eq!((&idle["release"]["version"], &idle["canary"]["version"]), (&json!(1), &json!(2)));
    assert_eq!((&idle["rollout"]["state"], &idle["rollout"]["step"]), (&json!("running"), &json!(0)));
    assert_eq!(idle["rollout"]["waiting"], "needs 20 requests, has 0");
    decided(&team, "idle").await;
    assert_eq!(team.status("idle").await["release"]["version"], 2, "with traffic it goes on");
}

#[tokio::test]
async fn a_client_stays_with_the_version_that_it_was_given() {
    let mut platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let two = team.version("shop", answering(), answers("two")).await;
    let mut plan = staying(50.0);
    plan["sticky"] = json!({ "header": "x-user" });
    team.deploy("shop", "production", two, plan).await;
    let first = assigned(&platform).await;
    assert_eq!(assigned(&platform).await, first);
    let of_two = first.iter().filter(|body| *body == "two").count();
    assert!((5..=35).contains(&of_two), "{of_two} of 40 are in a canary of 50 %");
    platform.restart();
    assert_eq!(assigned(&platform).await, first, "also after a restart");
    let mut bodies = BTreeSet::new();
    for _ in 0..60 {
        bodies.insert(platform.default_tenant().get("shop", "/").await.body);
    }
    assert_eq!(bodies.len(), 2, "without the header chance decides: {bodies:?}");
}

/// The responses to each of forty users.
async fn assigned(platform: &Platform) -> Vec<String> {
    let mut bodies = Vec::new();
    for user in 0..40 {
        let request = http::Request::get("/").header("x-user", user.to_string());
        bodies.push(platform.ask_with(request, "shop.default.localhost", "/", "").await.body);
    }
    bodies
}

#[tokio::test]
async fn a_rollout_is_steered_by_hand() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for text in ["one", "two", "three"] {
        team.version("shop", answering(), answers(text)).await;
    }
    let first = team.deploy("shop", "production", 1, staying(10.0)).await;
    assert_eq!(first["state"], "active", "there was nothing to compare a canary with");
    assert_eq!(steer(&team, "promote").await.1["code"], "wrong-state");

    team.deploy("shop", "production", 2, staying(50.0)).await;
    let deployments = service("shop", "production", "/deployments");
    let second = json!({ "version": 3, "rollout": staying(50.0) });
    assert_eq!(team.refused("POST", &deployments, second).await.0, "wrong-state");
    assert_eq!(team.refused("DELETE", "/components/shop/versions/2", Value::Null).await.0, "in-use");
    for (action, status, state) in [
        ("resume", 409, "running"),
        ("pause", 204, "paused"),
        ("pause", 409, "paused"),
        ("resume", 204, "running"),
        ("turn", 400, "running"),
    ] {
        let (found, answer) = steer(&team, action).await;
        assert_eq!(found, status, "{action}: {answer}");
        let rollout = team.status("shop").await["rollout"].clone();
        assert_eq!((&rollout["state"], &rollout["percent"]), (&json!(state), &json!(50.0)), "{action}");
    }
    assert_eq!(steer(&team, "promote").await.0, 204);
    assert_eq!(team.status("shop").await["release"]["version"], 2);
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "two");
    }
    assert_eq!(steer(&team, "abort").await.1["code"], "wrong-state", "it has ended");

    team.deploy("shop", "production", 3, staying(50.0)).await;
    assert_eq!(steer(&team, "abort").await.0, 204);
    let aborted = &team.history("shop").await[0];
    assert_eq!((&aborted["state"], &aborted["reason"]), (&json!("rolled-back"), &json!("to abort it")));
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "two");
    }
    // A deployment of all traffic ends a canary that is under way.
    team.deploy("shop", "production", 3, staying(50.0)).await;
    team.deploy("shop", "production", 1, Value::Null).await;
    assert_eq!(
        (&team.status("shop").await["canary"], team.get("shop", "/").await.body.as_str()),
        (&Value::Null, "one")
    );
}

#[tokio::test]
async fn a_component_that_keeps_failing_is_given_a_rest_while_its_neighbour_answers() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let mut settings = answers("one");
    // The wait is random, up to an hour: that it is shorter than this test happens once in a thousand runs.
    settings["supervision"] =
        json!({ "consecutive-failures": 5, "backoff-ms": 3_600_000, "backoff-max-ms": 3_600_000 });
    team.serve("shop", answering(), settings).await;
    team.serve("neighbour", answering(), answers("fine")).await;
    for _ in 0..5 {
        assert_eq!(team.get("shop", "/throw").await.code(), "exception");
        assert_eq!(team.get("neighbour", "/").await.body, "fine");
    }
    for path in ["/throw", "/"] {
        let answer = team.get("shop", path).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "circuit-open"));
        let after = answer.headers["retry-after"].to_str().ok().and_then(|text| text.parse::<u64>().ok());
        assert!(after.is_some_and(|seconds| (1..=3_600).contains(&seconds)), "{answer:?}");
        assert_eq!(team.get("neighbour", "/").await.body, "fine");
    }
    let health = team.status("shop").await["release"]["health"].clone();
    assert_eq!(health["state"], "open");
    assert!(health["reason"].as_str().is_some_and(|reason| reason.contains('5')), "{health}");
    assert_eq!(team.status("neighbour").await["release"]["health"]["state"], "healthy");

    team.done("POST", &service("shop", "production", "/start"), Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "one");
    assert_eq!(team.status("shop").await["release"]["health"]["state"], "healthy");
}

#[tokio::test]
async fn a_service_that_is_stopped_stays_so_until_it_is_started_or_deployed_to() {
    let mut platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), answers("two")).await;
    team.serve("neighbour", answering(), answers("fine")).await;
    let stop = service("shop", "production", "/stop");
    let start = service("shop", "production", "/start");
    for _ in 0..2 {
        team.done("POST", &stop, Value::Null).await;
        let answer = team.get("shop", "/").await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "stopped"));
    }
    platform.restart();
    let team = platform.default_tenant();
    assert_eq!(team.get("shop", "/").await.code(), "stopped", "also after a restart");
    assert_eq!(team.status("shop").await["stopped"], true);
    assert_eq!(team.get("neighbour", "/").await.body, "fine");
    team.done("POST", &start, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "one");
    team.done("POST", &stop, Value::Null).await;
    team.deploy("shop", "production", 2, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "two");
    assert_eq!(team.refused("POST", &service("nothing", "production", "/stop"), Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn a_flag_gives_some_callers_a_version_of_their_own() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let mut settings = [answers("one"), answers("two")];
    // Callers are known by an API key.
    settings
        .iter_mut()
        .for_each(|settings| settings["gateway"] = json!({ "auth": { "api-key": {}, "optional": true } }));
    let [one, two] = settings;
    team.serve("shop", answering(), one).await;
    let second = team.version("shop", answering(), two).await;
    let key = async |organization: &str| {
        let new = json!({ "id": organization, "settings": { "name": organization } });
        team.done("POST", "/organizations", new).await;
        let made = json!({ "name": "key", "role": "caller", "days": 1, "organization_id": organization });
        team.done("POST", "/tokens", made).await["secret"].as_str().expect("a secret").to_owned()
    };
    let (acme, other) = (key("acme").await, key("other").await);
    let ask = async |key: &str| {
        let request = http::Request::get("/").header("x-api-key", key);
        platform.ask_with(request, &team.host("shop"), "/", "").await.body
    };
    let flags = service("shop", "production", "/flags");
    team.done("PUT", &flags, json!({ "rules": [{ "version": second, "organization": "acme" }] })).await;
    assert_eq!((ask(&acme).await.as_str(), ask(&other).await.as_str()), ("two", "one"));
    assert_eq!(team.get("shop", "/").await.body, "one", "nobody in particular");
    let (code, _) = team.refused("DELETE", &format!("/components/shop/versions/{second}"), Value::Null).await;
    assert_eq!(code, "in-use");
    assert_eq!(team.refused("PUT", &flags, json!({ "rules": [{ "version": 9 }] })).await.0, "not-found");
    assert_eq!(
        team.refused("PUT", &flags, json!({ "rules": [{ "version": 1, "percent": 101.0 }] })).await.0,
        "bad-input"
    );
    assert_eq!(ask(&acme).await, "two", "what is refused changes nothing");
    team.done("PUT", &flags, json!({ "rules": [] })).await;
    assert_eq!(ask(&acme).await, "one");
}
