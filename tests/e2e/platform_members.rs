//! A tenant's organizations and users: records, by which tokens are made and refused.

use elias_tests::build::{Finish, binary, component};
use elias_tests::platform::Platform;
use elias_tests::tenant::Tenant;
use serde_json::{Value, json};
use std::process::Command;

/// Says on whose behalf it runs.
fn echo() -> Vec<u8> {
    component(
        "export default { fetch: (request, env, { userId, organizationId }) => Response.json({ userId, \
         organizationId }) };",
    )
}

async fn create(team: &Tenant<'_>, kind: &str, id: &str, settings: Value) -> Value {
    team.done("POST", kind, json!({ "id": id, "settings": settings })).await
}

#[tokio::test]
async fn a_token_is_its_users_and_is_refused_at_once_when_the_user_or_the_organization_is() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let settings = json!({ "gateway": { "auth": { "api-key": {} } }, "smoke": { "path": "" } });
    team.serve("shop", &echo(), settings).await;
    create(&team, "/organizations", "analysts", json!({ "name": "Analysts" })).await;
    create(&team, "/organizations", "buyers", json!({ "name": "Buyers" })).await;
    let record = json!({ "name": "Ada", "email": "ada@a.example", "organization": "analysts" });
    assert_eq!(create(&team, "/users", "ada", record.clone()).await["revision"], 1);
    let ada = team.with_user("admin", "ada").await;
    let call = async || {
        let request = http::Request::get("/").header("x-api-key", &ada.token);
        let answer = platform.ask_with(request, &team.host("shop"), "/", "").await;
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap_or_default())
    };
    assert_eq!(call().await, (200, json!({ "userId": "ada", "organizationId": "analysts" })));
    // The record holds for tokens that are there.
    let moved = json!({ "name": "Ada", "organization": "buyers", "role": "viewer" });
    assert_eq!(team.done("PUT", "/users/ada", moved.clone()).await["revision"], 2);
    assert_eq!(call().await.1["organizationId"], "buyers");
    assert_eq!(ada.ask("GET", "/components", Value::Null).await.0, 200);
    assert_eq!(ada.refused("GET", "/tokens", Value::Null).await.0, "forbidden", "an admin's token of a viewer");

    let with = |disabled: bool| json!({ "name": "Ada", "organization": "buyers", "disabled": disabled });
    for (path, on, off) in [
        ("/users/ada", with(true), with(false)),
        ("/organizations/buyers", json!({ "name": "B", "disabled": true }), json!({ "name": "B" })),
    ] {
        assert!(team.done("PUT", path, on).await["disabled_at"].is_i64());
        assert_eq!(ada.refused("GET", "/components", Value::Null).await.0, "unauthenticated", "{path}");
        assert_eq!(call().await.0, 401, "{path}");
        let more = json!({ "name": "x", "role": "viewer", "days": 1, "user_id": "ada" });
        assert_eq!(team.refused("POST", "/tokens", more).await.0, "wrong-state", "{path}");
        team.done("PUT", path, off).await;
        assert_eq!((ada.ask("GET", "/components", Value::Null).await.0, call().await.0), (200, 200), "{path}");
    }
    assert_eq!(team.refused("DELETE", "/organizations/buyers", Value::Null).await.0, "in-use");
    team.done("DELETE", "/users/ada", Value::Null).await;
    assert_eq!((ada.ask("GET", "/components", Value::Null).await.0, call().await.0), (401, 401));
    team.done("DELETE", "/organizations/buyers", Value::Null).await;
    assert_eq!(team.refused("GET", "/users/ada", Value::Null).await.0, "not-found");
    let again = json!({ "id": "ada", "settings": record });
    assert_eq!(team.refused("POST", "/users", again).await.0, "already-there", "the id stays taken");
    let trail = team.done("GET", "/audit", Value::Null).await.to_string();
    for action in [
        "organization.create",
        "organization.update",
        "organization.delete",
        "user.create",
        "user.update",
        "user.delete",
    ] {
        assert!(trail.contains(action), "{action} is missing in {trail}");
    }
}

#[tokio::test]
async fn records_are_checked_paged_and_changed_by_their_revision() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for number in 0..5 {
        create(&team, "/organizations", &format!("o{number}"), json!({ "name": "x" })).await;
    }
    for number in 0..5 {
        create(&team, "/users", &format!("u{number}"), json!({ "name": "x", "organization": "o1" })).await;
    }
    for list in ["/organizations", "/users", "/users?organization=o1"] {
        let join = if list.contains('?') { '&' } else { '?' };
        let (mut seen, mut after) = (Vec::new(), String::new());
        while seen.len() < 10 {
            let page = team.done("GET", &format!("{list}{join}limit=2{after}"), Value::Null).await;
            seen.extend(page["items"].as_array().expect("a list").iter().map(|item| item["id"].clone()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen.len(), 5, "{list}: {seen:?}");
    }
    assert_eq!(team.done("GET", "/users?organization=o2", Value::Null).await["items"], json!([]));
    let made = team.done("POST", "/users", json!({ "settings": { "name": "Nobody" } })).await;
    assert_eq!(made["id"].as_str().map(str::len), Some(26), "without an id it gets one");

    let put = async |path: &str, revision: &str, body: Value| {
        let request = http::Request::put("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("if-match", revision);
        platform.call(request, &team.path(path), body.to_string()).await
    };
    for path in ["/users/u1", "/organizations/o1"] {
        let set = put(path, "\"1\"", json!({ "name": "new" })).await;
        assert_eq!((set.status, set.headers["etag"].to_str().ok()), (200, Some("\"2\"")), "{path}");
        let late = put(path, "\"1\"", json!({ "name": "newer" })).await;
        assert_eq!((late.status, late.code().as_str()), (412, "stale"), "{path}");
    }
    let long = "x".repeat(201);
    for settings in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": long }),
        json!({ "name": "a\nb" }),
        json!({ "name": "x", "email": "nobody" }),
        json!({ "name": "x", "email": "a b@c" }),
        json!({ "name": "x", "colour": "red" }),
    ] {
        let (code, _) = team.refused("POST", "/users", json!({ "id": "bad", "settings": settings })).await;
        assert_eq!(code, "bad-input", "{settings}");
    }
    let body = |id: &str, settings: Value| json!({ "id": id, "settings": settings });
    for settings in [json!({ "name": "x", "organization": "nothing" }), json!({ "name": "x", "role": "nothing" })] {
        assert_eq!(team.refused("POST", "/users", body("bad", settings)).await.0, "not-found");
    }
    assert_eq!(team.refused("POST", "/users", body(&long, json!({ "name": "x" }))).await.0, "bad-input");
    for new in [json!({ "user_id": "nobody" }), json!({ "organization_id": "nothing" })] {
        let mut token = json!({ "name": "x", "role": "viewer", "days": 1 });
        token.as_object_mut().expect("an object").extend(new.as_object().expect("an object").clone());
        assert_eq!(team.refused("POST", "/tokens", token.clone()).await.0, "not-found", "{token}");
    }
    let other = json!({ "name": "x", "role": "viewer", "days": 1, "user_id": "u2", "organization_id": "o2" });
    assert_eq!(team.refused("POST", "/tokens", other).await.0, "bad-input", "u2 is of o1");
}

#[tokio::test]
async fn nobody_raises_their_own_bound() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let policy = "permit (principal, action in [Action::\"access\", Action::\"read\"], resource);";
    team.done("PUT", "/roles/helper", json!({ "ceiling": "admin", "policy": policy })).await;
    create(&team, "/users", "eve", json!({ "name": "Eve", "role": "helper" })).await;
    let eve = team.with_user("admin", "eve").await;
    assert_eq!(eve.ask("GET", "/users", Value::Null).await.0, 200);
    assert_eq!(eve.refused("GET", "/audit", Value::Null).await.0, "forbidden");
    for role in [Value::Null, json!("admin"), json!("viewer")] {
        let raised = json!({ "name": "Eve", "role": role });
        assert_eq!(eve.refused("PUT", "/users/eve", raised).await.0, "forbidden", "{role}");
    }
    eve.done("PUT", "/users/eve", json!({ "name": "Eva", "role": "helper" })).await;
    let own = json!({ "name": "x", "role": "admin", "days": 1, "user_id": "eve" });
    assert_eq!(eve.refused("POST", "/tokens", own).await.0, "forbidden");
}

#[tokio::test]
async fn users_and_organizations_are_kept_at_the_command_line() {
    let platform = Platform::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let elias = |line: &[&str]| {
        let mut command = Command::new(binary("elias"));
        command.args(line).current_dir(folder.path()).env("ELIAS_CONFIG_DIR", folder.path());
        command.env("ELIAS_URL", format!("http://{}", platform.admin_address)).env("ELIAS_TOKEN", &platform.token);
        let output = command.finish().expect("elias starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let does = |line: &[&str]| {
        let (done, said) = elias(line);
        assert!(done, "{line:?}: {said}");
        said
    };
    does(&["organizations", "create", "analysts", "--name", "Analysts"]);
    does(&["users", "create", "auth0|ada/1", "--email", "ada@a.example", "--organization", "analysts"]);
    let shown = does(&["users", "set", "auth0|ada/1", "--name", "Ada", "--role", "developer"]);
    assert!(shown.contains("ada@a.example") && shown.contains("developer"), "what is not said stays: {shown}");
    let shown = does(&["users", "set", "auth0|ada/1", "--role=", "--disabled"]);
    assert!(!shown.contains("developer"), "{shown}");
    let list = does(&["users", "list", "--organization", "analysts"]);
    assert!(list.contains("auth0|ada/1") && list.contains("Ada"), "{list}");
    assert!(!elias(&["tokens", "create", "ci", "--role", "viewer", "--user", "auth0|ada/1"]).0, "disabled");
    does(&["users", "set", "auth0|ada/1", "--disabled=false"]);
    does(&["tokens", "create", "ci", "--role", "viewer", "--user", "auth0|ada/1"]);
    assert!(elias(&["organizations", "delete", "analysts"]).1.contains("in-use"));
    does(&["users", "delete", "auth0|ada/1"]);
    does(&["organizations", "delete", "analysts"]);
    assert!(!does(&["organizations", "list"]).contains("analysts"));
}
