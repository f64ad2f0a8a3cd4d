//! Every number that a capability's table takes is declared, with the default that it has; see `Capability::amounts`.

use crate::events::MemoryLog;
use crate::jobs::MemoryQueue;
use crate::trigger::Clock;
use elias_host::capability::{Capability, ComponentInfo};
use serde_json::json;
use std::sync::Arc;

/// The keys that a table takes, as the refusal of an unknown one lists them.
async fn keys(capability: &impl Capability, component: &ComponentInfo) -> Vec<String> {
    let refused =
        capability.configure(component, Some(&json!({ "no-such-key": 1 }))).await.err().map(|error| error.to_string());
    let listed = refused.as_deref().and_then(|text| text.split_once("expected ")).map_or("", |(_, listed)| listed);
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

async fn check(capability: &impl Capability, not_numbers: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let component =
        ComponentInfo { name: "c".into(), version: "1".into(), digest: "d".into(), folder: folder.path().to_owned() };
    let mut numbers = keys(capability, &component).await;
    assert!(numbers.len() > not_numbers.len(), "the keys are not read: {numbers:?}");
    numbers.retain(|key| !not_numbers.contains(&key.as_str()));
    numbers.sort_unstable();
    let mut declared: Vec<_> = capability.amounts().iter().map(|amount| amount.key).collect();
    declared.sort_unstable();
    assert_eq!(declared, numbers, "{}: declare new numbers in AMOUNTS", capability.name());
    for amount in capability.amounts() {
        assert!(amount.default <= amount.ceiling, "{}", amount.key);
        let most = json!({ amount.key: amount.ceiling });
        let refused = capability.configure(&component, Some(&most)).await.err().map(|error| error.to_string());
        assert!(refused.is_none_or(|text| !text.contains(amount.key)), "the ceiling of {} is not a value", amount.key);
        let text = json!({ amount.key: "text" });
        assert!(capability.configure(&component, Some(&text)).await.is_err(), "{} is not a number", amount.key);
    }
}

#[tokio::test]
async fn every_number_of_a_table_is_declared() {
    let folder = tempfile::tempdir().expect("a folder");
    check(&crate::Cache::new(), &["backend", "url", "root-certificate"]).await;
    check(&crate::Db::new(folder.path().to_owned()), &["backend", "url", "login-url", "schema", "migrations"]).await;
    check(&crate::Http, &["allow", "private", "ca-file"]).await;
    check(&crate::Jobs::new(Arc::new(MemoryQueue::new(Clock::system()).0)), &["targets"]).await;
    check(&crate::Workers::unavailable(), &[]).await;
    check(&crate::Events::new(Arc::new(MemoryLog::new(Clock::system()).0)), &["types"]).await;
    check(&crate::Workflow, &[]).await;
}
