//! The ceilings of a tenant's amounts, and the limits of compiling its components.

use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::service;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_above_a_tenants_ceiling_is_refused_and_what_serves_already_is_lowered() {
    let platform = Platform::start(&["--ceiling", "capabilities.db.connections=4"]);
    let acme = platform.new_tenant("acme", json!({ "ceilings": { "limits.fuel": 500_000_000_u64 } })).await;
    let digest = acme.upload(answering()).await;
    for (settings, key, asked, ceiling) in [
        (json!({ "capabilities": { "db": { "connections": 5 } } }), "capabilities.db.connections", "5", "4"),
        (json!({ "limits": { "fuel": 600_000_000_u64 } }), "limits.fuel", "600000000", "500000000"),
        // By what the capabilities say themselves.
        (
            json!({ "capabilities": { "cache": { "total-bytes": 1_u64 << 40 } } }),
            "capabilities.cache.total-bytes",
            "1099511627776",
            "268435456",
        ),
        (
            json!({ "capabilities": { "http": { "allow": ["*"], "requests": 100_000 } } }),
            "capabilities.http.requests",
            "100000",
            "256",
        ),
        (
            json!({ "capabilities": { "db": { "statement-timeout-ms": 86_400_000 } } }),
            "capabilities.db.statement-timeout-ms",
            "86400000",
            "60000",
        ),
    ] {
        let version = json!({ "digest": digest, "settings": settings });
        let (code, detail) = acme.refused("POST", "/components/shop/versions", version).await;
        assert_eq!(code, "above-ceiling", "{detail}");
        assert!([key, asked, ceiling].iter().all(|part| detail.contains(part)), "{detail}");
    }
    // A version accepted under a higher ceiling is lowered while it serves, and not deployed again.
    let mut settings = answers("one");
    settings["limits"] = json!({ "deadline-ms": 20_000 });
    let number = acme.serve("shop", answering(), settings).await;
    let mut tenant = acme.done("GET", "", Value::Null).await["settings"].take();
    tenant["ceilings"] = json!({ "limits.deadline-ms": 400 });
    acme.done("PUT", "", tenant.clone()).await;
    assert_eq!(acme.get("shop", "/").await.body, "one");
    assert_eq!(acme.get("shop", "/wait").await.code(), "deadline");
    let deploy = json!({ "version": number });
    let (code, detail) = acme.refused("POST", &service("shop", "staging", "/deployments"), deploy.clone()).await;
    assert!(code == "above-ceiling" && detail.contains("limits.deadline-ms"), "{detail}");
    let listed = acme.done("GET", "/ceilings", Value::Null).await;
    let find = |key: &str| listed["items"].as_array().and_then(|all| all.iter().find(|one| one["key"] == key)).cloned();
    let deadline = find("limits.deadline-ms").expect("it is listed");
    assert_eq!((&deadline["ceiling"], &deadline["own"]), (&json!(400), &json!(true)), "{deadline}");
    let rows = find("capabilities.db.rows").expect("it is listed");
    assert_eq!((&rows["default"], &rows["own"]), (&json!(100_000), &json!(false)), "{rows}");

    tenant["ceilings"] = json!({ "limits.deadlin-ms": 400 });
    let (code, detail) = acme.refused("PUT", "", tenant.clone()).await;
    assert!(code == "bad-input" && detail.contains("limits.deadline-ms"), "the keys there are: {detail}");
    tenant["ceilings"] = json!({});
    acme.done("PUT", "", tenant).await;
    acme.done("POST", &service("shop", "staging", "/deployments"), deploy).await;
}

/// A component whose one function has a quarter of a megabyte, and compiles for more than a minute.
fn bomb() -> Vec<u8> {
    crate::compiler::bomb(18_000)
}

#[tokio::test]
async fn a_component_that_compiles_for_ever_is_ended_and_holds_up_no_other_tenant() {
    let platform = Platform::start(&["--compile-timeout-ms", "8000"]);
    let (bomber, innocent) = (platform.new_tenant("bomber", json!({})).await, platform.default_tenant());
    let digest = bomber.upload(&bomb()).await;
    let version = json!({ "digest": digest });
    let bombing = async {
        let (code, detail) = bomber.refused("POST", "/components/bomb/versions", version.clone()).await;
        assert!(["compile-timeout", "compile-limit"].contains(&code.as_str()), "{code}: {detail}");
    };
    let deploying = async {
        until("it compiles", async || (platform.compilers() > 0).then_some(())).await;
        innocent.serve("shop", answering(), answers("one")).await;
        assert_eq!(innocent.get("shop", "/").await.body, "one");
        assert!(platform.compilers() > 0, "beside the bomb");
    };
    tokio::join!(bombing, deploying);
    until("the compiler is ended", async || (platform.compilers() == 0).then_some(())).await;
    assert_eq!(innocent.get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn a_function_that_is_too_large_is_not_compiled_at_all() {
    let platform = Platform::start(&["--function-bytes", "100000"]);
    let team = platform.default_tenant();
    let digest = team.upload(&bomb()).await;
    let (code, detail) = team.refused("POST", "/components/bomb/versions", json!({ "digest": digest })).await;
    assert!(code == "compile-limit" && detail.contains("function-bytes"), "{code}: {detail}");
    // Ours are far below.
    assert_eq!(team.serve("shop", answering(), answers("one")).await, 1);
}
