//! Which npm packages a platform takes, and what `elias packages` says of those in a component.

use elias_tests::build::{Finish, Project, binary, root};
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::Tenant;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The advisory of tests/packages/advisories, which is about the version of lodash that tests/packages has.
const ADVISORY: &str = "GHSA-e1ia-5t35-t001";

/// A component with lodash from npm in it, as tests/packages has it.
fn with_lodash() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = root().join("tests/packages");
        assert!(folder.join("node_modules").is_dir(), "run `make packages` first");
        let out = tempfile::tempdir().expect("a temporary folder");
        let wasm = out.path().join("app.wasm");
        let mut build = Command::new(binary("elias-build"));
        let built = build.args(["src/lodash.js", "-o"]).arg(&wasm).current_dir(folder).finish().expect("it starts");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::read(wasm).expect("elias-build wrote it")
    })
}

/// A folder with the advisory and another one, for a test to change.
fn advisories() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("{ADVISORY}.json");
    let from = root().join("tests/packages/advisories").join(&name);
    std::fs::copy(from, folder.path().join(name)).expect("copied");
    let other = r#"[{ "id": "A-1", "affected": [
        { "package": { "ecosystem": "npm", "name": "no-such" }, "versions": ["1.0.0"] }] }]"#;
    std::fs::write(folder.path().join("other.json"), other).expect("written");
    folder
}

fn flag(folder: &Path) -> String {
    folder.to_str().expect("UTF-8").to_owned()
}

/// The refusal of a version with this component: code and explanation.
async fn refused(tenant: &Tenant<'_>, component: &[u8]) -> (String, String) {
    let version = json!({ "digest": tenant.upload(component).await });
    tenant.refused("POST", "/components/shop/versions", version).await
}

#[tokio::test]
async fn a_package_with_an_advisory_is_refused_until_the_advisory_is_withdrawn() {
    let folder = advisories();
    let platform = Platform::start(&["--advisories", &flag(folder.path())]);
    let careful = platform.new_tenant("careful", json!({ "packages": { "refuse": "high" } })).await;
    let (code, said) = refused(&careful, with_lodash()).await;
    assert_eq!(code, "package-vulnerable");
    for part in ["lodash@4.18.1", ADVISORY, "(high)", "npm install lodash@4.18.2", "elias tenants set"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    for settings in [json!({ "refuse": "critical" }), json!({ "refuse": "low", "ignore": ["CVE-2026-99999"] })] {
        let name = format!("bold-{}", settings["refuse"].as_str().expect("a severity"));
        let bold = platform.new_tenant(&name, json!({ "packages": settings })).await;
        bold.version("shop", with_lodash(), json!({})).await;
    }

    // The present files cannot be read: those read before hold, and the doctor says so.
    let file = folder.path().join(format!("{ADVISORY}.json"));
    let text = std::fs::read_to_string(&file).expect("the advisory");
    std::fs::write(&file, &text[..100]).expect("cut short");
    let doctor = async || platform.admin("GET", "/v1/doctor", Value::Null).await.1;
    let advisories = |doctor: &Value| {
        let findings = doctor["items"].as_array().expect("findings").clone();
        findings.into_iter().find(|finding| finding["subject"] == "advisories").expect("it looks at advisories")
    };
    let finding = until("the doctor sees it", async || {
        let finding = advisories(&doctor().await);
        (finding["good"] == false).then_some(finding)
    })
    .await;
    assert!(finding["detail"].as_str().is_some_and(|detail| detail.contains(ADVISORY)), "{finding}");
    assert_eq!(refused(&careful, with_lodash()).await.0, "package-vulnerable");

    let withdrawn = text.replacen("\"aliases\"", "\"withdrawn\": \"2026-03-01T00:00:00Z\", \"aliases\"", 1);
    std::fs::write(&file, withdrawn).expect("withdrawn");
    until("the file is read again", async || (advisories(&doctor().await)["good"] == true).then_some(())).await;
    careful.serve("shop", with_lodash(), json!({})).await;
    assert!(careful.get("shop", "/").await.body.contains("[[1,2],[3,4],[5]]"));
}

#[tokio::test]
async fn the_host_and_the_tenant_itself_say_which_packages_are_taken() {
    let platform = Platform::start(&[]);
    let host = json!({ "packages": { "deny": ["lodash@<4.18.1", "@evil/*"], "require-integrity": true } });
    let team = platform.new_tenant("team", host).await;
    let admin = team.with_role("admin", None).await;
    assert_eq!(team.with_role("operator", None).await.ask("PUT", "/packages", json!({})).await.0, 403);

    let lock = std::fs::read(root().join("tests/packages/package-lock.json")).expect("a lockfile");
    let lock: Value = serde_json::from_slice(&lock).expect("JSON");
    let locked = &lock["packages"]["node_modules/lodash"]["integrity"];
    let another = format!("sha512-{}==", "A".repeat(86));
    for (own, wanted) in [
        (json!({ "deny": ["lodash@^4"] }), "package-denied"),
        (json!({ "allow": ["express", "@acme/*"] }), "package-denied"),
        (json!({ "pins": { "lodash@4.18.1": another } }), "integrity-mismatch"),
        (json!({ "refuse": "critical" }), "advisories-missing"),
    ] {
        admin.done("PUT", "/packages", own).await;
        let (code, said) = refused(&admin, with_lodash()).await;
        assert_eq!(code, wanted, "{said}");
        assert!(said.contains("elias packages policy"), "{said}");
    }
    let own = json!({ "allow": ["lodash"], "pins": { "lodash@4.18.1": locked } });
    let policies = admin.done("PUT", "/packages", own.clone()).await;
    assert_eq!((&policies["own"]["allow"], &policies["host"]["deny"][1]), (&own["allow"], &json!("@evil/*")));
    assert_eq!(admin.version("shop", with_lodash(), json!({})).await, 1);
    let found = admin.done("GET", "/components/shop/versions/1/packages", Value::Null).await;
    assert_eq!(found["packages"][0]["name"], "lodash", "{found}");
    assert_eq!(&found["packages"][0]["integrity"][0], locked);
    assert_eq!(found["advisories"], Value::Null, "the host has none");

    // The tenant's policy takes nothing away from the host's.
    admin.done("PUT", "/packages", json!({})).await;
    let unlocked = Project::new(&[
        ("index.js", "import a from 'a';\nexport default { call: () => a };\n"),
        ("node_modules/a/package.json", r#"{ "name": "a", "version": "1.0.0", "main": "index.js" }"#),
        ("node_modules/a/index.js", "module.exports = 1;\n"),
    ]);
    let (code, said) = refused(&admin, &unlocked.build("index.js")).await;
    assert_eq!(code, "integrity-missing");
    assert!(said.contains("a@1.0.0") && said.contains("package-lock.json"), "{said}");
    let foreign = wat::parse_str("(component)").expect("a component");
    assert_eq!(refused(&admin, &foreign).await.0, "sbom-missing", "who leaves the bill out evades nothing");
    let (code, said) = admin.refused("PUT", "/packages", json!({ "deny": ["lod*"] })).await;
    assert!(code == "bad-input" && said.contains("lod*"), "{code} {said}");
    let trail = admin.done("GET", "/audit", Value::Null).await;
    assert!(trail.to_string().contains("own-packages"), "who changed it is in the trail: {trail}");
}

#[test]
fn a_host_does_not_start_with_advisories_that_it_cannot_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("bad.json"), "{ \"affected\": [] }").expect("written");
    let mut serve = Command::new(binary("elias"));
    serve.args(["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--advisories", "."]);
    let output = serve.current_dir(folder.path()).finish().expect("elias starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("bad-input") && said.contains("bad.json"), "{said}");
}

/// Types a line of `elias packages audit`.
fn audit(folder: &Path, line: &[&str], platform: Option<&Platform>) -> Output {
    let mut command = Command::new(binary("elias"));
    command.args(["packages", "audit"]).args(line).current_dir(folder).env("ELIAS_CONFIG_DIR", folder);
    if let Some(platform) = platform {
        let url = format!("http://{}", platform.admin_address);
        command.env("ELIAS_URL", url).env("ELIAS_TOKEN", &platform.token);
    }
    command.finish().expect("elias starts")
}

#[tokio::test]
async fn packages_are_audited_in_a_file_and_where_they_serve() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("app.wasm"), with_lodash()).expect("written");
    let osv = flag(&root().join("tests/packages/advisories"));
    let types = |line: &[&str], platform: Option<&Platform>| {
        let output = audit(folder.path(), line, platform);
        let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), out.into_owned(), errors.into_owned())
    };
    let (code, out, errors) = types(&["app.wasm", "--advisories", &osv], None);
    assert_eq!(code, Some(1), "{errors}");
    let line = out.lines().find(|line| line.starts_with("lodash")).expect("a line for it");
    for part in ["4.18.1", "sha512", ADVISORY, "high", "4.18.2", "Prototype pollution"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(errors.contains("package-vulnerable") && errors.contains("npm install lodash@4.18.2"), "{errors}");
    assert_eq!(types(&["app.wasm", "--advisories", &osv, "--level", "critical"], None).0, Some(0));
    let (code, out, _) = types(&["app.wasm"], None);
    assert!(code == Some(0) && out.contains("compared with no advisories"), "{out}");
    let (code, out, _) = types(&["app.wasm", "--advisories", &osv, "--json"], None);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &json["components"][0]["packages"][0]["vulnerabilities"][0]["id"]), (Some(1), &json!(ADVISORY)));
    let (code, _, errors) = types(&["app.wasm", "--advisories", "app.wasm"], None);
    assert!(code == Some(1) && errors.contains("bad-input"), "{errors}");

    let platform = Platform::start(&["--advisories", &osv]);
    let (code, _, errors) = types(&[], Some(&platform));
    assert!(code == Some(1) && errors.contains("not-found"), "{errors}");
    platform.default_tenant().serve("shop", with_lodash(), json!({})).await;
    let (code, out, errors) = types(&[], Some(&platform));
    assert!(code == Some(1) && errors.contains(ADVISORY), "{errors}");
    assert!(out.contains("shop 1 in production: 1 packages, compared with 1 advisories"), "{out}");
    assert_eq!(types(&["--component", "shop", "--level", "critical"], Some(&platform)).0, Some(0));
    let none = folder.path().join("none.json");
    std::fs::write(&none, "[]").expect("written");
    let own = ["--component", "shop", "--env", "production", "--advisories", "none.json"];
    assert_eq!(types(&own, Some(&platform)).0, Some(0), "the advisories of the one who asks");
}
