//! Experiments: variants that respond by weight or get mirrored requests, compared, and the better one promoted.

use elias_tests::answering::{answering, answers, fails, waits};
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Starts an experiment with `shop`.
async fn beside(team: &Tenant<'_>, plan: Value) -> Value {
    team.done("PUT", &service("shop", "production", "/stages"), plan).await
}

/// Version 1 serves, and version 2 gets a copy of everything that may be copied.
fn shadowed() -> Value {
    json!({ "implementations": [
        { "name": "stage1", "version": 1, "weight": 1 }, { "name": "stage2", "version": 2, "shadow": 100 },
    ] })
}

async fn report(team: &Tenant<'_>) -> Value {
    team.done("GET", &service("shop", "production", "/stages"), Value::Null).await
}

/// The report, once each implementation has so many requests.
async fn report_after(team: &Tenant<'_>, requests: &[u64]) -> Value {
    until("the copies were answered", async || {
        let report = report(team).await;
        let all = report["comparison"]["implementations"].as_array().expect("a list");
        let seen: Vec<_> = all.iter().map(|one| one["requests"].as_u64().expect("a number")).collect();
        assert!(seen.iter().zip(requests).all(|(seen, wanted)| seen <= wanted), "{seen:?} {requests:?}");
        (seen == requests).then_some(report)
    })
    .await
}

#[tokio::test]
async fn a_shadow_gets_copies_of_what_is_read_and_its_answers_are_compared_and_thrown_away() {
    let mut platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), answers("two")).await;
    let mut plan = shadowed();
    let same = json!({ "name": "same", "version": 1, "shadow": 100 });
    plan["implementations"].as_array_mut().expect("a list").push(same);
    beside(&team, plan).await;
    for number in 1..=10 {
        assert_eq!(team.get("shop", "/").await.body, "one");
        report_after(&team, &[number; 3]).await;
    }
    let posted = http::Request::post("/");
    assert_eq!(platform.ask_with(posted, &team.host("shop"), "/", "order").await.body, "one");
    // A request that changes something is not made twice.
    let seen = report_after(&team, &[11, 10, 10]).await;
    let figures = &seen["comparison"]["implementations"];
    assert_eq!(figures[1]["differing"]["estimate"], 1.0, "{seen}");
    assert_eq!(figures[2]["differing"]["estimate"], 0.0, "{seen}");
    assert_eq!(seen["comparison"]["differences"][0]["verdict"], "unclear", "10 are too few");
    let difference = &seen["copies"][1]["differences"][0];
    assert_eq!(
        (&difference["request"], &difference["what"]),
        (&json!("GET /"), &json!(r#"body: from byte 0 of 3 and 3: "one" and "two""#))
    );
    assert_eq!(seen["copies"][2]["differences"], json!([]));

    let execution = difference["execution"].as_str().expect("an id").to_owned();
    let recorded = until("the execution is recorded", async || {
        let (status, recorded) = team.ask("GET", &format!("/executions/{execution}"), Value::Null).await;
        (status == 200).then_some(recorded)
    })
    .await;
    assert_eq!((&recorded["source"], &recorded["version"]), (&json!("shadow GET /"), &json!(2)));

    platform.signal("-TERM");
    assert_eq!(platform.ended().await, Some(0));
    platform.restart();
    let team = platform.default_tenant();
    assert_eq!(team.get("shop", "/").await.body, "one");
    report_after(&team, &[12, 11, 11]).await;
    team.done("DELETE", &service("shop", "production", "/stages"), Value::Null).await;
    let (code, _) = team.refused("GET", &service("shop", "production", "/stages"), Value::Null).await;
    assert_eq!(code, "wrong-state");
    let audit = team.done("GET", "/audit", Value::Null).await;
    assert_eq!(audit["items"][0]["action"], "stages.end");
    assert_eq!(
        audit["items"][0]["before"]["comparison"]["implementations"][1]["requests"], 11,
        "what came of it is kept"
    );
}

#[tokio::test]
async fn requests_that_change_something_are_copied_where_the_plan_says_so_and_large_ones_never() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let counts = component(
        "export default { async fetch(request) { return new Response(`${(await request.text()).length}`); } };",
    );
    let ignores = component("export default { fetch() { return new Response('5'); } };");
    team.serve("shop", &counts, json!({})).await;
    team.version("shop", &ignores, json!({})).await;
    let mut plan = shadowed();
    plan["implementations"][1]["shadow-unsafe"] = json!(true);
    beside(&team, plan).await;
    let large = "x".repeat((1 << 20) + 1);
    for (body, wanted) in [("hello".to_owned(), "5"), ("hi".to_owned(), "2"), (large, "1048577")] {
        assert_eq!(platform.ask_with(http::Request::post("/"), &team.host("shop"), "/", body).await.body, wanted);
    }
    let seen = until("the large one was passed over", async || {
        let report = report(&team).await;
        (report["copies"][1]["skipped"] == 1 && report["comparison"]["implementations"][1]["requests"] == 2)
            .then_some(report)
    })
    .await;
    assert_eq!(seen["comparison"]["implementations"][1]["differing"]["estimate"], 0.5, "{seen}");
    assert!(
        seen["copies"][1]["differences"][0]["what"].as_str().is_some_and(|what| what.contains(r#""2" and "5""#)),
        "{seen}"
    );
}

#[tokio::test]
async fn of_a_slow_shadow_eight_copies_are_under_way_and_no_more() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("quick")).await;
    team.version("shop", answering(), waits("slow")).await;
    beside(&team, shadowed()).await;
    for _ in 0..9 {
        assert_eq!(team.get("shop", "/").await.body, "quick");
    }
    let skipped = async || report(&team).await["copies"][1]["skipped"].as_u64();
    until("a copy is passed over", async || (skipped().await == Some(1)).then_some(())).await;
    // The next one too, since the eight are under way still.
    assert_eq!(team.get("shop", "/").await.body, "quick");
    until("another is passed over", async || (skipped().await == Some(2)).then_some(())).await;
}

#[tokio::test]
async fn a_copy_that_is_under_way_takes_no_clients_place() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({ "quotas": { "concurrent-executions": 1 } })).await;
    let mut quick = answers("quick");
    quick["supervision"] = json!({ "concurrency": 1 });
    team.serve("shop", answering(), quick).await;
    team.version("shop", answering(), waits("slow")).await;
    beside(&team, shadowed()).await;
    let is_under_way = async || {
        let running = team.done("GET", "/executions/running", Value::Null).await;
        running["items"].as_array().expect("a list").iter().any(|one| one["version"] == 2)
    };
    let skipped = async || report(&team).await["copies"][1]["skipped"].as_u64();
    // A slot that its request has yet to give back is not free for the copy, which is skipped.
    until("a copy is under way", async || {
        let skipped_before = skipped().await;
        let answer = team.get("shop", "/").await;
        if answer.status == 429 {
            return None; // the request before has yet to give its slot back
        }
        assert_eq!((answer.status, answer.body.as_str()), (200, "quick"));
        until("its copy is started or skipped", async || {
            (is_under_way().await || skipped().await > skipped_before).then_some(())
        })
        .await;
        is_under_way().await.then_some(())
    })
    .await;
    assert_eq!(team.get("shop", "/").await.body, "quick");
    assert!(is_under_way().await, "the copy goes on");
}

#[tokio::test]
async fn requests_are_shared_by_weight_and_a_client_stays_with_its_implementation() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), answers("two")).await;
    let plan = json!({ "sticky": { "header": "x-user" }, "implementations": [
        { "name": "stage1", "version": 1, "weight": 1 }, { "name": "stage2", "version": 2, "weight": 1 },
    ] });
    beside(&team, plan).await;
    let mut of_two = 0;
    for user in 0..40 {
        let mut bodies = BTreeSet::new();
        for _ in 0..2 {
            let request = http::Request::get("/").header("x-user", user);
            bodies.insert(platform.ask_with(request, &team.host("shop"), "/", "").await.body);
        }
        assert_eq!(bodies.len(), 1, "user {user} got {bodies:?}");
        of_two += u64::from(bodies.contains("two"));
    }
    assert!((5..=35).contains(&of_two), "{of_two} of 40 have the second");
    report_after(&team, &[80 - 2 * of_two, 2 * of_two]).await;
}

#[tokio::test]
async fn what_serves_takes_over_from_an_implementation_that_keeps_failing() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), fails("two")).await;
    let plan = json!({ "implementations": [
        { "name": "stage1", "version": 1, "weight": 1 }, { "name": "stage2", "version": 2, "weight": 9_999 },
    ] });
    beside(&team, plan).await;
    until("its circuit is open", async || (team.get("shop", "/").await.status == 200).then_some(())).await;
    let status = team.status("shop").await;
    assert_eq!(
        (&status["beside"][0]["health"]["state"], &status["release"]["health"]["state"]),
        (&json!("open"), &json!("healthy"))
    );
}

#[tokio::test]
async fn the_better_one_is_promoted_by_hand_or_by_the_plans_rule() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let spins = |times: u32| {
        component(&format!(
            "export default {{ fetch() {{ let n = 0; for (let i = 0; i < {times}; i++) n += i; \
             return new Response('done'); }} }};"
        ))
    };
    let (slow, quick) = (spins(100_000), spins(1));
    team.serve("shop", &slow, json!({})).await;
    team.version("shop", &quick, json!({})).await;
    beside(&team, shadowed()).await;
    let request = json!({ "stage": "stage2", "reason": "it is quicker" });
    let deployed = team.done("POST", &service("shop", "production", "/deployments"), request).await;
    assert_eq!((&deployed["version"], &deployed["state"]), (&json!(2), &json!("active")));
    assert_eq!(team.status("shop").await["stages"], Value::Null, "a deployment ends the experiment");

    // With few requests only what costs much less can be told from chance.
    let rule = json!({ "requests": 20, "error-margin": 1.0, "differing": 1.0, "margin": 1.0 });
    let plan = |first: u32, second: u32| {
        json!({ "promote": true, "better": rule, "implementations": [
            { "name": "stage1", "version": first, "weight": 1 }, { "name": "stage2", "version": second, "shadow": 100 },
        ] })
    };
    beside(&team, plan(2, 1)).await;
    // A slow variant does not get a copy of each: it is asked until it has had enough.
    let decided = until("somebody has looked", async || {
        team.get("shop", "/").await;
        let decision = report(&team).await["stages"]["decision"].clone();
        decision.as_str().map(str::to_owned)
    })
    .await;
    assert!(decided.starts_with("none is promoted; stage2: worse in"), "{decided}");
    assert_eq!(team.status("shop").await["release"]["version"], 2);

    team.deploy("shop", "production", 1, Value::Null).await;
    beside(&team, plan(1, 2)).await;
    until("the quick one serves", async || {
        team.get("shop", "/").await;
        (team.status("shop").await["release"]["version"] == 2).then_some(())
    })
    .await;
    let history = team.history("shop").await;
    assert_eq!(history[0]["created_by"], "host");
    assert!(
        history[0]["reason"].as_str().is_some_and(|reason| reason.starts_with("stage stage2: better in")),
        "{history:?}"
    );
}

#[tokio::test]
async fn an_experiment_that_is_impossible_is_refused_and_changes_nothing() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let path = service("shop", "production", "/stages");
    assert_eq!(team.refused("PUT", &path, shadowed()).await.0, "not-found", "nothing serves yet");
    team.serve("shop", answering(), answers("one")).await;
    assert_eq!(team.refused("PUT", &path, shadowed()).await.0, "not-found", "there is no second version");
    team.version("shop", answering(), answers("two")).await;
    team.version("shop", answering(), fails("three")).await;
    let mut wrong = shadowed();
    wrong["implementations"][0]["version"] = json!(2);
    let (code, why) = team.refused("PUT", &path, wrong).await;
    assert!(code == "bad-input" && why.contains("version that serves, which is 1"), "{why}");
    let (_, why) = team.refused("PUT", &path, json!({ "implementations": [{ "name": "a", "version": 1 }] })).await;
    assert!(why.contains("stages.implementations.weight"), "{why}");
    assert_eq!(team.status("shop").await["stages"], Value::Null);

    beside(&team, shadowed()).await;
    let deployments = service("shop", "production", "/deployments");
    let canary = json!({ "version": 3, "rollout": { "steps": [50.0] } });
    assert_eq!(team.refused("POST", &deployments, canary.clone()).await.0, "wrong-state");
    let (code, why) = team.refused("DELETE", "/components/shop/versions/2", Value::Null).await;
    assert!(code == "in-use" && why.contains("elias stages"), "{why}");
    assert_eq!(team.refused("POST", &deployments, json!({ "stage": "stage9" })).await.0, "not-found");
    team.done("POST", &service("shop", "production", "/rollback"), json!({ "to": 1 })).await;
    assert_eq!(team.status("shop").await["stages"], Value::Null, "and so does a rollback");
    team.done("POST", &deployments, canary).await;
    assert_eq!(team.refused("PUT", &path, shadowed()).await.0, "wrong-state", "a canary is under way");
}

#[tokio::test]
async fn a_second_implementation_in_the_source_is_deployed_compared_and_promoted_by_commands() {
    let platform = Platform::start(&[]);
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let source = "import { component } from \"elias\";\n\
        component(\"shop\").implement({ fetch: () => new Response(\"first\") })\n\
          .stage2().implement({ fetch: () => new Response(\"second\") });\n";
    std::fs::create_dir_all(terminal.path("shop/src")).expect("a folder");
    std::fs::write(terminal.path("shop/src/index.js"), source).expect("written");
    std::fs::write(terminal.path("shop/package.json"), r#"{ "name": "shop", "version": "1.0.0", "type": "module" }"#)
        .expect("written");
    let refused = terminal.output("shop", &["deploy", "--stage", "stage2"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not serve in production yet"), "{refused:?}");
    terminal.types("shop", &["deploy"]);
    let said = terminal.types("shop", &["deploy", "--stage"]);
    assert!(said.contains("stage2  2        0 %     100 %"), "{said}");
    let host = "shop.default.localhost";
    for _ in 0..3 {
        assert_eq!(platform.ask(host, "/").await.body, "first");
    }
    until("the copies are compared", async || {
        let compared = terminal.types("shop", &["compare", "shop"]);
        compared.contains("\"first\" and \"second\"").then_some(())
    })
    .await;
    let said = terminal.types("shop", &["deploy", "--stage", "stage2", "--weight", "100"]);
    assert!(said.contains("stage1  1        0 %"), "{said}");
    assert_eq!(platform.ask(host, "/").await.body, "second");
    assert!(terminal.types("shop", &["stages", "shop", "--promote", "--requests", "5000"]).contains("5,000 requests"));
    terminal.types("shop", &["promote", "shop", "--stage", "stage2"]);
    assert_eq!(platform.ask(host, "/").await.body, "second");
    assert!(terminal.types("shop", &["stages", "shop"]).contains("has no running experiment"));
}
