//! Roles that a tenant defines, by policies in the Cedar language.

use elias_tests::answering::{answering, answers};
use elias_tests::build::{Finish, binary};
use elias_tests::platform::Platform;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::process::Command;

const DEPLOYER: &str = r#"
permit (principal, action in [Action::"read", Action::"upload"], resource);
permit (principal, action == Action::"deploy", resource)
when { resource.name like "shop-*" && context.environment == "staging" };
"#;

async fn define(team: &Tenant<'_>, name: &str, ceiling: &str, policy: &str) -> Value {
    team.done("PUT", &format!("/roles/{name}"), json!({ "ceiling": ceiling, "policy": policy })).await
}

/// Deploys version 1; gives the status.
async fn deploys(team: &Tenant<'_>, component: &str, environment: &str) -> u16 {
    team.ask("POST", &service(component, environment, "/deployments"), json!({ "version": 1 })).await.0
}

#[tokio::test]
async fn a_role_deploys_by_the_names_of_components_and_the_environment_until_it_is_changed_or_deleted() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for component in ["shop-eu", "blog"] {
        team.version(component, answering(), answers(component)).await;
    }
    let made = define(&team, "deployer", "developer", DEPLOYER).await;
    assert_eq!((&made["revision"], &made["ceiling"]), (&json!(1), &json!("developer")));
    let own = team.with_role("deployer", None).await;
    let who = platform.admin_as(&own.token, "GET", "/v1/whoami", Value::Null).await.1;
    assert_eq!((&who["role"], &who["ceiling"]), (&json!("deployer"), &json!("developer")));
    assert_eq!(own.version("shop-eu", answering(), answers("two")).await, 2, "it uploads");
    assert_eq!(deploys(&own, "shop-eu", "staging").await, 201);
    assert_eq!(platform.ask("shop-eu--staging.default.localhost", "/").await.body, "shop-eu");
    for (component, environment) in [("shop-eu", "dev"), ("shop-eu", "production"), ("blog", "staging")] {
        assert_eq!(deploys(&own, component, environment).await, 403, "{component} in {environment}");
    }
    for (method, path) in [("GET", "/tokens"), ("GET", "/roles"), ("GET", "/audit"), ("DELETE", "/roles/deployer")] {
        assert_eq!(own.refused(method, path, Value::Null).await.0, "forbidden", "{method} {path}");
    }

    // Whoever has it gets the new rights with the next request.
    let dev = DEPLOYER.replace("staging", "dev");
    assert_eq!(define(&team, "deployer", "developer", &dev).await["revision"], 2);
    assert_eq!(deploys(&own, "shop-eu", "staging").await, 403);
    assert_eq!(deploys(&own, "shop-eu", "dev").await, 201);
    let forbids =
        format!("{dev} forbid (principal, action, resource is Component) when {{ resource.name == \"shop-eu\" }};");
    define(&team, "deployer", "developer", &forbids).await;
    assert_eq!(deploys(&own, "shop-eu", "dev").await, 403);
    let seen = own.done("GET", "/components", Value::Null).await;
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "the lists show what may be read: {seen}");

    team.done("DELETE", "/roles/deployer", Value::Null).await;
    let (status, answer) = platform.admin_as(&own.token, "GET", "/v1/whoami", Value::Null).await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")), "{answer}");
    let trail = team.done("GET", "/audit", Value::Null).await;
    let actions: Vec<_> = trail["items"].as_array().expect("a list").iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions.iter().filter(|action| **action == "role.set").count(), 3, "{actions:?}");
    assert_eq!(actions[0], "role.delete");
}

#[tokio::test]
async fn nobody_gets_more_than_they_have_by_a_role() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let everything = "permit (principal, action, resource);";
    define(&team, "reads", "viewer", everything).await;
    define(&team, "all", "admin", everything).await;
    let reads = team.with_role("reads", None).await;
    assert_eq!(reads.ask("GET", "/services", Value::Null).await.0, 200);
    assert_eq!(deploys(&reads, "shop", "dev").await, 403, "its ceiling is a viewer's");
    // A user who may make tokens by a custom role makes them of that role.
    let all = team.with_role("all", None).await;
    let token = |role: &str| json!({ "name": "x", "role": role, "days": 1 });
    assert_eq!(all.ask("POST", "/tokens", token("all")).await.0, 201);
    for role in ["admin", "viewer", "reads"] {
        assert_eq!(all.refused("POST", "/tokens", token(role)).await.0, "forbidden", "{role}");
    }
    let policy = json!({ "policy": everything });
    assert_eq!(all.refused("PUT", "/roles/mine", policy.clone()).await.0, "forbidden");
    for (path, body) in [("/v1/tenants", json!({ "tenant": "mine" })), ("/v1/tenants/other/components", Value::Null)] {
        let method = if body.is_null() { "GET" } else { "POST" };
        assert_eq!(platform.admin_as(&all.token, method, path, body).await.0, 403, "{path}");
    }
    assert_eq!(platform.admin_as(&all.token, "GET", "/v1/backup", Value::Null).await.0, 403);
    assert_eq!(team.refused("PUT", "/roles/admin", policy.clone()).await.0, "bad-name");
    assert_eq!(team.refused("POST", "/tokens", token("nothing")).await.0, "not-found");
    let system = platform.admin("PUT", "/v1/tenants/system/roles/mine", policy).await;
    assert_eq!((system.0, &system.1["code"]), (409, &json!("wrong-state")), "the host has the platform's roles");
    let long = json!({ "policy": format!("//{}", "x".repeat(16 << 10)) });
    assert_eq!(team.refused("PUT", "/roles/long", long).await.0, "too-large");
}

#[tokio::test]
async fn roles_are_defined_at_the_command_line_which_tells_what_is_wrong_with_them() {
    let platform = Platform::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let elias = |line: &[&str]| {
        let url = format!("http://{}", platform.admin_address);
        let mut command = Command::new(binary("elias"));
        command.args(line).current_dir(folder.path()).env("ELIAS_CONFIG_DIR", folder.path());
        command.env("ELIAS_URL", url).env("ELIAS_TOKEN", &platform.token);
        let output = command.finish().expect("elias starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    std::fs::write(folder.path().join("good.cedar"), DEPLOYER).expect("written");
    std::fs::write(folder.path().join("bad.cedar"), DEPLOYER.replace("resource.name", "resource.colour"))
        .expect("written");
    let (done, _, told) = elias(&["roles", "set", "deployer", "--policy", "bad.cedar"]);
    assert!(
        !done && told.contains("bad-input") && told.contains("line 4, column 8") && told.contains("colour"),
        "{told}"
    );
    let (done, said, told) = elias(&["roles", "set", "deployer", "--policy", "good.cedar", "--ceiling", "developer"]);
    assert!(done && said.contains("never exceeds developer"), "{said}{told}");
    // Settings that are not named stay.
    assert!(elias(&["roles", "set", "deployer", "--policy", "good.cedar"]).1.contains("never exceeds developer"));
    let (_, list, _) = elias(&["roles", "list"]);
    assert!(list.contains("deployer") && list.contains("developer"), "{list}");
    let (_, shown, _) = elias(&["roles", "show", "deployer"]);
    assert!(shown.contains("like \"shop-*\""), "{shown}");
    assert!(elias(&["tokens", "create", "ci", "--role", "deployer"]).0);
    let (_, schema, _) = elias(&["roles", "schema"]);
    assert!(schema.contains("action \"deploy-production\""), "{schema}");
    assert!(elias(&["roles", "delete", "deployer"]).0);
    assert!(!elias(&["roles", "show", "deployer"]).0);
}
