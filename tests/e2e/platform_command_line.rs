//! docs/tutorials/team-platform.md, step by step, by the commands that it names; and an archive that is restored.

use elias_tests::platform::{Platform, until};
use elias_tests::terminal::Terminal;
use std::path::Path;

#[tokio::test]
async fn the_quickstart_leads_to_two_versions_a_canary_that_takes_itself_back_and_a_verified_log() {
    let platform = Platform::start(&[]);
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    terminal.types("", &["init", "shop"]);
    let said = terminal.types("shop", &["deploy", "--reason", "the first"]);
    assert!(said.contains("shop 1 serves production at http://shop.default.localhost:"), "{said}");
    let host = "shop.default.localhost";
    assert!(platform.ask(host, "/").await.body.contains("Hello, world!"));

    terminal.edit("shop/src/index.ts", "<h1>Hello", "<h1>Welcome");
    terminal.types("shop", &["deploy", "--reason", "a warmer word"]);
    assert!(platform.ask(host, "/").await.body.contains("Welcome, world!"));
    let versions = terminal.types("shop", &["versions", "shop"]);
    assert!(versions.contains('1') && versions.contains('2'), "{versions}");
    let shown = terminal.types("shop", &["versions", "show", "shop", "1"]);
    let uploaded = shown.lines().find(|line| line.starts_with("uploaded")).expect("who uploaded it");
    let by = uploaded.split_once(" by ").expect("somebody").1;
    assert!(versions.contains(by.trim()), "{uploaded}, as in {versions}");
    assert!(terminal.types("shop", &["diff", "shop", "1", "2"]).contains("source"), "the sources' digest differs");
    terminal.types("shop", &["rollback", "shop"]);
    assert!(platform.ask(host, "/").await.body.contains("Hello, world!"));
    terminal.types("shop", &["rollback", "shop", "--to", "2"]);

    let name = std::fs::read_to_string(terminal.path("shop/src/index.ts")).expect("the file is there");
    let name =
        name.lines().find(|line| line.contains("const name =")).expect("the greeting has a name").trim().to_owned();
    let risky = r#"const name = "world"; if (request.url.includes("name=")) throw new Error("names are not ready");"#;
    terminal.edit("shop/src/index.ts", &name, risky);
    let canary = ["deploy", "--canary", "50", "--every", "1m", "--requests", "50", "--reason", "a risky one"];
    terminal.types("shop", &canary);
    until("the canary is taken back", async || {
        platform.ask(host, "/?name=Ada").await;
        let status = terminal.types("shop", &["status", "shop", "--json"]);
        status.contains("\"canary\": null").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert!(platform.ask(host, "/?name=Ada").await.body.contains("Welcome, Ada!"));
    }
    let audit = terminal.types("shop", &["audit"]);
    assert!(audit.contains("requests failed"), "{audit}");
    let failed = until("the failures are recorded", async || {
        let failed = terminal.types("shop", &["executions", "--failed", "--json"]);
        failed.contains("names are not ready").then_some(failed)
    });
    assert!(failed.await.contains("src/index.ts:"), "in the author's lines");

    terminal.edit("shop/src/index.ts", risky, &name);
    terminal.types("shop", &["deploy", "--env", "staging"]);
    terminal.types("shop", &["promote", "shop", "--from", "staging", "--to", "production"]);
    assert!(platform.ask(host, "/?name=Bo").await.body.contains("Welcome, Bo!"));

    terminal.types("shop", &["build", "-o", "app.wasm"]);
    let log = format!("{url}/v1/log");
    let key = platform.call(http::Request::get("/"), "/v1/log/key", "").await.body.trim().to_owned();
    let verify = ["verify", "app.wasm", "--log", &log, "--log-key", &key, "--state", "log.checkpoint"];
    for _ in 0..2 {
        let verified = terminal.types("shop", &verify);
        assert!(verified.contains("inclusion") && verified.contains("shop"), "{verified}");
    }
    // A file that was never accepted is not in it.
    terminal.edit("shop/src/index.ts", "<h1>Welcome", "<h1>Never");
    terminal.types("shop", &["build", "-o", "app.wasm"]);
    assert!(!terminal.output("shop", &verify).status.success());
}

#[tokio::test]
async fn signed_versions_are_taken_where_the_tenant_wants_them() {
    let platform = Platform::start(&[]);
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    terminal.types("", &["init", "shop"]);
    terminal.types("", &["tenants", "set", "default", "--require-signature"]);
    let refused = terminal.output("shop", &["deploy"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("signature-refused"), "{refused:?}");
    let made = terminal.types("", &["keys", "new", "example.com/team", "--out", "team.key"]);
    let verifier = made.split_whitespace().find(|word| word.starts_with("example.com/team+")).expect("a verifier key");
    terminal.types("", &["keys", "add", verifier]);
    terminal.types("shop", &["deploy", "--sign", "../team.key"]);
    assert!(platform.ask("shop.default.localhost", "/").await.body.contains("Hello"));
    terminal.types("", &["keys", "revoke", "example.com/team"]);
    terminal.edit("shop/src/index.ts", "<h1>Hello", "<h1>Welcome");
    let refused = terminal.output("shop", &["deploy", "--sign", "../team.key"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("signature-refused"), "{refused:?}");
}

#[tokio::test]
async fn a_backup_is_restored_whole_and_a_damaged_one_is_refused() {
    let platform = Platform::start(&[]);
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    terminal.types("", &["init", "shop"]);
    terminal.types("shop", &["deploy"]);
    let archive = terminal.path("backup.tar").display().to_string();
    terminal.types("", &["backup", &archive]);
    assert!(!terminal.output("", &["backup", &archive]).status.success(), "it writes over nothing");

    let restored = terminal.path("restored").display().to_string();
    let said = terminal.types("", &["restore", &archive, "--data-dir", &restored]);
    assert!(said.contains("1 artifacts, a log of 1 versions"), "{said}");
    assert!(!terminal.output("", &["restore", &archive, "--data-dir", &restored]).status.success(), "it is not empty");
    let again = Platform::start_on(Path::new(&restored));
    assert!(again.ask("shop.default.localhost", "/").await.body.contains("Hello, world!"));
    assert_eq!(again.token, platform.token, "the operator's token is the same");
    let head = async |platform: &Platform| platform.call(http::Request::get("/"), "/v1/log/checkpoint", "").await.body;
    assert_eq!(head(&again).await, head(&platform).await, "and so is the log, down to its signature");

    let mut bytes = std::fs::read(&archive).expect("the archive");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&archive, bytes).expect("written");
    let damaged =
        terminal.output("", &["restore", &archive, "--data-dir", &terminal.path("third").display().to_string()]);
    assert!(!damaged.status.success(), "{damaged:?}");
}
