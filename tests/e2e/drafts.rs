//! Drafts: projects that are edited on a platform, saved by several people, and built there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_tests::platform::Platform;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOURCE: &str = "export default { fetch: (): Response => new Response('one') };";

fn files(source: &str) -> Value {
    json!({ "files": { "package.json": "{\"name\":\"shop\",\"version\":\"1.0.0\"}", "src/index.ts": source } })
}

/// Saves with `If-Match`.
async fn save(platform: &Platform, team: &Tenant<'_>, path: &str, body: &Value, revision: u64) -> (u16, Value) {
    let request = http::Request::put("/").header("authorization", format!("Bearer {}", team.token));
    let request = request.header("content-type", "application/json").header("if-match", format!("\"{revision}\""));
    let answer = platform.call(request, &team.path(path), body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn two_people_save_the_same_draft_and_the_second_gets_the_firsts_text() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let made = team.done("PUT", "/drafts/shop", files("one")).await;
    assert_eq!(made["revision"], 1);
    let (status, saved) = save(&platform, &team, "/drafts/shop", &files("two"), 1).await;
    assert_eq!((status, &saved["revision"]), (200, &json!(2)));
    let (status, conflict) = save(&platform, &team, "/drafts/shop", &files("mine"), 1).await;
    assert_eq!((status, &conflict["code"]), (412, &json!("stale")));
    assert_eq!(conflict["current"]["files"]["src/index.ts"], "two", "to merge with");
    assert_eq!(conflict["current"]["revision"], 2);
    // Without a revision nobody saves over another's work.
    assert_eq!(team.ask("PUT", "/drafts/shop", files("mine")).await.0, 412);
    assert_eq!(team.done("GET", "/drafts/shop", Value::Null).await["files"]["src/index.ts"], "two");
    assert_eq!(save(&platform, &team, "/drafts/none", &files("x"), 1).await.0, 404);

    let listed = team.done("GET", "/drafts", Value::Null).await;
    assert_eq!((&listed["items"][0]["draft"], &listed["items"][0]["files"]), (&json!("shop"), &json!(2)));
    let other = platform.new_tenant("other", json!({})).await;
    assert_eq!(other.done("GET", "/drafts", Value::Null).await["items"], json!([]), "they are a tenant's own");
    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.ask("GET", "/drafts/shop", Value::Null).await.0, 200);
    assert_eq!(viewer.refused("DELETE", "/drafts/shop", Value::Null).await.0, "forbidden");
    let elsewhere = team.with_role("developer", Some(&["blog"])).await;
    assert_eq!(elsewhere.done("GET", "/drafts", Value::Null).await["items"], json!([]));
    assert_eq!(elsewhere.refused("GET", "/drafts/shop", Value::Null).await.0, "forbidden");
    team.done("DELETE", "/drafts/shop", Value::Null).await;
    assert_eq!(team.refused("GET", "/drafts/shop", Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn drafts_are_bounded() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let refused = async |files: Value| team.refused("PUT", "/drafts/shop", json!({ "files": files })).await.0;
    assert_eq!(refused(json!({ "../x": "" })).await, "bad-input");
    assert_eq!(refused(json!({ "node_modules/a/index.js": "" })).await, "bad-input");
    assert_eq!(refused(json!({ "a": "x".repeat(262_145) })).await, "too-large");
    assert_eq!(team.refused("PUT", "/drafts/shop", json!({})).await.0, "bad-input");
    assert_eq!(team.refused("PUT", "/drafts/shop", json!({ "template": "none" })).await.0, "bad-input");
    for number in 0..100 {
        team.done("PUT", &format!("/drafts/d{number}"), json!({ "files": {} })).await;
    }
    assert_eq!(team.refused("PUT", "/drafts/d100", json!({ "files": {} })).await.0, "quota-exceeded");
}

#[tokio::test]
async fn a_draft_becomes_a_version_that_serves() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for template in ["hello", "api", "worker", "schedule", "event"] {
        let draft = format!("/drafts/my-{template}");
        team.done("PUT", &draft, json!({ "template": template })).await;
        let built = team.done("POST", &format!("{draft}/builds"), json!({})).await;
        assert_eq!((&built["built"], &built["version"]), (&json!(true), &json!(1)), "{template}: {built}");
    }
    team.done("POST", &service("my-hello", "staging", "/deployments"), json!({ "version": 1 })).await;
    let page = platform.ask("my-hello--staging.default.localhost", "/").await;
    assert!(page.body.contains("Hello, world!"), "{page:?}");
    // The migrations of a draft go with its version.
    let version = team.done("GET", "/components/my-api/versions/1", Value::Null).await;
    assert!(version["settings"]["files"]["migrations/0001_notes.sql"].is_string(), "{version}");
}

#[tokio::test]
async fn errors_have_the_codes_and_places_of_the_command_line() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.done("PUT", "/drafts/shop", files("export default {\n  fetch() {\n")).await;
    let built = team.done("POST", "/drafts/shop/builds", json!({})).await;
    assert_eq!((&built["built"], &built["version"]), (&json!(false), &Value::Null));
    let error = &built["diagnostics"][0];
    assert_eq!((&error["severity"], &error["code"]), (&json!("error"), &json!("syntax-error")), "{built}");
    assert_eq!(error["file"], "src/index.ts");
    assert!(error["line"].as_u64().is_some_and(|line| line >= 2) && error["column"].is_u64(), "{error}");

    // What the platform takes no version for is a diagnostic too.
    let source = "import { db } from 'elias'; export default { call: () => db.query('select 1') };";
    assert_eq!(save(&platform, &team, "/drafts/shop", &files(source), 1).await.0, 200);
    let built = team.done("POST", "/drafts/shop/builds", json!({})).await;
    let codes: Vec<_> = built["diagnostics"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert!(codes.contains(&&json!("capability-denied")) && built["version"].is_null(), "{built}");

    let mut wrong = files(SOURCE);
    wrong["files"]["elias.toml"] = json!("[limits]\nfuel = \"much\"\n");
    save(&platform, &team, "/drafts/shop", &wrong, 2).await;
    let built = team.done("POST", "/drafts/shop/builds", json!({})).await;
    let error = &built["diagnostics"][0];
    assert_eq!((&error["code"], &error["file"]), (&json!("config"), &json!("elias.toml")), "{built}");
    assert!(!built.to_string().contains("/builds/."), "no folder of the host: {built}");
    // A check makes no version.
    save(&platform, &team, "/drafts/shop", &files(SOURCE), 3).await;
    let checked = team.done("POST", "/drafts/shop/builds", json!({ "check": true })).await;
    assert_eq!((&checked["built"], &checked["version"]), (&json!(true), &Value::Null), "{checked}");
    assert_eq!(team.refused("POST", "/drafts/shop/builds", json!({ "revision": 1 })).await.0, "stale");
}

#[tokio::test]
async fn a_draft_that_is_a_bomb_or_asks_for_the_hosts_files_makes_nothing() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let secret = platform.data("operator-token").display().to_string();
    let bomb = format!("export default {};", "(".repeat(200_000));
    let text = format!("import text from {secret:?}; export default {{ call: () => text }};");
    let link = "import up from '../../../store.db'; export default { call: () => up };".to_owned();
    for (name, source) in [("bomb", bomb), ("absolute", text), ("above", link)] {
        team.done("PUT", &format!("/drafts/{name}"), files(&source)).await;
        let (status, built) = team.ask("POST", &format!("/drafts/{name}/builds"), json!({})).await;
        let is_refused = status == 422 && built["code"] == "build-limit";
        assert!(is_refused || built["built"] == false, "{name}: {built}");
    }
    let mut roots = files(SOURCE);
    roots["files"]["elias.toml"] = json!("[build]\nroots = [\"/\"]\n");
    team.done("PUT", "/drafts/roots", roots).await;
    let built = team.done("POST", "/drafts/roots/builds", json!({})).await;
    assert_eq!(built["diagnostics"][0]["code"], "config", "{built}");
    // The next one is built as if nothing had been.
    team.done("PUT", "/drafts/shop", files(SOURCE)).await;
    assert_eq!(team.done("POST", "/drafts/shop/builds", json!({})).await["version"], 1);
}

#[tokio::test]
async fn a_draft_is_pulled_edited_pushed_and_built_on_the_command_line() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    terminal.types("", &["drafts", "create", "shop", "--template", "hello"]);
    terminal.types("", &["drafts", "pull", "shop"]);
    terminal.edit("shop/src/index.ts", "<h1>Hello", "<h1>Welcome");
    assert!(terminal.types("shop", &["drafts", "push"]).contains("revision 2"));
    assert!(terminal.types("", &["drafts", "list"]).contains("shop"));
    assert!(terminal.types("", &["drafts", "build", "shop"]).contains("shop 1 was built"));
    terminal.types("", &["promote", "shop", "--version", "1"]);
    assert!(platform.ask(&team.host("shop"), "/").await.body.contains("Welcome"));

    // Somebody saves in the browser meanwhile.
    assert_eq!(save(&platform, &team, "/drafts/shop", &files("export default {"), 2).await.0, 200);
    terminal.edit("shop/src/index.ts", "<h1>Welcome", "<h1>Mine");
    let refused = terminal.output("shop", &["drafts", "push"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("error[stale]") && said.contains("merge"), "{said}");
    let broken = terminal.output("", &["drafts", "build", "shop"]);
    let said = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(!broken.status.success() && said.contains("src/index.ts:1:") && said.contains("[syntax-error]"), "{said}");
    terminal.types("", &["drafts", "delete", "shop"]);
    assert_eq!(team.refused("GET", "/drafts/shop", Value::Null).await.0, "not-found");
}

/// A tarball of a package, as a registry has it, and the hash for a lockfile. Its install script would make the file
/// `marker`.
fn tarball(source: &str, marker: &Path) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("package");
    std::fs::create_dir_all(&package).expect("a folder");
    let scripts = json!({ "postinstall": format!("touch {}", marker.display()) });
    let described = json!({ "name": "tiny", "version": "1.0.0", "main": "index.js", "scripts": scripts });
    std::fs::write(package.join("package.json"), described.to_string()).expect("writing");
    std::fs::write(package.join("index.js"), source).expect("writing");
    let file = folder.path().join("tiny.tgz");
    let packed = Command::new("tar").arg("-czf").arg(&file).arg("-C").arg(folder.path()).arg("package").status();
    assert!(packed.is_ok_and(|status| status.success()));
    let hashed = Command::new("sha512sum").arg(&file).output().expect("every Linux has it").stdout;
    let hex = String::from_utf8_lossy(&hashed).chars().take(128).collect::<String>();
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    let digest: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
    (std::fs::read(file).expect("it is there"), format!("sha512-{}", STANDARD.encode(digest)))
}

/// A registry with one tarball, which counts its requests.
async fn registry(tarball: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            count.fetch_add(1, Ordering::SeqCst);
            let is_there = head[..read].starts_with(b"GET /tiny/-/tiny-1.0.0.tgz ");
            let (status, body) = if is_there { ("200 OK", tarball.as_slice()) } else { ("404 Not Found", &b""[..]) };
            let response = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // A client that is gone is none that this test asks about.
            let _ = stream.write_all(&[response.as_bytes(), body].concat()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn packages_come_from_the_operators_registry_by_the_lockfile_and_the_tenants_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let marker = folder.path().join("installed");
    let (bytes, integrity) = tarball("module.exports = () => 'tiny';", &marker);
    let (url, asked) = registry(bytes).await;
    let platform = Platform::start(&["--npm-registry", &url, "--private-network", "127.0.0.0/8"]);
    let team = platform.default_tenant();
    let draft = |integrity: &str| {
        let entry = json!({ "version": "1.0.0", "resolved": "http://evil.example/x.tgz", "integrity": integrity });
        let lockfile = json!({ "lockfileVersion": 3, "packages": { "node_modules/tiny": entry } });
        let source = "import tiny from 'tiny'; export default { fetch: () => new Response(tiny()) };";
        let mut draft = files(source);
        draft["files"]["package.json"] = json!(r#"{"name":"shop","version":"1.0.0","dependencies":{"tiny":"1.0.0"}}"#);
        draft["files"]["package-lock.json"] = json!(lockfile.to_string());
        draft
    };
    team.done("PUT", "/drafts/shop", draft(&integrity)).await;
    let built = team.done("POST", "/drafts/shop/builds", json!({})).await;
    assert_eq!(built["version"], 1, "{built}");
    team.deploy("shop", "production", 1, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "tiny");
    assert!(!marker.exists(), "install scripts never run");
    // What the lockfile does not say is not installed.
    let other = format!("sha512-{}", STANDARD.encode([0_u8; 64]));
    team.done("PUT", "/drafts/other", draft(&other)).await;
    let built = team.done("POST", "/drafts/other/builds", json!({})).await;
    assert_eq!((&built["built"], &built["diagnostics"][0]["code"]), (&json!(false), &json!("integrity-mismatch")));
    // A package that the tenant does not take is not even fetched.
    team.done("PUT", "/packages", json!({ "deny": ["tiny"] })).await;
    let before = asked.load(Ordering::SeqCst);
    let built = team.done("POST", "/drafts/shop/builds", json!({})).await;
    assert_eq!((&built["built"], &built["diagnostics"][0]["code"]), (&json!(false), &json!("package-denied")));
    assert_eq!(asked.load(Ordering::SeqCst), before);
}
