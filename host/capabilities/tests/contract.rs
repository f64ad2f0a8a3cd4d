//! The functions that the host links, and those that it calls, have the names and types of the WIT packages.
//!
//! For each package a component is made that imports all of its functions: it is linked only if all of them are there
//! and have the types of the WIT. Of the triggers' package one is made that exports them.

use elias_capabilities::events::MemoryLog;
use elias_capabilities::jobs::MemoryQueue;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Cache, Config, Crypto, Db, Events, Flags, Jobs, Log, Workers, Workflow};
use elias_host::{CallOptions, ErrorCode, EventBatch, EventMessage, Grants, Handlers, Host, Job, LoadOptions, Tick};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// A component that imports or exports these interfaces of a WIT file, and has no code of its own.
fn component(file: &str, direction: &str, interfaces: &[&str]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    resolve.push_path(folder.join("../../wit/deps/io.wit")).expect("it is there");
    resolve.push_path(folder.join(file)).expect("it is there");
    let items: String = interfaces.iter().map(|interface| format!("{direction} {interface}; ")).collect();
    let world = format!("package test:contract; world all {{ {items}}}");
    let package = resolve.push_str("all.wit", &world).expect("valid WIT");
    let world = resolve.select_world(&[package], None).expect("there is one");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("it fits");
    ComponentEncoder::default().module(&module).expect("it fits").encode().expect("it is encoded")
}

/// Fails unless a component that imports the interfaces is linked, with an empty grant of a capability if it needs one.
async fn check(file: &str, interfaces: &[&str], granted: Option<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Host::builder().instances(1).capability(Cache::new()).capability(Config).capability(Crypto);
    let builder = builder.capability(Db::new(folder.path().into())).capability(Log).capability(Workflow);
    let builder = builder.capability(Events::new(Arc::new(MemoryLog::new(Clock::system()).0)));
    let builder = builder.capability(Jobs::new(Arc::new(MemoryQueue::new(Clock::system()).0)));
    let builder = builder.capability(Workers::unavailable()).capability(Flags::local());
    let host = builder.build().expect("a host");
    let grants = granted.map_or_else(Grants::none, |name| Grants::none().with(name, json!({})));
    let options = LoadOptions { grants, ..LoadOptions::default() };
    // The component has no handler, which is looked for once it is linked.
    let component = component(file, "import", interfaces);
    let refused = host.load_with(&component, &options).await.expect_err("it cannot be called");
    assert_eq!(refused.code(), ErrorCode::MissingExport, "{file}: {refused}");
}

#[tokio::test]
async fn cache_is_linked_as_its_wit_says() {
    check("../../wit/cache/cache.wit", &["elias:cache/cache@0.1.0"], Some("cache")).await;
}

#[tokio::test]
async fn both_drafts_of_wasi_keyvalue_are_linked_as_their_wit_says() {
    for draft in ["draft", "draft2"] {
        let interfaces = ["store", "atomics"].map(|name| format!("wasi:keyvalue/{name}@0.2.0-{draft}"));
        let file = format!("wit/wasi-keyvalue-{draft}.wit");
        check(&file, &interfaces.each_ref().map(String::as_str), Some("cache")).await;
    }
}

#[tokio::test]
async fn config_is_linked_as_its_wit_says() {
    check("../../wit/config/config.wit", &["elias:config/config@0.1.0"], None).await;
    check("wit/wasi-config.wit", &["wasi:config/store@0.2.0-rc.1"], None).await;
}

#[tokio::test]
async fn crypto_is_linked_as_its_wit_says() {
    check("../../wit/crypto/crypto.wit", &["elias:crypto/crypto@0.1.0"], None).await;
}

#[tokio::test]
async fn db_is_linked_as_its_wit_says() {
    check("../../wit/db/db.wit", &["elias:db/db@0.1.0"], Some("db")).await;
}

#[tokio::test]
async fn events_is_linked_as_its_wit_says() {
    check("../../wit/events/events.wit", &["elias:events/events@0.1.0"], Some("events")).await;
}

#[tokio::test]
async fn flags_is_linked_as_its_wit_says() {
    check("../../wit/flags/flags.wit", &["elias:feature-flags/evaluation@0.1.0"], Some("flags")).await;
}

#[tokio::test]
async fn workers_is_linked_as_its_wit_says() {
    check("../../wit/workers/workers.wit", &["elias:workers/workers@0.1.0"], Some("workers")).await;
}

#[tokio::test]
async fn jobs_is_linked_as_its_wit_says() {
    check("../../wit/jobs/jobs.wit", &["elias:jobs/jobs@0.1.0"], Some("jobs")).await;
}

#[tokio::test]
async fn workflow_is_linked_as_its_wit_says() {
    check("../../wit/workflow/workflow.wit", &["elias:workflow/steps@0.1.0"], Some("workflow")).await;
}

#[tokio::test]
async fn the_handlers_of_triggers_are_called_as_their_wit_says() {
    let interfaces = ["schedule", "job", "event", "events"].map(|name| format!("elias:triggers/{name}@0.1.0"));
    let interfaces = interfaces.each_ref().map(String::as_str);
    let host = Host::builder().instances(1).build().expect("a host");
    let component = component("../../wit/triggers/triggers.wit", "export", &interfaces);
    let app = host.load(&component).await.expect("it loads");
    assert_eq!(
        app.handlers(),
        Handlers { scheduled: true, job: true, event: true, events: true, ..Handlers::default() }
    );
    let tick = Tick { name: "t".to_owned(), scheduled_time: 0, late: 0, attempt: 1, input: Value::Null };
    let (id, name, input) = ("1".to_owned(), "j".to_owned(), Value::Null);
    let job = Job { id, name, input, attempt: 1, key: None, enqueued_at: 0 };
    let event = EventMessage { event: Map::new(), attempt: 1 };
    let batch = EventBatch { subscription: "s".to_owned(), events: vec![event.clone()] };
    // Each handler has the expected type, and consists of an instruction that traps.
    for ended in [
        app.run_schedule(&tick, CallOptions::default()).await,
        app.run_job(&job, CallOptions::default()).await,
        app.run_event(&event, CallOptions::default()).await,
        app.run_events(&batch, CallOptions::default()).await,
    ] {
        let error = ended.expect_err("it traps");
        assert!(error.to_string().contains("unreachable"), "{error}");
    }
}

#[tokio::test]
async fn log_is_linked_as_its_wit_says() {
    check("../../wit/log/log.wit", &["elias:log/log@0.1.0"], None).await;
}
