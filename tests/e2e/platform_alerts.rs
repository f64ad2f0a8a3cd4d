//! Alerts: from a condition to the receiver, over a `kill -9`; silences, receivers that fail, and mail.

use crate::webhooks::{Receiver, SECRET, header};
use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::Tenant;
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The loopback addresses, where the receivers of these tests are.
const INSIDE: [&str; 2] = ["--private-network", "127.0.0.0/8"];

async fn set_webhook(team: &Tenant<'_>, name: &str, url: &str) {
    let settings = json!({ "kind": "webhook", "url": url, "secret": SECRET });
    let set = team.done("PUT", &format!("/receivers/{name}"), settings).await;
    assert!(!set.to_string().contains("whsec_"), "secrets are not shown: {set}");
}

/// The alert of a rule, once it is in this state.
async fn alert(team: &Tenant<'_>, rule: &str, state: &str) -> Value {
    until(&format!("the alert {rule} is {state}"), async || {
        let all = team.done("GET", "/alerts", Value::Null).await;
        let mut alerts = all["items"].as_array().expect("a list").iter();
        alerts.find(|alert| alert["rule"] == rule && alert["state"] == state).cloned()
    })
    .await
}

#[tokio::test]
async fn a_failing_service_is_told_of_once_also_over_a_kill() {
    let (mut platform, receiver) = (Platform::start(&INSIDE), Receiver::start().await);
    let fails = json!({
        "metric": "error-percent", "threshold": 5, "window_seconds": 60, "severity": "critical",
        "summary": "The shop fails", "keep_firing_for_seconds": 3600, "group_interval_seconds": 3600,
    });
    {
        let team = platform.default_tenant();
        set_webhook(&team, "team", &format!("http://{}/200", receiver.address)).await;
        team.done("PUT", "/alert-rules/errors", fails).await;
        team.serve("shop", answering(), answers("one")).await;
        for _ in 0..5 {
            assert_eq!(team.get("shop", "/throw").await.status, 500);
        }
        let found = alert(&team, "errors", "firing").await;
        assert_eq!((&found["component"], &found["severity"]), (&json!("shop"), &json!("critical")), "{found}");
        assert_eq!(found["value"], json!(100.0));
        // A host that is killed between the response and this sends the notification again, with the same id.
        until("the receiver is told, and the store knows", async || {
            let listed = team.done("GET", "/receivers", Value::Null).await;
            let is_stored = listed["items"][0]["delivered_at"].is_i64();
            (is_stored && !receiver.received().is_empty()).then_some(())
        })
        .await;
    }
    platform.restart();
    let team = platform.default_tenant();
    // Another rule, of which the restarted host has to tell: the first one is not told of again meanwhile.
    let busy = json!({ "metric": "executions", "threshold": 0, "window_seconds": 60, "severity": "info" });
    team.done("PUT", "/alert-rules/busy", busy).await;
    team.get("shop", "/").await;
    until("the restarted host tells of another rule", async || {
        receiver.received().iter().any(|(_, event)| event["subject"] == "busy").then_some(())
    })
    .await;
    let received = receiver.received();
    let told: Vec<_> = received.iter().filter(|(_, event)| event["subject"] == "errors").collect();
    let [(headers, event)] = told.as_slice() else { panic!("{received:?}") };
    assert_eq!((&event["type"], &event["source"]), (&json!("alert.firing"), &json!("/elias")));
    assert_eq!(event["data"]["firing"][0]["component"], "shop", "{event}");
    assert_eq!(event["data"]["summary"], "The shop fails");
    assert_eq!(header(headers, "webhook-id"), event["id"].as_str().expect("an id"));
    assert!(header(headers, "webhook-signature").starts_with("v1,"), "{headers:?}");
    let state = alert(&team, "errors", "firing").await;
    assert!(state["fired_at"].as_i64().expect("a time") <= state["since"].as_i64().expect("a time"), "{state}");
}

#[tokio::test]
async fn receivers_are_checked_and_tried() {
    let (platform, receiver) = (Platform::start(&INSIDE), Receiver::start().await);
    let team = platform.default_tenant();
    set_webhook(&team, "good", &format!("http://{}/200", receiver.address)).await;
    let tried = team.done("POST", "/receivers/good/test", json!({})).await;
    assert_eq!(tried, json!({ "delivered": true }));
    let (_, event) = receiver.received().remove(0);
    assert_eq!((&event["data"]["test"], &event["data"]["tenant"]), (&json!(true), &json!("default")));
    for (name, path, why) in
        [("failing", "/500", "500"), ("moved", "/302", "302"), ("gone", "/410", "410"), ("silent", "/hang-up", "")]
    {
        set_webhook(&team, name, &format!("http://{}{path}", receiver.address)).await;
        let tried = team.done("POST", &format!("/receivers/{name}/test"), json!({})).await;
        assert_eq!(tried["delivered"], false, "{name}: {tried}");
        assert!(tried["error"].as_str().is_some_and(|error| error.contains(why)), "{name}: {tried}");
    }
    let (private, none) = ("http://169.254.169.254/latest", "https://");
    for (settings, why) in [
        (json!({ "kind": "slack", "url": private }), "--private-network"),
        (json!({ "kind": "slack", "url": none }), "url"),
        (json!({ "kind": "slack", "url": "file:///etc/passwd" }), "http"),
        (json!({ "kind": "webhook", "url": "https://example.com", "secret": "short" }), "secret"),
        (json!({ "kind": "mail", "to": ["ops@example.com"] }), "--smtp"),
        (json!({ "kind": "mail", "to": ["a@b\r\nBcc: c@d"] }), "address"),
        (json!({ "kind": "pager" }), ""),
    ] {
        let (code, detail) = team.refused("PUT", "/receivers/bad", settings.clone()).await;
        assert_eq!(code, "bad-input", "{settings}: {detail}");
        assert!(detail.contains(why), "{settings}: {detail}");
    }
    let listed = team.done("GET", "/receivers", Value::Null).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(5), "{listed}");
    assert!(!platform.keeps(SECRET), "what is stored is encrypted");
    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.refused("GET", "/receivers", Value::Null).await.0, "forbidden");
    assert_eq!(viewer.ask("GET", "/alert-rules", Value::Null).await.0, 200);
    let system = json!({ "metric": "disk-percent", "threshold": 1 });
    assert_eq!(team.refused("PUT", "/alert-rules/disk", system).await.0, "bad-input", "that is the hosts'");
}

#[tokio::test]
async fn rules_and_silences_are_set_on_the_command_line() {
    let (platform, terminal) = (Platform::start(&[]), Terminal::new());
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let rules = terminal.types("", &["alerts", "rules"]);
    assert!(rules.contains("errors") && rules.contains("error-percent > 5") && rules.contains("built in"), "{rules}");
    assert!(!rules.contains("disk-percent"), "{rules}");
    assert!(terminal.types("", &["alerts", "rules", "--tenant", "system"]).contains("disk-percent > 85"));
    let rule = terminal.types("", &["alerts", "show-rule", "errors"]);
    let mut rule: Value = serde_json::from_str(&rule).expect("it is JSON");
    rule["threshold"] = json!(7);
    std::fs::write(terminal.path("rule.json"), rule.to_string()).expect("written");
    terminal.types("", &["alerts", "set-rule", "errors", "rule.json"]);
    assert!(terminal.types("", &["alerts", "rules"]).contains("error-percent > 7"));
    terminal.types("", &["alerts", "delete-rule", "errors"]);
    assert!(terminal.types("", &["alerts", "rules"]).contains("error-percent > 5"), "the built-in one holds again");
    let made = ["alerts", "silence", "--rule", "errors", "--for", "2h", "--reason", "known", "--json"];
    let silence: Value = serde_json::from_str(&terminal.types("", &made)).expect("it is JSON");
    let id = silence["id"].as_str().expect("an id");
    let silences = terminal.types("", &["alerts", "silences"]);
    assert!(silences.contains(id) && silences.contains("rule errors") && silences.contains("known"), "{silences}");
    terminal.types("", &["alerts", "unsilence", id]);
    assert_eq!(terminal.types("", &["alerts", "silences"]), "none\n");
    assert_eq!(terminal.types("", &["alerts", "list"]), "none\n");
    assert_eq!(terminal.types("", &["alerts", "receivers"]), "none\n");
}

/// A mail server in Python that prints the mails that it takes; it ends with this.
struct MailServer {
    process: Child,
    port: u16,
    said: Arc<Mutex<String>>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        // The module of Python's library was removed from 3.12 on; aiosmtpd takes its place.
        let python = std::env::var("ELIAS_TEST_PYTHON").expect("run the tests with `make test`");
        let has_aiosmtpd = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        let address = format!("127.0.0.1:{port}");
        let arguments = if has_aiosmtpd.is_ok_and(|status| status.success()) {
            vec!["-m", "aiosmtpd", "-n", "-l", &address, "-c", "aiosmtpd.handlers.Debugging", "stdout"]
        } else {
            vec!["-W", "ignore", "-m", "smtpd", "-n", "-c", "DebuggingServer", &address]
        };
        let mut command = Command::new(python);
        command.arg("-u").args(arguments).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the interpreter is there");
        let said = Arc::<Mutex<String>>::default();
        let (lines, of_thread) = (BufReader::new(process.stdout.take().expect("piped")), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut said = of_thread.lock().expect("no reader panics");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { process, port, said }
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_notification_is_sent_by_mail() {
    let mail_server = MailServer::start();
    let smtp = format!("smtp://127.0.0.1:{}", mail_server.port);
    let platform = Platform::start(&["--smtp", &smtp, "--smtp-from", "ELIAS <elias@example.com>"]);
    let team = platform.default_tenant();
    team.done("PUT", "/receivers/ops", json!({ "kind": "mail", "to": ["ops@example.com"] })).await;
    until("the mail server takes a mail", async || {
        let tried = team.done("POST", "/receivers/ops/test", json!({})).await;
        (tried["delivered"] == true).then_some(())
    })
    .await;
    let mail = until("the mail is printed", async || {
        let said = mail_server.said.lock().expect("no reader panics").clone();
        said.contains("END MESSAGE").then_some(said)
    })
    .await;
    for wanted in ["[ELIAS] test: test firing: default", "elias@example.com", "ops@example.com", "nothing is wrong"] {
        assert!(mail.contains(wanted), "{wanted} is not in {mail}");
    }
}
