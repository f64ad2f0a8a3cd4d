//! `elias/flags`: feature flags of a project, and of a tenant on a platform.

use elias_tests::build::{Finish, Project, binary, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{Server, refused};
use elias_tests::services::Postgres;
use serde_json::{Value, json};
use std::process::Command;

/// Evaluates the flag `banner` for the user of the query.
const BANNER: &str = r#"
import { flags } from "elias";
export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    const context = searchParams.has("user") ? { targetingKey: searchParams.get("user") } : {};
    for (const name of searchParams.getAll("attribute")) context[name] = true;
    const details = flags.getBooleanDetails(searchParams.get("flag") ?? "banner", false, context);
    const provided = await flags.provider.resolveBooleanEvaluation("banner", false, context, console);
    return Response.json({ ...details, provided: provided.value });
  },
};
"#;

#[tokio::test]
async fn a_project_has_the_flags_of_its_own_table() {
    let project = Project::new(&[]);
    project.write(
        "app.wasm",
        component(
            "import { flags } from 'elias/flags'; export default { fetch() { return Response.json({ \
             banner: flags.getBooleanValue('banner', false), limit: flags.getNumberValue('limit', 1), \
             theme: flags.getStringDetails('theme', 'x', { beta: true }), size: flags.getObjectValue('size', {}), \
             wrong: flags.getStringDetails('limit', 'x').errorCode, \
             none: flags.getStringDetails('none', 'x').errorCode, \
             secret: flags.getBooleanDetails('other', false).errorMessage }); } };",
        ),
    );
    project.write(
        "elias.toml",
        "[capabilities.flags]\nnames = [\"banner\", \"limit\", \"theme\", \"si*\", \"none\"]\n\
         [capabilities.flags.local]\nbanner = true\nlimit = 7\nother = true\n\
         [capabilities.flags.local.theme]\nvariants = { dark = \"d\", light = \"l\" }\ndefaultVariant = \"dark\"\n\
         rules = [{ attribute = \"beta\", values = [true], variant = \"light\" }]\n\
         [capabilities.flags.local.size]\nvariants = { big = { width = 3 } }\ndefaultVariant = \"big\"\n",
    );
    let server = Server::of_project(project, "app.wasm", &[]);
    let mut answer = server.get("/").await.json();
    let message = answer["secret"].take();
    assert!(message.as_str().is_some_and(|text| text.contains("`other` is not granted")), "{message}");
    let theme = json!({
        "flagKey": "theme", "value": "l", "variant": "light", "reason": "TARGETING_MATCH", "flagMetadata": {},
    });
    let wanted = json!({
        "banner": true, "limit": 7, "theme": theme, "size": { "width": 3 },
        "wrong": "TYPE_MISMATCH", "none": "FLAG_NOT_FOUND", "secret": null,
    });
    assert_eq!(answer, wanted);
}

#[test]
fn flags_have_to_be_granted_and_defined_well() {
    for (table, code) in [
        ("", "capability-denied"),
        ("[capabilities.flags]\nflags = 1\n", "bad-configuration"),
        ("[capabilities.flags.local]\n\"a b\" = true\n", "bad-configuration"),
        ("[capabilities.flags.local]\nbanner = { variants = {}, defaultVariant = \"on\" }\n", "bad-configuration"),
    ] {
        let project = Project::new(&[]);
        project.write("app.wasm", component(BANNER));
        project.write("elias.toml", table);
        let config = project.path("elias.toml");
        let output = refused(&project.path("app.wasm"), &["--config", config.to_str().expect("UTF-8")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("error[{code}]")), "{table}: {said}");
    }
}

/// The path of a flag below the tenant's.
fn flag(environment: &str, name: &str) -> String {
    format!("/environments/{environment}/flags/{name}")
}

fn on_for(user: &str) -> Value {
    json!({
        "variants": { "on": true, "off": false },
        "defaultVariant": "off",
        "rules": [{ "users": [user], "variant": "on" }, { "attribute": "half", "values": [true],
            "split": [{ "variant": "on", "percent": 50 }] }],
        "metadata": { "team": "web" },
    })
}

#[tokio::test]
async fn a_platform_evaluates_the_flags_of_the_tenant_and_the_environment_and_records_the_variants() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let settings = json!({ "capabilities": { "flags": {} } });
    let number = team.version("shop", &component(BANNER), settings).await;
    for environment in ["production", "staging"] {
        team.deploy("shop", environment, number, Value::Null).await;
    }
    let ask = async |host: &str, query: &str| platform.ask(host, &format!("/?{query}")).await.json();
    let (production, staging) = ("shop.default.localhost", "shop--staging.default.localhost");
    assert_eq!(ask(production, "user=ada").await["errorCode"], "FLAG_NOT_FOUND");

    let set = team.done("PUT", &flag("production", "banner"), on_for("ada")).await;
    assert_eq!(set["revision"], 1, "{set}");
    // The host that was asked has the flag already.
    let seen = ask(production, "user=ada").await;
    let wanted = json!({
        "flagKey": "banner", "value": true, "variant": "on", "reason": "TARGETING_MATCH",
        "flagMetadata": { "team": "web" }, "provided": true,
    });
    assert_eq!(seen, wanted);
    assert_eq!(ask(production, "user=bob").await["reason"], "DEFAULT");
    assert_eq!(ask(production, "attribute=half").await["errorCode"], "TARGETING_KEY_MISSING");
    assert_eq!(ask(staging, "user=ada").await["errorCode"], "FLAG_NOT_FOUND", "another environment");
    let mut on = 0;
    for user in 0..100 {
        let query = format!("user=u{user}&attribute=half");
        let (first, second) = (ask(production, &query).await, ask(production, &query).await);
        assert_eq!(first, second, "a user stays in a share");
        on += u32::from(first["value"] == true);
    }
    assert!((25..=75).contains(&on), "{on} of 100 are in half");

    let variants = until("a variant is recorded", async || {
        let list = team.done("GET", "/executions?component=shop&environment=production&limit=1000", Value::Null).await;
        let items = list["items"].as_array().expect("a list").clone();
        items.iter().any(|run| run["flags"] == json!({ "banner": "on" })).then_some(items)
    })
    .await;
    assert!(variants.iter().any(|run| run["flags"] == json!({})), "evaluations without a variant have none");

    // Deleted, the code's own default is the value; and nobody takes a new flag for the former one.
    team.done("DELETE", &flag("production", "banner"), Value::Null).await;
    assert_eq!(ask(production, "user=ada").await["errorCode"], "FLAG_NOT_FOUND");
    let history = team.done("GET", &format!("{}/history", flag("production", "banner")), Value::Null).await;
    let revisions: Vec<_> =
        history["items"].as_array().expect("a list").iter().map(|one| one["revision"].as_u64()).collect();
    assert_eq!(revisions, [Some(2), Some(1)], "{history}");
    assert_eq!(history["items"][0]["definition"], Value::Null);
    let audit = team.done("GET", "/audit?limit=10", Value::Null).await;
    let actions: Vec<_> = audit["items"].as_array().expect("a list").iter().map(|one| &one["action"]).collect();
    assert_eq!(actions[..2], ["flag.delete", "flag.set"], "{audit}");
    assert_eq!(audit["items"][0]["subject"], "production/banner");
}

#[tokio::test]
async fn flags_are_changed_by_who_may_and_by_what_was_read() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let (viewer, developer) = (team.with_role("viewer", None).await, team.with_role("developer", None).await);
    assert_eq!(viewer.refused("PUT", &flag("dev", "banner"), on_for("ada")).await.0, "forbidden");
    assert_eq!(developer.refused("PUT", &flag("production", "banner"), on_for("ada")).await.0, "forbidden");
    developer.done("PUT", &flag("staging", "banner"), on_for("ada")).await;
    assert_eq!(viewer.done("GET", &flag("staging", "banner"), Value::Null).await["revision"], 1);
    assert_eq!(team.refused("GET", &flag("production", "banner"), Value::Null).await.0, "not-found");
    for (name, body, code) in [
        ("a%20b", on_for("ada"), "bad-name"),
        ("banner", json!({ "variants": { "on": true }, "defaultVariant": "x" }), "bad-input"),
        ("banner", json!({ "variants": { "on": true }, "defaultVariant": "on", "targeting": {} }), "bad-input"),
        (
            "banner",
            json!({ "variants": { "on": true }, "defaultVariant": "on", "rules": [{ "users": ["x".repeat(20_000)],
                "variant": "on" }] }),
            "bad-input",
        ),
    ] {
        let refusal = team.refused("PUT", &flag("staging", name), body).await;
        assert_eq!(refusal.0, code, "{refusal:?}");
    }
    let put = async |revision: &str| {
        let request = http::Request::put("/")
            .header("authorization", format!("Bearer {}", team.token))
            .header("content-type", "application/json")
            .header("if-match", revision);
        platform.call(request, &team.path(&flag("staging", "banner")), on_for("bob").to_string()).await
    };
    let changed = put("\"1\"").await;
    assert_eq!((changed.status, &changed.headers["etag"]), (200, &http::HeaderValue::from_static("\"2\"")));
    assert_eq!(put("\"1\"").await.code(), "stale");
    let hostile = json!({
        "variants": { "on": "<script>alert(1)</script>\u{1b}[31m" }, "defaultVariant": "on",
        "description": "\u{1b}]0;x\u{7}<b>",
    });
    let set = team.done("PUT", &flag("staging", "hostile"), hostile.clone()).await;
    assert_eq!(set["definition"]["variants"], hostile["variants"], "it is given back as it is");
}

#[tokio::test]
async fn hosts_on_one_store_follow_flags_and_keep_them_while_it_is_away() {
    let postgres = Postgres::start();
    let first = Platform::start(&["--store", &postgres.url()]);
    let mut second = Platform::start(&["--store", &postgres.url()]);
    let bytes = component(BANNER);
    second.default_tenant().upload(&bytes).await;
    first.default_tenant().serve("shop", &bytes, json!({ "capabilities": { "flags": {} } })).await;
    let sees = async |platform: &Platform, expected: Value| {
        let look = async || {
            let answer = platform.ask("shop.default.localhost", "/?user=ada").await;
            let details: Value = serde_json::from_str(&answer.body).ok()?;
            (details["value"] == expected && details["reason"] != "ERROR").then_some(())
        };
        until(&format!("the flag is {expected}"), look).await;
    };
    first.default_tenant().done("PUT", &flag("production", "banner"), on_for("ada")).await;
    sees(&second, json!(true)).await;
    first.default_tenant().done("PUT", &flag("production", "banner"), on_for("bob")).await;
    sees(&second, json!(false)).await;
    second.default_tenant().done("PUT", &flag("production", "banner"), on_for("ada")).await;
    sees(&first, json!(true)).await;
    sees(&second, json!(true)).await;

    postgres.stop();
    sees(&second, json!(true)).await;
    // A host that starts without the store has them from its file.
    second.restart();
    sees(&second, json!(true)).await;
    postgres.restart();
    let changed = async || {
        let put = first.default_tenant().ask("PUT", &flag("production", "banner"), on_for("bob")).await;
        (put.0 == 200).then_some(())
    };
    until("the store is back", changed).await;
    sees(&second, json!(false)).await;
}

#[tokio::test]
async fn the_command_line_sets_what_a_component_sees() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(BANNER), json!({ "capabilities": { "flags": {} } })).await;
    let project = Project::new(&[]);
    project.write("banner.json", on_for("ada").to_string());
    let file = project.path("banner.json").display().to_string();
    let url = format!("http://{}", platform.admin_address);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary("elias"));
        command.args(arguments).env("ELIAS_CONFIG_DIR", project.path("config"));
        command.env("ELIAS_URL", &url).env("ELIAS_TOKEN", &team.token);
        let output = command.finish().expect("elias starts");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let ok = |arguments: &[&str]| {
        let (succeeded, said) = run(arguments);
        assert!(succeeded, "{arguments:?}: {said}");
        said
    };
    let value = async || platform.ask("shop.default.localhost", "/?user=ada").await.json()["value"].clone();
    assert_eq!(
        ok(&["flags", "set", "banner", "--from-file", &file]),
        "banner is enabled in production, at revision 1\n"
    );
    assert_eq!(value().await, true);
    let shown = ok(&["flags", "show", "banner"]);
    assert!(shown.contains("boolean") && shown.contains("\"users\":[\"ada\"]"), "{shown}");
    assert!(ok(&["flags", "set", "banner", "--disable"]).contains("disabled in production, at revision 2"));
    assert_eq!(value().await, false);
    let (succeeded, said) = run(&["flags", "set", "banner", "--enable", "--revision", "1"]);
    assert!(!succeeded && said.contains("error[stale]"), "{said}");
    assert!(ok(&["flags", "list"]).contains("disabled"));
    assert_eq!(ok(&["flags", "list", "--env", "staging"]), "none\n");
    ok(&["flags", "delete", "banner"]);
    let history = ok(&["flags", "history", "banner"]);
    assert!(history.contains("deleted") && history.lines().count() == 4, "{history}");
    let (succeeded, said) = run(&["flags", "show", "banner"]);
    assert!(!succeeded && said.contains("error[not-found]"), "{said}");
}
