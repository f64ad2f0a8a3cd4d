//! The bounds of calls and grants.

use super::backend::{NoWorkers, WorkerBackend, WorkerCall};
use super::context::check;
use super::contract::CallRequest;
use super::grant::PAYLOAD_BYTES_MAX;
use super::{ErrorCode, WorkersGrant};
use elias_host::capability::ConfigureError;
use futures::FutureExt;
use serde_json::json;
use std::sync::Arc;

fn call() -> WorkerCall {
    WorkerCall {
        class: "Cart".into(),
        name: "a".into(),
        method: Some("add".into()),
        value: "[1,null]".into(),
        id: None,
    }
}

#[test]
fn calls_have_bounds() {
    let grant = WorkersGrant::default();
    let longest = "é".repeat(256);
    let good = WorkerCall { name: longest.clone(), value: "x".repeat(PAYLOAD_BYTES_MAX as usize), ..call() };
    assert_eq!(check(&grant, &good), Ok(()));
    assert_eq!(check(&grant, &WorkerCall { method: None, ..call() }), Ok(()));
    let longer = format!("{longest}x");
    for (wrong, code, what) in [
        (WorkerCall { class: String::new(), ..call() }, ErrorCode::Invalid, "class"),
        (WorkerCall { name: longer.clone(), ..call() }, ErrorCode::Invalid, "name"),
        (WorkerCall { method: Some(longer.clone()), ..call() }, ErrorCode::Invalid, "method"),
        (
            WorkerCall { value: "x".repeat(PAYLOAD_BYTES_MAX as usize + 1), ..call() },
            ErrorCode::TooLarge,
            "payload-bytes",
        ),
    ] {
        let error = check(&grant, &wrong).expect_err(what);
        assert_eq!(error.code, code);
        assert!(error.message.contains(what), "{}", error.message);
    }
}

#[test]
fn an_id_has_the_length_of_a_uuid_or_is_none() {
    let id_of = |id: &str| {
        let WorkerCall { class, name, method, value, .. } = call();
        WorkerCall::from(CallRequest { class, name, method, value, id: Some(id.to_owned()) }).id
    };
    let id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    assert_eq!(id_of(id).as_deref(), Some(id));
    assert_eq!((id_of("1"), id_of(&"x".repeat(1 << 20))), (None, None));
}

#[test]
fn a_grant_bounds_the_calls_of_an_execution() {
    let read = |table| WorkersGrant::read(Some(&table));
    assert_eq!(read(json!({})).expect("all has a default").calls, 100);
    assert_eq!(read(json!({ "calls": 5 })).expect("it is valid").calls, 5);
    for wrong in [
        json!({ "calls": 0 }),
        json!({ "calls": 1_000_001 }),
        json!({ "call": 5 }),
        json!({ "payload-bytes": 2_000_000 }),
    ] {
        assert!(matches!(read(wrong), Err(ConfigureError::Invalid(_))));
    }
    assert!(matches!(WorkersGrant::read(None), Err(ConfigureError::NotGranted)));
}

#[test]
fn where_no_workers_run_a_call_says_where_they_do() {
    let refused = NoWorkers.call(Arc::default(), call()).now_or_never().expect("it does not wait");
    let error = refused.expect_err("there are none");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("elias dev"), "{}", error.message);
}
